"""Bad input: a clear error each, and nothing is lost or changed."""

from __future__ import annotations

from typing import Any

import pytest

from quorate import (
    ConfigError,
    LimitExceeded,
    NotCommitted,
    Overloaded,
    UsageError,
    bounded,
    semantic_merge,
)
from tests.store.conftest import World, cut, heal, until


def test_options_that_mean_nothing(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name())
        await store.put("k", "kept")
        loose: Any = store
        bad: list[tuple[Any, str]] = [
            (loose.put("k", 1, consistency="strongest"), "no consistency 'strongest'; use one of"),
            (loose.put("k", 1, consistency="crdt"), "cannot be written with consistency='crdt'"),
            (loose.put("k", 1, timout=3), "no option 'timout'; did you mean 'timeout'"),
            (loose.put("k", 1, colour=3), "no option 'colour'; known are consistency"),
            (loose.put("k", 1, timeout=-1), "timeout must be 0 to"),
            (loose.put("k", 1, wait_for=0), "wait_for= must be an int from 1 to 64"),
            (loose.put("k", 1, wait_for=True), "wait_for= must be an int"),
            (loose.put("k", 1, wait_for=4), "only 3 hosts are to hold the key"),
            (loose.put("k", 1, wait_for=2, replicas=1), "only 1 hosts are to hold"),
            (loose.put("k", 1, replicas=4), "replicas= must be an int from 1 to 3"),
            (loose.put("k", 1, wait_for=2, durable=False), "counts disks"),
            (loose.put("k", 1, durable="yes"), "durable= must be True or False"),
            (loose.put("k", 1, on_partition="stop"), "no on_partition='stop'; use one of pause"),
            (loose.put("k", 1, consistency="strong", wait_for=2), "on the disks of a majority"),
            (loose.put("k", 1, session=b"x"), "session= takes what"),
            (loose.get("k", level="newest"), "no read level 'newest'; use one of linearizable"),
            (loose.get("k", consistency="strong"), "no option 'consistency'"),
            (loose.get("k", level="session"), "needs session="),
            (loose.cas("k", 1, version=-1), "version= must be an int of 0 or more"),
            (loose.update("k", "text"), "not callable"),
            (loose.keys(limit=10_001), "limit must be"),
            (loose.pn_counter("n").increment(1.5), "the amount must be an int"),
            (loose.or_set("n").add(object()), "cannot be kept"),
        ]
        for work, text in bad:
            with pytest.raises((UsageError, TypeError), match=text):
                await work
        assert await store.get("k") == "kept"
        assert await store.keys() == ["k"], "nothing was made"

    world.run(story())


def test_bounds_that_mean_nothing() -> None:
    loose: Any = bounded
    for options, text in (
        ({}, "needs ms=, versions= or both"),
        ({"ms": 0}, "above 0"),
        ({"ms": "1"}, "above 0"),
        ({"ms": float("nan")}, "above 0"),
        ({"versions": -1}, "0 or more"),
        ({"versions": 1.5}, "0 or more"),
    ):
        with pytest.raises(UsageError, match=text):
            loose(**options)
    assert str(bounded(ms=200, versions=10)) == "bounded(ms=200, versions=10)"


