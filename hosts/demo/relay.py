"""Links that can be cut for real: between every two hosts a relay of their TCP connections.

The law of this file: a cut link is silent. What was sent waits, as it does in TCP; nobody is told,
connections stay open, and new ones are accepted and lead nowhere. After the heal everything goes on
from where it was. Bytes are neither looked at nor changed. A host is led to a relay by its setting
`dial`; everything else about it is as it is without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

READ_BYTES = 64 * 1024


class Relay:
    """Listens on loopback and hands on to `target` ("address:port") what comes."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.rpartition(":")
        self._port = int(port)
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.bytes_carried = 0
        self.address = ""

    async def start(self) -> str:
        """Listen; gives the address to dial instead of the target's."""
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self.address

    @property
    def is_cut(self) -> bool:
        return not self._open.is_set()

    def cut(self) -> None:
        """From now on nothing comes through."""
        self._open.clear()

    def heal(self) -> None:
        """Everything that waited comes through."""
        self._open.set()

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            back, there = await asyncio.open_connection(self._host, self._port)
            await asyncio.gather(self._carry(reader, there), self._carry(back, writer))
        except (OSError, asyncio.CancelledError):
            pass  # the target is not there, or this relay closes: the connection just ends
        finally:
            self._tasks.discard(task)
            for one in (writer, there):
                if one is not None:
                    one.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(READ_BYTES):
                await self._open.wait()
                self.bytes_carried += len(data)
                sink.write(data)
                await sink.drain()
            await self._open.wait()
            sink.write_eof()


class Links:
    """A relay for each direction in which one host dials another."""

    def __init__(
        self, addresses: Mapping[str, str], make_relay: Callable[[str], Relay] = Relay
    ) -> None:
        self._relays = {
            (here, there): make_relay(address)
            for here in addresses
            for there, address in addresses.items()
            if here != there
        }

    async def start(self) -> None:
        for relay in self._relays.values():
            await relay.start()

    def dial(self, host: str) -> dict[str, str]:
        """The setting `dial` of a host: where it dials each of the others."""
        return {there: r.address for (here, there), r in self._relays.items() if here == host}

    def cut(self, minority: Collection[str]) -> None:
        """Cut every link between these hosts and the others, both ways."""
        for pair, relay in self._relays.items():
            if len(set(pair) & set(minority)) == 1:
                relay.cut()

    def heal(self) -> None:
        for relay in self._relays.values():
            relay.heal()

    @property
    def bytes_carried(self) -> int:
        return sum(relay.bytes_carried for relay in self._relays.values())

    async def close(self) -> None:
        await asyncio.gather(*(relay.close() for relay in self._relays.values()))
