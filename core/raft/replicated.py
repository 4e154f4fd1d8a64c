"""The replicated state as it really is: a machine over a state store over an engine, with snapshots
of it.

The law: what the machine applied becomes durable with its applied index, in one transaction, or not
at all; a snapshot shows exactly the durable index it is labelled with; after `switch` the machine
continues from the received state and nothing of the old one is left. The same code runs over LMDB
and over the simulator's memory: engines and snapshots are handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from quorate.core.clock import Scheduler
from quorate.core.errors import Stopped
from quorate.core.machine.machine import Machine
from quorate.core.machine.store import TABLES
from quorate.core.raft.members import Configuration
from quorate.core.raft.state import Done, Results, Snapshot
from quorate.core.storage.engine import Engine
from quorate.core.storage.faults import NO_FAULTS, StorageFaults
from quorate.core.storage.generations import FIRST_GENERATION, StateGenerations
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.snapshot_files import SnapshotStore
from quorate.core.storage.snapshots import Manifest, Snapshots
from quorate.core.storage.state_store import StateStore

STATE_FORMAT = 1


class Generations(Protocol):
    """Where state generations live."""

    def open(self, generation: str) -> Engine:
        """The engine of a generation; "" is the first one."""
        ...

    def remove_others(self, keep: str) -> None:
        """The journal names `keep`: the others go."""
        ...


class MachineState:
    """See the law above, and `ReplicatedState` for the promises. Lives on the owning thread."""

    def __init__(
        self,
        *,
        generations: Generations,
        generation: str,
        snapshots: Callable[[Callable[[], Engine]], Snapshots],
        scheduler: Scheduler,
        machine: Callable[[StateStore], Machine] = Machine,
    ) -> None:
        self._generations = generations
        self._engine = generations.open(generation)
        self.store = StateStore(self._engine, scheduler, tables=TABLES)
        self.machine = machine(self.store)
        self.snapshots = snapshots(lambda: self._engine)
        self._durable = (self.machine.applied_index, self.machine.applied_term)
        self._flushing = False
        self._after_flush: list[Callable[[], None]] = []

    # --- applying ---------------------------------------------------------------------------------

    @property
    def applied_index(self) -> int:
        return self.machine.applied_index

    @property
    def durable_index(self) -> int:
        return self._durable[0]

    @property
    def dirty(self) -> bool:
        return self._durable[0] < self.machine.applied_index

    @property
    def wants_flush(self) -> bool:
        return self.store.wants_flush

    @property
    def overloaded(self) -> bool:
        return self.store.overloaded

    def apply(self, index: int, term: int, batches: list[bytes]) -> Results:
        return self.machine.apply(index, term, batches)

    def flush(self, done: Done) -> None:
        """Make everything applied so far durable, with the applied index."""
        self.machine.before_flush()
        mark = (self.machine.applied_index, self.machine.applied_term)
        self._flushing = True

        def flushed(error: Exception | None) -> None:
            self._flushing = False
            if error is None:
                self._durable = max(self._durable, mark)
            waiting, self._after_flush = self._after_flush, []
            for callback in waiting:
                callback()
            done(None if isinstance(error, Stopped) else error)

        self.store.flush(flushed)

    def flush_blocking(self) -> None:
        """The last flush of a host that stops. Raises StorageFull or StorageFailed."""
        self.machine.before_flush()
        self.store.flush_blocking()
        self._durable = (self.machine.applied_index, self.machine.applied_term)

    # --- snapshots, as their maker ----------------------------------------------------------------

    def export(self, configuration_at: Callable[[int], Configuration], done: Done) -> None:
        if self._flushing:  # what is on disk is uncertain until the flush ends
            self._after_flush.append(lambda: self.export(configuration_at, done))
            return
        index, term = self._durable
        members = {"members": configuration_at(index).to_wire()}
        self.snapshots.export(index, term, members, lambda _, error: done(error))

    def latest(self) -> Snapshot | None:
        manifest = self.snapshots.latest()
        return None if manifest is None else _from_manifest(manifest)

    def read(self, snapshot_id: str, offset: int, length: int) -> bytes | None:
        return self.snapshots.read(snapshot_id, offset, length)

    # --- snapshots, as their receiver -------------------------------------------------------------

    def begin_receive(self, snapshot: Snapshot) -> int:
        return self.snapshots.begin_receive(_to_manifest(snapshot))

    def write(self, snapshot_id: str, offset: int, data: bytes) -> int:
        return self.snapshots.write(snapshot_id, offset, data)

    def prepare(
        self, snapshot: Snapshot, done: Callable[[str | None, Exception | None], None]
    ) -> None:
        def finished(error: Exception | None) -> None:
            if error is not None:
                done(None, error)
            else:
                self.snapshots.install(snapshot.id, done)

        self.snapshots.finish(snapshot.id, finished)

    def switch(self, generation: str) -> None:
        self._engine = self._generations.open(generation)
        self.store.replace(self._engine).close()
        self.machine.reload()
        self._durable = (self.machine.applied_index, self.machine.applied_term)
        self._generations.remove_others(generation)

    # --- life -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the engine; nothing is flushed."""
        self._engine.close()

    def statistics(self) -> dict[str, Any]:
        return {
            "applied_index": self.applied_index,
            "durable_index": self.durable_index,
            "store": self.store.statistics(),
            "machine": self.machine.statistics(),
            "snapshots": self.snapshots.statistics(),
        }


