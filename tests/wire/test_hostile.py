"""Hostile peers: at least 100 000 frames that no honest host would send.

Most go through the pure path (decoder, handshake, codec), the rest through real sockets to a live
mesh. Nothing may crash, no hook may hear a stranger, memory stays bounded, and the traffic of
another peer keeps flowing.
"""

from __future__ import annotations

import asyncio
import random
import resource
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import codec
from quorate.core.wire import WireLimits
from quorate.core.wire.frames import (
    FROM_DIALLER,
    Decoder,
    Kind,
    ProtocolError,
    chunk_frame,
    frame,
    number_frame,
    number_of,
)
from quorate.core.wire.handshake import Acceptor, Dialler, Established, Me, Refusal, Send, State
from tests.wire.hosts import SECRET, TestMesh, cluster, make, run, until

LIMITS = WireLimits(message_bytes_max=1 << 20, reassembly_bytes_max=1 << 20)
A = Me("a", "tests", b"A" * 16, SECRET)
B = Me("b", "tests", b"B" * 16, SECRET)
MUTANTS = 110_000
SOCKET_MUTANTS = 3_000
GROWTH_BYTES_MAX = 64 << 20


def conversation() -> list[bytes]:
    """The frames of an honest dialler: its hello and its proof."""
    dialler = Dialler(A, to="b", sequence=1, nonce=b"d" * 32)
    acceptor = Acceptor(B, nonce=b"n" * 32, knows=lambda peer: True, admit=lambda peer: None)
    hello = dialler.start().payload
    (challenge,) = acceptor.on_payload(hello)
    assert isinstance(challenge, Send)
    (proof,) = dialler.on_payload(challenge.payload)
    assert isinstance(proof, Send)
    return [frame(Kind.HANDSHAKE, hello), frame(Kind.HANDSHAKE, proof.payload)]


def corpus() -> list[bytes]:
    """Streams of every kind of frame, honest and not."""
    deep = b"\x81" * 5000 + b"\x00"
    message = codec.dumps({"type": "append", "term": 3, "entries": [[1, 2, b"x" * 40]], "ok": True})
    odd = [
        deep,
        b"\xa2\x61a\x01\x61a\x02",
        b"\xc2\x5a\x00\x00\xff\xff" + b"\xff" * 65535,
        b"\x9b" + b"\xff" * 8,
        b"\x5b\x7f" + b"\xff" * 7,
        message + b"\x00",
        message[:-3],
        codec.dumps([1, 2]),
        b"",
        b"\xd8\x23\x61(",
        codec.dumps({"t": "surprise"}),
        codec.dumps({1: 2, "t": None}),
    ]
    streams = [frame(Kind.MESSAGE, body) for body in [message, *odd]]
    streams += [frame(Kind.HANDSHAKE, body) for body in odd]
    streams += [frame(kind, message) for kind in Kind]
    streams += [frame(Kind.CLOSE, body) for body in odd[:4]]
    streams += [number_frame(kind, n) for kind in (Kind.PING, Kind.PONG, Kind.ACK) for n in (0, 7)]
    streams += [chunk_frame(1, message, last=False) + chunk_frame(1, message, last=True)]
    streams += [chunk_frame(n, b"x", last=False) for n in (0, 2**32 - 1)]
    streams += [struct.pack(">IB", n, 1) for n in (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1)]
    streams += [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", bytes(64)]
    first, proof = conversation()
    return [*streams, first, first + proof, proof + first, first + first, first + proof + proof]


def mutants(rng: random.Random) -> Iterator[bytes]:
    """Every stream whole, cut, and with each of its bytes changed; then random ones, for ever."""
    streams = corpus()
    for stream in streams:
        yield stream
        for at in range(min(len(stream), 400)):
            yield stream[:at]
            for value in (0, 0x7F, 0x80, 0xFF, stream[at] ^ 1 << rng.randrange(8)):
                yield stream[:at] + bytes([value]) + stream[at + 1 :]
    small = [stream for stream in streams if len(stream) < 2000]
    while True:
        stream = bytearray(rng.choice(small))
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(stream) + 1)
            action = rng.randrange(3)
            if action == 0:
                stream[at : at + rng.randrange(4)] = rng.randbytes(rng.randrange(4))
            elif action == 1:
                stream[at:at] = rng.choice(small)[: rng.randrange(64)]
            elif at < len(stream):
                stream[at] = rng.randrange(256)
        yield bytes(stream)


