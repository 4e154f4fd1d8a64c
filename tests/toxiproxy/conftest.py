"""The server's file for every test here, and a service behind a proxy."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.chaos_server import toxiproxy_binary

__all__ = ["echo", "halt", "toxiproxy_binary"]


def halt(pid: int) -> None:
    """SIGSTOP for a child of ours, until all its threads stand still: the signal only asks."""
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """The address of a service that says back what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
