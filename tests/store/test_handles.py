"""Typed handles: every type, its operations, and what all hosts then show."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate import UsageError
from quorate.consistency.replica.states import CrdtState
from quorate.consistency.store.handles import Handle
from tests.store.conftest import World, until


async def shown(world: World, name: str, handle: Handle, value: Any) -> None:
    """Every host comes to show this value."""
    for host in world.hosts:
        parts = host.stores.desk.store(name)
        twin = type(handle)(parts, handle.key)
        seen = await twin.value()
        while seen != value:
            await host.stores.desk.plane.news.wait(host.group.clock.monotonic() + 0.05)
            seen = await twin.value()


def test_counters_and_flags(world: World) -> None:
    async def story() -> None:
        name = world.name()
        stores = [host.store(name) for host in world.hosts]
        assert await stores[0].pn_counter("likes").value() == 0
        assert await stores[0].flag("on").value() is False
        await asyncio.gather(*(s.pn_counter("likes").increment(3) for s in stores))
        await stores[1].pn_counter("likes").decrement()
        await asyncio.gather(*(s.g_counter("views").increment() for s in stores))
        await stores[2].flag("on").enable()
        await shown(world, name, stores[0].pn_counter("likes"), 8)
        await shown(world, name, stores[0].g_counter("views"), 3)
        await shown(world, name, stores[0].flag("on"), True)
        await stores[0].flag("on").disable()
        await stores[0].delete("likes")
        await shown(world, name, stores[0].flag("on"), False)
        await shown(world, name, stores[0].pn_counter("likes"), 0)

    world.run(story())


def test_sets_and_registers(world: World) -> None:
    async def story() -> None:
        name = world.name()
        a, b, c = (host.store(name) for host in world.hosts)
        receipt = await a.or_set("tags").add("red")
        assert (receipt.asked, receipt.achieved) == ("crdt", "crdt")
        await b.or_set("tags").add("blue", consistency="eventual")
        await shown(world, name, a.or_set("tags"), ["red", "blue"])
        assert await c.or_set("tags").contains("red")
        await c.or_set("tags").remove("red")
        await shown(world, name, a.or_set("tags"), ["blue"])
        await a.or_set("tags").clear()
        await shown(world, name, a.or_set("tags"), [])
        for store in (a, b):
            await store.g_set("seen").add(1)
            await store.two_phase_set("once").add("x")
        await a.two_phase_set("once").remove("x")
        await shown(world, name, a.g_set("seen"), [1])
        await shown(world, name, a.two_phase_set("once"), [])
        await a.lww_register("title").set({"text": "first"})
        await shown(world, name, a.lww_register("title"), {"text": "first"})
        await asyncio.gather(a.mv_register("who").set("a"), b.mv_register("who").set("b"))
        third = world.hosts[2]

        def has_both() -> bool:
            state = third.stores.replica.read(name, "who")
            return isinstance(state, CrdtState) and len(state.crdt.value()) == 2

        await until(third, has_both)
        assert sorted(await c.mv_register("who").value()) == ["a", "b"]
        await c.mv_register("who").set("c")
        await shown(world, name, a.mv_register("who"), ["c"])

    world.run(story())


def test_a_map_of_crdts(world: World) -> None:
    async def story() -> None:
        name = world.name()
        a, b, _ = (host.store(name) for host in world.hosts)
        cart = a.or_map("cart")
        assert await cart.value() == {}
        await asyncio.gather(
            cart.counter("qty").increment(2), b.or_map("cart").counter("qty").increment(3)
        )
        await cart.set("tags").add("gift")
        await cart["title"].set("Ann's")
        await cart.put("note", None)
        await cart.flag("paid").enable()
        await cart.map("address")["city"].set("Bern")
        await cart.map("address").sequence("lines").append("Street 1")
        await shown(
            world,
            name,
            cart,
            {
                "address": {"city": "Bern", "lines": ["Street 1"]},
                "note": None,
                "paid": True,
                "qty": 5,
                "tags": ["gift"],
                "title": "Ann's",
            },
        )
        assert await b.or_map("cart").counter("qty").value() == 5
        assert await b.or_map("cart").map("address")["city"].value() == "Bern"
        assert await b.or_map("cart").set("nothing").value() == []
        await b.or_map("cart").remove("address")
        await b.or_map("cart").counter("qty").reset()
        assert "address" not in await b.or_map("cart").value()
        with pytest.raises(UsageError, match="a field of a map is a text"):
            cart.counter("")
        with pytest.raises(UsageError, match="is a ew_flag, not a or_set"):
            await cart.set("paid").add(1)
        with pytest.raises(TypeError, match="lives on other hosts"):
            list(cart)  # type: ignore[call-overload]
        assert repr(cart.counter("qty")) == f"<PnCounter {name}/cart['qty']>"

    world.run(story())


def test_a_sequence_edited_on_three_hosts(world: World) -> None:
    async def story() -> None:
        name = world.name()
        a, b, c = (host.store(name) for host in world.hosts)
        await a.sequence("text").insert(0, *"abc")
        await shown(world, name, a.sequence("text"), list("abc"))
        await asyncio.gather(
            a.sequence("text").insert(1, *"XY"), b.sequence("text").insert(1, *"12")
        )
        value = ""
        while len(value) < 7:
            await world.hosts[2].stores.desk.plane.news.wait(world.loop.time() + 0.05)
            value = "".join(await c.sequence("text").value())
        assert value in ("aXY12bc", "a12XYbc"), "what was inserted together stays together"
        await shown(world, name, a.sequence("text"), list(value))
        await c.sequence("text").delete(1, 4)
        await c.sequence("text").append("d")
        await c.sequence("text").set(0, "A")
        await shown(world, name, a.sequence("text"), list("Abcd"))
        with pytest.raises(UsageError):
            await a.sequence("text").delete(9)

    world.run(story())


def test_levels_and_options_of_crdts(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        store = a.store(name, consistency="strong")
        likes = store.pn_counter("likes")
        assert (await likes.increment()).achieved == "crdt", "the store's default is for values"
        with pytest.raises(UsageError, match="cannot be updated with consistency='strong'"):
            await likes.increment(consistency="strong")
        with pytest.raises(UsageError, match="no linearizable read"):
            await likes.value(level="linearizable")
        with pytest.raises(UsageError, match="no linearizable read"):
            await store.get("likes", level="linearizable")
        async with b.session() as session:
            await b.store(name).pn_counter("likes").increment(session=session, wait_for=3)
            assert await likes.value(session=session) == 2
        assert (await likes.increment(durable=False)).durable is False
        assert (await store.get("likes", level="local")) == 3

    world.run(story())
