"""Every line of the stores' API, on three real hosts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import quorate
from quorate import (
    ConfigError,
    NotFound,
    Refused,
    Siblings,
    TooManySiblings,
    UsageError,
    WrongType,
    bounded,
    semantic_merge,
)
from tests.store.conftest import World, everywhere, until


def test_an_eventual_update_is_durable_here_and_comes_everywhere(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        store = a.store(name)
        receipt = await store.put("ann", {"qty": 2}, timeout=5)
        assert (receipt.asked, receipt.achieved, receipt.durable) == ("eventual", "eventual", True)
        assert (receipt.term, receipt.index, receipt.replicas) == (None, None, ("a",))
        assert receipt.dot == (a.stores.replica.actor, receipt.version.seq)
        assert receipt.epoch == a.stores.desk.plane.epoch >= 1
        assert await store.get("ann") == {"qty": 2}
        await everywhere((b, c), name, "ann", {"qty": 2})
        assert await b.store(name).get("ann") == {"qty": 2}
        entry = await c.store(name).get_entry("ann")
        assert entry.version == receipt.version
        assert (entry.exists, entry.type, entry.level, entry.degraded) == (
            True,
            "register",
            "local",
            False,
        )
        held = await store.put("ann", {"qty": 3}, wait_for=3)
        assert set(held.replicas) == {"a", "b", "c"}
        await store.delete("ann")
        await everywhere((a, b, c), name, "ann", None)
        assert await store.get("ann", default=7) == 7
        assert (await store.get_entry("nobody")).version is None
        assert str(receipt).startswith("<Receipt eventual (asked eventual), version=(")

    world.run(story())


def test_a_strong_update_has_a_term_and_an_index_and_is_read_linearizably(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        store = a.store(name, consistency="strong")
        receipt = await store.put("ann", 1)
        assert receipt.achieved == "strong"
        assert (receipt.term or 0) > 0
        assert (receipt.index or 0) > 0
        assert receipt.version[:2] == (0, 1)
        assert "a" in receipt.replicas
        for host in (b, c):
            assert await host.store(name).get("ann", level="linearizable") == 1
        updates = [
            h.store(name).update("ann", lambda v: v + 1, consistency="strong")
            for h in (a, b, c)
            for _ in range(5)
        ]
        versions = {receipt.version.seq for receipt in await asyncio.gather(*updates)}
        assert versions == set(range(2, 17)), "each has its own place"
        assert await b.store(name).get("ann", level="linearizable") == 16
        entry = await c.store(name).get_entry("ann", level="linearizable")
        assert entry.version is not None
        await b.store(name).cas("ann", "new", version=entry.version.seq)
        with pytest.raises(Refused, match="has version 17"):
            await c.store(name).cas("ann", "late", version=entry.version.seq)
        await store.delete("ann")
        assert await b.store(name).get("ann", level="linearizable") is None
        with pytest.raises(Refused):
            await store.cas("ann", 1, version=3)
        assert (await store.cas("ann", "again", version=0)).version.seq == 19
        with pytest.raises(Refused):
            await store.cas("ann", 1, version=0)

    world.run(story())


def test_mixed_levels_on_one_key(world: World) -> None:
    """T39: a local read shows the newer, a strong read the strong, promote brings them together."""

    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        store, other = a.store(name), b.store(name)
        await store.put("ann", "strong", consistency="strong")
        await store.put("ann", "local")
        assert await store.get("ann") == "local"
        assert await store.get("ann", level="linearizable") == "strong"
        await everywhere((b, c), name, "ann", "local")
        strong = await other.put("ann", "stronger", consistency="strong")
        assert await other.get("ann") == "stronger", "later than all that was seen here"
        await everywhere((a, c), name, "ann", "stronger")
        promoted = await store.promote("ann")
        assert promoted.version == strong.version, "the group had the newest already"
        await store.update("ann", lambda v: v + "!")
        promoted = await store.promote("ann")
        assert promoted.version.seq == strong.version.seq + 1
        assert await c.store(name).get("ann", level="linearizable") == "stronger!"
        await other.delete("ann", consistency="strong")
        await everywhere((a, b, c), name, "ann", None)
        await everywhere((a,), name, "ann", None)
        await store.put("ann", "back")
        assert await store.get("ann") == "back"
        assert await store.get("ann", level="linearizable", default="gone") == "gone"
        assert await store.keys() == ["ann"]

    world.run(story())


def test_bounded_reads_hold_what_was_acknowledged_before(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        store, other = a.store(name), b.store(name)
        for n in range(20):
            await store.put("n", n)
            assert await other.get("n", level=bounded(versions=0), timeout=5) == n
        await store.put("n", "strong", consistency="strong")
        assert await other.get("n", level=bounded(ms=1), timeout=5) == "strong"
        assert await other.get("n", level=bounded(ms=60_000, versions=1_000_000)) == "strong"

    world.run(story())


def test_volatile_updates_are_said_to_be_volatile(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name(), durable=False)
        receipt = await store.put("k", 1)
        assert not receipt.durable
        assert await store.get("k") == 1
        assert (await store.put("k", 2, durable=True)).durable
        assert not (await a.store(store.name).put("k", 3, durable=False)).durable

    world.run(story())


def test_concurrent_values_by_resolver(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        for resolver, merge in (("lww", None), ("siblings", None), ("merge", semantic_merge)):
            name = world.name()
            stores = [h.store(name, resolver=resolver, merge=merge) for h in (a, b, c)]
            await stores[0].put("warm", 1, wait_for=3)
            for store in stores:
                await store.get("warm")
            values = [{"qty": n, h.id: True} for n, h in enumerate((a, b, c))]
            await asyncio.gather(
                *(s.put("k", v, wait_for=3) for s, v in zip(stores, values, strict=True))
            )
            shown = [await store.siblings("k") for store in stores]
            assert shown[0] == shown[1] == shown[2]
            if resolver == "lww":
                assert [await store.get("k") for store in stores] == [shown[0][0]] * 3
            elif resolver == "merge":
                wanted = {"qty": 2, "a": True, "b": True, "c": True}
                assert [await store.get("k") for store in stores] == [wanted] * 3
                await stores[0].update("k", lambda v: {**v, "qty": 9}, wait_for=3)
                assert await stores[2].siblings("k") == [{**wanted, "qty": 9}]
            else:
                await resolve(stores, values)
            feed = [row async for row in stores[0].conflicts(follow=False)]
            assert {row.key for row in feed} == {"k"}
            assert all(row.losers for row in feed)

    async def resolve(stores: list[quorate.Store], values: list[Any]) -> None:
        with pytest.raises(Siblings, match="3 concurrent values") as raised:
            await stores[1].get("k")
        assert sorted(map(str, raised.value.values)) == sorted(map(str, values))
        with pytest.raises(Siblings):
            await stores[1].update("k", lambda v: v)
        with pytest.raises(Siblings):
            await stores[1].promote("k")
        entry = await stores[2].get_entry("k")
        assert len(entry.siblings) == 3
        assert entry.value == entry.siblings[0]
        few = world.hosts[0].store(stores[0].name, siblings_max=2)
        with pytest.raises(TooManySiblings, match="3 concurrent values, more than siblings_max=2"):
            await few.get("k")
        assert len(await few.siblings("k")) == 3, "nothing is lost"
        await stores[1].put("k", "one", wait_for=3)
        assert await stores[0].get("k") == "one"

    world.run(story())


def test_the_conflict_feed_is_followed_and_resumed(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        one, other = a.store(name), b.store(name)
        await one.put("warm", 1, wait_for=3)
        await other.get("warm")
        feed = one.conflicts()
        waiting = asyncio.ensure_future(anext(feed))
        for n in range(3):
            await asyncio.gather(one.put(f"k{n}", "x", wait_for=3), other.put(f"k{n}", "y"))
            first = await asyncio.wait_for(waiting, 5)
            assert first.key == f"k{n}"
            assert {first.winner, *first.losers} == {"x", "y"}
            waiting = asyncio.ensure_future(anext(feed))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        rows = [row async for row in one.conflicts(follow=False)]
        later = [row async for row in one.conflicts(after=rows[0].position, follow=False)]
        assert later == rows[1:]

    world.run(story())


def test_a_merge_function_that_fails_loses_nothing(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts

        def by_qty(values: list[Any]) -> Any:
            return max(values, key=lambda value: (value["qty"], str(value)))

        name = world.name()
        stores = [h.store(name, resolver="merge", merge=by_qty) for h in (a, b)]
        await stores[0].put("warm", {"qty": 1}, wait_for=3)
        await stores[1].get("warm")
        for n in range(20):  # until neither put had seen the other one
            k = f"k{n}"
            await asyncio.gather(
                stores[0].put(k, {"count": 1}, wait_for=3), stores[1].put(k, {"qty": 2}, wait_for=3)
            )
            if len(await stores[0].siblings(k)) == 2:
                break
        with pytest.raises(Siblings, match=r"kept apart: the merge function raised KeyError"):
            await stores[0].get(k)
        assert [row.reason async for row in stores[0].conflicts(follow=False)] == ["siblings"]
        without = world.hosts[2].store(name)
        seen = stores[0].versions_seen(k)
        await until(world.hosts[2], lambda: seen.items() <= without.versions_seen(k).items())
        with pytest.raises(Siblings):
            await without.get(k)

    world.run(story())


def test_what_a_store_is_is_decided_once(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        await a.store(name, replicas=2, resolver="siblings").put("k", 1, wait_for=2)
        await until(b, lambda: b.stores.desk.plane.catalog.peek(name))
        with pytest.raises(ConfigError, match="replicas=2, here it is asked for with replicas=3"):
            b.store(name, replicas=3, resolver="siblings")
        with pytest.raises(ConfigError, match="resolver='siblings'"):
            b.store(name, resolver="lww")
        assert await b.store(name).get("k") == 1, "left out, it is what was decided"
        other = world.name()
        answers = await asyncio.gather(
            a.store(other, replicas=2).put("k", 1),
            c.store(other, replicas=1).put("k", 1),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, ConfigError) for answer in answers) == 1

    world.run(story())


def test_keys_are_listed_in_order(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name())
        await asyncio.gather(*(store.put(f"k/{n}", n) for n in range(5)))
        await store.put("other", 1)
        await store.put("k/strong", 1, consistency="strong")
        await store.pn_counter("k/count").increment()
        await store.delete("k/3")
        assert await store.keys("k/") == ["k/0", "k/1", "k/2", "k/4", "k/count", "k/strong"]
        assert await store.keys("k/", after="k/1", limit=2) == ["k/2", "k/4"]
        with pytest.raises(UsageError, match="limit must be 1 to 10000"):
            await store.keys(limit=0)

    world.run(story())


def test_changes_are_heard(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        heard: list[tuple[str, str]] = []
        stop = b.store(name).on_change(lambda store, key: heard.append((store, key)))
        await a.store(name).put("k", 1, wait_for=3)
        assert heard == [(name, "k")]
        stop()
        stop()
        await a.store(name).put("k", 2, wait_for=3)
        assert len(heard) == 1

    world.run(story())


def test_a_type_is_never_changed(world: World) -> None:
    """T41."""

    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        store = a.store(name)
        await store.put("plain", 1, wait_for=3)
        await store.put("strong", 1, consistency="strong")
        await store.pn_counter("count").increment(wait_for=3)
        for host in (a, b):
            store = host.store(name)
            for work, text in (
                (store.pn_counter("plain").increment(), "is a register, not a pn_counter"),
                (store.pn_counter("strong").increment(), "strongly written plain value"),
                (store.or_set("count").add(1), "is a pn_counter, not a or_set"),
                (store.put("count", 1), "is a pn_counter"),
                (store.put("count", 1, consistency="strong"), "is a pn_counter"),
                (store.update("count", lambda v: v), "is a pn_counter"),
                (store.promote("count"), "is a pn_counter"),
                (store.or_set("count").value(), "is a pn_counter, not a or_set"),
                (store.pn_counter("plain").value(), "is a register, not a pn_counter"),
            ):
                if host is b and "strongly" in text:
                    await store.get("strong", level="linearizable")
                with pytest.raises(WrongType, match=text):
                    await work
        assert await store.get("plain") == 1
        assert await store.pn_counter("count").value() == 1

    world.run(story())


def test_names_are_imported() -> None:
    for name in ("Session", "Store", "StoreReceipt", "StaleReplica", "Partitioned", "NotFound"):
        assert getattr(quorate, name)
    assert NotFound
