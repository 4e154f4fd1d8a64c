"""Peers that know the secret and then misbehave: cut off, bounded, and no harm to others."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from quorate.core import codec
from quorate.core.wire import NoAuth, SharedSecret, WireLimits
from quorate.core.wire.frames import (
    Kind,
    chunk_frame,
    frame,
    number_frame,
)
from quorate.core.wire.handshake import Dialler, Established, Me, Refusal
from tests.wire.hosts import SECRET, cluster, make, run, until
from tests.wire.test_hostile import GROWTH_BYTES_MAX, rss_bytes


class Insider:
    """A peer that knows the secret and then misbehaves."""

    def __init__(self, address: str, to: str, boot: bytes = b"I" * 16, sequence: int = 1) -> None:
        host, _, port = address.rpartition(":")
        self._target = host, int(port)
        me = Me("a", "tests", boot, SECRET)
        self._dialler = Dialler(me, to=to, sequence=sequence, nonce=b"i" * 32)

    async def enter(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(*self._target)
        send: Any = self._dialler.start()
        while True:
            self.writer.write(frame(Kind.HANDSHAKE, send.payload))
            length, kind = struct.unpack(">IB", await self.reader.readexactly(5))
            payload = await self.reader.readexactly(length - 1)
            if kind != Kind.HANDSHAKE:
                raise ConnectionRefusedError(payload)
            (send,) = self._dialler.on_payload(payload)
            if isinstance(send, Established):
                return
            if isinstance(send, Refusal):
                raise ConnectionRefusedError(send.text)

    async def say_until_closed(self, stream: bytes) -> bytes:
        self.writer.write(stream)
        try:
            return await self.reader.read(100_000)
        except OSError:
            return b""
        finally:
            self.writer.transport.abort()


def test_a_peer_that_turns_malformed_is_cut_off_and_others_are_not() -> None:
    async def story() -> None:
        b, c = make("b", limits=WireLimits()), make("c", limits=WireLimits())
        async with cluster(b, c):
            b.add_peer("a", "127.0.0.1:1")
            bad = [
                struct.pack(">I", 0),
                struct.pack(">IB", 2**31, 1),
                frame(Kind.HANDSHAKE, b"\xa0"),
                frame(Kind.NOTICE, b"\xa0"),
                frame(Kind.MESSAGE, b"\x81" * 40 + b"\x00"),
                frame(Kind.MESSAGE, b"\x00"),
                frame(Kind.MESSAGE, b"\xa2\x61a\x01\x61a\x02"),
                frame(Kind.PING, b"1234"),
                chunk_frame(1, b"", last=True),
                b"".join(chunk_frame(n, b"x", last=False) for n in range(9)),
            ]
            for number, stream in enumerate(bad, 1):
                insider = Insider(b.address or "", "b", sequence=number)
                await insider.enter()
                assert b"malformed" in await insider.say_until_closed(stream)
                await until(lambda: not b.reachability()["a"]["inbound"], "it is cut off")
            assert b.statistics()["malformed"] == len(bad)
            assert b.heard.messages == []
            assert b.heard.fatal == []
            assert c.send("b", {"fine": 1})
            await until(lambda: b.heard.messages, "the honest peer")
            assert c.heard.downs == b.heard.downs == []

    run(story())


def test_pieces_that_never_end_are_bounded() -> None:
    async def story() -> None:
        limits = WireLimits(message_bytes_max=4 << 20, reassembly_bytes_max=6 << 20)
        b = make("b", limits=limits)
        async with cluster(b):
            b.add_peer("a", "127.0.0.1:1")
            insider = Insider(b.address or "", "b")
            await insider.enter()
            before = rss_bytes()
            piece = bytes(64 * 1024)
            flood = b"".join(chunk_frame(n % 3, piece, last=False) for n in range(180))
            assert b"reassembly_bytes_max" in await insider.say_until_closed(flood)
            assert rss_bytes() - before < GROWTH_BYTES_MAX + len(flood)
            assert b.heard.messages == []

    run(story())


def test_a_peer_that_pings_and_never_reads_is_bounded() -> None:
    async def story() -> None:
        b = make("b", limits=WireLimits())
        async with cluster(b):
            b.add_peer("a", "127.0.0.1:1")
            insider = Insider(b.address or "", "b")
            await insider.enter()
            insider.reader._transport.pause_reading()  # type: ignore[attr-defined]
            pings = number_frame(Kind.PING, 1) * 10_000
            inbound: Any = b._peers["a"].inbound
            for _ in range(40):
                insider.writer.write(pings)
                await insider.writer.drain()
            insider.writer.write(frame(Kind.MESSAGE, codec.dumps({"end": 1})))
            await until(lambda: b.heard.messages, "all pings are read")
            assert inbound._transport.get_write_buffer_size() <= 128 * 1024
            insider.writer.transport.abort()

    run(story())


def test_a_connection_of_the_same_process_replaces_the_older_one_and_its_bytes_are_dead() -> None:
    """S2: what an older connection still carries is never delivered after the newer one is up."""

    async def story() -> None:
        b = make("b")
        async with cluster(b):
            b.add_peer("a", "127.0.0.1:1")
            older, newer = (Insider(b.address or "", "b", sequence=n) for n in (5, 6))
            await older.enter()
            old_end: Any = b._peers["a"].inbound
            older.writer.write(frame(Kind.MESSAGE, codec.dumps({"n": 1})))
            await until(lambda: len(b.heard.messages) == 1, "the older one speaks")
            await newer.enter()
            old_end.data_received(frame(Kind.MESSAGE, codec.dumps({"late": 1})))
            newer.writer.write(frame(Kind.MESSAGE, codec.dumps({"n": 2})))
            await until(lambda: len(b.heard.messages) == 2, "the newer one speaks")
            assert [message for _peer, message in b.heard.messages] == [{"n": 1}, {"n": 2}]
            late = Insider(b.address or "", "b", sequence=4)
            with pytest.raises(ConnectionRefusedError, match="newer connection"):
                await late.enter()
            for insider in (older, newer, late):
                insider.writer.transport.abort()

    run(story())


def test_no_secret_means_nobody_is_kept_out_and_a_wrong_one_means_everybody() -> None:
    """The control of this file: what is refused with a secret enters without one."""

    async def story() -> None:
        me = Me("a", "tests", b"A" * 16, NoAuth())
        for auth, enters in ((NoAuth(), True), (SharedSecret(b"0123456789abcdef"), False)):
            b = make("b", auth=auth)
            async with cluster(b):
                b.add_peer("a", "127.0.0.1:1")
                insider = Insider(b.address or "", "b")
                insider._dialler = Dialler(me, to="b", sequence=1, nonce=b"i" * 32)
                try:
                    await insider.enter()
                    assert enters
                except ConnectionRefusedError:
                    assert not enters
                finally:
                    insider.writer.transport.abort()

    run(story())


def test_notices_of_a_peer_are_few() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            inbound: Any = b._peers["a"].inbound
            for number in range(40):
                inbound._write(frame(Kind.NOTICE, codec.dumps({"code": "x", "text": str(number)})))
            await until(lambda: a.heard.downs, "the link is closed on it")
            assert len(a.heard.problems) <= 17

    run(story())
