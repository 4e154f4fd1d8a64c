"""Sessions: never back in time, on any host, over reconnects and failover (T36)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate import Cluster, ForgedToken, StaleReplica, UsageError
from quorate.consistency.store.core import Core
from quorate.consistency.store.session import Session
from quorate.core.codec import encode_value
from tests.store.conftest import FAST, World, cut, everywhere, heal, run_story, until


def test_a_session_reads_its_writes_on_every_host(world: World) -> None:
    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        stores = {host.id: host.store(name) for host in world.hosts}
        async with a.session() as s:
            for n in range(30):
                writer, reader = (a, b, c)[n % 3], (a, b, c)[(n + 1) % 3]
                receipt = await stores[writer.id].put(f"k{n % 4}", n, session=s)
                assert receipt.achieved == "session"
                assert await stores[reader.id].get(f"k{n % 4}", session=s) == n
                await stores[reader.id].update("sum", lambda v: v + 1, default=0, session=s)
            assert await stores["a"].get("sum", session=s) == 30
            await stores["a"].put("strong", 1, consistency="strong", session=s)
            assert await stores["b"].get("strong", session=s) == 1
            token = s.token
        other = c.session(token)
        assert other.past == s.past
        assert await stores["c"].get("k1", session=other) == 29

    world.run(story())


def test_what_a_session_writes_brings_along_what_it_wrote_strongly(world: World) -> None:
    """Who reads a write has to find what its writer knew, also of the group."""

    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        async with a.session() as writer, b.session() as reader, c.session() as counting:
            strong = await a.store(name).put("first", 1, consistency="strong", session=writer)
            await a.store(name).put("then", 2, session=writer)
            await a.store(name).pn_counter("sum").increment(3, session=writer)
            await everywhere(world.hosts, name, "then", 2)
            await everywhere(world.hosts, name, "sum", 3)
            assert await b.store(name).get("then", session=reader) == 2
            assert reader.past.strong >= (strong.index or 0) > 0
            assert 0 not in reader.past.vector
            assert await c.store(name).pn_counter("sum").value(session=counting) == 3
            assert counting.past.strong >= (strong.index or 0)

    world.run(story())


def test_a_receipts_token_is_a_session_that_saw_it(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        for n, level in enumerate(("eventual", "strong", "session")):
            receipt = await a.store(name).put("k", n, consistency=level)  # type: ignore[arg-type]
            assert await b.store(name).get("k", session=b.session(receipt.token)) == n
        receipt = await a.store(name).pn_counter("likes").increment()
        assert await b.store(name).pn_counter("likes").value(session=b.session(receipt.token)) == 1

    world.run(story())


def test_tokens_of_others_and_made_up_ones_are_refused(world: World) -> None:
    async def story() -> None:
        a, b, _ = world.hosts
        name = world.name()
        token = (await a.store(name).put("k", 1)).token
        with pytest.raises(ForgedToken, match="truncated"):
            b.session(token[:12])
        with pytest.raises(ForgedToken, match="forged, damaged"):
            b.session(token[:-1] + bytes([token[-1] ^ 1]))
        with pytest.raises(ForgedToken, match="bytes, not str"):
            b.session("token")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"host\.session\(token\) gives, not bytes"):
            await b.store(name).get("k", session=token)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="needs session="):
            await b.store(name).get("k", level="session")
        with pytest.raises(UsageError, match="must be durable"):
            await b.store(name).put("k", 1, session=b.session(), durable=False)

    world.run(story())

    async def elsewhere() -> None:
        async with Cluster.local(1, cluster="other", **FAST) as cluster:
            one = cluster.hosts["a"]
            token = (await one.store("s").put("k", 1)).token
        async with Cluster.local(1, secret="x" * 16, **FAST) as cluster:
            one = cluster.hosts["a"]
            with pytest.raises(ForgedToken, match="of another cluster"):
                one.session(token)
            mine = (await one.store("s").put("k", 1)).token
            assert await one.store("s").get("k", session=one.session(mine)) == 1

    run_story(elsewhere())


def test_a_lagging_host_waits_forwards_or_refuses_and_never_goes_back() -> None:
    """The host the session moves to is behind: pushes to it are lost for a while."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            stores = {host.id: host.store("s") for host in (a, b, c)}
            await stores["a"].put("k", "old", wait_for=3)
            await stores["c"].get("k")
            drop_pushes(c)
            receipt = await stores["a"].put("k", "new", wait_for=2, timeout=5)
            session = c.session(receipt.token)
            assert await stores["c"].get("k") == "old", "c has not heard of it"
            entry = await stores["c"].get_entry("k", session=session)
            assert (entry.value, entry.host in "ab") == ("new", True), "asked an owner that has it"
            cut(c, (a, b))
            await until(c, lambda: not c.mesh.is_up("a") and not c.mesh.is_up("b"))
            with pytest.raises(StaleReplica, match="nothing older was served"):
                await stores["c"].get("k", session=session, timeout=0.3)
            with pytest.raises(StaleReplica, match="nothing was written"):
                await stores["c"].put("k2", 1, session=session, timeout=0.3)
            assert await stores["c"].get("k") == "old", "a local read still answers"
            undrop_pushes(c)
            reading = asyncio.ensure_future(stores["c"].get("k", session=session, timeout=10))
            heal(c, (a, b))
            assert await reading == "new", "it waited"

    run_story(story())


