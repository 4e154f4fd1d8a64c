"""The server and its API, tried on a real Toxiproxy: every call, every toxic, a hung server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from quorate.chaos.toxiproxy.api import Proxy, Toxic, ToxiproxyError, ToxiproxyHung
from quorate.chaos.toxiproxy.find import VERSION, ToxiproxyMissing
from quorate.chaos.toxiproxy.server import ToxiproxyServer
from tests.toxiproxy.conftest import echo, halt

SOON_S = 5.0
Story = Callable[[ToxiproxyServer, str], Awaitable[None]]


def told(binary: Path, story: Story) -> None:
    """Tell a story with a server and a service."""

    async def run() -> None:
        async with asyncio.timeout(30), echo() as upstream, ToxiproxyServer(binary) as server:
            await story(server, upstream)

    asyncio.run(run())


@asynccontextmanager
async def dialled(
    address: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bytes:
    writer.write(data)
    async with asyncio.timeout(SOON_S):
        return await reader.readexactly(len(data))


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection is over. A proxy that ends it before it has read all that was
    sent to it resets it."""
    async with asyncio.timeout(SOON_S):
        with suppress(ConnectionResetError):
            return await reader.read()
    return b""


def test_proxies_live_and_die(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        api = server.api
        assert await api.version() == VERSION
        made = await api.create_proxy(Proxy("a~b", "127.0.0.1:0", upstream))
        assert made.enabled and not made.listen.endswith(":0")
        async with dialled(made.listen) as (reader, writer):
            assert await say(reader, writer, b"hello") == b"hello"
            off = await api.update_proxy("a~b", enabled=False)
            assert not off.enabled
            assert await rest_of(reader) == b""
        with pytest.raises(ConnectionError):
            async with dialled(made.listen):
                pass
        assert (await api.update_proxy("a~b", enabled=True)).enabled
        assert (await api.proxy("a~b")).listen == made.listen
        await api.populate([Proxy("c~d", "127.0.0.1:0", upstream)])
        assert set(await api.proxies()) == {"a~b", "c~d"}
        await api.delete_proxy("a~b")
        assert set(await api.proxies()) == {"c~d"}
        assert "toxiproxy_proxy" in await api.metrics() or await api.metrics()

    told(toxiproxy_binary, story)


def test_toxics_come_change_and_go(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        api = server.api
        await api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        slow = Toxic("latency", {"latency": 40, "jitter": 0})
        made = await api.add_toxic("p", slow)
        assert (made.name, made.attributes) == ("latency_upstream", slow.attributes)
        await api.add_toxic("p", Toxic("bandwidth", {"rate": 100}, "downstream", name="mine"))
        assert {toxic.name for toxic in await api.toxics("p")} == {"latency_upstream", "mine"}
        changed = await api.update_toxic("p", "mine", attributes={"rate": 7}, toxicity=0.5)
        assert changed.attributes == {"rate": 7} and changed.toxicity == 0.5
        assert (await api.toxic("p", "mine")).stream == "downstream"
        await api.remove_toxic("p", "mine")
        assert len((await api.proxy("p")).toxics) == 1
        await api.reset()
        assert (await api.proxy("p")).toxics == ()

    told(toxiproxy_binary, story)


def test_what_a_black_hole_does_to_one_direction(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        api = server.api
        proxy = await api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        async with dialled(proxy.listen) as (reader, writer):
            assert await say(reader, writer, b"before") == b"before"
            await api.add_toxic("p", Toxic("timeout", {"timeout": 0}))
            writer.write(b"lost")
            answer = asyncio.ensure_future(reader.read(100))
            await api.remove_toxic("p", "timeout_upstream")
            assert await answer == b""  # what was sent is lost, and the connection ends

    told(toxiproxy_binary, story)


def test_a_stall_loses_nothing(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        api = server.api
        proxy = await api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        async with dialled(proxy.listen) as (reader, writer):
            assert await say(reader, writer, b"before") == b"before"
            await api.add_toxic("p", Toxic("bandwidth", {"rate": 0}))
            writer.write(b"later")
            await api.remove_toxic("p", "bandwidth_upstream")
            async with asyncio.timeout(SOON_S):
                assert await reader.readexactly(5) == b"later"

    told(toxiproxy_binary, story)


def test_a_limit_ends_the_connection(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        api = server.api
        proxy = await api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        await api.add_toxic("p", Toxic("limit_data", {"bytes": 4}))
        async with dialled(proxy.listen) as (reader, writer):
            writer.write(b"12345678")
            assert len(await rest_of(reader)) <= 4

    told(toxiproxy_binary, story)


def test_a_refusal_names_the_call(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        api = server.api
        with pytest.raises(ToxiproxyError, match="GET /proxies/none") as caught:
            await api.proxy("none")
        assert caught.value.status == 404
        await api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        with pytest.raises(ToxiproxyError, match="invalid toxic type"):
            await api.add_toxic("p", Toxic("earthquake"))
        with pytest.raises(ToxiproxyError) as caught:
            await api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        assert caught.value.status == 409

    told(toxiproxy_binary, story)


def test_a_hung_server_is_replaced_with_the_same_proxies(toxiproxy_binary: Path) -> None:
    async def story(server: ToxiproxyServer, upstream: str) -> None:
        slow = Toxic("latency", {"latency": 5, "jitter": 0})
        made = await server.api.create_proxy(Proxy("p", "127.0.0.1:0", upstream))
        server.remember(Proxy("p", made.listen, upstream, True, (slow,)))
        cut = await server.api.create_proxy(Proxy("q", "127.0.0.1:0", upstream))
        server.remember(Proxy("q", cut.listen, upstream, False))
        first = server.pid
        assert first is not None
        halt(first)
        server.api.deadline_s = 0.2
        await server.api.close()
        assert not await server.healthy()
        with pytest.raises(ToxiproxyHung):
            await server.api.version()
        await asyncio.gather(server.revive(), server.revive())
        assert server.revivals == 1 and server.pid != first and await server.healthy()
        again = await server.api.proxies()
        assert again["p"].listen == made.listen and again["p"].toxics[0].attributes == {
            "latency": 5,
            "jitter": 0,
        }
        assert again["q"].listen == cut.listen and not again["q"].enabled
        async with dialled(made.listen) as (reader, writer):
            assert await say(reader, writer, b"hello") == b"hello"

    told(toxiproxy_binary, story)


def test_it_ends_with_its_story_and_twice(toxiproxy_binary: Path) -> None:
    async def run() -> int:
        server = ToxiproxyServer(toxiproxy_binary)
        with pytest.raises(ToxiproxyError, match="not started"):
            _ = server.api
        await server.start()
        pid = server.pid
        assert pid is not None
        await server.stop()
        await server.stop()
        return pid

    with pytest.raises(ProcessLookupError):
        os.kill(asyncio.run(run()), 0)


def test_a_server_that_ends_at_once_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "toxiproxy-server"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(ToxiproxyError, match="ended with 3"):
        asyncio.run(ToxiproxyServer(broken).start())


def test_no_server_and_no_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOXIPROXY_SERVER", str(tmp_path / "none"))
    with pytest.raises(ToxiproxyMissing):
        asyncio.run(ToxiproxyServer().start())
