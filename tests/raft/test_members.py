"""Membership changes as values: what is refused, and why."""

from __future__ import annotations

import pytest

from quorate.core.errors import InvariantBroken, MembershipRefused
from quorate.core.raft.members import Change, Configuration, Member, changed

THREE = Configuration.of([Member("c", "c:1"), Member("a", "a:1"), Member("b", "b:1")])


def test_a_host_joins_as_staging_and_is_promoted():
    joined = changed(THREE, Change("add", "d", "d:1"))
    assert joined.learners == ("d",) and joined.quorum == 2
    voting = changed(joined, Change("promote", "d"))
    assert voting.voters == ("a", "b", "c", "d") and voting.quorum == 3


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change("add", "a", "x:1"), "already"),
        (Change("add", "d", ""), "address"),
        (Change("add", "d", "d:1", "voter"), "staging or learner"),
        (Change("promote", "a"), "votes already"),
        (Change("promote", "z"), "not a member"),
        (Change("remove", "z"), "members are a, b, c"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_the_reason(change: Change, why: str):
    with pytest.raises(MembershipRefused, match=why):
        changed(THREE, change)


def test_the_last_voter_cannot_be_removed():
    one = Configuration.of([Member("a", "a:1"), Member("b", "b:1", "learner")])
    with pytest.raises(MembershipRefused, match="last voter"):
        changed(one, Change("remove", "a"))


def test_a_configuration_survives_the_wire_and_nothing_else_does():
    assert Configuration.from_wire(THREE.to_wire()) == THREE
    for bad in ([["a", "a:1"]], [["a", "a:1", "king"]], 7):
        with pytest.raises(InvariantBroken):
            Configuration.from_wire(bad)
