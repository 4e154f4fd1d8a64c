"""What each level does in a minority, by the store's policy, and after the heal."""

from __future__ import annotations

import asyncio

import pytest

from quorate import (
    Cluster,
    Host,
    NotCommitted,
    OutcomeUnknown,
    Partitioned,
    StaleReplica,
    Unavailable,
    bounded,
)
from tests.store.conftest import FAST, cut, everywhere, heal, run_story, until


async def cut_and_noticed(host: Host, others: list[Host]) -> None:
    cut(host, others)
    await until(host, host.stores.cut_off)
    assert host.stores.cut_off()


def test_each_level_in_a_minority_and_after_the_heal() -> None:
    async def story() -> None:
        async with Cluster.local(3, leader_wait_s=1.0, **FAST) as cluster:
            lone, *rest = cluster.hosts.values()
            go_on = {host.id: host.store("s") for host in cluster.hosts.values()}
            await go_on[lone.id].put("k", "before", wait_for=3)
            await go_on[lone.id].put("strong", "before", consistency="strong")
            for host in rest:
                await go_on[host.id].get("strong", level="linearizable")
            await cut_and_noticed(lone, rest)
            loop = asyncio.get_running_loop()
            store = go_on[lone.id]
            pausing = lone.store("s", on_partition="pause")
            degraded = lone.store("s", on_partition="degraded")

            started = loop.time()
            with pytest.raises(NotCommitted):
                await store.put("strong", "lost", consistency="strong", timeout=0.4)
            with pytest.raises(NotCommitted):
                await store.get("strong", level="linearizable", timeout=0.4)
            with pytest.raises(StaleReplica, match=r"cannot promise bounded\(ms=100\)"):
                await store.get("k", level=bounded(ms=100), timeout=0.4)
            with pytest.raises(OutcomeUnknown, match=r"wait_for=2 was not reached.*held by a"):
                await store.put("waited", 1, wait_for=2, timeout=0.4)
            assert loop.time() - started < 2.5, "all end by their deadlines"
            for work in (
                pausing.put("p", 1),
                pausing.put("p", 1, consistency="strong"),
                pausing.pn_counter("c").increment(),
                pausing.delete("k"),
                pausing.update("k", lambda v: v),
            ):
                with pytest.raises(Partitioned, match="nothing was changed") as raised:
                    await work
                assert raised.value.outcome == "not_applied"
            assert await pausing.get("k") == "before"

            fallen = await degraded.put("strong", "fallen", consistency="strong", timeout=2)
            assert (fallen.asked, fallen.achieved, fallen.term) == ("strong", "eventual", None)
            more = await degraded.update("strong", lambda v: v + "!", consistency="strong")
            assert more.achieved == "eventual"
            entry = await degraded.get_entry("strong", level="linearizable")
            assert (entry.value, entry.degraded, entry.level) == ("fallen!", True, "linearizable")

            assert (await store.put("k", "alone")).achieved == "eventual"
            await store.pn_counter("likes").increment(2)
            new = lone.store("defined-alone", replicas=3)
            await new.put("k", 1, timeout=5)
            assert await new.get("k") == 1
            await go_on[rest[0].id].put("k2", "elsewhere", wait_for=2)
            await go_on[rest[0].id].pn_counter("likes").increment(3)

            heal(lone, rest)
            await everywhere(cluster.hosts.values(), "s", "k", "alone")
            await everywhere(cluster.hosts.values(), "s", "k2", "elsewhere")
            await everywhere(cluster.hosts.values(), "s", "strong", "fallen!")
            await everywhere(cluster.hosts.values(), "s", "waited", 1)
            await everywhere(cluster.hosts.values(), "defined-alone", "k", 1)
            await everywhere(cluster.hosts.values(), "s", "likes", 5)
            assert await go_on[rest[1].id].get("strong", level="linearizable") == "before"
            promoted = await go_on[rest[1].id].promote("strong", timeout=10)
            assert promoted.achieved == "strong"
            assert await store.get("strong", level="linearizable", timeout=10) == "fallen!"

    run_story(story())


def test_a_severed_bound_is_refused_though_links_are_up() -> None:
    """T38: progress counts, not heartbeats."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, _ = cluster.hosts.values()
            await a.store("s").put("k", "old", wait_for=3)
            assert await b.store("s").get("k", level=bounded(ms=1000), timeout=5) == "old"
            b.stores.on_message = lambda peer, message: None  # type: ignore[method-assign]
            await a.store("s").put("k", "new")
            alone = b.store("s", replicas=3)
            for peer in ("a", "c"):
                cluster.hosts[peer].group.requests.handle("store.read", _refuse)
            for level in (bounded(versions=0), bounded(ms=100)):
                with pytest.raises(StaleReplica):
                    await alone.get("k", level=level, timeout=0.3)
            assert b.mesh.is_up("a")
            assert b.mesh.is_up("c")
            assert await alone.get("k") == "old"

    run_story(story())


def _refuse(peer: str, args: list[object], reply: object) -> None:
    raise Unavailable("planted: nobody helps")


def test_calls_of_a_stopping_host_end() -> None:
    async def story() -> None:
        async with Cluster.local(2, **FAST) as cluster:
            a, b = cluster.hosts.values()
            store = a.store("s", replicas=2)
            await store.put("k", 1, wait_for=2)
            await cluster.kill(b)
            waiting = [
                asyncio.ensure_future(store.put("k", 2, wait_for=2, timeout=60)),
                asyncio.ensure_future(store.get("k", level=bounded(ms=1), timeout=60)),
                asyncio.ensure_future(anext(store.conflicts())),
            ]
            await asyncio.sleep(0)
            await cluster.stop_host(a)
            for ended in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(ended, Unavailable), ended
            with pytest.raises(Unavailable):
                await store.put("k", 3)
            with pytest.raises(Unavailable):
                await store.get("k", session=a.session())

    run_story(story())
