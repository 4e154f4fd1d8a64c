"""What a system of agents offers the questions about agents: three hosts, and orders to them.

The law of this file: every system is asked the same with the same load generator; what a system
does not have (`lacks`) is not asked and said in the report. How many agents are made is the
system's: where each is a process, there cannot be a thousand.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from quorate.bench.child import Child
from quorate.bench.load import Load, together
from quorate.bench.systems.base import HOSTS, LOAD_GRACE_S
from quorate.bench.usage import cpu_s, memory_mb

ORDER_TIMEOUT_S = 120.0
OPS = ("ask", "strong", "eventual", "stored")


class AgentSystem(ABC):
    """Three hosts with agents. Started in an empty folder, stopped with nothing left."""

    name: ClassVar[str]
    durable: ClassVar[str]
    synced: ClassVar[bool]
    ops: ClassVar[tuple[str, ...]] = ("ask",)
    """Which of `OPS` its agents have."""
    moves: ClassVar[bool] = False
    """Whether an agent can be ordered to another host."""
    slow: ClassVar[bool] = False
    """It needs half a minute to start; see `Plan.slow_peers`."""
    drains: ClassVar[bool] = False
    agents_per_host: ClassVar[int] = 200
    watched_max_agents: ClassVar[int] = 1_000_000
    """How many agents of one host it can have for the question of failovers."""
    named_max_agents: ClassVar[int] = 1_000_000
    lacks: ClassVar[dict[str, str]] = {}
    """What is not asked of it, and why."""

    hosts: tuple[str, ...] = HOSTS
    children: dict[str, Child]

    @classmethod
    @abstractmethod
    def check(cls) -> None:
        """Raise `Missing` if it cannot be measured here."""

    @classmethod
    @abstractmethod
    def agent_configuration(cls) -> dict[str, Any]:
        """Version and settings, as printed in the report."""

    @abstractmethod
    async def start(self, folder: Path) -> None:
        """Start all three and wait until they serve."""

    @abstractmethod
    async def stop(self) -> None:
        """End every process."""

    async def kill_host(self, host: str) -> None:
        """kill -9; returns when that is done."""
        raise NotImplementedError

    async def renew_host(self, host: str) -> None:
        """Start it again after a kill or a drain; returns when it takes agents."""
        raise NotImplementedError

    async def victim(self, number: int) -> str:
        """The host that the kill of this number takes."""
        del number
        return self.hosts[-1]

    # --- orders -----------------------------------------------------------------------------------

    async def order(self, host: str, do: str, **fields: Any) -> Any:
        """An order to one host."""
        timeout_s = fields.pop("timeout_s", ORDER_TIMEOUT_S)
        return await self.children[host].order(do, timeout_s=timeout_s, **fields)

    async def all(self, do: str, hosts: tuple[str, ...] = (), **fields: Any) -> list[Any]:
        """The same order to several hosts (all) at once."""
        work = (self.order(host, do, **fields) for host in hosts or self.hosts)
        return await asyncio.gather(*work)

    async def each(self, do: str, work: dict[str, dict[str, Any]], **fields: Any) -> list[Any]:
        """An order to several hosts at once, with what is each one's own."""
        return await asyncio.gather(
            *(self.order(host, do, **own, **fields) for host, own in work.items())
        )

    async def load_agents(
        self, op: str, names: dict[str, list[str]], in_flight: int, window: dict[str, float]
    ) -> Load:
        """A load at the hosts of `names`, each on its names; what is in flight is shared out."""
        count = len(names)
        shares = [in_flight // count + (n < in_flight % count) for n in range(count)]
        timeout_s = window["warmup_s"] + window["seconds"] + LOAD_GRACE_S
        rows = await asyncio.gather(
            *(
                self.order(
                    host,
                    "agent_load",
                    names=names[host],
                    op=op,
                    in_flight=share,
                    timeout_s=timeout_s,
                    **window,
                )
                for host, share in zip(names, shares, strict=True)
                if share
            )
        )
        return together([Load.from_json(row) for row in rows])

    async def make(self, prefix: str, per_host: int | None = None) -> dict[str, list[str]]:
        """Agents on every host: host -> their names."""
        count = per_host or self.agents_per_host
        made = await self.all("make", prefix=prefix, count=count, timeout_s=300.0)
        return dict(zip(self.hosts, made, strict=True))

    async def forget(self, host: str, prefix: str) -> None:
        """End the agents whose names begin so, if the system ends agents."""
        del host, prefix

    async def rest(self, seconds: float) -> None:
        """Let it go on as it is for a while."""
        await asyncio.sleep(seconds)

    # --- what it uses -----------------------------------------------------------------------------

    async def processes(self, host: str) -> list[int]:
        """The processes of one host."""
        return [self.children[host].pid]

    async def memory(self, host: str) -> dict[str, float]:
        """Resident and anonymous MB of one host."""
        rows = [memory_mb(pid) for pid in await self.processes(host)]
        return {key: sum(row[key] for row in rows) for key in ("rss", "anonymous")}

    async def cpu(self) -> float:
        """Processor seconds of all hosts so far."""
        found = [await self.processes(host) for host in self.hosts]
        return sum(cpu_s(pid) for pids in found for pid in pids)
