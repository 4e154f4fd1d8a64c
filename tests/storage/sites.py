"""Hosts that make, send, receive and install snapshots, over files and over memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quorate.core.storage.disk_model import DiskModel
from quorate.core.storage.generations import FIRST_GENERATION, StateGenerations
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.memory_engine import MemoryEngine
from quorate.core.storage.memory_snapshots import MemorySnapshotStore, SnapshotDisk
from quorate.core.storage.snapshot_files import SnapshotStore
from quorate.core.storage.snapshots import Manifest
from tests.storage.storage_tools import ThreadInbox, VirtualTime

TABLES = ("kv",)
CHUNK_BYTES = 10_000


class Site:
    """One host's state and snapshots; `restart` is what a kill and a new start make of it."""

    snapshots: Any
    engine: Any

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def run_until(self, reached: Callable[[], bool]) -> None: ...

    def state_in(self, generation: str) -> list[tuple[bytes, bytes]]:
        raise NotImplementedError

    def restart(self) -> None:
        self.stop()
        self.start()

    def fill(self, seed: int) -> list[tuple[bytes, bytes]]:
        rng = random.Random(seed)
        for number in range(150):
            self.engine.writer().put("kv", b"%04d" % number, rng.randbytes(400))
        self.engine.commit_blocking()
        return self.engine.scan("kv")

    def export(self, index: int) -> Manifest:
        heard: list[tuple[Manifest | None, Exception | None]] = []
        self.snapshots.export(index, 3, {"members": ["a"]}, lambda *found: heard.append(found))
        self.run_until(lambda: bool(heard))
        assert heard[0][1] is None
        assert heard[0][0] is not None
        return heard[0][0]

    def finish(self, name: str) -> Exception | None:
        heard: list[Exception | None] = []
        self.snapshots.finish(name, heard.append)
        self.run_until(lambda: bool(heard))
        return heard[0]

    def install(self, name: str) -> tuple[str | None, Exception | None]:
        heard: list[tuple[str | None, Exception | None]] = []
        self.snapshots.install(name, lambda *found: heard.append(found))
        self.run_until(lambda: bool(heard))
        return heard[0]


class FileSite(Site):
    def __init__(self, place: Path) -> None:
        self.place = place
        self.start()

    def start(self) -> None:
        inbox = ThreadInbox()
        self.run_until = inbox.run_until  # type: ignore[method-assign]
        self.generations = StateGenerations(self.place / "state")
        self.engine = LmdbEngine(
            self.generations.path_of(FIRST_GENERATION),
            tables=TABLES,
            post=inbox.post,
            format_version=1,
        )
        self.snapshots = SnapshotStore(
            self.place / "snapshots",
            engine=lambda: self.engine,
            generations=self.generations,
            post=inbox.post,
        )

    def stop(self) -> None:
        self.snapshots.close()
        self.engine.close()

    def state_in(self, generation: str) -> list[tuple[bytes, bytes]]:
        engine = LmdbEngine(
            self.generations.path_of(generation), tables=TABLES, post=None, format_version=1
        )
        found = engine.scan("kv")
        engine.close()
        return found


class MemorySite(Site):
    def __init__(self) -> None:
        self.kept = SnapshotDisk()
        self.disk = DiskModel(random.Random(1))
        self.start()

    def start(self) -> None:
        time = VirtualTime()
        self.engine = MemoryEngine(TABLES, time, self.disk)
        self.snapshots = MemorySnapshotStore(
            self.kept, engine=lambda: self.engine, disk=self.disk, scheduler=time
        )

        def run_until(reached: Callable[[], bool]) -> None:
            while not reached():
                assert time.step()

        self.run_until = run_until  # type: ignore[method-assign]

    def stop(self) -> None:
        self.snapshots.crash()

    def state_in(self, generation: str) -> list[tuple[bytes, bytes]]:
        return sorted(self.kept.generations[generation].tables["kv"].items())


def send(source: Site, target: Site, manifest: Manifest, upto: int | None = None) -> int:
    """Chunks until all is there, or about `upto` bytes; the offset reached."""
    offset = target.snapshots.begin_receive(manifest)
    while offset < (manifest["size_bytes"] if upto is None else upto):
        data = source.snapshots.read(manifest["id"], offset, CHUNK_BYTES)
        offset = target.snapshots.write(manifest["id"], offset, data)
    return offset
