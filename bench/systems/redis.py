"""Redis: one primary and two replicas on loopback, append-only files synced before each answer.

The law of this file: what a figure promises stands beside it. Redis has no quorum: a write that the
primary has acknowledged is on the primary's disk and may be lost by a failover (`redis`), or is in
the memory of one replica as well (`redis-wait`, `WAIT 1`), which makes a loss less likely and does
not rule it out. A read is one of the primary's memory. Replicas take no writes and read stale, so
nothing is asked of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from quorate.bench.child import Child, ChildFailed, end_all
from quorate.bench.load import Load
from quorate.bench.systems.base import HOSTS, LEADER_POLL_S, LOAD_GRACE_S, Missing, System, Work
from quorate.core.wire.ports import free_addresses

START_TIMEOUT_S = 30.0
PRIMARY, REPLICAS = HOSTS[0], HOSTS[1:]


class Redis(System):
    """Writes are acknowledged by the primary alone."""

    name = "redis"
    durable = "synced to the primary's disk; replicated afterwards, lost by a failover before that"
    synced = True
    outside = True
    marks: ClassVar[dict[str, str]] = {"put": "asynchronous", "get": "primary's memory"}
    replicas_waited: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._addresses: dict[str, str] = {}
        self._client: Child | None = None

    @classmethod
    def check(cls) -> None:
        if shutil.which("redis-server") is None:
            raise Missing("redis-server is not on PATH: apt-get install redis-server")

    @classmethod
    def configuration(cls) -> dict[str, Any]:
        out = subprocess.run(
            ["redis-server", "--version"], check=True, capture_output=True, text=True, timeout=10
        ).stdout
        found = [word for word in out.split() if word.startswith("v=")]
        return {
            "version": found[0].removeprefix("v=") if found else out.strip(),
            "hosts": "three processes on 127.0.0.1, one primary and two replicas",
            "settings": " ".join(f"{key} {value or 'off'}" for key, value in SETTINGS.items()),
            "writes": cls.durable,
            "reads": "GET of the primary's memory: not linearizable once there is a failover",
            "load": "from outside: one Python process, a RESP client of ours on asyncio, at most "
            "8 connections with many commands in flight each, all to the primary",
        }

    def offers(self, work: Work) -> bool:
        return work.where == "leader"

    async def start(self, folder: Path) -> None:
        self._addresses = dict(zip(HOSTS, free_addresses(3), strict=True))
        try:
            for host in HOSTS:
                self.children[host] = await self._start_host(folder, host)
            command = [sys.executable, "-m", "quorate.bench.peers.redis_load"]
            self._client = await Child.start("redis_load", command, stderr=folder / "client.stderr")
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._wait_replicas()
        except BaseException:
            await self.stop()
            raise

    async def _start_host(self, folder: Path, host: str) -> Child:
        own_folder = folder / host
        own_folder.mkdir(parents=True)
        address, _, port = self._addresses[host].rpartition(":")
        options = {"bind": address, "port": port, "dir": str(own_folder), **SETTINGS}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        if host in REPLICAS:
            words += ["--replicaof", *self._addresses[PRIMARY].rsplit(":", 1)]
        stderr = folder / f"{host}.stderr"
        return await Child.start(
            f"redis {host}", ["redis-server", *words], stderr=stderr, speaks=False
        )

    async def _wait_replicas(self) -> None:
        """Until the primary has both replicas online; a server that ended is quoted."""
        while True:
            for child in self.children.values():
                child.check_alive()
            said: dict[str, str] = {}
            with contextlib.suppress(ChildFailed):  # it may not be listening yet
                said = await self.info(PRIMARY, "replication")
            if all("state=online" in said.get(f"slave{n}", "") for n in range(len(REPLICAS))):
                return
            await asyncio.sleep(LEADER_POLL_S)

    async def info(self, host: str, section: str) -> dict[str, str]:
        """What a server says of itself. Raises `ChildFailed`."""
        assert self._client is not None
        fields = {"address": self._addresses[host], "section": section}
        return await self._client.order("info", timeout_s=5.0, **fields)

    async def leader(self) -> str:
        return PRIMARY

    async def _load_at(self, hosts: list[str], work: Work) -> Load:
        assert self._client is not None
        assert hosts == [PRIMARY]
        row = await self._client.order(
            "load",
            timeout_s=work.warmup_s + work.seconds + LOAD_GRACE_S,
            address=self._addresses[PRIMARY],
            replicas=self.replicas_waited,
            **work.fields(work.in_flight),
        )
        return Load.from_json(row)

    async def stop(self) -> None:
        children, self.children = list(self.children.values()), {}
        if self._client is not None:
            children.append(self._client)
            self._client = None
        await end_all(children)


class RedisWait(Redis):
    """Each write is followed by `WAIT 1`; writes at the same time share one."""

    name = "redis-wait"
    variant = True
    durable = (
        "synced to the primary's disk and in the memory of one replica (WAIT 1): still no quorum, "
        "a failover to the other replica loses it"
    )
    marks: ClassVar[dict[str, str]] = {"put": "one replica's memory", "get": "primary's memory"}
    replicas_waited = 1


SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "daemonize": "no",
    "logfile": "",
    "repl-diskless-sync-delay": "0",
}
"""Everything else is Redis's default; `save` off: no snapshots beside the append-only file."""
