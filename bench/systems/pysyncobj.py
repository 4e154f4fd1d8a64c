"""Plain PySyncObj 0.3.17: three processes, its own transport, its journal and dump on disk.

The law of this file: it is run as its documentation shows. It never syncs its journal to disk, so
every table says *unsynced*. Two configurations are measured, because no single one is good at both
ends: the default waits up to 100 ms to fill a batch, `appendEntriesUseBatch=False` does not.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from quorate.bench.child import Child, ChildFailed, end_all
from quorate.bench.load import Load
from quorate.bench.systems.base import HOSTS, LEADER_POLL_S, System, Work
from quorate.core.wire.ports import free_addresses

START_TIMEOUT_S = 30.0


class PySyncObj(System):
    """The default configuration."""

    name = "pysyncobj"
    durable = "journal and dump on disk, never synced"
    synced = False
    conf: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._addresses: dict[str, str] = {}

    @classmethod
    def check(cls) -> None:
        """A dependency of quorate: always here."""

    @classmethod
    def configuration(cls) -> dict[str, Any]:
        return {
            "version": version("pysyncobj"),
            "hosts": "three processes on 127.0.0.1, TCPTransport, autoTick thread",
            "settings": {"journalFile": "…", "fullDumpFile": "…", **cls.conf},
            "load": "inside the processes, next operation from the completion callback",
            "reads": "a replicated command (through the log): it has no other linearizable read",
        }

    async def start(self, folder: Path) -> None:
        self._addresses = dict(zip(HOSTS, free_addresses(3), strict=True))
        try:
            await asyncio.gather(*(self._start_host(folder, host) for host in HOSTS))
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_ready()
        except BaseException:
            await self.stop()
            raise

    async def _start_host(self, folder: Path, host: str) -> None:
        own_folder = folder / host
        own_folder.mkdir(parents=True)
        settings = {
            "own": self._addresses[host],
            "others": [address for other, address in self._addresses.items() if other != host],
            "folder": str(own_folder),
            "conf": self.conf,
        }
        self.children[host] = await Child.start(
            host,
            [sys.executable, "-m", "quorate.bench.peers.pysyncobj_host", json.dumps(settings)],
            stderr=folder / f"{host}.stderr",
        )

    async def _wait_ready(self) -> None:
        for host in HOSTS:
            while not (await self._status(host))["ready"]:  # noqa: ASYNC110 - a process is asked
                await asyncio.sleep(LEADER_POLL_S)

    async def _status(self, host: str) -> dict[str, Any]:
        return await self.children[host].order("status", timeout_s=10.0)

    async def leader(self) -> str:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            for host in HOSTS:
                if (await self._status(host))["leads"]:
                    return host
            await asyncio.sleep(LEADER_POLL_S)
        raise ChildFailed(f"no node leads after {START_TIMEOUT_S:g} s")

    async def _load_at(self, hosts: list[str], work: Work) -> Load:
        return await self._order_loads(hosts, work)

    async def stop(self) -> None:
        children, self.children = list(self.children.values()), {}
        await end_all(children)


class PySyncObjUnbatched(PySyncObj):
    """One message per command, sent at once."""

    name = "pysyncobj-unbatched"
    variant = True
    conf: ClassVar[dict[str, Any]] = {"appendEntriesUseBatch": False}
