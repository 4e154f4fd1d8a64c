"""Stories of single choices: who can take an agent, which wishes are kept, what is said if nobody
can."""

from __future__ import annotations

import pytest

from quorate.core.errors import ClusterAtCapacity
from quorate.hosts.agents.placement.choose import Field, choose, rank
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import Demand, demand
from quorate.hosts.agents.placement.views import HostView, Load
from tests.agents_placement.scenes import ANY, check_bound, host, hosts, names, place_all


def chosen(what: Demand, views: list[HostView], counts: Counts | None = None) -> set[str]:
    """Where a hundred agents go that need this, each asked alone."""
    field = Field(views)
    where = {"friend": "b", "foe": "c"}
    counts = counts or Counts()
    return {
        choose(name, what, field, counts, where=lambda agent: where.get(agent, "")).id
        for name in names(100)
    }


ABC = [host("a"), host("b"), host("c")]


# --- needs ----------------------------------------------------------------------------------------


def test_only_hosts_that_have_the_class_in_that_version_get_it() -> None:
    views = [host("a", classes={}), host("b", classes={"shop": 1}), host("c", classes={"shop": 3})]
    assert chosen(demand("shop", 1), views) == {"b", "c"}
    assert chosen(demand("shop", 2), views) == {"c"}


def test_labels_are_needed_and_not_wished_for() -> None:
    views = [host("a", labels={"gpu": "t4"}), host("b", labels={"gpu": "a100"}), host("c")]
    assert chosen(demand("shop", needs={"gpu": "a100"}), views) == {"b"}
    with pytest.raises(ClusterAtCapacity):
        chosen(demand("shop", needs={"gpu": "h100"}), views)


def test_a_need_of_a_host_pins_where_a_hint_only_wishes() -> None:
    gone = [host("a", draining=True), host("b")]
    assert chosen(demand("shop", hints={"host": "a"}), gone) == {"b"}
    with pytest.raises(ClusterAtCapacity):
        chosen(demand("shop", needs={"host": "a"}), gone)
    assert chosen(demand("shop", needs={"host": "a"}), ABC) == {"a"}


def test_hosts_that_drain_or_cannot_be_reached_get_nothing() -> None:
    assert chosen(ANY, [host("a", draining=True), host("b", reachable=False), host("c")]) == {"c"}


def test_a_host_gets_what_it_has_room_for() -> None:
    views = [host("a", capacity={"memory_mb": 1000}), host("b", capacity={"memory_mb": 4000})]
    field, counts = Field(views), Counts()
    placed = place_all(names(5), field, counts, demand("shop", resources={"memory_mb": 1000}))
    assert sorted(view.id for view in placed.values()) == ["a", "b", "b", "b", "b"]


def test_memory_that_is_not_measured_is_enough_and_a_gpu_that_is_not_named_is_none() -> None:
    assert chosen(demand("shop", resources={"memory_mb": 10**6}), ABC) == {"a", "b", "c"}
    with pytest.raises(ClusterAtCapacity, match="a has no gpu"):
        chosen(demand("shop", resources={"gpu": 1}), ABC)


def test_every_agent_takes_a_slot_unless_it_says_otherwise() -> None:
    field, counts = Field([host("a", capacity={"slots": 3})]), Counts()
    place_all(names(2), field, counts)
    big, none = demand("shop", resources={"slots": 2}), demand("shop", resources={"slots": 0})
    assert field.find("big", big, counts) is None
    place_all(["third"], field, counts)
    assert field.find("fourth", ANY, counts) is None
    assert field.find("free", none, counts) is not None


# --- wishes ---------------------------------------------------------------------------------------


def test_the_wish_for_a_host_is_kept_however_many_wish_it() -> None:
    field, counts = Field(ABC), Counts()
    placed = place_all(names(50), field, counts, demand("shop", hints={"host": "b"}))
    assert {view.id for view in placed.values()} == {"b"}


def test_near_goes_where_the_other_agent_is_and_anywhere_if_it_is_nowhere() -> None:
    assert chosen(demand("shop", hints={"near": "friend"}), ABC) == {"b"}
    assert chosen(demand("shop", hints={"near": "nobody"}), ABC) == {"a", "b", "c"}


def test_avoid_takes_hosts_and_agents_and_is_dropped_when_nobody_is_left() -> None:
    assert chosen(demand("shop", hints={"avoid": ["a", "foe"]}), ABC) == {"b"}
    everyone = demand("shop", hints={"avoid": ["a", "b", "c"]})
    assert chosen(everyone, ABC) == {"a", "b", "c"}


