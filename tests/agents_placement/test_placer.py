"""Agents whose host is gone get another one; starts without room wait, or are told so."""

from __future__ import annotations

import pytest

from quorate.core.errors import ClusterAtCapacity
from quorate.core.machine import commands
from quorate.hosts.agents.placement.placer import BACKOFF_MAX_S, JOIN_GRACE_S
from tests.agents_placement.scenes import names
from tests.agents_placement.world import World, told


def test_a_thousand_agents_of_a_dead_host_are_shared_by_the_others() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(3000))
        before = world.numbers()
        lost = before["c"]
        assert lost > 600
        await world.end("c")
        began = world.mini.loop.time()
        while world.numbers().get("", 0) or "c" in world.numbers():
            await world.mini.pass_time(0.002)
        assert world.mini.loop.time() - began < 0.1, "it took many rounds"
        await world.settle()
        after = world.numbers()
        assert sum(after.values()) == 3000
        assert abs(after["a"] - after["b"]) < 0.25 * 3000
        stats = world.leader.placing.statistics()["placer"]
        assert stats["placed_total"] == lost and stats["refused_total"] == 0

    told(story)


def test_whoever_stays_is_not_touched() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(300))
        before = {record.name: record for record in world.agents() if record.host != "b"}
        await world.end("b")
        await world.settle()
        after = {record.name: record for record in world.agents() if record.name in before}
        assert after == before
        assert "b" not in world.numbers()

    told(story)


def test_a_new_leader_finds_what_the_old_one_left() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(300))
        await world.end("a")  # which leads
        await world.settle()
        assert world.mini.leader != "a"
        assert "a" not in world.numbers() and sum(world.numbers().values()) == 300

    told(story)


def test_only_the_leader_places() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(100))
        await world.end("c")
        await world.settle()
        placed = {
            name: site.placing.statistics()["placer"]["placed_total"]
            for name, site in world.sites.items()
        }
        assert placed["a"] > 0 and placed["b"] == placed["c"] == 0

    told(story)


def test_needs_hold_in_the_second_place_too() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b", labels={"gpu": "a100"})
        await world.join("c", "d")
        await world.begin(names(40), needs={"gpu": "a100"})
        assert set(world.numbers()) == {"a", "b"}
        await world.end("b")
        await world.settle()
        assert world.numbers() == {"a": 40}

    told(story, "abcd")


def test_what_no_host_can_take_waits_where_it_is_and_comes_back_with_the_next_host() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.join("c", labels={"gpu": "a100"})
        await world.begin(names(5), needs={"gpu": "a100"})
        await world.end("c")
        await world.pass_time(30)
        assert world.numbers() == {"": 5}
        assert not world.leader.placing.placer.idle
        assert await passes_within(world, 60) <= 60 / BACKOFF_MAX_S * 1.5, "it spins"
        await world.join("d", labels={"gpu": "a100"})
        assert world.numbers() == {"d": 5}
        await world.pass_time(1)
        assert world.leader.placing.placer.idle

    told(story, "abcd")


async def passes_within(world: World, seconds: float) -> int:
    """How often the leader looks through what has no place."""
    placer = world.leader.placing.placer
    before = placer.statistics()["passes_total"]
    await world.pass_time(seconds)
    return placer.statistics()["passes_total"] - before


def test_nothing_is_done_while_all_is_well() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(50))
        await world.pass_time(2)
        entries = len(world.mini.log)
        assert await passes_within(world, 120) == 0
        assert len(world.mini.log) == entries

    told(story)


# --- starts that wait -----------------------------------------------------------------------------


def test_a_start_without_room_says_what_is_missing_unless_it_may_wait() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"slots": 1})
        await world.begin(names(3))
        with pytest.raises(ClusterAtCapacity, match="a has 0 of 1 slots left"):
            await world.begin(["late"])
        await world.begin(["waits"], within=60)
        assert world.numbers() == {"a": 1, "b": 1, "c": 1, "": 1}

    told(story)


def test_a_waiting_start_gets_the_room_that_another_one_leaves() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"slots": 1})
        await world.begin(names(3))
        await world.begin(["waits"], within=60)
        await world.pass_time(20)
        await world.leader.bindings.stop("agent:1", timeout=5)
        await world.pass_time(0.5)
        assert world.numbers() == {"a": 1, "b": 1, "c": 1}
        record = world.record("waits")
        assert record is not None and record.status == "starting"

    told(story)


