"""quorate's hosts with their admin API on, and a client beside them that uses it.

The law of this file: the hosts are those of `RaftGroup` with one setting more (`admin`); the load
inside is the same, the load outside comes from one process with aiohttp, as it would from a service
that does not embed quorate.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from quorate.bench.child import Child
from quorate.bench.load import Load
from quorate.bench.systems.base import HOSTS, LOAD_GRACE_S, Work
from quorate.bench.systems.raft_group import RaftGroup
from quorate.core.wire.ports import free_addresses


class HttpGroup(RaftGroup):
    """The group that is asked from inside and from outside."""

    def __init__(self, hosts: tuple[str, ...] = HOSTS) -> None:
        super().__init__(hosts)
        self._admin: dict[str, str] = {}
        self._client: Child | None = None

    def more_settings(self, host: str) -> dict[str, Any]:
        return {"admin": self._admin[host]}

    async def start(self, folder: Path) -> None:
        self._admin = dict(zip(self.hosts, free_addresses(len(self.hosts)), strict=True))
        try:
            await super().start(folder)
            command = [sys.executable, "-m", "quorate.bench.peers.http_load"]
            self._client = await Child.start("http_load", command, stderr=folder / "client.stderr")
        except BaseException:
            await self.stop()
            raise

    async def load_outside(self, work: Work) -> Load:
        """The same load over HTTP, at the leader."""
        assert self._client is not None
        row = await self._client.order(
            "load",
            timeout_s=work.warmup_s + work.seconds + LOAD_GRACE_S,
            dialect="admin",
            urls=[f"http://{self._admin[await self.leader()]}"],
            **work.fields(work.in_flight),
        )
        return Load.from_json(row)

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.end()
        await super().stop()
