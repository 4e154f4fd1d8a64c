"""quorate: three host processes with the defaults of `quorate.Host`, the load inside them.

The law of this file: nothing is tuned for the measurement.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

from quorate.bench.child import Child, ChildFailed, end_all
from quorate.bench.load import Load
from quorate.bench.systems.base import HOSTS, LEADER_POLL_S, System, Work
from quorate.core.wire.ports import free_addresses

START_TIMEOUT_S = 30.0
CAUGHT_UP_POLL_S = 0.05


class RaftGroup(System):
    """The group under measurement; the other questions about quorate use it too."""

    name = "quorate"
    durable = "synced to disk by a majority"
    synced = True
    module: ClassVar[str] = "quorate.bench.worker"

    def __init__(self, hosts: tuple[str, ...] = HOSTS) -> None:
        super().__init__()
        self.hosts = hosts
        self.folder = Path()
        self.peers: dict[str, str] = {}

    @classmethod
    def check(cls) -> None:
        """quorate is always here."""

    @classmethod
    def configuration(cls) -> dict[str, Any]:
        try:
            found = version("quorate")
        except PackageNotFoundError:
            found = "working tree"
        return {
            "version": found,
            "hosts": "three processes on 127.0.0.1, quorate.Host with its defaults",
            "load": "inside the host processes (embedding), host.kv.put / host.kv.get",
        }

    async def start(self, folder: Path) -> None:
        self.folder = folder
        self.peers = self.peers or dict(
            zip(self.hosts, free_addresses(len(self.hosts)), strict=True)
        )
        try:
            await asyncio.gather(*(self.start_host(host) for host in self.hosts))
            await self.wait_ready()
        except BaseException:
            await self.stop()
            raise

    async def start_host(self, host: str) -> Child:
        """Start one host in its folder, new or old; returns when it listens."""
        settings = {
            "id": host,
            "data": str(self.folder / host),
            "listen": self.peers[host],
            "peers": self.peers,
            **self.more_settings(host),
        }
        self.children[host] = child = await Child.start(
            host,
            [sys.executable, "-m", self.module, json.dumps(settings)],
            stderr=self.folder / f"{host}.stderr",
            timeout_s=10 * START_TIMEOUT_S,
        )
        return child

    def more_settings(self, host: str) -> dict[str, Any]:
        """What else a host is started with."""
        return {}

    async def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until every running host serves."""
        await asyncio.gather(
            *(
                child.order("ready", timeout_s=timeout_s + 5, within_s=timeout_s)
                for child in self.children.values()
            )
        )

    async def status(self, host: str) -> dict[str, Any]:
        return await self.children[host].order("status", timeout_s=10.0)

    async def leader(self) -> str:
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            for host in self.children:
                status = await self.status(host)
                if status["role"] == "leader":
                    return host
            await asyncio.sleep(LEADER_POLL_S)
        raise ChildFailed(f"no host leads after {START_TIMEOUT_S:g} s")

    async def wait_caught_up(self, host: str, timeout_s: float) -> None:
        """Until `host` has applied what the leader had committed. Raises `TimeoutError`."""
        async with asyncio.timeout(timeout_s):
            while True:
                leader = await self.status(await self.leader())
                own = await self.status(host)
                if own["applied_index"] >= leader["commit_index"] and own["leader"]:
                    return
                await asyncio.sleep(CAUGHT_UP_POLL_S)

    async def kill(self, host: str) -> None:
        """kill -9; the folder stays."""
        await self.children.pop(host).end()

    async def _load_at(self, hosts: list[str], work: Work) -> Load:
        return await self._order_loads(hosts, work)

    async def stop(self) -> None:
        children, self.children = list(self.children.values()), {}
        await end_all(children)