def test_who_waited_longest_comes_first() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"slots": 1})
        await world.begin(names(3))
        for name in ("zoe", "yan", "xavier"):
            await world.begin([name], within=60)
        for name in names(2):
            await world.leader.bindings.stop(name, timeout=5)
        await world.pass_time(2)
        placed = [record.name for record in world.agents() if record.lease]
        assert placed == ["agent:2", "yan", "zoe"]

    told(story)


def test_past_its_deadline_a_waiting_start_is_stopped_and_the_reason_says_why() -> None:
    async def story(world: World) -> None:
        await world.join(capacity={"slots": 1})
        await world.begin(names(3))
        ended: list[str] = []
        remember = world.leader.placing.on_applied

        def on_applied(changes: list[tuple[str, object, str]]) -> None:
            ended.extend(why for _, record, why in changes if record is None)
            remember(changes)  # type: ignore[arg-type]

        world.leader.placing.on_applied = on_applied  # type: ignore[method-assign,assignment]
        await world.begin(["waits"], within=7)
        await world.begin(["waits longer"], within=9)
        await world.pass_time(6.5)
        assert world.record("waits") is not None
        await world.pass_time(0.8)
        assert world.record("waits") is None and world.record("waits longer") is not None
        assert ended == [
            "stopped no capacity: a has 0 of 1 slots left, b has 0 of 1 slots left, "
            "c has 0 of 1 slots left"
        ]
        await world.pass_time(2)
        assert world.record("waits longer") is None

    told(story)


def test_an_agent_that_once_had_a_place_is_never_stopped_for_want_of_one() -> None:
    async def story(world: World) -> None:
        await world.join("a")
        await world.begin(["old"], within=5)
        await world.pass_time(10)
        await world.join("b", "c", classes={})
        await world.sites["a"].tell(classes={})
        lease = world.sites["a"].lease
        await world.leader.group.propose(commands.lease_revoke(lease), 16, 5)
        await world.pass_time(60)
        assert world.numbers() == {"": 1}

    told(story)


# --- beginnings and troubles ----------------------------------------------------------------------


def test_when_all_hosts_start_again_the_first_does_not_get_everything() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(300))
        for site in world.sites.values():
            command = commands.lease_revoke(site.lease)
            await world.leader.group.propose(command, 16, 5)
            for other in world.sites:
                site.placing.on_peer(other, up=True)
        await world.join("b")
        await world.pass_time(0.3)
        assert world.numbers() == {"": 300}, "the others have just come: they get time to join"
        await world.join("a", "c")
        assert max(world.numbers().values()) <= 1.25 * 100 + 1

    told(story)


def test_a_member_that_never_runs_agents_is_not_waited_for_long() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.pass_time(JOIN_GRACE_S)
        await world.begin(names(30))
        await world.end("b")
        await world.settle()
        assert world.numbers() == {"a": 30}

    told(story)


def test_without_a_majority_it_backs_off_and_then_goes_on() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(900))
        await world.end("c")
        world.mini.leader = None  # nothing is agreed on any more, and nobody knows it yet
        await world.pass_time(60)
        assert world.sites["a"].placing.statistics()["placer"]["passes_total"] < 40
        world.mini.leader = "a"
        await world.pass_time(8)
        assert set(world.numbers()) == {"a", "b"}

    told(story)


def test_a_host_that_goes_while_agents_are_on_their_way_to_it() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(300))
        await world.end("c")
        await world.end("b")
        await world.pass_time(1)
        assert set(world.numbers()) == {"a", "d"} and sum(world.numbers().values()) == 300

    told(story, "abcd")


def test_a_leader_that_is_late_harms_nobody() -> None:
    """It believes that it leads, and its state is old: the group refuses what is so no more."""

    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(300))
        await world.end("c")
        world.sites["b"].group.leader = "b"  # b believes it too
        world.sites["b"].placing.on_leader()
        await world.pass_time(1)
        assert set(world.numbers()) == {"a", "b"} and sum(world.numbers().values()) == 300
        assert [record.name for record in world.agents() if record.epoch == record.life]

    told(story)


def test_failed_agents_are_left_alone() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(30))
        for record in world.agents():
            if record.host == "c":
                await world.leader.bindings.update(record.name, status="failed", timeout=5)
        before = world.numbers()["c"]
        await world.end("c")
        await world.pass_time(5)
        assert world.numbers()[""] == before and world.leader.placing.placer.idle

    told(story)
