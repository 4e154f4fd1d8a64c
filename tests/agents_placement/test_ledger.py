"""What is placed where, as one host counts it: what was applied, and what is about to be."""

from __future__ import annotations

import pytest

from quorate.core.errors import ClusterAtCapacity
from quorate.hosts.agents.placement.demand import demand
from quorate.hosts.agents.placement.ledger import PENDING_S, READ_PAGE_AGENTS
from tests.agents_placement.scenes import names
from tests.agents_placement.world import World, told

BIG = {"memory_mb": 2}


def reserved(world: World, at: str = "a") -> dict[str, float]:
    """Host -> memory given out, as the host `at` counts it."""
    return {
        shown["id"]: shown["reserved"].get("memory_mb", 0)
        for shown in world.sites[at].placing.hosts()
    }


def test_every_host_counts_what_every_other_one_placed() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(30), at="b", resources=BIG)
        for site in world.sites:
            assert reserved(world, site) == reserved(world) and sum(reserved(world).values()) == 60
        placed = {shown["id"]: shown["agents"] for shown in world.sites["c"].placing.hosts()}
        assert placed == world.numbers()

    told(story)


def test_moves_and_deaths_are_followed() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(30), resources=BIG)
        await world.end("c")
        await world.pass_time(1)
        assert {host for host, amount in reserved(world).items() if amount} == {"a", "b"}
        assert sum(reserved(world).values()) == 60
        for name in names(30):
            await world.leader.bindings.stop(name, timeout=5)
        await world.settle()
        assert sum(reserved(world).values()) == 0
        statistics = world.leader.placing.statistics()["ledger"]
        assert statistics["tracked"] == statistics["pending"] == 0

    told(story)


def test_quotas_hold_in_a_burst_from_one_host() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"memory_mb": 20})
        await world.begin(names(30), resources=BIG)
        assert reserved(world) == {"a": 20, "b": 20, "c": 20}
        with pytest.raises(ClusterAtCapacity, match="it needs 2 memory_mb"):
            await world.begin(["more"], resources=BIG)

    told(story)


def test_a_choice_that_came_to_nothing_counts_for_a_while_and_no_longer() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"slots": 1})
        site = world.sites["a"]
        ground, wanted = site.placing.ground, demand("shop")
        for name in names(3):
            ground.choose(name, wanted)
        assert ground.find("late", wanted) is None
        await world.pass_time(PENDING_S + 6)
        assert ground.find("late", wanted) is not None

    told(story)


def test_a_choice_is_not_counted_twice_when_it_is_applied() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"slots": 20})
        await world.begin(names(60))
        assert world.numbers() == {"a": 20, "b": 20, "c": 20}

    told(story)


def test_a_host_that_starts_late_reads_what_is_placed_already() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(2 * READ_PAGE_AGENTS + 7), resources=BIG)
        late = world.sites["b"].placing
        late.ledger.start()
        assert not late.ledger.complete
        await world.pass_time(0.5)
        assert late.ledger.complete
        assert reserved(world, "b") == reserved(world, "a")

    told(story)


def test_what_changes_while_it_reads_is_counted_once() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(2 * READ_PAGE_AGENTS), resources=BIG)
        late = world.sites["b"].placing
        late.ledger.start()
        await world.begin(names(40, "zebra"), resources=BIG)
        await world.begin(names(40, "aardvark"), resources=BIG)
        await world.leader.bindings.stop("agent:1", timeout=5)
        await world.leader.bindings.stop("agent:999", timeout=5)
        await world.pass_time(0.5)
        assert sum(reserved(world, "b").values()) == 2 * (2 * READ_PAGE_AGENTS + 78)
        assert reserved(world, "b") == reserved(world, "a")

    told(story)
