"""Moves: while others call, from everywhere, in order and once."""

from __future__ import annotations

import asyncio

import pytest

from quorate import Cluster
from quorate.core.errors import AgentNotFound, NotFound, UsageError
from tests.agents.conftest import FAST, STORY_S, World, until
from tests.agents.people import Scribe, Shop


def test_callers_on_all_hosts_notice_nothing_of_a_move(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        name = world.name()
        await a.agents.start(Scribe, name, hints={"host": "a"})
        sent: dict[str, int] = dict.fromkeys("abc", 0)
        moving = True

        async def call(host_at: int) -> None:
            host = world.hosts[host_at]
            scribe = host.agents.get(name)
            while moving:
                for _ in range(5):
                    scribe.tell.note([host.id, sent[host.id]])
                    sent[host.id] += 1
                await scribe.note([host.id, sent[host.id]])
                sent[host.id] += 1

        callers = [asyncio.ensure_future(call(at)) for at in range(3)]
        for turn in range(12):
            to = "bca"[turn % 3]
            place = await world.hosts[turn % 3].agents.move(name, to)
            assert place.host == to
        moving = False
        await asyncio.gather(*callers)
        lines = await a.agents.get(name).read()
        for host, count in sent.items():
            of_host = [number for who, number in lines if who == host]
            assert of_host == list(range(count)), f"{host}: lost, doubled or out of order"
        assert not [one for host in world.hosts for one in host.agents.dead_letters(name)]

    world.run(story())


@pytest.mark.parametrize("strategy", ["checkpoint_restore", "state_transfer", "cold_start"])
def test_what_moves_with_the_agent(world: World, strategy: str) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        shop_name, scribe_name = world.name(), world.name()
        shop = await a.agents.start(Shop, shop_name, hints={"host": "a"})
        scribe = await a.agents.start(Scribe, scribe_name, hints={"host": "a"})
        await shop.sell(4)
        for _ in range(20):
            await shop.look()
        await scribe.note("in memory")
        for name in (shop_name, scribe_name):
            before = (await a.agents.whereis(name)).epoch
            place = await b.agents.move(name, "b", strategy)
            assert place.host == "b" and place.epoch > before
        report = await shop.report()
        assert (report["sold"], report["looks"], report["host"]) == (4, 20, "b")
        assert await scribe.read() == ([] if strategy == "cold_start" else ["in memory"])

    world.run(story())


def test_a_move_that_cannot_be_is_said_and_the_agent_stays(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        name = world.name()
        scribe = await a.agents.start(Scribe, name, hints={"host": "a"})
        with pytest.raises(NotFound, match="no host 'nowhere'"):
            await a.agents.move(name, "nowhere")
        with pytest.raises(UsageError, match="strategy"):
            await a.agents.move(name, "b", "teleport")
        with pytest.raises(AgentNotFound):
            await a.agents.move(world.name("nobody"), "b")
        assert await scribe.note("still here") == 1

    world.run(story())


def test_draining_a_host_fails_no_call(world: World) -> None:
    async def story() -> None:
        a, *_ = world.hosts
        names = [world.name("drained") for _ in range(60)]
        await asyncio.gather(*(a.agents.start(Scribe, name, hints={"host": "c"}) for name in names))
        counts = dict.fromkeys(names, 0)
        draining = True

        async def call(name: str, host_at: int) -> None:
            scribe = world.hosts[host_at % 2].agents.get(name)
            while draining:
                counts[name] += 1
                assert await scribe.note(counts[name]) == counts[name]

        callers = [asyncio.ensure_future(call(name, at)) for at, name in enumerate(names[:30])]
        moved = await a.agents.drain("c", timeout=20)
        assert moved >= len(names)
        draining = False
        await asyncio.gather(*callers)
        assert all(a.agents.look(name).host != "c" for name in names)  # type: ignore[union-attr]
        await a.agents.undrain("c")
        assert await a.agents.stop_matching("drained") == len(names)

    world.run(story())


def test_a_move_waits_for_a_host_that_has_just_started() -> None:
    """It has not told the group yet what it runs, or that it runs anything."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            for host in (a, b):
                host.agents.register(Scribe)
            await a.agents.ready(10)
            await a.agents.start(Scribe, "early", hints={"host": "a"})
            to_c = asyncio.create_task(b.agents.move("early", "c"))
            await asyncio.sleep(0)
            assert not to_c.done()
            c.agents.register(Shop)
            await until(lambda: "people.Shop" in b.agents.classes())
            c.agents.register(Scribe)
            assert (await to_c).host == "c"
            with pytest.raises(NotFound, match="no host 'd' runs agents"):
                await a.agents.move("early", "d")

    asyncio.run(asyncio.wait_for(story(), STORY_S))
