"""How fast the wire alone is: two processes, one mesh each, on loopback.

    python -m quorate.bench.wire [--loop uvloop|asyncio] [--tls] [--messages 300000]

Prints messages/s one way (about 200 bytes each on the wire) and the round trip of one small urgent
message at a time, in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from quorate.core.wire import Auth, Lane, Mesh, SharedSecret
from quorate.core.wire.tls import dev_certificates

MESSAGE = {"type": "x", "term": 7, "index": 123456, "prev": 7, "commit": 123, "data": b"x" * 150}
BURST_MESSAGES = 64
ROUND_TRIPS = 5000


def run(coroutine: Coroutine[Any, Any, None], loop: str) -> None:
    """Run on the loop of that name."""
    if loop == "uvloop":
        import uvloop

        uvloop.run(coroutine)
    else:
        asyncio.run(coroutine)


def free_address() -> str:
    """A loopback address nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


async def answer(addresses: dict[str, str], auth: Auth) -> None:
    """The other side: counts, answers, stops when told."""
    received = 0
    stop = asyncio.Event()

    def on_message(peer: str, message: dict[str, Any]) -> None:
        nonlocal received
        kind = message["type"]
        if kind == "x":
            received += 1
        elif kind == "ping":
            mesh.send(peer, {"type": "pong"}, Lane.URGENT)
        elif kind == "count":
            mesh.send(peer, {"type": "count", "received": received}, Lane.URGENT)
            received = 0
        else:
            stop.set()

    mesh = Mesh(
        host_id="b",
        cluster_id="bench",
        listen=addresses["b"],
        peers=addresses,
        on_message=on_message,
        auth=auth,
    )
    await mesh.start()
    await stop.wait()
    await mesh.close()


async def ask(addresses: dict[str, str], auth: Auth, messages: int, title: str) -> None:
    """This side: sends, measures, prints."""
    loop = asyncio.get_running_loop()
    reply: asyncio.Future[dict[str, Any]] = loop.create_future()
    met = asyncio.Event()
    mesh = Mesh(
        host_id="a",
        cluster_id="bench",
        listen=addresses["a"],
        peers=addresses,
        on_message=lambda peer, message: reply.set_result(message),
        on_peer_up=lambda peer: met.set(),
        auth=auth,
    )
    await mesh.start()
    await met.wait()
    while mesh.rtt("b") is None:  # noqa: ASYNC110 - no hook tells that the way back is up
        await asyncio.sleep(0.01)
    for _ in range(3):
        reply = loop.create_future()
        start = time.perf_counter()
        for sent in range(messages):
            while not mesh.send("b", MESSAGE):
                await mesh.wait_writable("b", Lane.NORMAL)
            if sent % BURST_MESSAGES == 0:
                await asyncio.sleep(0)
        mesh.send("b", {"type": "count"})
        received = (await reply)["received"]
        print(f"{title}: {received / (time.perf_counter() - start):,.0f} messages/s", flush=True)
    times: list[float] = []
    for _ in range(ROUND_TRIPS):
        reply = loop.create_future()
        start = time.perf_counter()
        mesh.send("b", {"type": "ping", "data": b"x" * 150}, Lane.URGENT)
        await reply
        times.append((time.perf_counter() - start) * 1e6)
    times.sort()
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    print(f"{title}: round trip p50 {p50:.0f} us, p99 {p99:.0f} us", flush=True)
    mesh.send("b", {"type": "stop"})
    await asyncio.sleep(0.1)
    await mesh.close()


def other_process(addresses: dict[str, str], auth: Auth, loop: str) -> None:
    """What the second process runs."""
    run(answer(addresses, auth), loop)


def main() -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description="how fast the wire alone is")
    parser.add_argument("--loop", choices=["uvloop", "asyncio"], default="uvloop")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--messages", type=int, default=300_000)
    chosen = parser.parse_args()
    addresses = {"a": free_address(), "b": free_address()}
    auths: dict[str, Auth] = dict.fromkeys("ab", SharedSecret(b"a secret of the bench"))
    with tempfile.TemporaryDirectory() as folder:
        if chosen.tls:
            auths = dict(dev_certificates(Path(folder), "ab"))
        process = multiprocessing.get_context("spawn").Process(
            target=other_process, args=(addresses, auths["b"], chosen.loop)
        )
        process.start()
        try:
            title = f"{chosen.loop}, {'TLS' if chosen.tls else 'shared secret'}"
            run(ask(addresses, auths["a"], chosen.messages, title), chosen.loop)
            process.join(5)
        finally:
            process.kill()


if __name__ == "__main__":
    main()
