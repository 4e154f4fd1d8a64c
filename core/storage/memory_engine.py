"""The store in memory, over a model of a disk: the same promises, no thread, and crashes on demand.

The law of this file: everything happens on the owning thread, in the order of the scheduler, by the
numbers of the handed-in generator; the same seed gives the same story. It models what LMDB promises
(a commit is all or nothing) and, on request, disks that keep less.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from quorate.core.clock import Scheduler
from quorate.core.errors import (
    CorruptStorage,
    InvariantBroken,
    LimitExceeded,
    QuorateError,
    Stopped,
    StorageFailed,
    StorageFull,
)
from quorate.core.storage.disk_model import (
    CrashPolicy,
    DiskImage,
    DiskModel,
    Op,
    Tables,
    apply_op,
    apply_op_to_dicts,
    no_table,
)
from quorate.core.storage.engine import Done, Record, check_record
from quorate.core.storage.sorted_table import SortedTable


class MemoryWriter:
    """Gathers operations; nothing is visible before the commit."""

    def __init__(self, tables: dict[str, SortedTable[bytes]]) -> None:
        self._tables = tables
        self._closed = False
        self.ops: list[Op] = []

    def put(self, table: str, key: bytes, value: bytes) -> None:
        wrong = check_record(table, key, value)
        if wrong is not None:
            raise LimitExceeded(wrong)
        self._add((table, key, value, True))

    def delete(self, table: str, key: bytes) -> None:
        self._add((table, key, key + b"\0", False))

    def delete_range(self, table: str, start: bytes, stop: bytes | None) -> None:
        self._add((table, start, stop, False))

    def close(self) -> None:
        self._closed = True

    def _add(self, op: Op) -> None:
        if self._closed:
            raise InvariantBroken("a storage writer was used after its commit began")
        if op[0] not in self._tables:
            raise no_table(op[0], self._tables)
        self.ops.append(op)


class MemoryEngine:
    """See `quorate.core.storage.engine.Engine` for the promises; made for the simulator."""

    def __init__(
        self,
        tables: Iterable[str],
        scheduler: Scheduler,
        disk: DiskModel,
        *,
        image: DiskImage | None = None,
    ) -> None:
        held = image.tables if image is not None else {}
        self._tables = {name: SortedTable(dict(held.get(name, {}))) for name in tables}
        self._scheduler = scheduler
        self.disk = disk
        self._writer: MemoryWriter | None = MemoryWriter(self._tables)
        self._in_flight: tuple[MemoryWriter, Done] | None = None
        self._waiting: list[Callable[[], object]] = []
        self._refusal: QuorateError | None = None
        self._crashed = False
        self._platter: Tables | None = None
        self._corrupt: set[tuple[str, bytes]] = set()
        self._counts = {"commits": 0, "records": 0, "full": 0}

    @classmethod
    def reopen(cls, image: DiskImage, scheduler: Scheduler, disk: DiskModel) -> MemoryEngine:
        """The store after a restart, from what the crash left."""
        return cls(image.tables, scheduler, disk, image=image)

    # --- writing ----------------------------------------------------------------------------------

    def writer(self) -> MemoryWriter | None:
        return self._writer

    def when_writable(self, callback: Callable[[], object]) -> None:
        if self._writer is not None:
            self._soon(callback)
        elif self._refusal is None:
            self._waiting.append(callback)

    def commit(self, done: Done) -> None:
        if self._refusal is not None:
            self._soon(partial(done, self._refusal))
            return
        writer = self._take_writer()
        if not writer.ops:
            self._writer = writer
            self._soon(partial(done, None))
            return
        writer.close()
        self._in_flight = (writer, done)
        latency_s = self.disk.latency_s()
        if self.disk.fsync_lies:
            if self._platter is None:
                self._platter = self.image().tables
            self._scheduler.call_later(latency_s, partial(self._settle, writer.ops))
            latency_s = 0.0
        self._scheduler.call_later(latency_s, partial(self._finish, writer))

    def commit_blocking(self) -> None:
        if self._in_flight is not None:
            self._finish(self._in_flight[0])
        if self._refusal is not None:
            raise self._refusal
        outcomes: list[Exception | None] = []
        writer = self._take_writer()
        writer.close()
        self._in_flight = (writer, outcomes.append)
        self._finish(writer)
        if outcomes and outcomes[0] is not None:
            raise outcomes[0]

    def poll(self) -> None:
        """The simulated disk ends commits by itself."""
        return

    def _take_writer(self) -> MemoryWriter:
        writer, self._writer = self._writer, None
        if writer is None:
            raise InvariantBroken("commit() while a commit is in flight: wait for its done()")
        return writer

    def _finish(self, writer: MemoryWriter) -> None:
        """The one place where a commit ends: the outcome, the next writer, then `done`."""
        if self._crashed or self._in_flight is None or self._in_flight[0] is not writer:
            return
        done = self._in_flight[1]
        self._in_flight = None
        outcome: QuorateError | None = None
        if self.disk.failing:
            outcome = StorageFailed("the simulated disk failed: what is on it is unknown")
            self._become(outcome)
        elif self.disk.full:
            outcome = StorageFull("the simulated disk is full; writes resume by themselves")
            self._counts["full"] += 1
        else:
            self._apply(writer)
        if self._refusal is None:
            self._writer = MemoryWriter(self._tables)
        done(outcome)
        if self._writer is not None:
            waiting, self._waiting = self._waiting, []
            for callback in waiting:
                self._soon(callback)

    def _apply(self, writer: MemoryWriter) -> None:
        for op in writer.ops:
            apply_op(self._tables, op)
        self._counts["commits"] += 1
        self._counts["records"] += len(writer.ops)

    def _settle(self, ops: list[Op]) -> None:
        """The lying disk writes at last what it acknowledged long ago."""
        if self._platter is not None and not self._crashed:
            for op in ops:
                apply_op_to_dicts(self._platter, op)

    # --- reading ----------------------------------------------------------------------------------

    def get(self, table: str, key: bytes) -> bytes | None:
        if self._refusal is not None:
            raise self._refusal
        if (table, key) in self._corrupt:
            raise self._damaged(table, key)
        return self._table(table).records.get(key)

    def scan(
        self,
        table: str,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Record]:
        if self._refusal is not None:
            raise self._refusal
        found: list[Record] = []
        for key, value in self._table(table).scan(start, stop, reverse=reverse):
            if limit is not None and len(found) >= limit:
                break
            if (table, key) in self._corrupt:
                raise self._damaged(table, key)
            found.append((key, value))
        return found

    def first(self, table: str) -> Record | None:
        found = self.scan(table, limit=1)
        return found[0] if found else None

    def last(self, table: str) -> Record | None:
        found = self.scan(table, reverse=True, limit=1)
        return found[0] if found else None

    def _table(self, table: str) -> SortedTable[bytes]:
        try:
            return self._tables[table]
        except KeyError:
            raise no_table(table, self._tables) from None

    # --- the disk's tricks ------------------------------------------------------------------------

    def crash(self, policy: CrashPolicy, rng: random.Random) -> DiskImage:
        """Stops the store in its tracks (no callback runs any more) and gives what the disk holds
        then.
        """
        image = self.image() if self._platter is None else DiskImage(self._platter)
        if self._in_flight is not None and not self.disk.full and not self.disk.failing:
            ops = self._in_flight[0].ops
            if policy is CrashPolicy.TORN:
                ops = [op for op in ops if rng.random() < 0.5]
            elif policy is CrashPolicy.EITHER:
                policy = rng.choice((CrashPolicy.LOST, CrashPolicy.KEPT))
            if policy is not CrashPolicy.LOST:
                for op in ops:
                    apply_op_to_dicts(image.tables, op)
        self._crashed = True
        self._become(Stopped("the simulated host crashed"))
        return image

    def image(self) -> DiskImage:
        """The committed state now."""
        return DiskImage({name: dict(table.records) for name, table in self._tables.items()})

    def corrupt(self, table: str, key: bytes) -> None:
        """From now on reading this record raises CorruptStorage."""
        self._corrupt.add((table, key))

    def _damaged(self, table: str, key: bytes) -> CorruptStorage:
        return CorruptStorage(f"the record {key.hex()} of table {table!r} fails its checksum")

    # --- copies, figures, the end -----------------------------------------------------------------

    def copy_to(self, path: Path, done: Done) -> None:
        """The copy is in `disk.copies[path]` when done; it shows the state of now."""
        if self._refusal is not None:
            self._soon(partial(done, self._refusal))
            return
        self._scheduler.call_later(
            self.disk.latency_s(), partial(self._copied, path, self.image(), done)
        )

    def _copied(self, path: Path, image: DiskImage, done: Done) -> None:
        if self._crashed:
            return
        if self.disk.full:
            done(StorageFull("the simulated disk is full; writes resume by themselves"))
            return
        self.disk.copies[path] = image
        done(None)

    def statistics(self) -> dict[str, object]:
        closed = isinstance(self._refusal, Stopped)
        return {
            **self._counts,
            "state": "ready" if self._refusal is None else "closed" if closed else "failed",
            "in_flight": self._in_flight is not None,
            "records_held": sum(map(len, self._tables.values())),
            "space_low": self.disk.full,
        }

    def close(self) -> None:
        """A commit in flight is waited for: its writes are there and its `done` runs."""
        if self._in_flight is not None:
            self._finish(self._in_flight[0])
        self._become(Stopped("the store in memory is closed"))

    def _become(self, refusal: QuorateError) -> None:
        if self._refusal is None:
            self._refusal = refusal
        self._writer = None
        self._waiting.clear()

    def _soon(self, callback: Callable[[], object]) -> None:
        self._scheduler.call_soon(partial(self._unless_crashed, callback))

    def _unless_crashed(self, callback: Callable[[], object]) -> None:
        if not self._crashed:
            callback()
