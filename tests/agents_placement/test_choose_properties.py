"""What holds of every choice, whatever the hosts and agents are."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.hosts.agents.placement.choose import Field, explain, short_of
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import Demand
from quorate.hosts.agents.placement.views import HostView
from tests.agents_placement.scenes import (
    ANY,
    check_bound,
    check_quotas,
    demands,
    fields,
    host,
    hosts,
    names,
    place_all,
)

WHERE = {"friend": "h1"}


def where(name: str) -> str:
    return WHERE.get(name, "")


def obeys_needs(view: HostView, what: Demand) -> bool:
    """Written out apart from the product, so that both must be wrong to agree."""
    return (
        not view.draining
        and view.reachable
        and view.classes.get(what.kind, 0) >= what.version
        and all(
            view.labels.get(label) == value or (label == "host" and view.id == value)
            for label, value in what.needs
        )
    )


@given(fields(), st.lists(demands(), max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_needs_and_quotas_hold_for_every_agent(
    field: Field, wanted: list[Demand], chance: Any
) -> None:
    counts = Counts()
    for at, what in enumerate(wanted):
        found = field.find(f"agent:{at}", what, counts, where=where)
        room = [
            one.view
            for one in field.standings
            if obeys_needs(one.view, what) and not short_of(one.view, what, counts)
        ]
        if found is None:
            assert not room, "nobody was found though somebody has room"
            assert explain(field, what, counts)
            continue
        assert found in room
        wished = what.host or (what.near and where(what.near))
        if wished and wished in [view.id for view in room]:
            assert found.id == wished, "a wish that could be kept was not"
        elif what.avoid:
            avoided = {*what.avoid, *map(where, what.avoid)}
            if any(view.id not in avoided for view in room):
                assert found.id not in avoided
        elif what.spread:
            group = counts.groups.get(what.spread, {})
            assert group.get(found.lease, 0) == min(group.get(one.lease, 0) for one in room)
        counts.take(found.lease, what)
        check_quotas(field, counts)
        if chance.random() < 0.2:
            counts.give(found.lease, what)


@given(fields(always=True), st.integers(1, 300), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_no_host_gets_more_than_its_bounded_share(field: Field, number: int, salt: int) -> None:
    counts = Counts()
    place_all(names(min(number, 40), f"agent{salt}"), field, counts)
    if not any("slots" in one.view.capacity for one in field.standings):
        place_all(names(number, f"more{salt}"), field, counts)
        check_bound(field, counts)


@given(st.permutations(range(6)), st.integers(0, 10_000))
def test_the_order_of_hosts_changes_nothing(order: list[int], salt: int) -> None:
    views = hosts(6)
    one, other = Field(views), Field([views[at] for at in order])
    for name in names(20, str(salt)):
        assert one.find(name, ANY, Counts()) == other.find(name, ANY, Counts())


@given(st.integers(1, 9), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_host_that_joins_takes_only_what_it_gets_itself(number: int, salt: int) -> None:
    """With room everywhere, nobody's first choice changes but to the new host, and about its share
    does."""
    before, after = Field(hosts(number)), Field([*hosts(number), host("new")])
    moved = 0
    for name in names(200, str(salt)):
        was = before.find(name, ANY, Counts())
        now = after.find(name, ANY, Counts())
        assert was is not None and now is not None
        assert now.id in (was.id, "new")
        moved += now.id == "new"
    assert 0.4 < moved / (200 / (number + 1)) < 1.8


@given(st.integers(2, 9), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_host_that_leaves_moves_only_what_it_had(number: int, salt: int) -> None:
    before, after = Field(hosts(number)), Field(hosts(number)[1:])
    for name in names(200, str(salt)):
        was, now = before.find(name, ANY, Counts()), after.find(name, ANY, Counts())
        assert was is not None and now is not None
        assert was.id == "h0" or now.id == was.id


@given(st.integers(2, 9), st.integers(50, 400), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_what_a_dead_host_had_is_shared_by_all_others(number: int, agents: int, salt: int) -> None:
    """Agents that lost their host are placed beside those that stay; nobody gets all of them."""
    field, counts = Field(hosts(number + 1)), Counts()
    placed = place_all(names(agents, str(salt)), field, counts)
    dead = field.by_id["h0"].lease
    lost = [name for name, view in placed.items() if view.lease == dead]
    counts.drop(dead)
    left = Field(hosts(number + 1)[1:])
    place_all(lost, left, counts)
    check_bound(left, counts)


@given(st.lists(st.tuples(st.integers(0, 3), demands(), st.booleans()), max_size=60))
def test_counts_come_back_to_nothing(events: list[tuple[int, Demand, bool]]) -> None:
    counts, kept = Counts(), []
    for lease, what, goes in events:
        counts.take(lease, what)
        if goes:
            counts.give(lease, what)
        else:
            kept.append((lease, what))
    for lease, what in kept:
        counts.give(lease, what)
    assert not any(counts.agents.values()) and not counts.groups
    assert not any(amount for names in counts.reserved.values() for amount in names.values())
