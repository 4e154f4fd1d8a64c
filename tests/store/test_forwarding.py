"""Five hosts, three replicas: who does not own a key asks who does; keys move when hosts leave."""

from __future__ import annotations

import asyncio

import pytest

from quorate import (
    Cluster,
    Host,
    LimitExceeded,
    NotCommitted,
    StaleReplica,
    Store,
    WrongType,
    bounded,
)
from quorate.hosts.cluster import free_addresses
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
            await leaving.leave(timeout=15)
            await cluster.stop_host(leaving)
            rest = list(cluster.hosts.values())
            await settled(rest, 3)
            for host in rest:
                mine = host.store("s")
                found = await asyncio.gather(*(mine.get(str(n)) for n in range(60)))
                assert found == list(range(60))
            for n in range(60):
                for name in owners(joining, "s", str(n)):
                    state = cluster.hosts[name].stores.replica.read("s", str(n))
                    assert state is not None, f"{name} owns {n} and does not have it"

    run_story(story())
