"""Planted faults: each guarantee of this part has a story that tells when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from quorate import Cluster, StaleReplica, bounded
from quorate.consistency.store.core import Core
from quorate.consistency.store.forward import Forward
from quorate.consistency.store.reads import Reads
from quorate.consistency.store.waits import DurableQueue
from tests.store.conftest import FAST, World, run_story, until


@contextmanager
def planted(owner: Any, name: str, fault: Callable[..., Any]) -> Iterator[None]:
    kept = getattr(owner, name)
    setattr(owner, name, fault)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def test_an_acknowledgement_before_the_disk(world: World) -> None:
    """A put that returns before its sync: the update is above what is durable."""

    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name())

        async def always_durable() -> bool:
            receipt = await store.put("k", 1)
            return receipt.version.seq <= a.stores.replica.durable

        assert all([await always_durable() for _ in range(20)])

        def at_once(self: DurableQueue, seq: int, until: float) -> Any:
            done = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done

        with planted(DurableQueue, "wait", at_once):
            assert not all([await always_durable() for _ in range(20)])

    world.run(story())


def test_a_floor_that_is_forgotten_hides_the_later_write(world: World) -> None:
    """Local updates must be stamped above the strong record they follow, whatever the clocks."""

    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        one, other = a.store(name), b.store(name)
        await one.put("warm", 1, wait_for=3)
        strong = a.stores.desk.plane.strong

        async def later_wins(key: str) -> bool:
            ahead = b.stores.replica.hlc.now() + (300 << 16)  # a's clock is ahead, within bounds
            await strong.put(name, key, b"\x01", floor=ahead, timeout_s=5)
            await other.get(key, level="linearizable")
            await other.put(key, 2)
            return await other.get(key) == 2

        assert await later_wins("right")
        with planted(Core, "floor", lambda self, key: 0):
            assert not await later_wins("planted")

    world.run(story())


def test_an_unknown_update_that_is_sent_again_counts_twice() -> None:
    """A forwarded increment whose answer is lost must not be made by the next owner as well."""

    async def story() -> None:
        async with Cluster.local(5, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            a = hosts[0]
            store = a.store("s")
            await store.put("warm", 1)
            for host in hosts:
                await until(host, lambda h=host: len((h.stores.replica.ring or ((),) * 3)[1]) == 5)
            keys = (str(n) for n in range(1000))
            key = next(k for k in keys if "a" not in a.stores.replica.owners("s", k))
            first = a.stores.desk.plane.nearest(a.stores.replica.owners("s", key))[0]
            requests = cluster.hosts[first].group.requests
            respond = requests.respond

            def lose(peer: str, id_: int, answer: object) -> None:
                if peer != "a":
                    respond(peer, id_, answer)

            requests.respond = lose  # type: ignore[method-assign]
            answers = await asyncio.gather(
                store.pn_counter(key).increment(timeout=0.5), return_exceptions=True
            )
            assert getattr(answers[0], "outcome", None) == "unknown", answers
            del requests.respond
            owner = cluster.hosts[a.stores.replica.owners("s", key)[1]]
            counter = owner.store("s").pn_counter(key)
            seen = await counter.value()
            while seen == 0:
                await owner.stores.desk.plane.news.wait(owner.group.clock.monotonic() + 0.05)
                seen = await counter.value()
            assert seen == 1

    run_story(story())


def test_a_read_at_a_host_that_owns_nothing_of_the_key() -> None:
    """Planted: every host believes it owns every key. The non-owner then shows nothing."""

    async def story() -> None:
        async with Cluster.local(5, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            a = hosts[0]
            store = a.store("s")
            await store.put("warm", 1)
            for host in hosts:
                await until(host, lambda h=host: h.stores.desk.plane.epoch)
            keys = (str(n) for n in range(1000))
            key = next(k for k in keys if "a" not in a.stores.replica.owners("s", k))
            await store.put(key, 1, wait_for=3)
            assert await store.get(key) == 1
            with planted(Core, "is_home", lambda self, key: True):
                assert await store.get(key) is None

    run_story(story())


def test_a_bound_that_goes_by_links_is_found(world: World) -> None:
    """Planted: who is linked is fresh. The severed replica then serves the past (T38)."""

    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        store, other = a.store(name), b.store(name)
        await store.put("k", "old", wait_for=3)
        await other.get("k")
        b.stores.on_message = lambda peer, message: None  # type: ignore[method-assign]
        try:
            await store.put("k", "new", wait_for=2)

            async def none(*args: Any) -> Any:
                raise StaleReplica("nobody helps")

            level = bounded(versions=0)
            with planted(Forward, "read", none):
                with pytest.raises(StaleReplica):
                    await other.get("k", level=level, timeout=0.3)

                async def linked(self: Reads, key: str, bound: Any, until: float) -> None:
                    return None

                with planted(Reads, "_fresh", linked):
                    assert await other.get("k", level=level, timeout=0.3) == "old"
        finally:
            del b.stores.on_message
        assert c.state == "running"

    world.run(story())
