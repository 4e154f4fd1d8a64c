"""What a measured system offers the questions, and the work it is given.

The law of this file: every system gets the same `Work`; who leads is asked anew for each load, so
that "on the leader" stays true after an election.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from quorate.bench.child import Child
from quorate.bench.load import Load, together

Where = Literal["leader", "elsewhere", "spread"]
HOSTS = ("a", "b", "c")
LOAD_GRACE_S = 30.0
LEADER_POLL_S = 0.05


class Missing(Exception):
    """A system is not installed here; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Work:
    """One load: `op` is "put" or "get" (linearizable)."""

    op: Literal["put", "get"]
    in_flight: int
    where: Where
    seconds: float
    warmup_s: float
    keys: int = 10_000
    value_bytes: int = 100

    @property
    def name(self) -> str:
        return f"{self.op}, {self.in_flight} in flight, {self.where}"

    def fields(self, in_flight: int) -> dict[str, Any]:
        """The order for one process of the load."""
        row = asdict(self)
        del row["where"]
        return {**row, "in_flight": in_flight}


class System(ABC):
    """Three processes of one kind. Started in an empty folder, stopped with nothing left."""

    name: ClassVar[str]
    durable: ClassVar[str]
    """What an acknowledged write is worth: on which disks."""
    synced: ClassVar[bool]
    variant: ClassVar[bool] = False
    """The same members as another system, written to in another way: asked about writes, and what
    clients outside see, alone."""
    outside: ClassVar[bool] = False
    """Whether the load comes from a process of its own, and not from inside the hosts."""
    marks: ClassVar[dict[str, str]] = {}
    """put, get -> what stands beside its figures, where it promises less than the others."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}

    @classmethod
    @abstractmethod
    def check(cls) -> None:
        """Raise `Missing` if it cannot be measured here."""

    @classmethod
    @abstractmethod
    def configuration(cls) -> dict[str, Any]:
        """Version and settings, as printed in the report."""

    @abstractmethod
    async def start(self, folder: Path) -> None:
        """Start all three and wait until they serve."""

    @abstractmethod
    async def leader(self) -> str:
        """The host that leads. Raises `ChildFailed`, `TimeoutError`."""

    @abstractmethod
    async def _load_at(self, hosts: list[str], work: Work) -> Load:
        """Run the load at these hosts together."""

    @abstractmethod
    async def stop(self) -> None:
        """End every process."""

    def offers(self, work: Work) -> bool:
        """Whether it can do such work where the work says; what it cannot is not asked."""
        del work
        return True

    def pids(self) -> dict[str, int]:
        """The processes that keep the state, by host."""
        return {host: self.children[host].pid for host in HOSTS if host in self.children}

    async def load(self, work: Work) -> Load:
        """Run one load where the work says."""
        leader = await self.leader()
        others = [host for host in HOSTS if host != leader]
        places: dict[str, list[str]] = {
            "leader": [leader],
            "elsewhere": others[:1],
            "spread": list(HOSTS),
        }
        return await self._load_at(places[work.where], work)

    async def _order_loads(self, hosts: list[str], work: Work) -> Load:
        """The load of processes that carry it themselves: what is in flight is shared out."""
        shares = [
            work.in_flight // len(hosts) + (n < work.in_flight % len(hosts))
            for n in range(len(hosts))
        ]
        timeout_s = work.warmup_s + work.seconds + LOAD_GRACE_S
        rows = await asyncio.gather(
            *(
                self.children[host].order("load", timeout_s=timeout_s, **work.fields(share))
                for host, share in zip(hosts, shares, strict=True)
            )
        )
        return together([Load.from_json(row) for row in rows])
