"""S12, S13, S14, with real sockets on loopback where the hazard lives there: hostile peers,
framing, and a writer that forgets what did not fit.
"""

from __future__ import annotations

import asyncio
import os
import pickle  # tidy-ok: the attack on the base is a pickle
import resource
import socket
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.poller import createPoller
from pysyncobj.tcp_connection import TcpConnection

from quorate.core.wire import Lane
from quorate.core.wire.frames import FROM_DIALLER, Decoder
from quorate.core.wire.lanes import Lanes
from quorate.core.wire.limits import WireLimits
from tests.contracts.base import BaseWorld, virtual_time
from tests.contracts.ours import OurWorld
from tests.wire.hosts import cluster, connected, make, until

# --- S12: who may speak, and how much -------------------------------------------------------------


class Exploit:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("import sys; sys.contract_s12 = True",)


def base_frame(value: Any) -> bytes:
    data = zlib.compress(pickle.dumps(value, 2))
    return struct.pack("i", len(data)) + data


HOSTILE = {
    "code": base_frame(Exploit()),
    "a dict": base_frame({"x": 1}),
    "a list": base_frame([]),
    "a member": base_frame(["add", "10.9.8.7:1"]),
    "a huge frame": struct.pack("i", 2**31 - 1) + b"\0" * 200_000,
}


