"""How stores live with their host: opened when needed, kept over restarts, no name used twice."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from quorate import Cluster, Host, NoLeader, NoQuorum, StaleReplica, Timeout, UsageError
from tests.store.conftest import FAST, everywhere, run_story, until


def test_a_cluster_without_stores_opens_none() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            await a.kv.put("k", 1)
            for host in (a, b, c):
                assert not host.stores.is_open
                assert not (host.data / "stores").exists()
                assert host.statistics()["stores"] == {}
            await a.store("s").put("k", 1, wait_for=3)
            for host in (b, c):
                assert host.stores.is_open, "it owns keys though its program names no store"
                agreed = host.stores.desk.plane.catalog.agreed  # comes through the log, by itself
                await until(host, partial(agreed.get, "s"))
                assert agreed["s"].resolver == "lww"

    run_story(story())


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        token = None
        for restart in range(3):
            async with Host.open(tmp_path / "a", **FAST) as host:
                store = host.store("s", resolver="siblings")
                assert await store.get("n", default=0) == restart
                assert await store.pn_counter("count").value() == 2 * restart
                await store.update("n", lambda v: v + 1, default=0)
                await store.pn_counter("count").increment(2)
                await store.put("strong", restart, consistency="strong")
                if restart:
                    old = host.session(token)
                    assert await store.get("n", session=old) == restart + 1
                receipt = await store.put("last", restart)
                token = receipt.token
                actor = receipt.version.actor
        assert actor

    run_story(story())


def test_a_killed_host_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        host = Host.open(tmp_path / "a", **FAST)
        await host.start()
        store = host.store("s")
        first = await store.put("warm", 0)
        for n in range(50):
            await store.put(f"k{n}", n)
        flying = [asyncio.ensure_future(store.put("late", n)) for n in range(5)]
        await asyncio.sleep(0)
        await host.kill()
        await asyncio.gather(*flying, return_exceptions=True)
        async with Host.open(tmp_path / "a", **FAST) as again:
            store = again.store("s")
            assert [await store.get(f"k{n}") for n in range(50)] == list(range(50))
            after = await store.put("warm", 1)
            assert after.version.actor == first.version.actor
            assert after.version.seq > first.version.seq + 50

    run_story(story())


def test_a_host_that_may_have_lost_updates_is_another_actor(tmp_path: Path) -> None:
    async def story() -> None:
        host = Host.open(tmp_path / "a", **FAST)
        await host.start()
        before = await host.store("s").put("k", 1, durable=False)
        await host.kill()
        async with Host.open(tmp_path / "a", **FAST) as again:
            after = await again.store("s").put("k", 2)
            assert after.version.actor != before.version.actor

    run_story(story())


def test_a_wiped_host_comes_back_as_another_actor_and_is_filled() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            receipt = await a.store("s").put("k", 1, wait_for=3)
            await cluster.kill(a)
            stores = a.data / "stores"
            stores.rename(a.data / "gone")
            again = await cluster.restart("a")
            await everywhere((again, b, c), "s", "k", 1)
            after = await again.store("s").put("k", 2, wait_for=3)
            assert after.version.actor != receipt.version.actor
            assert await b.store("s").get("k") == 2
            session = again.session(receipt.token)
            assert await again.store("s").get("k", session=session, timeout=10) == 2

    run_story(story())


def test_definitions_and_rings_travel_to_hosts_that_were_away() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            await cluster.stop_host(c)
            await a.store("s", replicas=2).put("k", 1, timeout=10)
            again = await cluster.restart("c")
            await until(again, lambda: "s" in again.stores.desk.plane.catalog.agreed)
            await until(again, lambda: again.stores.desk.plane.epoch)
            assert again.store("s")._parts.core.definition.replicas == 2  # pyright: ignore[reportPrivateUsage]
            assert await again.store("s").get("k", timeout=10) == 1
            with pytest.raises(UsageError):
                again.store("s", replicas=3)
            assert b.stores.desk.plane.epoch == a.stores.desk.plane.epoch

    run_story(story())


def test_a_stale_read_is_refused_by_a_host_that_was_filled_by_nobody() -> None:
    """Alone after a restart with an empty store folder, it must not pretend."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            receipt = await a.store("s").put("k", 1, wait_for=3)
            for host in (b, c):
                await cluster.kill(host)
            await cluster.kill(a)
            (a.data / "stores").rename(a.data / "gone")
            alone = cluster.hosts["a"] = cluster.make("a")
            await alone.start()
            session = alone.session(receipt.token)
            started = alone.group.clock.monotonic()
            with pytest.raises((StaleReplica, NoQuorum, NoLeader, Timeout)):
                await alone.store("s").get("k", session=session, timeout=0.5)
            assert alone.group.clock.monotonic() - started < 1.0

    run_story(story())
