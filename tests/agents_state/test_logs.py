"""An agent's logs: appended by turns, read in one order, rebuilt anywhere."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.consistency.events.event import VersionConflict
from quorate.core.errors import InvariantBroken, UsageError
from tests.agents_state.world import Agent, World


async def numbers(agent: Agent, name: str = "log", **options: Any) -> list[Any]:
    return [event.value for event in await agent.state.events(name).read(**options)]


def test_events_come_with_their_turn(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        log = agent.state.events("log")
        async with agent.turn():
            for number in range(3):
                receipt = await log.append(number, by="ann", correlation_id="c")
                assert receipt.event.number == number + 1
            assert await numbers(agent) == [0, 1, 2]
        with pytest.raises(RuntimeError):
            async with agent.turn():
                await log.append("never")
                raise RuntimeError
        async with agent.turn():
            receipt = await log.append(3)
            assert receipt.event.number == 4, "what was rolled back used no number"
        assert await numbers(agent) == [0, 1, 2, 3]
        assert [event.by for event in await log.read(limit=1)] == ["ann"]
        assert await numbers(agent, "other") == []
        assert await agent.state.keys() == []

    world.run(story())


def test_strong_events_have_dense_versions(world: World) -> None:
    async def story() -> None:
        agent = await world.agent(consistency="strong")
        log = agent.state.events("log")
        async with agent.turn():
            assert (await log.append("a")).version == 1
            assert (await log.append("b", expected_version=1)).version == 2
            with pytest.raises(VersionConflict):
                await log.append("c", expected_version=1)
            assert (await log.append("a", event_id="once")).version == 3
        async with agent.turn():
            repeated = await log.append("a", event_id="once")
            assert repeated.repeated and repeated.version == 3
        assert await log.version(level="linearizable") == 3
        assert await numbers(agent, level="linearizable") == ["a", "b", "a"]
        assert await numbers(agent, from_=2, to=2, level="linearizable") == ["b"]
        record = await world.place("c").take(agent.holder.record)
        there = await world.place("c").open(record, consistency="strong")
        assert await numbers(there, level="linearizable") == ["a", "b", "a"]
        async with there.turn():
            assert (await there.state.events("log").append("d")).version == 4

    world.run(story())


def test_each_place_goes_on_with_the_log(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        expected: list[Any] = []
        for host_id in ("b", "c", "a", "b"):
            for number in range(3):
                async with agent.turn():
                    await agent.state.events("log").append([host_id, number])
                expected.append([host_id, number])
            agent.state.close()
            agent = await agent.place.open(agent.holder.record)  # passive, and back
            async with agent.turn():
                await agent.state.events("log").append([host_id, "again"])
            expected.append([host_id, "again"])
            record = await world.place(host_id).take(agent.holder.record)
            agent = await world.place(host_id).open(record)
            assert await numbers(agent) == expected

    world.run(story())


def test_an_event_id_is_appended_once(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        for _ in range(2):
            async with agent.turn():
                log = agent.state.events("log")
                await log.append("x", event_id="id-1")
                assert (await log.append("x", event_id="id-1")).repeated
        record = await world.place("b").take(agent.holder.record)
        there = await world.place("b").open(record)
        async with there.turn():
            assert (await there.state.events("log").append("x", event_id="id-1")).repeated
        assert await numbers(there) == ["x"]

    world.run(story())


def test_a_state_is_rebuilt_from_a_log(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        log = agent.state.events("log", snapshot_every=10)

        def total(state: int, event: Any) -> int:
            return state + event.value

        for number in range(25):
            async with agent.turn():
                await log.append(number)
        assert await log.rebuild(total, 0) == sum(range(25))
        assert log.statistics()["snapshots_made_total"] == 0, "outside of a turn none is kept"
        async with agent.turn():
            assert await log.rebuild(total, 0) == sum(range(25))
        assert log.statistics()["snapshots_made_total"]
        folded = log.statistics()["folded_total"]
        assert await log.rebuild(total, 0) == sum(range(25))
        assert log.statistics()["folded_total"] - folded < 25  # type: ignore[operator]

    world.run(story())


def test_events_of_a_turn_in_both_planes_survive_a_crash_between_them(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        async with agent.turn():
            await agent.state.events("log").append(1)
        agent.fail_at("strong")
        with pytest.raises(InvariantBroken):
            async with agent.turn():
                await agent.state.events("log").append(2)
                await agent.state.events("log").append("strong", consistency="strong")
        record = await world.place("b").take(agent.holder.record)
        there = await world.place("b").open(record)
        assert await numbers(there) == [1, 2, "strong"]

    world.run(story())


def test_a_log_is_watched(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        log = agent.state.events("log")
        seen: list[Any] = []
        async with agent.turn():
            await log.append(0)
        watch = log.watch(0)
        async for event in watch:
            seen.append(event.value)
            if len(seen) == 3:
                break
            async with agent.turn():
                await log.append(len(seen))
        await watch.aclose()
        assert seen == [0, 1, 2]

    world.run(story())


def test_names_of_logs_are_looked_at(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        for wrong in ("", "~log", "a\0b", "x" * 200):
            with pytest.raises(UsageError):
                agent.state.events(wrong)

    world.run(story())
