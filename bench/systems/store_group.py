"""quorate's stores: three host processes with the load inside, their links relayed if they are to
be cut.

The law of this file: the hosts run with their defaults. The relays are in the harness's process and
are used by nothing but the question that cuts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from quorate.bench.child import ChildFailed
from quorate.bench.load import Load, together
from quorate.bench.systems.base import HOSTS, LOAD_GRACE_S
from quorate.bench.systems.raft_group import RaftGroup
from quorate.bench.usage import cpu_s
from quorate.core.wire.ports import free_addresses
from quorate.hosts.demo.relay import Links

COVER_WITHIN_S = 60.0


class StoreGroup(RaftGroup):
    """`relayed`: the links can be cut."""

    module: ClassVar[str] = "quorate.bench.store_worker"

    def __init__(self, hosts: tuple[str, ...] = HOSTS, *, relayed: bool = False) -> None:
        super().__init__(hosts)
        self.links: Links | None = None
        self._relayed = relayed

    async def start(self, folder: Path) -> None:
        if self._relayed:
            self.peers = dict(zip(self.hosts, free_addresses(len(self.hosts)), strict=True))
            self.links = Links(self.peers)
            await self.links.start()
        await super().start(folder)

    def more_settings(self, host: str) -> dict[str, Any]:
        return {} if self.links is None else {"dial": self.links.dial(host)}

    async def stop(self) -> None:
        await super().stop()
        if self.links is not None:
            await self.links.close()

    # --- orders to all ----------------------------------------------------------------------------

    async def all(self, do: str, hosts: Iterable[str] | None = None, **fields: Any) -> list[Any]:
        """The same order to all hosts at once; the answers in the order of the hosts."""
        timeout_s = fields.pop("timeout_s", 120.0)
        return await asyncio.gather(
            *(
                self.children[host].order(do, timeout_s=timeout_s, **fields)
                for host in (self.hosts if hosts is None else hosts)
            )
        )

    async def open(self, keys: int, value_bytes: int) -> None:
        """Define the stores and write every key, each host its part; then all have all."""
        parts = len(self.hosts)
        fields = {"keys": keys, "value_bytes": value_bytes, "parts": parts, "timeout_s": 120.0}
        for part, host in enumerate(self.hosts):
            await self.children[host].order("open", part=part, **fields)
        await self.even()

    async def load_levels(self, work: dict[str, Any], hosts: tuple[str, ...]) -> Load:
        """The load at these hosts together: what is in flight is shared out."""
        total, count = work["in_flight"], len(hosts)
        shares = [total // count + (n < total % count) for n in range(count)]
        timeout_s = work["warmup_s"] + work["seconds"] + LOAD_GRACE_S
        rows = await asyncio.gather(
            *(
                self.children[host].order(
                    "store_load", timeout_s=timeout_s, **{**work, "in_flight": share}
                )
                for host, share in zip(hosts, shares, strict=True)
            )
        )
        loads = [Load.from_json(row) for row in rows]
        if total == 0:  # bursts end when they end: a rate each, and rates add up
            seconds = work["seconds"]
            for load in loads:
                load.ops = round(load.ops * seconds / load.window_s) if load.window_s else 0
                load.window_s = seconds
        return together(loads)

    # --- how far they are -------------------------------------------------------------------------

    async def positions(self) -> dict[str, int]:
        """What has become durable anywhere, by actor."""
        joined: dict[str, int] = {}
        for row in await self.all("positions"):
            for actor, seq in row.items():
                joined[actor] = max(seq, joined.get(actor, 0))
        return joined

    async def even(
        self, since_ns: int | None = None, vector: dict[str, int] | None = None
    ) -> float:
        """Wait until every host has `vector` (all that any host has); seconds from `since_ns` (now)
        on."""
        if vector is None:
            vector = await self.positions()
        since = time.monotonic_ns() if since_ns is None else since_ns
        rows = await self.all(
            "wait_covers", vector=vector, within_s=COVER_WITHIN_S, timeout_s=COVER_WITHIN_S + 5
        )
        return max(0, max(row["at_ns"] for row in rows) - since) / 1e9

    async def same_content(self) -> None:
        """Raise `ChildFailed` unless all hosts hold the same, byte for byte."""
        found = await self.all("content")
        if len(set(found)) != 1:
            raise ChildFailed(f"the hosts hold different states: {found}")

    def cpu(self) -> float:
        """Processor seconds of all hosts so far."""
        return sum(cpu_s(pid) for pid in self.pids().values())