def test_stores_that_mean_nothing(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        loose: Any = a.store
        for args, options, text in (
            (("",), {}, "printable text"),
            ((7,), {}, "printable text"),
            (("a\0b",), {}, "printable text"),
            (("n" * 47,), {}, "over 46 bytes"),
            (("s",), {"resolver": "newest"}, "resolver 'newest'; use one of lww, siblings, merge"),
            (("s",), {"replicas": 0}, "replicas= must be an int from 1 to 64"),
            (("s",), {"on_partition": "halt"}, "use one of pause, continue, degraded"),
            (("s",), {"consistency": "sometimes"}, "use one of strong, session"),
            (("s",), {"resolver": "merge"}, "needs merge="),
            (("s",), {"resolver": "lww", "merge": semantic_merge}, "goes with resolver='merge'"),
            (("s",), {"merge": lambda values: values[0]}, "not commutative"),
            (("s",), {"merge": 7}, "must be a function"),
            (("s",), {"siblings_max": 0}, "siblings_max= must be"),
            (("s",), {"durable": 1}, "durable= must be"),
        ):
            with pytest.raises(UsageError, match=text):
                loose(*args, **options)
        for options in ({"resolver": "newest"}, {"resolver": "merge"}):
            with pytest.raises(ConfigError):
                loose("s", **options)
        assert a.stores.desk.plane.catalog.peek("s") is None

    world.run(story())


def test_keys_and_values_over_their_limits(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name())
        loose: Any = store
        await store.put("k" * 448, 1)
        await store.put("é" * 224, 1, consistency="strong")
        head = a.stores.replica.head
        for key, text in (
            ("", "must be a text"),
            (7, "must be a text"),
            (b"k", "must be a text"),
            ("k" * 449, "449 bytes; at most 448"),
            ("é" * 225, "450 bytes; at most 448"),
            ("\ud800" * 200, "cannot be written as UTF-8"),
            ("\ud800", "cannot be written as UTF-8"),
        ):
            for call in (
                lambda k: loose.put(k, 1),
                lambda k: loose.put(k, 1, consistency="strong"),
                lambda k: loose.get(k),
                lambda k: loose.delete(k),
                lambda k: loose.update(k, lambda v: v),
                lambda k: loose.pn_counter(k).increment(),
                lambda k: loose.promote(k),
                lambda k: loose.cas(k, 1, version=0),
            ):
                with pytest.raises(UsageError, match=text):
                    await call(key)
        cycle: list[Any] = []
        cycle.append(cycle)
        for value, text in (
            (object(), "cannot be kept"),
            ({"a": {1, 2}}, r"value\['a'\]"),
            (cycle, "contains itself"),
            (1 << 5000, "4096 bits"),
        ):
            for level in ("eventual", "strong"):
                with pytest.raises(UsageError, match=text):
                    await loose.put("v", value, consistency=level)
            with pytest.raises(UsageError, match=text):
                await store.update("v", lambda _, value=value: value)
        for level in ("eventual", "strong"):
            with pytest.raises(LimitExceeded, match="bytes"):
                await loose.put("v", bytes((1 << 20) + 1), consistency=level)
        assert a.stores.replica.head == head, "no sequence number was used"
        assert await store.get("v") is None

        async def later(value: Any) -> Any:
            return value

        for level in ("eventual", "strong"):
            with pytest.raises(UsageError, match="not a coroutine function"):
                await loose.update("v", later, consistency=level)

    world.run(story())


def test_more_hosts_than_there_are(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name(), replicas=5)
        await store.put("warm", 1)
        with pytest.raises(NotCommitted, match="its owners are only"):
            await store.put("k", 1, wait_for=4)
        assert await store.get("k") is None

    world.run(story())


def test_too_much_in_memory_is_refused_not_kept(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        store = a.store(world.name(), durable=False)
        await store.put("k", 0)
        value = bytes(1 << 19)
        with pytest.raises(Overloaded, match="slow down") as raised:
            for n in range(400):
                store_now(store, n, value)
        assert raised.value.outcome == "not_applied"
        await until(a, lambda: not a.stores.replica.writer.unsynced_bytes)
        await store.put("k", 1, durable=True)
        for n in range(200):
            await store.delete(f"big{n}")

    def store_now(store: Any, n: int, value: bytes) -> None:
        work = store._replica.put(store.name, f"big{n}", value)
        assert work.seq

    world.run(story())


def test_a_hostile_peer_changes_nothing(world: World) -> None:
    """Malformed questions are answered with an error; malformed messages close the link, which
    comes back."""

    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        store = a.store(name)
        await store.put("k", "kept", wait_for=3)
        head = a.stores.replica.head
        ask = b.group.requests.ask
        for method, args in (
            ("store.read", []),
            ("store.read", [name, "k"]),
            ("store.read", [name, "k", ["local"], "flat", 0, 0, 1]),
            ("store.read", [name, "k", ["newest"], [], 0, 0, 1]),
            ("store.read", [name, "", ["local"], [], 0, 0, 1]),
            ("store.write", [name, "k", ["put", 7], ["eventual", 1, True, None], [], 0, 0, 9]),
            ("store.write", [name, "k", ["drop"], ["eventual", 1, True, None], [], 0, 0, 9]),
            ("store.write", [name, "k", ["put", b"1"], ["all", 1, True, None], [], 0, 0, 9]),
            (
                "store.write",
                [name, "k", ["op", "x", "y", []], ["crdt", 1, True, None], [], 0, 0, 9],
            ),
            ("store.fetch", ["\0", "k"]),
            ("store.keys", [name, "", "", "many"]),
        ):
            try:
                answer = await ask("a", method, args, 2.0)
                assert answer[0] is False, (method, args)
            except UsageError:
                pass
        assert a.stores.replica.head == head
        for message in (
            {"type": "st"},
            {"type": "st", "k": "push", "b": [b"\xff"]},
            {"type": "st", "k": "report", "r": 7},
            {"type": "st", "k": "ae", "s": -1},
            {"type": "st", "k": "rescanned", "epoch": "x"},
        ):
            was = a.mesh.statistics()
            assert b.mesh.send("a", message)
            await until(b, lambda was=was: a.mesh.statistics() != was)
            await until(b, lambda: b.mesh.is_up("a"))
        assert await store.get("k") == "kept"
        cut(b, (a,))
        heal(b, (a,))
        await b.store(name).put("k", "again", wait_for=3)
        assert a.state == b.state == c.state == "running"

    world.run(story())
