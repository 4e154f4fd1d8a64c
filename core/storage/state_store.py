"""The state of the replicated machine: an overlay in memory over an engine, flushed in the
background.

The law of this file: a write is a dict operation and is seen by every later read at once;
durability comes later, all or none, in the order of the writes. What makes a write safe meanwhile
is the Raft log: after a crash the caller replays what follows the mark that it put into the store
itself (the applied index is a record like any other, so it becomes durable in the same transaction
as what it describes).

The store owns its engine: nobody else may use the engine's writer. All use is from the owning
thread.

active   --flush-->   frozen   --committed-->   engine          reads look in this order

What was read from the engine lately is kept beside it (`clean`), until the engine holds another
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from quorate.core.clock import Scheduler
from quorate.core.errors import (
    InvariantBroken,
    LimitExceeded,
    Stopped,
    StorageFailed,
    StorageFull,
    UsageError,
)
from quorate.core.storage.engine import KEY_BYTES_MAX, Done, Engine, Record, Writer, check_record
from quorate.core.storage.overlay import ABSENT, Entry, Layer, Value, in_chunks, laid_over, living

FLUSH_SLICE_RECORDS = 200
"""Puts per turn of the loop while flushing: about 0.3 ms, so that no commit waits longer for it."""

FLUSH_RECORDS = 30_000
FLUSH_BYTES = 16 << 20
DIRTY_BYTES_MAX = 64 << 20
CLEAN_RECORDS_MAX = 32_768
"""Of a table, records read from the engine that are kept in memory; then it begins anew."""
CLEAN_VALUE_BYTES_MAX = 512
"""Larger values are not kept: reading them from the engine costs little beside using them."""


class StateStore:
    """Reads and writes of one machine.

    `wants_flush` is true from `flush_records` or `flush_bytes` of unfrozen writes on; from
    `dirty_bytes_max` on `overloaded` is true and the caller stops applying until a flush is done
    (nothing here blocks or refuses).
    """

    def __init__(
        self,
        engine: Engine,
        scheduler: Scheduler,
        *,
        tables: Iterable[str],
        flush_slice_records: int = FLUSH_SLICE_RECORDS,
        flush_records: int = FLUSH_RECORDS,
        flush_bytes: int = FLUSH_BYTES,
        dirty_bytes_max: int = DIRTY_BYTES_MAX,
        clean_records_max: int = CLEAN_RECORDS_MAX,
    ) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._names = tuple(tables)
        self._slice_records = flush_slice_records
        self._flush_records = flush_records
        self._flush_bytes = flush_bytes
        self._dirty_bytes_max = dirty_bytes_max
        self._active = Layer(self._names)
        self._frozen: Layer | None = None
        self._clean_records_max = clean_records_max
        self._clean: dict[str, dict[bytes, bytes]] = {name: {} for name in self._names}
        self._running = False
        self._told: list[Done] = []
        self._waiting: list[Done] = []
        self._wanted_again = False
        self._failure: Exception | None = None
        self._epoch = 0
        self._counts = {"flushes": 0, "flushed_records": 0, "full": 0}

    # --- the hot path -----------------------------------------------------------------------------

    def get(self, table: str, key: bytes) -> bytes | None:
        """The value that the last put left, or None. Raises CorruptStorage."""
        try:
            value = self._active.tables[table].records.get(key, ABSENT)
        except KeyError:
            raise self._no_table(table) from None
        if value is ABSENT and self._frozen is not None:
            value = self._frozen.tables[table].records.get(key, ABSENT)
        if value is ABSENT:
            value = self._clean[table].get(key)
            if value is None:
                value = self._engine.get(table, key)
                if value is not None and len(value) <= CLEAN_VALUE_BYTES_MAX:
                    self._keep_clean(self._clean[table], key, value)
        return value  # pyright: ignore[reportReturnType]  (ABSENT is handled above)

    def _keep_clean(self, clean: dict[bytes, bytes], key: bytes, value: bytes) -> None:
        if self._clean_records_max:
            if len(clean) >= self._clean_records_max:
                clean.clear()
            clean[key] = value

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Raises LimitExceeded for a key or value that the engine could not take."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise LimitExceeded(check_record(table, key, value))
        try:
            self._active.put(table, key, value)
        except KeyError:
            raise self._no_table(table) from None

    def delete(self, table: str, key: bytes) -> None:
        """No error where there is none."""
        if 0 < len(key) <= KEY_BYTES_MAX:
            try:
                self._active.put(table, key, None)
            except KeyError:
                raise self._no_table(table) from None

    def scan(
        self,
        table: str,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Record]:
        """Records with start <= key < stop, in order, at most `limit`; a limit makes it lazy."""
        if table not in self._active.tables:
            raise self._no_table(table)
        entries: Iterator[Entry] = in_chunks(
            lambda low, high, chunk: self._engine.scan(
                table, low, high, reverse=reverse, limit=chunk
            ),
            start,
            stop,
            reverse=reverse,
            limit=limit,
        )
        for layer in (self._frozen, self._active):
            if layer is not None and layer.tables[table].records:
                above = layer.tables[table].scan(start, stop, reverse=reverse)
                entries = laid_over(above, entries, reverse=reverse)
        return living(entries, limit)

    # --- how much is waiting ----------------------------------------------------------------------

    @property
    def dirty_records(self) -> int:
        """Records that are not in the engine yet."""
        return self._active.records + (self._frozen.records if self._frozen is not None else 0)

    @property
    def dirty_bytes(self) -> int:
        """About the memory that they take."""
        return self._active.bytes + (self._frozen.bytes if self._frozen is not None else 0)

    @property
    def flushing(self) -> bool:
        return self._running

    @property
    def wants_flush(self) -> bool:
        active = self._active
        return active.records >= self._flush_records or active.bytes >= self._flush_bytes

    @property
    def overloaded(self) -> bool:
        return self.dirty_bytes >= self._dirty_bytes_max

    # --- flushing ---------------------------------------------------------------------------------

    def flush(self, done: Done | None = None) -> None:
        """Makes everything that was written until now durable, in one transaction.

        `done(None)` when it is; `done(StorageFull)`: nothing was lost, ask again later; anything
        else is fatal. While a flush runs a second request waits for it and then flushes what is
        there by then: always the state between two turns of the owner, never a part of a turn.
        """
        if self._failure is not None:
            if done is not None:
                self._scheduler.call_soon(partial(done, self._failure))
            return
        if self._running:
            self._wanted_again = True
            if done is not None:
                self._waiting.append(done)
            return
        if done is not None:
            self._told.append(done)
        self._freeze()
        self._running = True
        if self._frozen is None:
            self._scheduler.call_soon(partial(self._finish, self._epoch, None))
        else:
            self._start_filling(self._epoch, self._frozen.slices(self._slice_records))

    def flush_blocking(self) -> None:
        """`flush` for tools and the last moments of a host. Raises what `done` would have been
        told.
        """
        if self._engine.writer() is None:
            self._engine.commit_blocking()
        if self._failure is not None:
            raise self._failure
        self._epoch += 1
        self._freeze()
        self._running = True
        try:
            if self._frozen is not None:
                for part in self._frozen.slices(self._slice_records):
                    put_all(need(self._engine.writer()), part)
                self._engine.commit_blocking()
        except (StorageFull, StorageFailed) as error:
            self._on_committed(self._epoch, error)
            raise
        self._on_committed(self._epoch, None)

    def replace(self, engine: Engine) -> Engine:
        """Goes on with another engine (an installed snapshot) and forgets every unflushed write.

        Gives back the engine used until now, for the caller to close. Flushes that wait are told
        Stopped.
        """
        old, self._engine = self._engine, engine
        for clean in self._clean.values():
            clean.clear()
        self._epoch += 1
        self._running = False
        self._active, self._frozen = Layer(self._names), None
        told = self._told + self._waiting
        self._told, self._waiting, self._wanted_again = [], [], False
        for done in told:
            done(Stopped("the state was replaced by a snapshot"))
        return old

    def _freeze(self) -> None:
        """Active becomes frozen; what a full disk left frozen keeps its place below."""
        if self._active.records == 0:
            return
        if self._frozen is None:
            self._frozen = self._active
        else:
            self._frozen.take(self._active)
        self._active = Layer(self._names)

    def _start_filling(self, epoch: int, slices: Iterator[list[tuple[str, bytes, Value]]]) -> None:
        if epoch != self._epoch:
            return
        if self._engine.writer() is None:
            self._engine.when_writable(partial(self._start_filling, epoch, slices))
            return
        self._fill(epoch, slices)

    def _fill(self, epoch: int, slices: Iterator[list[tuple[str, bytes, Value]]]) -> None:
        """One slice per turn of the loop, then the commit."""
        if epoch != self._epoch:
            return
        part = next(slices, None)
        if part is None:
            self._engine.commit(partial(self._on_committed, epoch))
            return
        put_all(need(self._engine.writer()), part)
        self._scheduler.call_soon(partial(self._fill, epoch, slices))

    def _on_committed(self, epoch: int, error: Exception | None) -> None:
        if epoch != self._epoch:
            return
        if error is None and self._frozen is not None:
            self._counts["flushes"] += 1
            self._counts["flushed_records"] += self._frozen.records
            self._drop_clean(self._frozen)
            self._frozen = None
        self._finish(epoch, error)

    def _drop_clean(self, written: Layer) -> None:
        """What the engine holds now is newer than what was read; until now the layer hid it."""
        for name, clean in self._clean.items():
            for key in clean.keys() & written.tables[name].records.keys():
                del clean[key]

    def _finish(self, epoch: int, error: Exception | None) -> None:
        """The one place where a flush ends."""
        if epoch != self._epoch:
            return
        self._running = False
        if isinstance(error, StorageFull):
            self._counts["full"] += 1
        elif error is not None:
            self._failure = error
        told, self._told = self._told, []
        waiting, self._waiting = self._waiting, []
        again, self._wanted_again = self._wanted_again, False
        for done in told:
            done(error)
        if again:
            for done in waiting:
                self.flush(done)
            if not waiting:
                self.flush()

    def statistics(self) -> dict[str, object]:
        return {
            **self._counts,
            "dirty_records": self.dirty_records,
            "dirty_bytes": self.dirty_bytes,
            "dirty_bytes_max": self._dirty_bytes_max,
            "flushing": self._running,
            "failed": self._failure is not None,
            "engine": self._engine.statistics(),
        }

    def _no_table(self, table: str) -> UsageError:
        return UsageError(f"no table {table!r}; the tables are {', '.join(self._names)}")


def put_all(writer: Writer, part: list[tuple[str, bytes, Value]]) -> None:
    for table, key, value in part:
        if value is None:
            writer.delete(table, key)
        else:
            writer.put(table, key, value)


def need(writer: Writer | None) -> Writer:
    if writer is None:
        raise InvariantBroken("the state store's engine has no writer: does somebody else commit?")
    return writer
