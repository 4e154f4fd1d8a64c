"""Hosts that die, pause or lose the others, with agents on them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate import Cluster, Host
from quorate.core.errors import AgentError, NoQuorum, Partitioned, QuorateError, Unavailable
from tests.agents.conftest import FAST, begin, run_story, settle, until
from tests.agents.people import Degraded, Scribe, Shop, Split


async def answer_of(proxy: Any, method: str, *args: Any) -> Any:
    """Ask until it is answered."""
    while True:
        try:
            return await getattr(proxy.options(timeout=2), method)(*args)
        except Unavailable:
            await asyncio.sleep(0)


def test_the_agents_of_a_dead_host_come_back_with_all_that_was_acknowledged() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            await settle(*cluster.hosts.values())
            leader = await cluster.leader()
            victim, survivor, _ = sorted(cluster.hosts.values(), key=lambda host: host is leader)
            names = [f"shop:{number}" for number in range(40)]
            shops = [
                await survivor.agents.start(Shop, name, hints={"host": victim.id}) for name in names
            ]
            sold = dict(
                zip(names, await asyncio.gather(*(shop.sell(3) for shop in shops)), strict=True)
            )
            await asyncio.gather(*(shop.look() for shop in shops))
            epochs = {name: survivor.agents.look(name).epoch for name in names}  # type: ignore[union-attr]
            await cluster.kill(victim)
            reports = await asyncio.gather(*(answer_of(shop, "report") for shop in shops))
            for name, report in zip(names, reports, strict=True):
                assert report["sold"] == sold[name]
                assert report["host"] != victim.id
                assert report["epoch"] > epochs[name]
            assert await shops[0].sell() == 4

    run_story(story())


def test_a_host_that_comes_back_has_none_of_its_old_agents() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            await settle(*cluster.hosts.values())
            a = cluster.hosts["a"]
            await a.agents.start(Shop, "shop", hints={"host": "c"})
            shop = a.agents.get("shop")
            await shop.sell()
            old = a.agents.look("shop")
            await cluster.kill("c")
            back = await cluster.restart("c")
            await settle(back)
            report = await answer_of(back.agents.get("shop"), "report")
            assert old is not None and report["epoch"] > old.epoch and report["sold"] == 1

    run_story(story())


async def part(*, keeps: str) -> tuple[Cluster, Host]:
    """A cluster of which only one host is left: it reaches no majority."""
    cluster = Cluster.local(3, **FAST, store_dead_after_s=600.0)
    await begin(cluster)
    host = cluster.hosts[keeps]
    for cls, name in ((Shop, "pauses"), (Degraded, "degraded"), (Split, "split")):
        agent = await host.agents.start(cls, name, hints={"host": keeps})
        await agent.sell(5)
        await agent.look()
    return cluster, host


def test_what_agents_do_on_a_side_without_a_majority() -> None:
    async def story() -> None:
        cluster, host = await part(keeps="a")
        try:
            for other in ("b", "c"):
                await cluster.kill(other)
            await until(lambda: host.agents.statistics()["tenancy"]["state"] == "doubtful")
            pauses, degraded, split = (
                host.agents.get(name) for name in ("pauses", "degraded", "split")
            )
            with pytest.raises(Partitioned):
                await pauses.options(timeout=8).report()
            pending = degraded.options(timeout=8).ask.report()
            assert (await pending)["sold"] == 5 and pending.degraded, "marked as such"
            with pytest.raises((NoQuorum, Partitioned, AgentError)):
                await degraded.sell()
            with pytest.raises((NoQuorum, Partitioned)):
                await degraded.look()
            with pytest.raises(NoQuorum):
                await split.sell()
            await split.look()
            assert (await split.report())["looks"] == 2, "it goes on with what can be merged"
            for other in ("b", "c"):
                await cluster.restart(other)
            await settle(*cluster.hosts.values())
            b = cluster.hosts["b"]
            for name in ("pauses", "degraded", "split"):
                assert await answer_of(b.agents.get(name), "sell") == 6
            await until(lambda: not host.agents.statistics()["apart"]["apart"])
            assert (await answer_of(b.agents.get("split"), "report"))["looks"] == 2
        finally:
            await cluster.stop()

    run_story(story())


def test_calls_end_by_their_deadline_whatever_happens_to_the_hosts() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            await settle(*cluster.hosts.values())
            a = cluster.hosts["a"]
            for number in range(10):
                await a.agents.start(Scribe, f"scribe:{number}", hints={"host": "b"})
            loop = asyncio.get_running_loop()

            async def call(number: int) -> float:
                began = loop.time()
                try:
                    await a.agents.get(f"scribe:{number % 10}").options(timeout=1).hold()
                except QuorateError:
                    return loop.time() - began
                raise AssertionError("nobody releases it")

            calls = [asyncio.ensure_future(call(number)) for number in range(50)]
            await asyncio.sleep(0)
            await cluster.kill("b")
            assert max(await asyncio.gather(*calls)) < 1.5

    run_story(story())