def test_what_another_host_showed_is_part_of_the_session() -> None:
    """A strong value that an owner has applied and this host has not."""

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
            owner = cluster.hosts[a.stores.replica.owners("s", key)[0]]
            receipt = await owner.store("s").put(key, 1, consistency="strong")
            async with a.session() as s:
                entry = await store.get_entry(key, session=s, level="local")
                if entry.exists:
                    assert s.past.strong >= (receipt.index or 0)
            async with a.session(receipt.token) as s:
                assert await store.get(key, session=s) == 1
                assert s.past.strong >= (receipt.index or 0)

    run_story(story())


def drop_pushes(host: Any) -> None:
    """The host's stores hear nothing any more."""
    host.stores.on_message = lambda peer, message: None


def undrop_pushes(host: Any) -> None:
    del host.stores.on_message


def test_a_set_shows_no_element_without_what_its_writer_had_seen() -> None:
    """Found by the laboratory (sessions x halves, seed 7): after a heal a host heard first of the
    host a session had moved to, and later of the one it had come from."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            for host in (a, b, c):
                await host.store("s").g_set("t").value()
            hear = b.stores.on_message
            late: list[Any] = []
            b.stores.on_message = lambda peer, message: (
                late.append((peer, message)) if peer == "c" else hear(peer, message)
            )
            async with c.session() as s:
                await c.store("s").g_set("t").add("first", session=s)
                token = s.token
            async with a.session(token) as s:
                await a.store("s").g_set("t").add("second", session=s, wait_for=2)
            await until(b, lambda: b.stores.replica.read("s", "t"))
            assert "second" in await b.store("s").g_set("t").value(), (
                "a local read may lack the first"
            )
            async with b.session() as other:
                found = await b.store("s").g_set("t").value(session=other, timeout=5)
                assert sorted(found) == ["first", "second"]
            cut(b, (a, c))
            await until(b, lambda: not b.mesh.is_up("a") and not b.mesh.is_up("c"))
            async with b.session() as other:
                with pytest.raises(StaleReplica):
                    await b.store("s").g_set("t").value(session=other, timeout=0.3)

    run_story(story())


@pytest.mark.parametrize("planted", [False, True])
def test_what_was_covered_once_says_nothing_of_what_was_seen_since(
    planted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session keeps in mind that a host had all it saw. The plant keeps it in mind for ever."""
    if planted:

        def as_once(self: Session, by: object) -> bool:
            return self._covered is not None and self._covered[0] is by  # pyright: ignore[reportPrivateUsage]

        monkeypatch.setattr(Session, "is_known_covered", as_once)

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            stores = {host.id: host.store("s") for host in (a, b, c)}
            await stores["a"].put("k", "old", wait_for=3)
            await stores["c"].get("k")
            async with c.session() as s:
                assert await stores["c"].get("k", session=s) == "old"
                assert await stores["c"].get("k", session=s, level="session") == "old"
                drop_pushes(c)
                cut(c, (a, b))
                await until(c, lambda: not c.mesh.is_up("a") and not c.mesh.is_up("b"))
                await stores["a"].put("k", "new", session=s)
                reads = stores["c"]._parts.reads  # pyright: ignore[reportPrivateUsage]
                shown = reads.at_once("k", {"session": s})
                if planted:
                    assert shown is not None and shown.value == encode_value("old"), "back in time"
                    return
                assert shown is None
                with pytest.raises(StaleReplica, match="nothing older was served"):
                    await stores["c"].get("k", session=s, timeout=0.3)

    run_story(story())


def test_a_session_outlives_its_host() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            a, b, c = cluster.hosts.values()
            async with a.session() as s:
                await a.store("s").put("k", 1, session=s, wait_for=2)
                await a.store("s").put("k", 2, consistency="strong", session=s)
                await a.store("s").put("k", 3, session=s, wait_for=2)
                token = s.token
            await cluster.kill(a)
            for host in (b, c):
                assert await host.store("s").get("k", session=host.session(token), timeout=10) == 3
            again = await cluster.restart("a")
            assert await again.store("s").get("k", session=again.session(token), timeout=10) == 3
            assert again.stores.replica.actor == a.stores.replica.actor, "the same data folder"

    run_story(story())


def test_what_a_writer_had_seen_is_seen_by_its_readers(world: World) -> None:
    """Writes follow reads: who reads the answer must find the question."""

    async def story() -> None:
        a, b, c = world.hosts
        name = world.name()
        await a.store(name).put("question", "?", wait_for=3)
        await everywhere((a, b, c), name, "question", "?")
        async with b.session() as s:
            await b.store(name).get("question", session=s)
            await b.store(name).put("answer", "!", session=s, wait_for=3)
        async with c.session() as reader:
            assert await c.store(name).get("answer", session=reader) == "!"
            seen = dict(reader.vector)
        assert set(seen) >= {a.stores.replica.actor, b.stores.replica.actor}

    world.run(story())


def test_a_session_without_its_past_would_be_found() -> None:
    """Planted: a host that believes it covers every session serves the past; the story above
    tells."""

    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            _, _, c = cluster.hosts.values()
            stores = {host.id: host.store("s") for host in cluster.hosts.values()}
            await stores["a"].put("k", "old", wait_for=3)
            await stores["c"].get("k")
            drop_pushes(c)
            receipt = await stores["a"].put("k", "new", wait_for=2)
            covers = Core.covers
            Core.covers = lambda self, past: True  # type: ignore[method-assign]
            try:
                session = c.session(receipt.token)
                assert await stores["c"].get("k", session=session) == "old", "went back in time"
            finally:
                Core.covers = covers  # type: ignore[method-assign]

    run_story(story())
