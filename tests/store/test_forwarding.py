"""Five hosts, three replicas: who does not own a key asks who does; keys move when hosts leave."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from quorate import (
    Cluster,
    Host,
    LimitExceeded,
    NotCommitted,
    StaleReplica,
    Store,
    Unavailable,
    WrongType,
    bounded,
)
from quorate.core.wire.ports import free_addresses
from tests.store.conftest import FAST, cut, run_story, until


def owners(host: Host, store: str, key: str) -> tuple[str, ...]:
    return host.stores.replica.owners(store, key)


async def settled(hosts: list[Host], count: int) -> None:
    """All hosts go by a stable ring of so many."""
    for host in hosts:
        await until(host, lambda h=host: ring_is(h, count))


def ring_is(host: Host, count: int) -> bool:
    ring = host.stores.replica.ring
    return ring is not None and len(ring.hosts) == count and ring.before is None


def key_not_of(host: Host, store: str) -> str:
    """A key that the host does not own."""
    return next(k for k in map(str, range(1000)) if host.id not in owners(host, store, k))


def test_who_does_not_own_a_key_asks_who_does() -> None:
    async def story() -> None:
        async with Cluster.local(5, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            a = hosts[0]
            stores = {host.id: host.store("s", resolver="siblings") for host in hosts}
            await stores["a"].put("warm", 1)
            await settled(hosts, 5)
            key = key_not_of(a, "s")
            own = owners(a, "s", key)
            receipt = await stores["a"].put(key, 1)
            assert set(receipt.replicas) <= set(own)
            assert receipt.version.actor == cluster.hosts[receipt.replicas[0]].stores.replica.actor
            assert await stores["a"].get(key, session=a.session(receipt.token)) == 1
            entry = await stores["a"].get_entry(key)
            assert entry.host in own
            held = await stores["a"].put(key, 2, wait_for=3)
            assert set(held.replicas) == set(own)
            for host in hosts:
                assert await stores[host.id].get(key) == 2
                assert await stores[host.id].get(key, level=bounded(ms=500), timeout=5) == 2
            updated = await stores["a"].update(key, lambda v: v + 1)
            assert updated.replicas == ("a",), "made here, on what an owner had"
            assert await stores["b"].get(key, session=hosts[1].session(updated.token)) == 3
            async with a.session() as s:
                for n in range(5):
                    await stores["abcde"[n]].update(key, lambda v: v + 1, session=s)
                assert await stores["c"].get(key, session=s) == 8
            counter = key_not_of(a, "s") + "-count"
            await asyncio.gather(
                *(s.pn_counter(counter).increment(wait_for=2) for s in stores.values())
            )
            assert await stores["a"].pn_counter(counter).value(level=bounded(versions=0)) == 5
            await stores["a"].promote(key)
            assert await stores["e"].get(key, level="linearizable") == 8
            assert set(await stores["d"].keys()) == {"warm", key, counter}
            await errors_keep_their_class(stores, a, key, counter)

    async def errors_keep_their_class(
        stores: dict[str, Store], a: Host, key: str, counter: str
    ) -> None:
        other = next(k for k in map(str, range(1000)) if "a" not in owners(a, "s", k + "-count"))
        await stores["b"].pn_counter(other + "-count").increment(wait_for=3)
        with pytest.raises(WrongType, match="is a pn_counter, not a or_set"):
            await stores["a"].or_set(other + "-count").add(1)
        with pytest.raises(LimitExceeded, match="bytes"):
            await stores["a"].put(key, bytes(2 << 20))
        with pytest.raises(NotCommitted, match="host 'a' is no owner"):
            await stores["b"]._parts.reads._forward.ask(  # pyright: ignore[reportPrivateUsage]
                "a", "store.read", ["s", key, ["local"], [], 0, 0, 100], 1.0
            )

    run_story(story())


def asked(host: Host) -> object:
    """How many questions of other hosts it was asked."""
    return host.stores.desk.forward.statistics()["answered_total"]


def forget_ring(host: Host) -> None:
    """As a host that has just started and has not heard who owns what."""
    plane = host.stores.desk.plane
    plane.placement = None
    plane.ready = plane.replica.whole = lambda partition: False
    for told in plane.on_placement:
        told()


def test_an_owner_that_does_not_know_the_ring_yet_answers_once_it_does() -> None:
    """Without a ring it cannot know what it holds: a write there waits, and is not refused."""

    async def story() -> None:
        async with Cluster.local(5, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            a = hosts[0]
            stores = {host.id: host.store("s", resolver="siblings") for host in hosts}
            await asyncio.gather(*(store.keys() for store in stores.values()))
            await settled(hosts, 5)
            key = key_not_of(a, "s")
            late = a.stores.desk.plane.nearest(owners(a, "s", key))[0]
            plane = cluster.hosts[late].stores.desk.plane
            ring, whole = plane.placement, plane.replica.whole
            assert ring is not None
            before = asked(cluster.hosts[late])
            forget_ring(cluster.hosts[late])
            writing = asyncio.create_task(stores["a"].put(key, 1))
            await until(a, lambda: asked(cluster.hosts[late]) != before)
            plane.ready = plane.replica.whole = whole
            plane.on_ring(ring.ring)
            assert (await writing).replicas == (late,)
            forget_ring(cluster.hosts[late])
            receipt = await stores["a"].put(key, 2, timeout=10)
            assert receipt.replicas[0] in set(owners(a, "s", key)) - {late}, "the next one is asked"
            plane.ready = plane.replica.whole = whole
            plane.on_ring(ring.ring)

    run_story(story())


def test_a_value_that_is_fetched_waits_for_the_own_disk_no_longer_than_the_deadline() -> None:
    async def story() -> None:
        async with Cluster.local(5, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            a = hosts[0]
            store = a.store("s")
            await store.put("warm", 1)
            await settled(hosts, 5)
            key = key_not_of(a, "s")
            await store.put(key, 1, wait_for=3)
            replica = a.stores.desk.plane.replica
            absorb = replica.absorb
            replica.absorb = lambda entries, done: None  # type: ignore[method-assign]
            with pytest.raises(NotCommitted, match=r"host's disk \(the deadline passed"):
                await store.update(key, lambda v: v + 1, timeout=0.3)
            replica.absorb = absorb  # type: ignore[method-assign]
            assert (await store.update(key, lambda v: v + 1)).replicas == ("a",)
            assert await store.get(key) == 2

    run_story(story())


def test_no_owner_in_reach_and_the_update_is_kept_for_them() -> None:
    async def story() -> None:
        async with Cluster.local(5, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            a = hosts[0]
            stores = {host.id: host.store("s") for host in hosts}
            await stores["a"].put("warm", 1)
            await settled(hosts, 5)
            key = key_not_of(a, "s")
            await stores["b"].put(key, "before", wait_for=3)
            away = [cluster.hosts[name] for name in owners(a, "s", key)]
            cut(a, away)
            await until(a, lambda: not any(a.mesh.is_up(host.id) for host in away))
            with pytest.raises(StaleReplica, match="none of its owners"):
                await stores["a"].get(key)
            with pytest.raises(NotCommitted, match="could be asked"):
                await stores["a"].update(key, lambda v: v)
            receipt = await stores["a"].put(key, "hinted")
            assert receipt.replicas == ("a",)
            assert await stores["a"].get(key) == "hinted"
            for host in away:
                a.mesh.set_override(host.id, None)
                host.mesh.set_override("a", None)
            for host in away:
                await until(host, lambda h=host: value_at(h, key) == b"fhinted")

    run_story(story())


def value_at(host: Host, key: str) -> bytes | None:
    parts = host.stores.desk.store("s")._parts  # pyright: ignore[reportPrivateUsage]
    return parts.core.view(key).value


async def write_until_refused(host: Host, acknowledged: list[int]) -> None:
    """Updates without a pause: what a host that leaves still acknowledges, others must have."""
    store = host.store("s")
    for n in range(100_000):
        try:
            await store.put(f"late {n}", n)
        except Unavailable as error:
            # this host refuses, or was handing the update on to an owner as it was removed
            assert error.outcome == "unknown" or "leaving" in str(error)
            return
        acknowledged.append(n)
    raise AssertionError("a host that has left went on acknowledging")


def test_a_host_that_leaves_hands_over_first_and_one_that_comes_takes_over() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            store = hosts[0].store("s", replicas=2)
            await asyncio.gather(*(store.put(str(n), n, wait_for=2) for n in range(60)))
            address = free_addresses(1)[0]
            peers = {**cluster.peers, "d": address}
            joining = cluster.make("d", peers=peers, join=True)
            cluster.hosts["d"] = joining
            await joining.start()
            await hosts[0].members.add("d", address)
            await settled([*hosts, joining], 4)
            leaving = cluster.hosts["b"]
            acknowledged: list[int] = []
            busy = asyncio.create_task(write_until_refused(leaving, acknowledged))
            await leaving.leave(timeout=15)
            await busy
            await cluster.stop_host(leaving)
            rest = list(cluster.hosts.values())
            await settled(rest, 3)
            for host in rest:
                mine = host.store("s")
                found = await asyncio.gather(*(mine.get(str(n)) for n in range(60)))
                assert found == list(range(60))
                late = acknowledged[-200:]
                assert await asyncio.gather(*(mine.get(f"late {n}") for n in late)) == late
            assert acknowledged
            for n in range(60):
                for name in owners(joining, "s", str(n)):
                    state = cluster.hosts[name].stores.replica.read("s", str(n))
                    assert state is not None, f"{name} owns {n} and does not have it"

    run_story(story())


async def write_and_write(host: Host) -> None:
    """The same keys again and again, until the host refuses or is gone."""
    store = host.store("s")
    with suppress(Unavailable):
        for n in range(100_000):
            await store.put(f"hot {n % 50}", n)


def test_a_host_leaves_while_all_write() -> None:
    """It need not catch up with what others go on writing."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            hosts = list(cluster.hosts.values())
            await settled(hosts, 3)
            busy = [asyncio.create_task(write_and_write(host)) for host in hosts]
            await until(hosts[1], lambda: hosts[1].stores.replica.read("s", "hot 49") is not None)
            await hosts[1].leave(timeout=10)
            for task in busy:
                task.cancel()

    run_story(story())
