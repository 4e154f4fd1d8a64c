"""Small clusters of meshes on loopback, for the tests of the wire; nothing here asserts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from quorate.core.wire import Auth, Mesh, SharedSecret, WireLimits

SECRET = SharedSecret(b"a secret for tests, 32 bytes big")
QUICK = WireLimits(
    ping_interval_s=0.05, link_silence_max_s=0.5, twin_silence_s=0.4, handshake_deadline_s=2.0
)


@dataclass
class Heard:
    """What the hooks of one mesh were told, and a bell that rings with each."""

    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ups: list[str] = field(default_factory=list)
    downs: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    fatal: list[Exception] = field(default_factory=list)


class TestMesh(Mesh):
    """A mesh that remembers what its hooks were told."""

    __test__ = False
    heard: Heard


def make(
    host_id: str,
    peers: dict[str, str] | None = None,
    *,
    cluster_id: str = "tests",
    auth: Auth | None = SECRET,
    limits: WireLimits = QUICK,
    listen: str | None = "127.0.0.1:0",
    **more: Any,
) -> TestMesh:
    """A mesh that is not started yet."""
    heard = Heard()
    hooks: dict[str, Any] = {
        "on_message": lambda peer, message: heard.messages.append((peer, message)),
        "on_peer_up": heard.ups.append,
        "on_peer_down": heard.downs.append,
        "on_peer_problem": lambda peer, text: heard.problems.append((peer, text)),
        "on_fatal": heard.fatal.append,
    }
    mesh = TestMesh(
        host_id=host_id,
        cluster_id=cluster_id,
        listen=listen,
        peers=peers or {},
        auth=auth,
        limits=limits,
        **(hooks | more),
    )
    mesh.heard = heard
    return mesh


PATIENCE_S = 8.0
"""How long a story waits for what must come; test_planted.py has less of it."""


async def until(condition: Callable[[], object], what: str, seconds: float | None = None) -> None:
    """Give the loop turns until `condition` holds. Raises AssertionError after `seconds`."""
    loop = asyncio.get_running_loop()
    seconds = PATIENCE_S if seconds is None else seconds
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        turn = loop.create_future()
        loop.call_later(0.002, lambda turn=turn: turn.done() or turn.set_result(None))
        await turn


async def connected(*meshes: Mesh) -> None:
    """Wait until everybody can send to everybody."""
    for mesh in meshes:
        for other in meshes:
            if mesh is not other:
                await until(
                    lambda m=mesh, o=other.host_id: m.is_up(o) and m.reachability()[o]["inbound"],
                    f"{mesh.host_id} reaches {other.host_id}: {mesh.reachability()}",
                )


@asynccontextmanager
async def cluster(*meshes: TestMesh, meet: bool = True):
    """Start meshes, introduce them to each other, close them at the end."""
    try:
        for mesh in meshes:
            await mesh.start()
        for mesh in meshes:
            for other in meshes:
                if other is not mesh and other.address is not None:
                    mesh.add_peer(other.host_id, other.address)
        if meet:
            await connected(*meshes)
        yield meshes
    finally:
        for mesh in meshes:
            await mesh.close()


class Proxy:
    """A TCP forwarder that can stop forwarding, either way, without closing anything."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = {"there": asyncio.Event(), "back": asyncio.Event()}
        self.connections = 0
        self.address = ""
        for way in self._open.values():
            way.set()

    async def start(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    def cut(self, *ways: str) -> None:
        """Hold back bytes: "there" (towards the target), "back", both when not named."""
        for way in ways or ("there", "back"):
            self._open[way].clear()

    def heal(self) -> None:
        for way in self._open.values():
            way.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        for source, sink, way in ((reader, up_writer, "there"), (up_reader, writer, "back")):
            self._writers.add(sink)
            task = asyncio.get_running_loop().create_task(self._pump(source, sink, way))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: str
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._open[way].wait()
                sink.write(data)
                await sink.drain()
        await self._open[way].wait()
        sink.close()

    async def close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def run(coroutine: Any, seconds: float = 30.0) -> Any:
    """Run one story with a deadline, and fail when it leaves tasks behind.

    QUORATE_TEST_LOOP=uvloop runs it there instead of on the standard loop.
    """

    async def story() -> Any:
        async with asyncio.timeout(seconds):
            result = await coroutine
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    if os.environ.get("QUORATE_TEST_LOOP") == "uvloop":
        import uvloop

        return uvloop.run(story())
    return asyncio.run(story())