@contextmanager
def listening_base() -> Iterator[tuple[SyncObj, int, Callable[[int], list[str]]]]:
    """A base host on loopback, its port, and a way to let it tick; exceptions are returned."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    conf = SyncObjConf(autoTick=False, dynamicMembershipChange=True, bindAddress=address)
    host = SyncObj(address, [], conf)

    def ticks(number: int) -> list[str]:
        raised: list[str] = []
        for _ in range(number):
            try:
                host.doTick(0.005)
            except Exception as error:
                raised.append(type(error).__name__)
        return raised

    ticks(3)
    try:
        yield host, port, ticks
    finally:
        host.destroy()
        ticks(1)


def test_s12_base_runs_a_strangers_code_and_obeys_it() -> None:
    sys.__dict__.pop("contract_s12", None)
    with listening_base() as (host, port, ticks):
        attackers: list[socket.socket] = []

        def attack(name: str) -> list[str]:
            attacker = socket.create_connection(("127.0.0.1", port))
            attackers.append(attacker)
            attacker.sendall(HOSTILE[name])
            return ticks(6)

        attack("code")
        assert sys.__dict__.pop("contract_s12", False), "one frame is remote code execution"
        for _ in range(200):
            ticks(3)
            if host.isReady():
                break
        attack("a member")
        ticks(30)
        assert "10.9.8.7:1" in [str(node) for node in host.otherNodes]
        for attacker in attackers:
            attacker.close()


def test_s12_base_aborts_its_tick_on_an_unhashable_first_message() -> None:
    with (
        listening_base() as (_, port, ticks),
        socket.create_connection(("127.0.0.1", port)) as attacker,
    ):
        attacker.sendall(HOSTILE["a dict"])
        assert ticks(6)


def test_s12_base_buffers_whatever_a_stranger_sends() -> None:
    sent = 0
    with (
        listening_base() as (_, port, ticks),
        socket.create_connection(("127.0.0.1", port)) as attacker,
    ):
        attacker.sendall(struct.pack("i", 2**31 - 1))
        attacker.setblocking(False)
        for _ in range(150):
            with suppress(BlockingIOError):
                sent += attacker.send(b"\0" * 65536)
            ticks(1)
    assert sent > 4_000_000


def test_s12_base_stops_listening_for_ever_when_descriptors_run_out() -> None:
    with listening_base() as (_, port, ticks):
        with _no_descriptors_left(port):
            ticks(4)
        ticks(60)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()


@contextmanager
def _no_descriptors_left(port: int) -> Iterator[None]:
    """Connections wait in the backlog, and nobody can take them."""
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    used: list[int] = []
    try:
        while True:
            used.append(os.dup(0))
    except OSError:
        pass
    try:
        yield
    finally:
        for number in used:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for connection in waiting:
            connection.close()


def test_s12_ours_refuses_strangers_unchanged_and_serves_its_peer() -> None:
    sys.__dict__.pop("contract_s12", None)

    async def story() -> None:
        async with cluster(make("a"), make("b")) as (a, b):
            assert a.address is not None
            host, port = a.address.rsplit(":", 1)
            for name, data in HOSTILE.items():
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(data)
                with suppress(ConnectionError):  # the rest of what we sent is answered by a reset
                    rest = await asyncio.wait_for(reader.read(), 4)
                    assert len(rest) < 4096, name
                writer.close()
            assert "contract_s12" not in sys.__dict__
            assert a.heard.messages == []
            with _no_descriptors_left(int(port)):
                await asyncio.sleep(0.05)  # tidy-ok: real descriptors and a real loop
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 4)
            writer.write(b"\0\0\0\0")
            await asyncio.wait_for(reader.read(), 4)  # it is taken again, and refused
            writer.close()
            await connected(a, b)
            b.send("a", {"type": "hello"})
            await until(lambda: a.heard.messages, "a hears b after all that")
            assert a.heard.messages == [("b", {"type": "hello"})]

    asyncio.run(story())


def test_s12_ours_counts_no_vote_and_no_answer_of_a_stranger() -> None:
    world = OurWorld("abcde")
    world.elect("a")
    world.isolate("c")
    host = world.hosts["c"]
    host.engine.election_deadline = 0.0
    world.run(2.0)
    term, round_ = host.engine.term, host.engine._pre_vote_round
    for number in range(5):
        for message in (
            {"type": "pre_vote_reply", "term": term, "round": round_, "ok": True},
            {"type": "vote_reply", "term": term, "ok": True},
            {"type": "vote_reply", "term": term + 1, "ok": True},
            {"type": "timeout_now", "term": term},
        ):
            world.inject(f"x{number}", "c", message)
    for message in ({}, {"type": []}, {"type": "append"}, {"type": "vote_reply", "ok": True}):
        world.inject("a", "c", message)
    world.run(0.1)
    assert not host.leads and host.engine.term == term and host.fatal is None
    assert host.malformed == 4


# --- S13: where a message ends --------------------------------------------------------------------


def test_s13_base_ends_a_message_twice_for_some_lengths() -> None:
    errors: list[str] = []
    with virtual_time() as clock:
        world = BaseWorld(clock, appendEntriesBatchSizeBytes=200)
        world.elect("a")
        for length in range(150, 420):
            world.write("a", "x" * length)
            world.tick("a")
            for other in "bc":
                while world.queues[("a", other)]:
                    try:
                        world.deliver("a", other, 1)
                    except Exception as error:
                        errors.append(type(error).__name__)
            world.deliver("b", "a")
            world.deliver("c", "a")
    assert errors


def test_s13_ours_ends_each_message_once_whatever_its_length() -> None:
    limits = WireLimits(chunk_bytes=64, frame_bytes_max=256, handshake_frame_bytes_max=64)
    for length in range(1, 700):
        lanes, decoder = Lanes(limits), Decoder(limits)
        decoder.restrict(FROM_DIALLER, limits.frame_bytes_max)
        message = bytes(number % 251 for number in range(length))
        assert lanes.put(message, Lane.BULK) and lanes.put(b"urgent", Lane.URGENT)
        events = decoder.feed(b"".join(lanes.take(1 << 20)))
        assert [bytes(payload) for _, payload in events] == [b"urgent", message]


# --- S14: what did not fit waits for the next send ------------------------------------------------

MIB = 1 << 20


def test_s14_base_leaves_bytes_lying_until_the_next_send() -> None:
    poller = createPoller("auto")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        end.setblocking(False)
    got: list[Any] = []
    sender = TcpConnection(poller, socket=one, timeout=60)
    receiver = TcpConnection(poller, socket=other, timeout=60, onMessageReceived=got.append)
    for _ in range(5):
        poller.poll(0.01)
    sender.send(os.urandom(4 * MIB))
    end = time.monotonic() + 0.7
    while time.monotonic() < end:
        poller.poll(0.005)
    left = sender.getSendBufferSize()
    sender.disconnect()
    receiver.disconnect()
    assert not got and left > MIB, "the socket was free, yet nothing was written"


def test_s14_ours_writes_on_without_being_asked() -> None:
    async def story() -> float:
        async with cluster(make("a"), make("b")) as (a, b):
            began = time.monotonic()
            b.send("a", {"type": "big", "data": os.urandom(4 * MIB)}, lane=Lane.BULK)
            await until(lambda: a.heard.messages, "4 MiB arrive")
            return time.monotonic() - began

    assert asyncio.run(story()) < 4