def test_a_group_that_spreads_is_even_to_the_last_agent() -> None:
    field, counts = Field(hosts(4)), Counts()
    place_all(names(30, "other"), field, counts)
    placed = place_all(names(10), field, counts, demand("shop", hints={"spread": "quorum"}))
    each = sorted([view.id for view in placed.values()].count(f"h{at}") for at in range(4))
    assert each == [2, 2, 3, 3]


def test_a_host_is_wished_before_a_neighbour_and_a_full_host_is_no_wish() -> None:
    both = demand("shop", hints={"host": "a", "near": "friend"})
    assert chosen(both, ABC) == {"a"}
    full = Counts({ABC[0].lease: 5})
    views = [host("a", capacity={"slots": 5}), ABC[1], ABC[2]]
    assert chosen(both, views, full) == {"b"}


# --- balance --------------------------------------------------------------------------------------


def test_a_burst_from_one_host_spreads_though_nothing_is_applied_yet() -> None:
    field, counts = Field(hosts(9)), Counts()
    place_all(names(9000), field, counts)
    check_bound(field, counts)
    assert min(counts.agents.values()) > 800


def test_a_busy_host_gets_less_and_one_that_says_nothing_gets_little() -> None:
    busy, silent = Load(cpu=0.8, memory=0.5), Load(age_s=30)
    views = [host("a"), host("b"), host("busy", load=busy), host("silent", load=silent)]
    field, counts = Field(views), Counts()
    place_all(names(4000), field, counts)
    got = {view.id: counts.agents[view.lease] for view in views}
    assert got["busy"] < 0.65 * got["a"] and got["silent"] < 0.55 * got["b"]
    assert min(got.values()) > 200


def test_an_overloaded_host_is_the_last_one_asked() -> None:
    views = [
        host("a"),
        host("b"),
        host("hot", load=Load(cpu=0.95)),
        host("late", load=Load(0, 0, 0.5)),
    ]
    field, counts = Field(views), Counts()
    place_all(names(2000), field, counts)
    got = {view.id: counts.agents[view.lease] for view in views}
    assert got["hot"] + got["late"] < 0.25 * 2000


def test_far_hosts_get_a_little_less() -> None:
    field, counts = Field([host("near", rtt_s=0.001), host("far", rtt_s=0.2)]), Counts()
    place_all(names(4000), field, counts)
    near, far = counts.agents[field.by_id["near"].lease], counts.agents[field.by_id["far"].lease]
    assert 0.7 < far / near < 0.9


def test_nearly_the_same_figures_make_the_same_choice() -> None:
    one = Field([host("a", load=Load(0.50, 0.3)), host("b"), host("c")])
    other = Field([host("a", load=Load(0.52, 0.31)), host("b"), host("c")])
    for name in names(200):
        assert one.find(name, ANY, Counts()).id == other.find(name, ANY, Counts()).id  # type: ignore[union-attr]


def test_the_first_choice_is_the_highest_rank() -> None:
    """The ranking is written out in the choice, for speed; it is the same."""
    field = Field([host("a"), host("b", load=Load(0.7)), *hosts(5)])
    for name in names(300):
        best = max(field.standings, key=lambda one: rank(name, one))
        assert choose(name, ANY, field, Counts()).id == best.id


# --- nobody ---------------------------------------------------------------------------------------


def test_it_is_said_of_each_host_what_it_lacks() -> None:
    what = demand("shop", 2, resources={"memory_mb": 500}, needs={"zone": "east"})
    east = {"zone": "east"}
    two = {"shop": 2}
    views = [
        host("a", draining=True),
        host("b", reachable=False),
        host("c", classes={}),
        host("d"),
        host("e", classes=two),
        host("f", classes=two, labels={"zone": "west"}),
        host("g", classes=two, labels=east, capacity={"memory_mb": 300}),
    ]
    with pytest.raises(ClusterAtCapacity) as caught:
        choose("x", what, views, Counts())
    assert str(caught.value) == (
        "no host has room for agent 'x' ('shop' version 2): it needs 500 memory_mb; a draining, "
        "b not reachable, c has no class 'shop', d has version 1 of class 'shop', "
        "e has no label 'zone', f has label zone=west, g has 300 of 300 memory_mb left"
    )


def test_a_host_to_leave_is_named_as_such() -> None:
    with pytest.raises(ClusterAtCapacity, match="a is the one to leave"):
        choose("x", ANY, [host("a")], Counts(), without=("a",))


def test_no_hosts_at_all() -> None:
    with pytest.raises(ClusterAtCapacity, match="no host runs agents"):
        choose("x", ANY, [], Counts())


def test_a_long_list_of_hosts_is_cut() -> None:
    with pytest.raises(ClusterAtCapacity, match="and 38 more"):
        choose("x", ANY, hosts(50, draining=True), Counts())
