"""Links through a real Toxiproxy: each condition, by what a stream through it then does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from quorate.chaos.lab.links import KINDS, OPEN, Condition, Links, proxy_name
from quorate.chaos.toxiproxy.api import Proxy
from quorate.chaos.toxiproxy.server import ToxiproxyServer
from quorate.core.errors import UsageError
from quorate.core.wire.ports import free_ports
from tests.toxiproxy.conftest import echo, halt
from tests.toxiproxy.test_server import dialled, rest_of, say

PAIR = ("a", "b")
SOON_S = 5.0
Story = Callable[[Links, ToxiproxyServer], Awaitable[None]]


def told(binary: Path, story: Story) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), echo() as there, ToxiproxyServer(binary) as server:
            links = Links(server, {"a": there, "b": there}, free_ports(2))
            await links.open()
            await story(links, server)

    asyncio.run(run())


def test_one_proxy_per_ordered_pair(toxiproxy_binary: Path) -> None:
    async def story(links: Links, server: ToxiproxyServer) -> None:
        assert links.pairs == (("a", "b"), ("b", "a"))
        assert set(await server.api.proxies()) == {"a~b", "b~a"}
        assert links.dialled["a", "b"] != links.dialled["b", "a"]
        with pytest.raises(UsageError, match="no link"):
            await links.apply({("a", "c"): Condition("refused")})
        await links.close()
        assert await server.api.proxies() == {} and server.wanted == {}

    told(toxiproxy_binary, story)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "open"])
def test_each_condition_comes_and_goes(toxiproxy_binary: Path, kind: str) -> None:
    async def story(links: Links, server: ToxiproxyServer) -> None:
        wanted = Condition(kind, latency_ms=30, limit_bytes=4)  # type: ignore[arg-type]
        await links.apply({PAIR: wanted})
        assert links.state[PAIR] == wanted and links.hurt == {PAIR: wanted}
        assert links.state["b", "a"] == OPEN
        proxy = await server.api.proxy(proxy_name(PAIR))
        assert proxy.enabled is (kind != "refused")
        assert {t.type for t in proxy.toxics} == {t.type for t in wanted.toxics()}
        await links.heal()
        assert links.hurt == {} and (await server.api.proxy(proxy_name(PAIR))).toxics == ()
        async with dialled(links.dialled[PAIR]) as (reader, writer):
            assert await say(reader, writer, b"hello") == b"hello"

    told(toxiproxy_binary, story)


@pytest.mark.parametrize(("kind", "carries"), [("stalled", True), ("black_hole", False)])
def test_what_was_said_meanwhile(toxiproxy_binary: Path, kind: str, carries: bool) -> None:
    """A stall holds it back and delivers it; a black hole loses it, and its connection."""

    async def story(links: Links, server: ToxiproxyServer) -> None:
        async with dialled(links.dialled[PAIR]) as (reader, writer):
            assert await say(reader, writer, b"before") == b"before"
            await links.apply({PAIR: Condition(kind)})  # type: ignore[arg-type]
            writer.write(b"meanwhile")
            await writer.drain()
            await links.heal([PAIR])
            if carries:
                async with asyncio.timeout(SOON_S):
                    assert await reader.readexactly(9) == b"meanwhile"
            else:
                assert await rest_of(reader) == b""

    told(toxiproxy_binary, story)


def test_the_other_direction_goes_on(toxiproxy_binary: Path) -> None:
    async def story(links: Links, server: ToxiproxyServer) -> None:
        async with dialled(links.dialled["b", "a"]) as (reader, writer):
            await links.apply({PAIR: Condition("black_hole")})
            assert await say(reader, writer, b"hello") == b"hello"

    told(toxiproxy_binary, story)


def test_a_client_gets_a_link_of_its_own(toxiproxy_binary: Path) -> None:
    async def story(links: Links, server: ToxiproxyServer) -> None:
        async with echo() as admin:
            at = await links.add(("client", "a"), admin)
            with pytest.raises(UsageError, match="already"):
                await links.add(("client", "a"), admin)
            await links.apply({("client", "a"): Condition("refused")})
            with pytest.raises(ConnectionError):
                async with dialled(at):
                    pass
            await links.heal()
            async with dialled(at) as (reader, writer):
                assert await say(reader, writer, b"hello") == b"hello"
        assert links.pairs == (("a", "b"), ("b", "a"))

    told(toxiproxy_binary, story)


def test_from_one_condition_to_another(toxiproxy_binary: Path) -> None:
    async def story(links: Links, server: ToxiproxyServer) -> None:
        for kind in (*KINDS, *reversed(KINDS)):
            await links.apply({pair: Condition(kind) for pair in links.pairs})
        for pair in links.pairs:
            proxy = await server.api.proxy(proxy_name(pair))
            assert proxy.enabled and proxy.toxics == ()

    told(toxiproxy_binary, story)


def test_whoever_is_cancelled_in_the_middle_leaves_no_link_half_way(toxiproxy_binary: Path) -> None:
    """A fault that ends while it lets a host back: what heals the links later finds them so."""

    async def story(links: Links, server: ToxiproxyServer) -> None:
        real = server.api.proxy
        for steps in range(6):
            await links.apply({PAIR: Condition("refused")})
            reached = asyncio.Event()

            async def slowly(name: str, reached: asyncio.Event = reached) -> Proxy:
                reached.set()
                return await real(name)

            server.api.proxy = slowly  # type: ignore[method-assign]
            healing = asyncio.ensure_future(links.heal())
            await reached.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            healing.cancel()
            await asyncio.gather(healing, return_exceptions=True)
            server.api.proxy = real  # type: ignore[method-assign]
            await links.heal()
            assert (await server.api.proxy(proxy_name(PAIR))).enabled, f"after {steps} turns"

    told(toxiproxy_binary, story)


def test_a_server_that_hangs_in_the_middle_is_replaced(toxiproxy_binary: Path) -> None:
    async def story(links: Links, server: ToxiproxyServer) -> None:
        await links.apply({("b", "a"): Condition("slow", latency_ms=5)})
        assert server.pid is not None
        halt(server.pid)
        await links.apply({PAIR: Condition("refused"), ("b", "a"): Condition("stalled")})
        assert server.revivals == 1
        found = await server.api.proxies()
        assert not found["a~b"].enabled
        assert [toxic.type for toxic in found["b~a"].toxics] == ["bandwidth"]
        await links.heal()
        async with dialled(links.dialled[PAIR]) as (reader, writer):
            assert await say(reader, writer, b"hello") == b"hello"

    told(toxiproxy_binary, story)


def test_toxics_under_a_reader_that_stands_still(toxiproxy_binary: Path) -> None:
    """The known hang of Toxiproxy (its issue 558), and the way out: a new server, made as it should
    be. Where the link is cut first, there is no hang."""

    async def story(kind: str, revivals: int) -> None:
        kept: list[asyncio.StreamWriter] = []  # one that nobody has any more is closed

        def stand_still(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            kept.append(writer)

        listening = await asyncio.start_server(stand_still, "127.0.0.1", 0)
        there = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with listening, ToxiproxyServer(toxiproxy_binary) as server:
            links = Links(server, {"a": there, "b": there}, free_ports(2))
            await links.open()
            async with dialled(links.dialled[PAIR]) as (_, writer):
                writer.write(b"x" * 60_000_000)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await writer.drain()
                await links.apply({PAIR: Condition(kind)})  # type: ignore[arg-type]
                assert server.revivals == revivals
                assert (await server.api.proxy("a~b")).enabled is (kind != "refused")
                await links.heal()
                assert server.revivals == revivals and not links.hurt
                writer.transport.abort()
            for one in kept:
                one.transport.abort()

    asyncio.run(story("slow", 1))
    asyncio.run(story("refused", 0))
