"""Snapshots as files: made, served, received and turned into state generations.

The law of this file: `<id>.snap` with its manifest `<id>.manifest` is complete and synced, the
manifest comes last; `<id>.part` with `<id>.part-manifest` is on its way. A kill at any point leaves
a complete one, a partial that can go on, or litter that the next start removes. Hashing, syncing
and copying happen on the worker thread; the owning thread only appends and reads chunks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from quorate.core import codec
from quorate.core.errors import (
    CorruptStorage,
    Overloaded,
    Stopped,
    StorageFull,
    UsageError,
)
from quorate.core.storage.engine import Engine
from quorate.core.storage.folder import free_bytes, newest_meta, sync_folder, write_durably
from quorate.core.storage.generations import StateGenerations, file_error
from quorate.core.storage.snapshots import (
    Done,
    ExportDone,
    InstallDone,
    Manifest,
    check_manifest,
    manifest_of,
    surplus,
)
from quorate.core.storage.worker import Post, Worker

_HASH_CHUNK_BYTES = 4 << 20
_EXPORTING = "exporting.tmp"


class SnapshotStore:
    """The snapshots of one host in one folder. See `quorate.core.storage.snapshots.Snapshots`.

    `engine` gives the engine that holds the state now (it changes with a generation).
    `reserve_bytes` stay free.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        engine: Callable[[], Engine],
        generations: StateGenerations,
        post: Post,
        reserve_bytes: int = 64 << 20,
    ) -> None:
        self._folder = Path(folder)
        self._engine = engine
        self._generations = generations
        self._reserve_bytes = reserve_bytes
        self._worker = Worker(post, name="snapshots")
        self._complete: dict[str, Manifest] = {}
        self._partial: Manifest | None = None
        self._next_offset = 0
        self._busy: set[str] = set()
        self._reading: tuple[str, int] | None = None
        self._exporting = False
        self._closed = False
        self._counts = {"exported": 0, "received": 0, "installed": 0, "refused": 0}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._recover()

    # --- making and serving -----------------------------------------------------------------------

    def export(self, index: int, term: int, config: dict[str, Any], done: ExportDone) -> None:
        engine = self._engine()
        if self._exporting:
            done(None, Overloaded("a snapshot is being made already"))
            return
        wanted = engine.statistics().get("used_bytes", 0)
        if isinstance(wanted, int) and not self._has_room(wanted):
            done(None, self._no_room(wanted))
            return
        self._exporting = True
        temporary = self._folder / _EXPORTING
        about = partial(manifest_of, index=index, term=term, config=config)
        engine.copy_to(temporary, partial(self._on_copied, temporary, about, done))

    def _on_copied(
        self,
        temporary: Path,
        about: Callable[..., Manifest],
        done: ExportDone,
        error: Exception | None,
    ) -> None:
        if error is not None or self._closed:
            self._exporting = False
            done(None, error or Stopped("the host is stopping"))
            return
        self._worker.run(
            partial(self._describe, temporary, about), partial(self._on_exported, done)
        )

    def _describe(self, temporary: Path, about: Callable[..., Manifest]) -> Manifest:
        """On the worker: hash the copy, name it, and write its manifest last."""
        size_bytes, digest = hash_of(temporary)
        manifest = about(size_bytes=size_bytes, sha256=digest)
        self._complete_file(temporary, manifest)
        return manifest

    def _on_exported(
        self, done: ExportDone, manifest: Manifest | None, error: Exception | None
    ) -> None:
        self._exporting = False
        if manifest is not None:
            self._counts["exported"] += 1
            self._admit(manifest)
        done(manifest, _explained(error, self._folder))

    def latest(self) -> Manifest | None:
        return max(
            self._complete.values(), key=lambda found: (found["index"], found["term"]), default=None
        )

    def read(self, snapshot_id: str, offset: int, length: int) -> bytes | None:
        if snapshot_id not in self._complete or offset < 0 or length < 0:
            return None
        if self._reading is None or self._reading[0] != snapshot_id:
            self._close_reading()
            handle = os.open(self._path(snapshot_id, "snap"), os.O_RDONLY | os.O_CLOEXEC)
            self._reading = (snapshot_id, handle)
        return os.pread(self._reading[1], length, offset)

    # --- receiving --------------------------------------------------------------------------------

    def begin_receive(self, manifest: Manifest) -> int:
        wanted = check_manifest(manifest)
        if wanted["id"] in self._complete:
            return wanted["size_bytes"]
        if self._partial == wanted:
            return self._next_offset
        if self._partial is not None:
            self.drop_partial(self._partial["id"])
        if not self._has_room(wanted["size_bytes"]):
            raise self._no_room(wanted["size_bytes"])
        try:
            self._path(wanted["id"], "part").write_bytes(b"")
            write_durably(self._path(wanted["id"], "part-manifest"), codec.dumps(wanted))
        except OSError as error:
            raise file_error(error, self._folder) from error
        self._partial, self._next_offset = wanted, 0
        return 0

    def write(self, snapshot_id: str, offset: int, data: bytes) -> int:
        if snapshot_id in self._complete:
            return self._complete[snapshot_id]["size_bytes"]
        if self._partial is None or self._partial["id"] != snapshot_id:
            raise UsageError(f"the snapshot {snapshot_id} is not being received here")
        if offset != self._next_offset or snapshot_id in self._busy or not data:
            return self._next_offset
        if offset + len(data) > self._partial["size_bytes"]:
            raise UsageError(f"bytes past the end of the snapshot {snapshot_id}")
        try:
            with self._path(snapshot_id, "part").open("r+b", buffering=0) as file:
                taken = os.pwrite(file.fileno(), data, offset)
        except OSError as error:
            raise file_error(error, self._folder) from error
        self._next_offset += taken
        return self._next_offset

    def finish(self, snapshot_id: str, done: Done) -> None:
        if snapshot_id in self._complete:
            done(None)
            return
        manifest = self._partial
        if manifest is None or manifest["id"] != snapshot_id or snapshot_id in self._busy:
            done(UsageError(f"the snapshot {snapshot_id} is not being received here"))
            return
        self._busy.add(snapshot_id)
        self._worker.run(
            partial(self._verify, manifest), partial(self._on_finished, manifest, done)
        )

    def _verify(self, manifest: Manifest) -> None:
        """On the worker: sync, compare size and hash, check the meta pages; then it is complete."""
        path = self._path(manifest["id"], "part")
        size_bytes, digest = hash_of(path)
        if size_bytes != manifest["size_bytes"] or digest != manifest["sha256"]:
            raise CorruptStorage(
                f"the snapshot {manifest['id']} arrived damaged ({size_bytes} bytes of "
                f"{manifest['size_bytes']}, sha256 {digest[:16]}... instead of "
                f"{manifest['sha256'][:16]}...): it is thrown away and asked for again"
            )
        newest_meta(path)
        self._complete_file(path, manifest)

    def _on_finished(
        self, manifest: Manifest, done: Done, _: None, error: Exception | None
    ) -> None:
        self._busy.discard(manifest["id"])
        self.drop_partial(manifest["id"])
        if error is None:
            self._counts["received"] += 1
            self._admit(manifest)
        else:
            self._counts["refused"] += 1
        done(_explained(error, self._folder))

    def install(self, snapshot_id: str, done: InstallDone) -> None:
        manifest = self._complete.get(snapshot_id)
        if manifest is None:
            done(None, UsageError(f"there is no complete snapshot {snapshot_id} here"))
            return
        if not self._has_room(manifest["size_bytes"]):
            done(None, self._no_room(manifest["size_bytes"]))
            return
        self._worker.run(
            partial(self._generations.create_from, self._path(snapshot_id, "snap")),
            partial(self._on_installed, done),
        )

    def _on_installed(
        self, done: InstallDone, generation: str | None, error: Exception | None
    ) -> None:
        self._counts["installed"] += error is None
        done(generation, _explained(error, self._folder))

    def drop_partial(self, snapshot_id: str) -> None:
        if snapshot_id in self._busy:
            return
        if self._partial is not None and self._partial["id"] == snapshot_id:
            self._partial, self._next_offset = None, 0
        self._remove(snapshot_id, "part-manifest", "part")

    # --- the folder -------------------------------------------------------------------------------

    def _recover(self) -> None:
        """After a start: complete ones are known again, a partial goes on, litter is removed."""
        known = {path.stem: read_manifest(path) for path in self._folder.glob("*.manifest")}
        for name, manifest in known.items():
            if manifest is not None and self._is_whole(name, manifest):
                self._complete[name] = manifest
        for path in self._folder.glob("*.part-manifest"):
            manifest = read_manifest(path)
            partial_file = self._path(path.stem, "part")
            if (
                manifest is not None
                and self._partial is None
                and path.stem not in self._complete
                and partial_file.exists()
                and partial_file.stat().st_size <= manifest["size_bytes"]
            ):
                self._partial, self._next_offset = manifest, partial_file.stat().st_size
        keep = {f"{name}.{kind}" for name in self._complete for kind in ("snap", "manifest")}
        if self._partial is not None:
            keep |= {f"{self._partial['id']}.{kind}" for kind in ("part", "part-manifest")}
        for path in self._folder.iterdir():
            if path.name not in keep and path.is_file():
                path.unlink()
        self._thin_out()

    def _is_whole(self, name: str, manifest: Manifest) -> bool:
        path = self._path(name, "snap")
        return path.exists() and path.stat().st_size == manifest["size_bytes"]

    def _complete_file(self, path: Path, manifest: Manifest) -> None:
        """The data is synced and named first; the manifest makes it count."""
        path.rename(self._path(manifest["id"], "snap"))
        sync_folder(self._folder)
        write_durably(self._path(manifest["id"], "manifest"), codec.dumps(manifest))

    def _admit(self, manifest: Manifest) -> None:
        self._complete[manifest["id"]] = manifest
        self._thin_out()

    def _thin_out(self) -> None:
        for name in surplus(list(self._complete.values())):
            del self._complete[name]
            if self._reading is not None and self._reading[0] == name:
                self._close_reading()
            self._remove(name, "manifest", "snap")

    def _remove(self, name: str, *kinds: str) -> None:
        for kind in kinds:
            self._path(name, kind).unlink(missing_ok=True)

    def _path(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}.{kind}"

    def _close_reading(self) -> None:
        if self._reading is not None:
            os.close(self._reading[1])
            self._reading = None

    def _has_room(self, wanted_bytes: int) -> bool:
        return free_bytes(self._folder) >= wanted_bytes + self._reserve_bytes

    def _no_room(self, wanted_bytes: int) -> StorageFull:
        return StorageFull(
            f"a snapshot of {wanted_bytes} bytes does not fit into {self._folder} with "
            f"{self._reserve_bytes} bytes to spare: free space on its file system"
        )

    def statistics(self) -> dict[str, object]:
        latest = self.latest()
        return {
            **self._counts,
            "kept": len(self._complete),
            "latest_index": None if latest is None else latest["index"],
            "latest_bytes": None if latest is None else latest["size_bytes"],
            "exporting": self._exporting,
            "receiving": None if self._partial is None else self._partial["id"],
            "received_bytes": self._next_offset,
        }

    def close(self) -> None:
        """Waits for running work. Twice is no error."""
        self._closed = True
        self._worker.close()
        self._close_reading()


def hash_of(path: Path) -> tuple[int, str]:
    """(size in bytes, sha256 in hex) of a file, which is synced on the way. Blocking; gives up the
    interpreter lock.
    """
    digest, size_bytes = hashlib.sha256(), 0
    buffer = bytearray(_HASH_CHUNK_BYTES)
    view = memoryview(buffer)
    with path.open("r+b", buffering=0) as file:
        os.fsync(file.fileno())
        while count := file.readinto(buffer):
            digest.update(view[:count])
            size_bytes += count
    return size_bytes, digest.hexdigest()


def read_manifest(path: Path) -> Manifest | None:
    """The manifest in a file, or None when it is not one: what it describes is then litter."""
    try:
        manifest = check_manifest(codec.loads(path.read_bytes()))
    except (UsageError, OSError):
        return None
    return manifest if manifest["id"] == path.stem else None


def _explained(error: Exception | None, folder: Path) -> Exception | None:
    return file_error(error, folder) if isinstance(error, OSError) else error
