"""Meshes over real sockets on loopback: meeting, sending, losing, coming back."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from quorate.core import codec
from quorate.core.errors import ConfigError, InvariantBroken, LimitExceeded
from quorate.core.wire import Lane, NoAuth, ProtocolError, WireLimits
from tests.wire.hosts import QUICK, SECRET, Proxy, cluster, connected, make, run, until

MIB = 1024 * 1024


def test_three_hosts_meet_and_messages_arrive_in_order() -> None:
    async def story() -> None:
        a, b, c = make("a"), make("b"), make("c")
        async with cluster(a, b, c):
            for n in range(500):
                assert a.send("b", {"n": n})
                assert c.send("b", {"n": n})
            await until(lambda: len(b.heard.messages) == 1000, "all messages")
            for peer in "ac":
                seen = [message["n"] for who, message in b.heard.messages if who == peer]
                assert seen == list(range(500))
            assert sorted(a.heard.ups) == ["b", "c"]
            await until(lambda: a.rtt("b") is not None, "a round trip")
            assert 0 < (a.rtt("b") or 0) < 1
            assert set(a.peers) == {"b", "c"}
            together = codec.dumps({"for": "both"})
            assert a.send_encoded("b", together, Lane.URGENT)
            assert a.send_encoded("c", together)
            assert not a.send_encoded("z", together)
            await until(lambda: ("a", {"for": "both"}) in c.heard.messages, "the encoded one")
            assert not a.send("z", {})
            assert not a.send("a", {})

    run(story())


def test_long_messages_travel_in_pieces_and_arrive_whole() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            sizes = [1, 64 * 1024 - 30, 64 * 1024, 300_000, 5 * MIB]
            for size in sizes:
                assert a.send("b", {"size": size, "body": b"x" * size}, Lane.BULK)
            await until(lambda: len(b.heard.messages) == len(sizes), "all messages")
            for _peer, message in b.heard.messages:
                assert len(message["body"]) == message["size"]
            with pytest.raises(LimitExceeded):
                a.send("b", {"body": bytes(17 * MIB)})

    run(story())


def test_an_urgent_message_overtakes_fifty_megabytes() -> None:
    async def story() -> None:
        limits = WireLimits(bulk_queue_bytes_max=64 * MIB)
        order: list[str] = []
        a = make("a", limits=limits)
        b = make("b", limits=limits, on_message=lambda peer, m: order.append(m["kind"]))
        async with cluster(a, b):
            body = bytes(5 * MIB)
            for _ in range(10):
                assert a.send("b", {"kind": "bulk", "body": body}, Lane.BULK)
            assert a.send("b", {"kind": "normal"}, Lane.NORMAL)
            assert a.send("b", {"kind": "urgent"}, Lane.URGENT)
            await until(lambda: len(order) == 12, "everything")
            assert order[:2] == ["urgent", "normal"]
            for _ in range(10):
                assert a.send("b", {"kind": "bulk", "body": body}, Lane.BULK)
            await until(lambda: len(order) == 13, "the first bulk message, the rest on its way")
            assert a.send("b", {"kind": "late urgent"}, Lane.URGENT)
            await until(lambda: len(order) == 23, "everything")
            assert order.index("late urgent") <= 16

    run(story())


def test_queues_are_bounded_and_a_sender_can_wait_for_room() -> None:
    async def story() -> None:
        limits = WireLimits(bulk_queue_bytes_max=MIB, transport_buffer_bytes_max=256 * 1024)
        a, b = make("a", limits=limits), make("b", limits=limits)
        async with cluster(a, b):
            proxy = await Proxy(b.address or "").start()
            try:
                a.set_override("b", proxy.address)
                await until(lambda: proxy.connections == 1 and a.is_up("b"), "through the proxy")
                proxy.cut()
                sent = 0
                body = bytes(60_000)

                def stuck() -> bool:
                    nonlocal sent
                    while a.send("b", {"body": body}, Lane.BULK):
                        sent += 1
                    return not a._links["b"]._lanes.room(Lane.BULK) and a._links["b"]._paused

                await until(stuck, "the lane to fill up")
                queues: Any = a.statistics()["links"]
                assert queues["b"]["queued_bytes"][2] <= MIB
                assert queues["b"]["transport_bytes"] <= 256 * 1024
                assert a.send("b", {"urgent": 1}, Lane.URGENT)
                waiting = asyncio.ensure_future(a.wait_writable("b", Lane.BULK))
                cancelled = asyncio.ensure_future(a.wait_writable("b", Lane.BULK))
                await asyncio.sleep(0)
                cancelled.cancel()
                assert not waiting.done()
                proxy.heal()
                assert await waiting
                await until(lambda: len(b.heard.messages) >= sent, "all that was accepted")
                assert not a._links["b"]._writable
            finally:
                await proxy.close()
            assert not await a.wait_writable("nobody")

    run(story())


def test_waiting_for_room_ends_when_the_link_goes_down() -> None:
    async def story() -> None:
        a, b = make("a"), make("b")
        async with cluster(a, b):
            link = a._links["b"]
            link._lanes.room = lambda lane: False  # type: ignore[method-assign]
            waiting = asyncio.ensure_future(a.wait_writable("b"))
            await asyncio.sleep(0)
            await b.close()
            assert await waiting is False

    run(story())


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
@pytest.mark.parametrize("auth", [NoAuth(), SECRET], ids=["none", "secret"])
def test_without_tls_a_host_stays_on_loopback(listen: str, auth: Any) -> None:
    async def story() -> None:
        mesh = make("a", listen=listen, auth=auth)
        with pytest.raises(ConfigError, match="MutualTls"):
            await mesh.start()
        await mesh.close()
        mesh = make("a", {"b": "192.0.2.1:7000"}, auth=auth)
        async with cluster(mesh):
            await until(lambda: mesh.reachability()["b"]["problem"], "a problem")
            assert "beyond loopback" in str(mesh.reachability()["b"]["problem"])

    run(story())


@pytest.mark.parametrize(
    "wrong",
    [
        {"listen": "nonsense"},
        {"peers": {"b": "nowhere"}},
        {"peers": {"b": "127.0.0.1:0"}},
        {"peers": {"": "127.0.0.1:1"}},
        {"dial_overrides": {"b": "x"}},
        {"cluster_id": ""},
    ],
)
def test_a_wrong_setting_is_refused_when_it_is_given(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make("a", **wrong)


def test_a_port_that_is_taken_is_said() -> None:
    async def story() -> None:
        a = make("a")
        async with cluster(a):
            second = make("b", listen=a.address)
            with pytest.raises(ConfigError, match="cannot listen on"):
                await second.start()

    run(story())


def test_a_handler_that_raises_is_fatal_and_the_reader_lives() -> None:
    async def story() -> None:
        seen: list[Any] = []

        def handler(peer: str, message: dict[str, Any]) -> None:
            seen.append(message)
            if message.get("boom"):
                raise RuntimeError("boom")
            if message.get("bad"):
                raise ProtocolError("not a message we know")

        a, b = make("a"), make("b", on_message=handler)
        async with cluster(a, b):
            a.send("b", {"boom": 1})
            a.send("b", {"n": 1})
            await until(lambda: len(seen) == 2, "both messages")
            assert len(b.heard.fatal) == 1
            assert isinstance(b.heard.fatal[0], InvariantBroken)
            assert isinstance(b.heard.fatal[0].__cause__, RuntimeError)
            assert a.heard.downs == []
            a.send("b", {"bad": 1})
            await until(lambda: a.heard.downs == ["b"], "the connection is closed")
            assert "not a message we know" in a.heard.problems[0][1]
            assert len(b.heard.fatal) == 1
            await connected(a, b)

    run(story())


def test_running_out_of_descriptors_is_a_pause_and_not_the_end() -> None:
    class Starved:
        """A listening socket on a machine that has no descriptors left for a while."""

        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock
            self.errors = [errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS]

        def accept(self) -> Any:
            if self.errors:
                number = self.errors.pop(0)
                raise OSError(number, "planted")
            return self.sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

    async def story() -> None:
        limits = WireLimits(accept_retry_s=0.01)
        a, b = make("a", limits=limits), make("b", limits=limits)
        async with cluster(a, b, meet=False):
            listener: Any = b._listener
            listener._sock = Starved(listener._sock)
            await connected(a, b)
            assert listener._sock.errors == []
            assert b.statistics()["accept_errors"] == 3

    run(story())


def test_limits_of_the_quick_tests_are_valid() -> None:
    assert QUICK.ping_interval_s < QUICK.twin_silence_s
