"""Snapshots and state generations on a simulated disk: the seams of `MachineState`, in memory.

The law: as on files (`core.storage.snapshots`): whole or not at all, verified by hash, and what is
complete survives a crash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from quorate.chaos.sim.disks import FIRST_GENERATION, HostDisk
from quorate.core import codec
from quorate.core.clock import Scheduler
from quorate.core.errors import CorruptStorage, StorageFull, UsageError
from quorate.core.machine.machine import Machine
from quorate.core.machine.store import TABLES
from quorate.core.raft.replicated import MachineState
from quorate.core.storage.disk_model import DiskImage
from quorate.core.storage.memory_engine import MemoryEngine
from quorate.core.storage.snapshots import (
    Done,
    ExportDone,
    InstallDone,
    Manifest,
    check_manifest,
    manifest_of,
)


class SimGenerations:
    """Engines by the name of their generation."""

    def __init__(self, disk: HostDisk, scheduler: Scheduler) -> None:
        self._disk, self._scheduler = disk, scheduler
        self.engine: MemoryEngine
        self.generation = FIRST_GENERATION

    def open(self, generation: str) -> MemoryEngine:
        if generation and generation not in self._disk.states:
            raise CorruptStorage(f"the journal names the state {generation!r}, which is not here")
        self.generation = generation or FIRST_GENERATION
        image = self._disk.states.get(self.generation)
        self.engine = MemoryEngine(TABLES, self._scheduler, self._disk.model, image=image)
        return self.engine

    def remove_others(self, keep: str) -> None:
        for name in [name for name in self._disk.states if name != (keep or FIRST_GENERATION)]:
            del self._disk.states[name]


class SimSnapshots:
    """See `core.storage.snapshots.Snapshots`."""

    def __init__(
        self, disk: HostDisk, scheduler: Scheduler, engine: Callable[[], MemoryEngine]
    ) -> None:
        self._disk, self._scheduler, self._engine = disk, scheduler, engine

    def _later(self, act: Callable[[], None]) -> None:
        self._scheduler.call_later(self._disk.model.latency_s() * 5, act)

    # --- giving ---------------------------------------------------------------------------------

    def export(self, index: int, term: int, config: dict[str, Any], done: ExportDone) -> None:
        tables = self._engine().image().tables
        data = codec.dumps([[name, list(rows.items())] for name, rows in sorted(tables.items())])
        manifest = manifest_of(
            index=index,
            term=term,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            config=config,
        )

        def written() -> None:
            if self._disk.model.full:
                done(None, StorageFull("the simulated disk is full"))
                return
            self._disk.snapshot = (manifest, data)
            done(manifest, None)

        self._later(written)

    def latest(self) -> Manifest | None:
        return None if self._disk.snapshot is None else self._disk.snapshot[0]

    def read(self, snapshot_id: str, offset: int, length: int) -> bytes | None:
        held = self._disk.snapshot
        if held is None or held[0]["id"] != snapshot_id:
            return None
        return held[1][offset : offset + length]

    # --- taking ---------------------------------------------------------------------------------

    def begin_receive(self, manifest: Manifest) -> int:
        check_manifest(manifest)
        partial = self._disk.partial
        if partial is None or partial[0]["id"] != manifest["id"]:
            partial = self._disk.partial = (manifest, bytearray())
        return len(partial[1])

    def _partial(self, snapshot_id: str) -> bytearray:
        partial = self._disk.partial
        if partial is None or partial[0]["id"] != snapshot_id:
            raise UsageError(f"snapshot {snapshot_id} is not being received")
        return partial[1]

    def write(self, snapshot_id: str, offset: int, data: bytes) -> int:
        partial = self._partial(snapshot_id)
        if self._disk.model.full:
            raise StorageFull("the simulated disk is full")
        if offset == len(partial):
            if self._disk.flip_a_bit and data:
                self._disk.flip_a_bit = False
                data = bytes([data[0] ^ 1]) + data[1:]
            partial.extend(data)
        return len(partial)

    def finish(self, snapshot_id: str, done: Done) -> None:
        data = bytes(self._partial(snapshot_id))
        assert self._disk.partial is not None
        manifest, self._disk.partial = self._disk.partial[0], None

        def finished() -> None:
            if hashlib.sha256(data).hexdigest() != manifest["sha256"]:
                done(CorruptStorage("the received snapshot does not have its hash"))
            elif self._disk.model.full:
                done(StorageFull("the simulated disk is full"))
            else:
                self._disk.snapshot = (manifest, data)
                done(None)

        self._later(finished)

    def install(self, snapshot_id: str, done: InstallDone) -> None:
        held = self._disk.snapshot

        def installed() -> None:
            if held is None or held[0]["id"] != snapshot_id:
                done(None, UsageError(f"snapshot {snapshot_id} is not here"))
                return
            self._disk.generations += 1
            name = f"state-{self._disk.generations:06d}"
            self._disk.states[name] = DiskImage(
                {table: dict(rows) for table, rows in codec.loads(held[1])}
            )
            done(name, None)

        self._later(installed)

    def drop_partial(self, snapshot_id: str) -> None:
        self._disk.partial = None

    def statistics(self) -> dict[str, object]:
        return {"latest": self.latest()}


class SimState(MachineState):
    """The product's replicated state on a simulated disk."""

    machine_class: type[Machine] = Machine

    def __init__(self, disk: HostDisk, scheduler: Scheduler, generation: str) -> None:
        self.places = SimGenerations(disk, scheduler)
        super().__init__(
            generations=self.places,
            generation=generation,
            snapshots=lambda _: SimSnapshots(disk, scheduler, lambda: self.places.engine),
            scheduler=scheduler,
            machine=self.machine_class,
        )
        self.places.remove_others(generation)
