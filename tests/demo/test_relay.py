"""A cut link is silent, and what was sent during the cut arrives after the heal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from quorate.hosts.demo.relay import Links, Relay

Echo = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
    writer.close()


async def story(scene: Callable[[Relay], Awaitable[None]]) -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await relay.start()
    try:
        async with asyncio.timeout(10):
            await scene(relay)
    finally:
        await relay.close()
        server.close()


async def dial(relay: Relay) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = relay.address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


def test_what_is_said_in_a_cut_waits_for_the_heal() -> None:
    async def scene(relay: Relay) -> None:
        reader, writer = await dial(relay)
        writer.write(b"before")
        assert await reader.readexactly(6) == b"before"
        relay.cut()
        writer.write(b"meanwhile")
        answer = asyncio.ensure_future(reader.readexactly(9))
        for _ in range(200):
            await asyncio.sleep(0)
        assert not answer.done()
        assert relay.bytes_carried == 12  # to the target and back, before the cut
        relay.heal()
        assert await answer == b"meanwhile"
        writer.close()

    asyncio.run(story(scene))


def test_who_dials_into_a_cut_is_accepted_and_hears_nothing_until_the_heal() -> None:
    async def scene(relay: Relay) -> None:
        relay.cut()
        reader, writer = await dial(relay)
        writer.write(b"hello")
        answer = asyncio.ensure_future(reader.readexactly(5))
        for _ in range(200):
            await asyncio.sleep(0)
        assert not answer.done()
        relay.heal()
        assert await answer == b"hello"
        writer.close()

    asyncio.run(story(scene))


def test_an_end_is_carried_too_and_a_target_that_is_not_there_ends_the_connection() -> None:
    async def scene(relay: Relay) -> None:
        reader, writer = await dial(relay)
        writer.write(b"x")
        writer.write_eof()
        assert await reader.read() == b"x"
        writer.close()
        nowhere = Relay("127.0.0.1:1")
        await nowhere.start()
        reader, writer = await dial(nowhere)
        assert await reader.read() == b""
        writer.close()
        await nowhere.close()

    asyncio.run(story(scene))


@pytest.mark.parametrize(
    ("minority", "cut"),
    [
        ({"c"}, {("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")}),
        ({"a", "b"}, {("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")}),
        ({"a", "b", "c"}, set[tuple[str, str]]()),
    ],
)
def test_a_cut_is_of_the_links_between_the_two_sides(
    minority: set[str], cut: set[tuple[str, str]]
) -> None:
    async def scene() -> None:
        made: list[Relay] = []

        def make(target: str) -> Relay:
            made.append(Relay(target))
            return made[-1]

        links = Links({"a": "127.0.0.1:1", "b": "127.0.0.1:2", "c": "127.0.0.1:3"}, make)
        await links.start()
        pairs = [(here, there) for here in "abc" for there in "abc" if here != there]
        links.cut(minority)
        found = {pair for pair, relay in zip(pairs, made, strict=True) if relay.is_cut}
        assert found == cut
        links.heal()
        assert not any(relay.is_cut for relay in made)
        assert links.dial("a") == {"b": made[0].address, "c": made[1].address}
        await links.close()

    asyncio.run(scene())