def attack(stream: bytes, rng: random.Random, counts: dict[str, int]) -> None:
    """What a mesh does with bytes, without its sockets. Raises whatever a mesh would not catch."""
    entered: list[Established] = []
    acceptor = Acceptor(
        B,
        nonce=b"another nonce, as it should be!!",
        knows=lambda peer: True,
        admit=lambda peer: entered.append(peer),
    )
    authenticated = rng.random() < 0.5
    decoder = Decoder(LIMITS)
    if authenticated:
        decoder.restrict(FROM_DIALLER, LIMITS.frame_bytes_max)
    cut = rng.randrange(len(stream) + 1)
    try:
        for part in (stream[:cut], stream[cut:]):
            for kind, payload in decoder.feed(part):
                if kind == Kind.MESSAGE:
                    message = codec.loads(payload)
                    counts["messages"] += isinstance(message, dict)
                elif kind in (Kind.PING, Kind.PONG, Kind.ACK):
                    number_of(payload)
                elif kind == Kind.HANDSHAKE and not authenticated:
                    effects = acceptor.on_payload(payload)
                    counts["refused"] += isinstance(effects[-1], Refusal)
    except (ProtocolError, codec.Malformed) as error:
        assert str(error)
        counts["errors"] += 1
    held: Any = decoder.statistics()
    assert held["rest_bytes"] <= LIMITS.frame_bytes_max + 4
    assert held["reassembly_bytes"] <= LIMITS.reassembly_bytes_max
    assert entered == []
    assert acceptor.state is not State.DONE
    counts["frames"] += 1


def rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_hundred_thousand_mutants_do_nothing() -> None:
    rng = random.Random(20240711)
    counts = dict.fromkeys(("frames", "messages", "refused", "errors"), 0)
    source = mutants(rng)
    for _ in range(5_000):
        attack(next(source), rng, counts)
    before = rss_bytes()
    while counts["frames"] < MUTANTS:
        attack(next(source), rng, counts)
    assert rss_bytes() - before < GROWTH_BYTES_MAX
    assert counts["errors"] > MUTANTS // 4
    assert counts["messages"] > 500
    assert counts["refused"] > 500


@given(st.binary(max_size=300), st.randoms(use_true_random=False))
@settings(max_examples=800, deadline=None)
def test_no_bytes_at_all_do_more_than_be_refused(data: bytes, rng: random.Random) -> None:
    attack(data, rng, dict.fromkeys(("frames", "messages", "refused", "errors"), 0))


