"""The table of an agent's life."""

from __future__ import annotations

import pytest

from quorate.core.errors import InvariantBroken
from quorate.hosts.agents.lifecycle import TABLE, Happening, Status, may, next_status

S, H = Status, Happening


def walk(*happenings: Happening) -> Status:
    status = S.STARTING
    for happening in happenings:
        status = next_status(status, happening)
    return status


def test_a_life_from_start_to_stop() -> None:
    assert walk(H.STARTED, H.IDLE, H.CALLED, H.STARTED, H.STOPS, H.STOPPED) is S.GONE


def test_a_move_that_is_given_up_leaves_the_agent_where_it_is() -> None:
    assert walk(H.STARTED, H.LEAVES, H.STAYS) is S.ACTIVE
    assert walk(H.STARTED, H.LEAVES, H.MOVED) is S.GONE


def test_a_stop_comes_through_whatever_the_agent_does() -> None:
    for status in Status:
        if status not in (S.GONE, S.STOPPING):
            assert next_status(status, H.STOPS) is S.STOPPING


def test_a_lost_lease_ends_everything_that_is_not_over() -> None:
    for status in Status:
        assert may(status, H.LOST) is (status is not S.GONE)


def test_nothing_leads_out_of_gone() -> None:
    assert all(before is not S.GONE for before, _ in TABLE)


def test_what_is_no_row_is_our_bug() -> None:
    with pytest.raises(InvariantBroken, match="passive cannot be leaves"):
        next_status(S.PASSIVE, H.LEAVES)


def test_every_status_can_be_reached() -> None:
    reached = {S.STARTING} | set(TABLE.values())
    assert reached == set(Status)
