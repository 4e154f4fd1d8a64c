"""quorate's hosts to be filled: any number that vote, and any number that learn.

The law of this file: the hosts run with their defaults. A learner is started empty and added to a
running group, as a user does it.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from quorate.bench.growth_worker import ASKED
from quorate.bench.load import Load
from quorate.bench.systems.base import LOAD_GRACE_S
from quorate.bench.systems.raft_group import START_TIMEOUT_S
from quorate.bench.systems.store_group import StoreGroup
from quorate.bench.usage import MB, cpu_s, memory_mb
from quorate.core.wire.ports import free_addresses

ORDER_TIMEOUT_S = 900.0


class GrowthGroup(StoreGroup):
    """`hosts` vote."""

    module: ClassVar[str] = "quorate.bench.growth_worker"

    def __init__(self, hosts: tuple[str, ...]) -> None:
        super().__init__(hosts)
        self.learners: list[str] = []

    def more_settings(self, host: str) -> dict[str, Any]:
        if host not in self.learners:
            return {}
        return {"join": True, "peers": {each: self.peers[each] for each in self.hosts}}

    async def add_learner(self) -> str:
        """Start one more host and let it learn; returns its id when it has caught up."""
        host = f"l{len(self.learners) + 1}"
        self.learners.append(host)
        self.peers = {**self.peers, host: free_addresses(1)[0]}
        await self.start_host(host)
        leader = await self.leader()
        address = self.peers[host]
        await self.order(leader, "add_learner", learner=host, address=address)
        await self.wait_caught_up(host, START_TIMEOUT_S)
        return host

    async def order(self, host: str, do: str, **fields: Any) -> Any:
        """An order to one host."""
        return await self.children[host].order(do, timeout_s=ORDER_TIMEOUT_S, **fields)

    async def prepare(self, *, agents: bool) -> None:
        """Define the store on all voters; with `agents` start those that are asked."""
        for host in self.hosts:
            await self.order(host, "prepare", agents=agents)

    async def fill(self, thing: str, first: int, count: int, **fields: Any) -> float:
        """Make `count` items from all voters, each its share; seconds until the last is made."""
        shares = [
            count // len(self.hosts) + (n < count % len(self.hosts)) for n in range(len(self.hosts))
        ]
        starts = [first + sum(shares[:n]) for n in range(len(shares))]
        rows = await asyncio.gather(
            *(
                self.order(host, "put_in", thing=thing, first=start, count=share, **fields)
                for host, start, share in zip(self.hosts, starts, shares, strict=True)
            )
        )
        return max(float(row["seconds"]) for row in rows)

    async def passive(self, within_s: float) -> int:
        """Wait until no agents are in memory but those that are asked; how many more there are."""
        rows = await self.all("passive", within_s=within_s, timeout_s=within_s + 30)
        return sum(max(0, row["active"] - ASKED) for row in rows)

    async def flush_stores(self, within_s: float) -> None:
        """Have every host write the states of its keys to its disk."""
        await self.all("flush_stores", timeout_s=within_s)

    async def use(self, host: str, **work: Any) -> tuple[Load, float]:
        """A load at one host; with the processor seconds of all hosts meanwhile."""
        before = self.cpu()
        timeout_s = work["warmup_s"] + work["seconds"] + LOAD_GRACE_S
        row = await self.children[host].order("use", timeout_s=timeout_s, **work)
        return Load.from_json(row), self.cpu() - before

    def cpu(self) -> float:
        """Processor seconds of all hosts so far, learners included."""
        return sum(cpu_s(child.pid) for child in self.children.values())

    def memory_bytes(self) -> dict[str, dict[str, float]]:
        """`rss` and `anonymous` of every host, in bytes."""
        found = {host: memory_mb(child.pid) for host, child in self.children.items()}
        return {host: {k: v * MB for k, v in row.items()} for host, row in found.items()}