class Raw:
    """A connection that says whatever it likes and counts nothing it hears."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = host, int(port)

    async def say(self, *parts: bytes) -> bytes:
        """Connect, say it, say no more, and read until the other side ends."""
        reader, writer = await asyncio.open_connection(*self._target)
        try:
            for part in parts:
                writer.write(part)
            writer.write_eof()
            return await reader.read(100_000)
        except OSError:
            return b""
        finally:
            writer.transport.abort()


async def besiege(target: TestMesh, honest: TestMesh, streams: Iterator[bytes]) -> None:
    """Throw streams at `target` while `honest` talks to it; every honest word must arrive."""
    raw = Raw(target.address or "")
    sent = 0

    async def attacker(number: int) -> None:
        nonlocal sent
        for _ in range(number):
            assert honest.send(target.host_id, {"n": sent})
            sent += 1
            await raw.say(next(streams))

    before = rss_bytes()
    await asyncio.gather(*(attacker(SOCKET_MUTANTS // 10) for _ in range(10)))
    await until(lambda: len(target.heard.messages) == sent, "every honest message")
    assert [message["n"] for _peer, message in target.heard.messages] == list(range(sent))
    assert {peer for peer, _message in target.heard.messages} == {honest.host_id}
    assert target.heard.ups == [honest.host_id]
    assert target.heard.downs == honest.heard.downs == []
    assert target.heard.fatal == []
    await until(lambda: target.statistics()["strangers"] == 0, "no stranger is left")
    assert rss_bytes() - before < GROWTH_BYTES_MAX


def test_a_live_mesh_under_siege_serves_its_peer() -> None:
    async def story() -> None:
        rng = random.Random(7)
        source = mutants(rng)
        skipping = (stream for stream in source if rng.random() < 0.1)
        b, c = make("b", limits=WireLimits()), make("c", limits=WireLimits())
        async with cluster(b, c):
            b.add_peer("a", "127.0.0.1:1")  # known, so that the replayed conversation gets far
            await besiege(b, c, skipping)
            assert not b.reachability()["a"]["inbound"]

    run(story())


def test_a_replay_over_the_wire_is_refused() -> None:
    async def story() -> None:
        b = make("b")
        async with cluster(b):
            b.add_peer("a", "127.0.0.1:1")
            answer = await Raw(b.address or "").say(*conversation())
            assert b"replay" in answer
            assert b.heard.messages == []
            refusals: Any = b.statistics()["refused"]
            assert refusals == {"authentication": 1}

    run(story())


def test_slow_strangers_are_few_and_soon_gone() -> None:
    async def story() -> None:
        limits = WireLimits(unauthenticated_connections_max=10, handshake_deadline_s=0.3)
        b, c = make("b", limits=limits), make("c", limits=limits)
        async with cluster(b, c, meet=False):
            host, _, port = (b.address or "").rpartition(":")
            slow = [await asyncio.open_connection(host, int(port)) for _ in range(60)]
            for _reader, writer in slow:
                writer.write(conversation()[0][:20])  # a piece of a hello, then silence
            strangers: list[Any] = []

            def met() -> bool:
                strangers.append(b.statistics()["strangers"])
                return c.is_up("b") and b.is_up("c")

            await until(met, "an honest peer comes through")
            assert max(strangers) <= 10
            await until(lambda: b.statistics()["strangers"] == 0, "the deadline")
            for reader, writer in slow:
                with suppress(OSError):
                    rest = await reader.read()
                    assert b"deadline" in rest or b"crowded" in rest
                writer.transport.abort()

    run(story())


def test_a_hostile_acceptor_gets_nothing_and_tells_nothing() -> None:
    """Somebody else listens where a peer should: the dialler never believes it."""

    async def story() -> None:
        rng = random.Random(11)
        source = mutants(rng)
        replies = [
            frame(Kind.NOTICE, codec.dumps({"code": "x", "text": "believe me"})),
            number_frame(Kind.ACK, 1),
            frame(Kind.HANDSHAKE, codec.dumps({"t": "welcome", "proof": b""})),
            frame(Kind.MESSAGE, codec.dumps({"evil": 1})),
        ]
        served = 0
        heard = b""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served, heard
            reply = replies[served] if served < len(replies) else next(source)
            served += 1
            with suppress(OSError):
                writer.write(reply)
                writer.write_eof()
                heard += await reader.read()
            writer.transport.abort()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        limits = WireLimits(backoff_min_s=0.001, backoff_max_s=0.001)
        a = make("a", {"b": f"{host}:{port}"}, limits=limits)
        async with cluster(a):
            await until(lambda: served >= 500, "five hundred answers")
            assert a.heard.ups == a.heard.downs == a.heard.messages == []
            assert not any("believe me" in text for _peer, text in a.heard.problems)
            assert not a.is_up("b")
        server.close()
        assert b"proof" not in heard  # nobody answered the hello well enough to be shown a proof

    run(story())
