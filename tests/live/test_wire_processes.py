"""Two real processes on the wire: one is killed, frozen and thawed. Wall-clock time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quorate.core.wire import Mesh, SharedSecret, WireLimits

SECRET = SharedSecret(b"a secret for live tests")
LIMITS = WireLimits(link_silence_max_s=1.5, ping_interval_s=0.3, handshake_deadline_s=1.0)
CHILD = """
import asyncio, sys
from quorate.core.wire import Mesh
from tests.live.test_wire_processes import LIMITS, SECRET

async def main():
    mesh = Mesh(host_id="b", cluster_id="live", listen=sys.argv[1], peers={"a": sys.argv[2]},
                on_message=lambda peer, m: mesh.send(peer, {**m, "echo": True}),
                auth=SECRET, limits=LIMITS)
    await mesh.start()
    await asyncio.Event().wait()

asyncio.run(main())
"""


def free_address() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def child(b: str, a: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", CHILD, b, a])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def within(seconds: float, condition: Any, what: str) -> float:
    """How long it took, in seconds."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    while not condition():
        assert loop.time() - start < seconds, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.005)  # tidy-ok: wall-clock test
    return loop.time() - start


def test_a_killed_process_and_a_frozen_one() -> None:
    async def story() -> None:
        a, b = free_address(), free_address()
        echoes: list[Any] = []
        mesh = Mesh(
            host_id="a",
            cluster_id="live",
            listen=a,
            peers={"b": b},
            on_message=lambda peer, message: echoes.append(message),
            auth=SECRET,
            limits=LIMITS,
        )
        await mesh.start()

        def both_ways() -> bool:
            return mesh.is_up("b") and bool(mesh.reachability()["b"]["inbound"])

        try:
            with child(b, a) as process:
                await within(10, both_ways, "the first process")
                os.kill(process.pid, signal.SIGKILL)
                await within(1, lambda: not mesh.is_up("b"), "the kill shows")
                assert not mesh.send("b", {})
            with child(b, a) as process:
                await within(10, both_ways, "the restart")
                assert mesh.send("b", {"n": 1})
                await within(2, lambda: echoes, "an echo")
                os.kill(process.pid, signal.SIGSTOP)
                await within(4, lambda: not mesh.is_up("b"), "the freeze shows")
                os.kill(process.pid, signal.SIGCONT)
                await within(4, both_ways, "the thaw shows")
                assert mesh.send("b", {"n": 2})
                await within(2, lambda: len(echoes) == 2, "an echo after the thaw")
                assert echoes == [{"n": 1, "echo": True}, {"n": 2, "echo": True}]
        finally:
            await mesh.close()

    asyncio.run(story())
