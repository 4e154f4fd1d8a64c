"""Names: started, found, listed, watched, reused."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest

from quorate.core.errors import (
    AgentNotFound,
    NameTaken,
    StartFailed,
    UnknownClass,
    UsageError,
)
from tests.agents.conftest import World, until
from tests.agents.people import Keeps, Scribe, Shop, Starts


def test_an_agent_is_found_from_every_host_by_its_name(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        name = world.name("user:7:cart")
        shop = await a.agents.start(Shop, name, meta={"model": "small"})
        assert await shop.sell(2) == 2
        for host in (a, b, c):
            assert await host.agents.get(name).sell() > 2
            await until(lambda host=host: host.agents.look(name))
            place = await host.agents.whereis(name)
            assert place.status == "active" and place.host in ("a", "b", "c")
            (found,) = host.agents.find(name)
            assert (found.name, found.kind, found.meta) == (name, "people.Shop", {"model": "small"})
            assert [one.name for one in host.agents.list(f"{name[:-1]}*", limit=1000)]
        assert await a.agents.stop(name)

    world.run(story())


def test_a_name_has_one_holder_and_the_policy_says_what_a_second_start_does(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        await (await a.agents.start(Shop, name)).sell(5)
        with pytest.raises(NameTaken) as taken:
            await b.agents.start(Shop, name)
        assert taken.value.holder.name == name  # type: ignore[attr-defined]
        again = await b.agents.start(Shop, name, on_conflict="use_existing")
        assert await again.sell() == 6
        fresh = await b.agents.start(Shop, name, on_conflict="replace")
        assert await fresh.sell() == 1, "another life, another state"

    world.run(story())


def test_first_calls_that_race_on_all_hosts_make_one_activation(world: World) -> None:
    async def story() -> None:
        name = world.name()

        async def visit(host_at: int) -> int:
            host = world.hosts[host_at % 3]
            agent = await host.agents.start(Starts, name, on_conflict="use_existing")
            return (await agent.counts())[0]

        assert set(await asyncio.gather(*(visit(at) for at in range(12)))) == {1}
        assert await world.hosts[0].agents.get(name).counts() == [1, 1]

    world.run(story())


def test_a_name_is_free_straight_after_death_and_nobody_is_shown_the_corpse(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        for life in range(5):
            scribe = await a.agents.start(Scribe, name)
            assert await scribe.note(life) == 1
            assert await b.agents.stop(name, "enough")
            assert b.agents.look(name) is None
            for host in (a, b, c):
                with pytest.raises(AgentNotFound):
                    await host.agents.get(name).note("to the dead")
                with pytest.raises(AgentNotFound):
                    await host.agents.whereis(name)
        assert not await c.agents.stop(name)

    world.run(story())


def test_state_is_a_lifes_own_unless_the_class_keeps_it(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        shop, keeper = world.name(), world.name()
        await (await a.agents.start(Shop, shop)).sell(3)
        await (await a.agents.start(Keeps, keeper)).put(7)
        await a.agents.stop(shop)
        await a.agents.stop(keeper)
        assert (await (await b.agents.start(Shop, shop)).report())["sold"] == 0
        assert await (await b.agents.start(Keeps, keeper)).get() == 7

    world.run(story())


def test_lists_are_pages_in_the_order_of_names(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        tag = world.name("page").replace(":", "-")
        names = [f"{tag}/{at:02}" for at in range(25)]
        await asyncio.gather(*(a.agents.start(Scribe, name) for name in names))
        first = a.agents.list(prefix=tag, limit=10)
        rest = a.agents.list(prefix=tag, limit=100, after=first[-1].name)
        assert [one.name for one in (*first, *rest)] == names
        assert a.agents.count(tag) == 25
        assert [one.name for one in a.agents.list(f"{tag}/*3")] == [names[3], names[13], names[23]]
        assert await a.agents.stop_matching(tag) == 25
        assert a.agents.count(tag) == 0

    world.run(story())


def test_a_watch_tells_of_starts_moves_and_ends_in_order(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        name = world.name("watched")
        seen: list[str] = []

        async def follow() -> None:
            async for event in a.agents.watch(name):
                seen.append(event.kind)
                if event.kind.endswith("stopped"):
                    return

        following = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        await a.agents.start(Scribe, name, hints={"host": "a"})
        await a.agents.move(name, "b")
        await a.agents.update_meta(name, {"mood": "good"})
        await a.agents.stop(name)
        await following
        assert [kind.rpartition(".")[2] for kind in seen] == [
            "started",
            "moved",
            "updated",
            "stopped",
        ]

    world.run(story())


def test_on_start_runs_once_in_a_life_and_its_failure_is_the_starts(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        agent = await a.agents.start(Starts, name, hints={"host": "a"})
        await a.agents.move(name, "b")
        assert await agent.counts() == [1, 2]
        broken = world.name()
        with pytest.raises(StartFailed, match="RuntimeError: cannot start"):
            await b.agents.start(Starts, broken, args={"fail": True})
        assert b.agents.look(broken) is None
        assert await (await b.agents.start(Starts, broken)).counts() == [1, 1]

    world.run(story())


def test_an_agent_may_end_itself_with_its_turn(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        agent = await a.agents.start(Starts, name)
        assert await agent.end() == "bye"
        await until(lambda: b.agents.look(name) is None)
        with pytest.raises(AgentNotFound):
            await agent.counts()

    world.run(story())


def test_what_cannot_be_started_is_said_and_nothing_is_changed(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        for name in ("", "a*b", "~x", "x" * 300):
            with pytest.raises(UsageError):
                await a.agents.start(Shop, name)
        with pytest.raises(UnknownClass):
            await a.agents.start("nobody:Knows", "x")
        with pytest.raises(UsageError, match="on_conflict"):
            await a.agents.start(Shop, "x", on_conflict="perhaps")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="args= cannot be encoded"):
            await a.agents.start(Shop, "x", args={"f": object()})
        with pytest.raises(UsageError, match="meta="):
            await a.agents.start(Shop, "x", meta=b"x" * 5000)
        assert a.agents.look("x") is None

    world.run(story())


def test_agents_without_a_name_live_as_long_as_the_request(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts

        async def request() -> tuple[str, int]:
            quick = await a.agents.spawn(Scribe)
            await quick.note("one")
            assert await b.agents.get(quick.name).note("two") == 2, "from everywhere"
            return quick.name, len(await quick.read())

        name, lines = await asyncio.ensure_future(request())
        assert lines == 2
        await asyncio.sleep(0)
        with pytest.raises(AgentNotFound):
            await a.agents.get(name).note("too late")
        with pytest.raises(AgentNotFound):
            await b.agents.get(name).note("too late")

    world.run(story())


def test_whoever_stops_an_agent_it_has_not_heard_of_yet_waits_until_it_is_gone(
    world: World,
) -> None:
    """Of each pair of hosts one has it started and runs it, the other stops it at once: a host that
    does not lead hears of the start only a moment later."""

    async def story() -> None:
        for runs, stops in permutations(world.hosts, 2):
            for _ in range(3):
                name = world.name()
                scribe = await runs.agents.start(Scribe, name, hints={"host": runs.id})
                assert await scribe.note(1) == 1
                assert await stops.agents.stop(name)
                with pytest.raises(AgentNotFound):
                    await scribe.note("to the dead")
        assert not await world.hosts[0].agents.stop(world.name())

    world.run(story())
