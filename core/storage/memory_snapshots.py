"""Snapshots for the simulator: the same protocol over bytes in memory that survive a simulated
crash.

The law of this file: everything on the owning thread, by the scheduler; a crash is the end of this
object, the `SnapshotDisk` goes on with what was complete and with the partial.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from quorate.core import codec
from quorate.core.clock import Scheduler
from quorate.core.errors import CorruptStorage, Overloaded, StorageFull, UsageError
from quorate.core.storage.disk_model import DiskImage, DiskModel
from quorate.core.storage.engine import Engine
from quorate.core.storage.snapshots import (
    Done,
    ExportDone,
    InstallDone,
    Manifest,
    check_manifest,
    manifest_of,
    surplus,
)

_COPY = Path("snapshot")


@dataclass(slots=True)
class SnapshotDisk:
    """What survives a crash: complete snapshots, the partial, and the state generations made of
    them.
    """

    complete: dict[str, tuple[Manifest, bytes]] = field(
        default_factory=dict[str, tuple[Manifest, bytes]]
    )
    partial: tuple[Manifest, bytearray] | None = None
    generations: dict[str, DiskImage] = field(default_factory=dict[str, DiskImage])
    generation_count: int = 1


class MemorySnapshotStore:
    """See `quorate.core.storage.snapshots.Snapshots`. The engine must be a MemoryEngine over
    `disk`.
    """

    def __init__(
        self,
        kept: SnapshotDisk,
        *,
        engine: Callable[[], Engine],
        disk: DiskModel,
        scheduler: Scheduler,
    ) -> None:
        self._kept = kept
        self._engine = engine
        self._disk = disk
        self._scheduler = scheduler
        self._exporting = False
        self._crashed = False

    def export(self, index: int, term: int, config: dict[str, Any], done: ExportDone) -> None:
        if self._exporting:
            done(None, Overloaded("a snapshot is being made already"))
            return
        self._exporting = True
        about = partial(manifest_of, index=index, term=term, config=config)
        self._engine().copy_to(_COPY, partial(self._on_copied, about, done))

    def _on_copied(
        self, about: Callable[..., Manifest], done: ExportDone, error: Exception | None
    ) -> None:
        self._exporting = False
        if error is not None:
            done(None, error)
            return
        data = image_to_bytes(self._disk.copies.pop(_COPY))
        manifest = about(size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        self._admit(manifest, data)
        done(manifest, None)

    def latest(self) -> Manifest | None:
        return max(
            (manifest for manifest, _ in self._kept.complete.values()),
            key=lambda found: (found["index"], found["term"]),
            default=None,
        )

    def read(self, snapshot_id: str, offset: int, length: int) -> bytes | None:
        found = self._kept.complete.get(snapshot_id)
        if found is None or offset < 0 or length < 0:
            return None
        return found[1][offset : offset + length]

    def begin_receive(self, manifest: Manifest) -> int:
        wanted = check_manifest(manifest)
        if wanted["id"] in self._kept.complete:
            return wanted["size_bytes"]
        if self._kept.partial is not None and self._kept.partial[0] == wanted:
            return len(self._kept.partial[1])
        if self._disk.full:
            raise StorageFull("the simulated disk is full; writes resume by themselves")
        self._kept.partial = (wanted, bytearray())
        return 0

    def write(self, snapshot_id: str, offset: int, data: bytes) -> int:
        if snapshot_id in self._kept.complete:
            return len(self._kept.complete[snapshot_id][1])
        if self._kept.partial is None or self._kept.partial[0]["id"] != snapshot_id:
            raise UsageError(f"the snapshot {snapshot_id} is not being received here")
        manifest, held = self._kept.partial
        if offset == len(held):
            if offset + len(data) > manifest["size_bytes"]:
                raise UsageError(f"bytes past the end of the snapshot {snapshot_id}")
            if self._disk.full:
                raise StorageFull("the simulated disk is full; writes resume by themselves")
            held += data
        return len(held)

    def finish(self, snapshot_id: str, done: Done) -> None:
        if snapshot_id in self._kept.complete:
            done(None)
        elif self._kept.partial is None or self._kept.partial[0]["id"] != snapshot_id:
            done(UsageError(f"the snapshot {snapshot_id} is not being received here"))
        else:
            self._later(partial(self._verify, snapshot_id, done))

    def _verify(self, snapshot_id: str, done: Done) -> None:
        if self._kept.partial is None or self._kept.partial[0]["id"] != snapshot_id:
            done(UsageError(f"the snapshot {snapshot_id} is not being received here"))
            return
        manifest, held = self._kept.partial
        self._kept.partial = None
        digest = hashlib.sha256(held).hexdigest()
        if len(held) != manifest["size_bytes"] or digest != manifest["sha256"]:
            done(CorruptStorage(f"the snapshot {snapshot_id} arrived damaged: it is thrown away"))
            return
        self._admit(manifest, bytes(held))
        done(None)

    def install(self, snapshot_id: str, done: InstallDone) -> None:
        if snapshot_id not in self._kept.complete:
            done(None, UsageError(f"there is no complete snapshot {snapshot_id} here"))
            return
        self._later(partial(self._install, snapshot_id, done))

    def _install(self, snapshot_id: str, done: InstallDone) -> None:
        found = self._kept.complete.get(snapshot_id)
        if found is None:
            done(None, UsageError(f"there is no complete snapshot {snapshot_id} here"))
            return
        self._kept.generation_count += 1
        name = f"state-{self._kept.generation_count:06d}"
        self._kept.generations[name] = image_from_bytes(found[1])
        done(name, None)

    def drop_partial(self, snapshot_id: str) -> None:
        if self._kept.partial is not None and self._kept.partial[0]["id"] == snapshot_id:
            self._kept.partial = None

    def crash(self) -> None:
        """No callback of this object runs any more."""
        self._crashed = True

    def _admit(self, manifest: Manifest, data: bytes) -> None:
        complete = self._kept.complete
        complete[manifest["id"]] = (manifest, data)
        for name in surplus([found for found, _ in complete.values()]):
            del complete[name]

    def _later(self, callback: Callable[[], object]) -> None:
        def unless_crashed() -> None:
            if not self._crashed:
                callback()

        self._scheduler.call_later(self._disk.latency_s(), unless_crashed)

    def statistics(self) -> dict[str, object]:
        latest = self.latest()
        held = self._kept.partial
        return {
            "kept": len(self._kept.complete),
            "latest_index": None if latest is None else latest["index"],
            "exporting": self._exporting,
            "receiving": None if held is None else held[0]["id"],
            "received_bytes": 0 if held is None else len(held[1]),
        }


def image_to_bytes(image: DiskImage) -> bytes:
    """The tables as CBOR, in key order, so that equal states make equal snapshots."""
    return codec.dumps(
        [[name, sorted(records.items())] for name, records in sorted(image.tables.items())]
    )


def image_from_bytes(data: bytes) -> DiskImage:
    tables = cast("list[tuple[str, list[tuple[bytes, bytes]]]]", codec.loads(data))
    return DiskImage({name: dict(records) for name, records in tables})
