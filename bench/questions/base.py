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

from quorate.bench.child import ChildFailed
from quorate.bench.machine import disk
from quorate.bench.plan import Plan
from quorate.bench.systems import RaftGroup, System
from quorate.bench.systems.agent_system import AgentSystem
from quorate.bench.systems.base import HOSTS
from quorate.bench.systems.growth_group import GrowthGroup
from quorate.bench.systems.store_group import StoreGroup

SYNC_PROBE_S = 0.2


class DidNotStart(ChildFailed):
    """A peer did not start; the text is its reason, with the last it said."""


@dataclass(slots=True)
class Context:
    """One run."""

    plan: Plan
    systems: list[type[System]]
    """Those that are asked, ours first."""
    agent_systems: list[type[AgentSystem]]
    """Those that are asked about agents, ours first."""
    folder: Path
    say: Callable[[str], None]
    """Tells the user how far it is."""
    rng: random.Random
    found: dict[str, Any] = field(default_factory=dict[str, Any])
    """The results so far, by question: kept when the run is interrupted."""
    sync_us: list[float] = field(default_factory=list[float])
    """The disk's sync time before each system was started: how quiet the machine was."""
    lost: dict[str, str] = field(default_factory=dict[str, str])
    """Peer that did not start or failed under a question -> the reason."""
    _folders: int = 0

    @property
    def distinct(self) -> list[type[System]]:
        """The systems without variants of another."""
        return [kind for kind in self.systems if not kind.variant]

    def patient_with(self, kinds: list[type[AgentSystem]]) -> list[type[AgentSystem]]:
        """Those that this plan has the time for."""
        return [kind for kind in kinds if self.plan.slow_peers or not kind.slow]

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
    async def unless_lost(self, kind: type[System | AgentSystem]) -> AsyncGenerator[None]:
        """Put it before `running`: a peer that does not start is named and not asked again; one
        that fails is named; the question goes on with the others."""
        try:
            yield
        except ChildFailed as error:
            if issubclass(kind, RaftGroup):
                raise
            self.lost[kind.name] = str(error)
            self.say(f"{kind.name} is left out: {error}")
            if isinstance(error, DidNotStart):
                self.systems = [each for each in self.systems if each is not kind]
                self.agent_systems = [each for each in self.agent_systems if each is not kind]

    @asynccontextmanager
    async def running(self, kind: type[System]) -> AsyncGenerator[System]:
        """A system, started in an empty folder; stopped and its data gone afterwards."""
        async with self.fresh_folder(kind.name) as folder:
            self.sync_us.append(disk(folder, SYNC_PROBE_S)["fdatasync_4k_p50_us"])
            system = kind()
            try:
                await _start(system, folder)
                yield system
            finally:
                await system.stop()

    @asynccontextmanager
    async def running_agents(self, kind: type[AgentSystem]) -> AsyncGenerator[AgentSystem]:
        """The same for a system of agents."""
        async with self.fresh_folder(kind.name) as folder:
            self.sync_us.append(disk(folder, SYNC_PROBE_S)["fdatasync_4k_p50_us"])
            system = kind()
            try:
                await _start(system, folder)
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

    @asynccontextmanager
    async def growth_group(self, hosts: tuple[str, ...] = HOSTS) -> AsyncGenerator[GrowthGroup]:
        """Our own hosts to be filled."""
        async with self.fresh_folder("growth") as folder:
            self.sync_us.append(disk(folder, SYNC_PROBE_S)["fdatasync_4k_p50_us"])
            group = GrowthGroup(hosts)
            try:
                await group.start(folder)
                yield group
            finally:
                await group.stop()


async def _start(system: System | AgentSystem, folder: Path) -> None:
    """Start it. Raises `DidNotStart` for a peer; what is ours starts, or the question failed."""
    try:
        await system.start(folder)
    except Exception as error:
        if isinstance(system, RaftGroup):
            raise
        text = str(error) if isinstance(error, ChildFailed) else f"{type(error).__name__}: {error}"
        raise DidNotStart(text) from error


Ask = Callable[[Context], Awaitable[None]]
"""Puts its rows into `context.found` as it goes, so that nothing measured is lost."""
