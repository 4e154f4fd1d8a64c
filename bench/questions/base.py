"""What a question is given, and what it gives back.

The law of this file: a question gets a plan, the systems to ask, and folders that are removed for
it; it returns plain values for the result file. It leaves no process behind, however it ends.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quorate.bench.machine import disk
from quorate.bench.plan import Plan
from quorate.bench.systems import RaftGroup, System
from quorate.bench.systems.base import HOSTS
from quorate.bench.systems.store_group import StoreGroup

SYNC_PROBE_S = 0.2


@dataclass(slots=True)
class Context:
    """One run."""

    plan: Plan
    systems: list[type[System]]
    """Those that are asked, ours first."""
    folder: Path
    say: Callable[[str], None]
    """Tells the user how far it is."""
    rng: random.Random
    found: dict[str, Any] = field(default_factory=dict[str, Any])
    """The results so far, by question: kept when the run is interrupted."""
    sync_us: list[float] = field(default_factory=list[float])
    """The disk's sync time before each system was started: how quiet the machine was."""
    _folders: int = 0

    @asynccontextmanager
    async def fresh_folder(self, name: str) -> AsyncGenerator[Path]:
        """An empty folder on the measured disk, gone afterwards."""
        self._folders += 1
        folder = self.folder / f"{self._folders:03d}-{name}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @asynccontextmanager
    async def running(self, kind: type[System]) -> AsyncGenerator[System]:
        """A system, started in an empty folder; stopped and its data gone afterwards."""
        async with self.fresh_folder(kind.name) as folder:
            self.sync_us.append(disk(folder, SYNC_PROBE_S)["fdatasync_4k_p50_us"])
            system = kind()
            try:
                await system.start(folder)
                yield system
            finally:
                await system.stop()

    @asynccontextmanager
    async def group(self) -> AsyncGenerator[RaftGroup]:
        """Our own group of three."""
        async with self.running(RaftGroup) as system:
            assert isinstance(system, RaftGroup)
            yield system

    @asynccontextmanager
    async def store_group(
        self, hosts: tuple[str, ...] = HOSTS, *, relayed: bool = False
    ) -> AsyncGenerator[StoreGroup]:
        """Our own hosts with a load on their stores."""
        async with self.fresh_folder("stores") as folder:
            self.sync_us.append(disk(folder, SYNC_PROBE_S)["fdatasync_4k_p50_us"])
            group = StoreGroup(hosts, relayed=relayed)
            try:
                await group.start(folder)
                yield group
            finally:
                await group.stop()


Ask = Callable[[Context], Awaitable[None]]
"""Puts its rows into `context.found` as it goes, so that nothing measured is lost."""