def _from_manifest(manifest: Manifest) -> Snapshot:
    return Snapshot(
        id=manifest["id"],
        index=manifest["index"],
        term=manifest["term"],
        size=manifest["size_bytes"],
        sha256=manifest["sha256"],
        configuration=Configuration.from_wire(manifest["config"].get("members", [])),
    )


def _to_manifest(snapshot: Snapshot) -> Manifest:
    return {
        "id": snapshot.id,
        "index": snapshot.index,
        "term": snapshot.term,
        "size_bytes": snapshot.size,
        "sha256": snapshot.sha256,
        "format": 1,
        "config": {"members": snapshot.configuration.to_wire()},
    }


class LmdbGenerations:
    """State generations as LMDB folders below `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        cluster_id: str,
        post: Callable[[Callable[[], object]], object],
        call_later: Callable[[float, Callable[[], object]], object],
        faults: StorageFaults = NO_FAULTS,
    ) -> None:
        self.files = StateGenerations(folder)
        self._cluster_id = cluster_id
        self._post = post
        self._call_later = call_later
        self._faults = faults

    def open(self, generation: str) -> LmdbEngine:
        """A state travels between hosts, so it knows its cluster and not its host."""
        return LmdbEngine(
            self.files.path_of(generation or FIRST_GENERATION),
            tables=TABLES,
            post=self._post,
            call_later=self._call_later,
            format_version=STATE_FORMAT,
            identity={"cluster": self._cluster_id},
            faults=self._faults,
        )

    def remove_others(self, keep: str) -> None:
        self.files.remove_others(keep or FIRST_GENERATION)


def lmdb_state(
    folder: Path,
    *,
    cluster_id: str,
    generation: str,
    scheduler: Scheduler,
    post: Callable[[Callable[[], object]], object],
    call_later: Callable[[float, Callable[[], object]], object],
    faults: StorageFaults = NO_FAULTS,
    machine: Callable[[StateStore], Machine] = Machine,
) -> MachineState:
    """The state of a real host below `folder`: `state/` with its generations, `snapshots/`.

    `generation` is the one the journal names. Raises `WrongDataFolder`, `CorruptStorage`,
    `StorageFailed`.
    """
    generations = LmdbGenerations(
        folder / "state", cluster_id=cluster_id, post=post, call_later=call_later, faults=faults
    )

    def snapshots(engine: Callable[[], Engine]) -> SnapshotStore:
        return SnapshotStore(
            folder / "snapshots", engine=engine, generations=generations.files, post=post
        )

    state = MachineState(
        generations=generations,
        generation=generation,
        snapshots=snapshots,
        scheduler=scheduler,
        machine=machine,
    )
    generations.remove_others(generation)
    return state
