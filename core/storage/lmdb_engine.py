"""The store on LMDB: what the owning thread sees of it.

The law of this file: all state of the engine changes here, on the owning thread; the storage thread
only commits and the copy thread only copies. LMDB runs with its safe defaults (every commit is two
synced writes); nothing is ever switched off.

One commit: the owning thread puts into the open transaction -> `commit` hands it to the storage
thread -> data pages, fdatasync, meta page, synced -> the next transaction begins -> `post` brings
both back -> `done`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import lmdb

from quorate.core.errors import (
    InvariantBroken,
    QuorateError,
    Stopped,
    StorageFailed,
    StorageFull,
)
from quorate.core.storage.answers import Answers, Post
from quorate.core.storage.committer import Committer, Reply, Transaction
from quorate.core.storage.copier import Copier
from quorate.core.storage.engine import Done, Record
from quorate.core.storage.faults import NO_FAULTS, StorageFaults
from quorate.core.storage.folder import free_bytes
from quorate.core.storage.lmdb_errors import explain, map_is_full
from quorate.core.storage.lmdb_map import LmdbMap
from quorate.core.storage.lmdb_open import open_store
from quorate.core.storage.lmdb_reader import LmdbReader
from quorate.core.storage.lmdb_writer import LmdbWriter, Op

CallLater = Callable[[float, Callable[[], object]], object]
"""Runs a callback on the owning thread after some seconds (`loop.call_later`)."""

GIB = 1 << 30

_HAND_OVER_S = 0.0005
_WATCH_S = 0.001
_FREED_AT_ONCE = 2000


class LmdbEngine:
    """One LMDB environment in one folder. See `quorate.core.storage.engine.Engine` for the
    promises.

    `call_later` bounds how long a busy loop can starve the storage thread. `post` may be None for
    tools that use `commit_blocking` only. `identity` (such as {"host": "a"}) is recorded when new
    and compared when known. `format_version` is the caller's own: another number is refused with
    WrongDataFolder. The map is address space, not disk: it starts at `map_size_bytes`, doubles when
    half used, up to `map_size_max_bytes`, where writes get StorageFull.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        tables: Iterable[str],
        post: Post | None,
        call_later: CallLater | None = None,
        format_version: int,
        identity: Mapping[str, str] | None = None,
        map_size_bytes: int = GIB,
        map_size_max_bytes: int = 1 << 42,
        low_space_bytes: int = 256 << 20,
        faults: StorageFaults = NO_FAULTS,
    ) -> None:
        self.path = Path(path)
        self._call_later = call_later
        self._low_space_bytes = low_space_bytes
        store = open_store(
            self.path,
            tables=tables,
            format_version=format_version,
            identity=identity or {},
            map_size_bytes=min(map_size_bytes, map_size_max_bytes),
        )
        self._store = store
        self._map = LmdbMap(store.env, map_size_max_bytes)
        self._reader = LmdbReader(store.env, store.tables, self.path)
        self._copier = Copier(store.env)
        self._committer = Committer(store.env, faults, name=f"storage {self.path.name}")
        self._writer: LmdbWriter | None = None
        self._refusal: QuorateError | None = None
        self._in_flight: tuple[LmdbWriter, Done] | None = None
        self._answers = Answers(post)
        self._commit_id = 0
        self._watched = False
        self._waiting: list[Callable[[], object]] = []
        self._after_copy: list[Callable[[], None]] = []
        self._counts = {"commits": 0, "records": 0, "bytes": 0, "replays": 0, "full": 0}
        self._closed = False
        try:
            self._writer = LmdbWriter(store.tables, self._begin_blocking())
        except BaseException:
            self.close()
            raise

    # --- writing ----------------------------------------------------------------------------------

    def writer(self) -> LmdbWriter | None:
        return self._writer

    def when_writable(self, callback: Callable[[], object]) -> None:
        if self._writer is not None:
            self._answers.soon(callback)
        elif self._refusal is None:
            self._waiting.append(callback)

    def commit(self, done: Done) -> None:
        if self._refusal is not None:
            self._answers.soon(partial(done, self._refusal))
            return
        writer = self._take_writer()
        if not writer.ops:
            self._writer = writer
            self._answers.soon(partial(done, None))
            return
        self._in_flight = (writer, done)
        self._submit(writer)

    def commit_blocking(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        while self._in_flight is not None:
            self._answers.wait()
        outcomes: list[Exception | None] = []
        if self._refusal is not None:
            raise self._refusal
        writer = self._take_writer()
        if not writer.ops:
            self._writer = writer
            return
        self._in_flight = (writer, outcomes.append)
        self._submit(writer)
        while not outcomes:
            self._answers.wait()
        if outcomes[0] is not None:
            raise outcomes[0]

    def poll(self) -> None:
        """Takes the outcome of a commit that the disk has finished, at once; else returns at once.

        For a busy owning thread, once per turn: see `Committer.let_start`. Waits at most about 0.1
        ms for the storage thread, and never for the disk.
        """
        if self._in_flight is None:
            return
        self._committer.let_start(_HAND_OVER_S)
        if self._answers.take():
            return
        if self._store.env.info()["last_txnid"] >= self._commit_id:
            self._answers.wait(_HAND_OVER_S)

    def _take_writer(self) -> LmdbWriter:
        writer = self._writer
        if writer is None:
            raise InvariantBroken("commit() while a commit is in flight: wait for its done()")
        self._writer = None
        return writer

    # --- one commit, from the owning thread and back ----------------------------------------------

    def _submit(self, writer: LmdbWriter) -> None:
        """Sends the transaction to the storage thread; one that did not fit the map is replayed on
        a larger one.
        """
        writer.close()
        if writer.overflowed:
            self._committer.abort(writer.transaction, self._answer(self._replay))
        else:
            self._commit_id = writer.transaction.id()
            self._committer.commit(writer.transaction, self._answer(self._on_committed))
            if self._call_later is not None and not self._watched:
                self._watched = True
                self._call_later(_WATCH_S, self._watch)

    def _watch(self) -> None:
        """Bounds by about a millisecond what a busy loop can take from the storage thread."""
        self.poll()
        self._watched = self._in_flight is not None and self._call_later is not None
        if self._watched and self._call_later is not None:
            self._call_later(_WATCH_S, self._watch)

    def _on_committed(self, error: BaseException | None, fresh: Transaction | None) -> None:
        writer = self._current()[0]
        if isinstance(error, lmdb.MapFullError):
            self._replay(None, None)
            return
        if error is not None:
            self._finish(explain(error, self.path, writer.bytes), fresh)
            return
        self._counts["commits"] += 1
        self._counts["records"] += len(writer.ops)
        self._counts["bytes"] += writer.bytes
        if (
            fresh is not None
            and self._refusal is None
            and not self._copier.busy
            and self._map.is_half_used()
        ):
            self._committer.abort(fresh, self._answer(self._grow_and_finish))
            return
        self._finish(None, fresh)

    def _replay(self, error: BaseException | None, fresh: Transaction | None) -> None:
        """No transaction is open and the map was too small: grow it, put all again, commit."""
        if self._refusal is not None:
            self._finish(self._refusal, None)
        elif self._copier.busy:
            self._after_copy.append(partial(self._replay, None, None))
        elif self._map.grow():
            self._counts["replays"] += 1
            self._committer.begin(self._answer(self._replay_onto))
        else:
            self._committer.begin(self._answer(self._finish_full))

    def _replay_onto(self, error: BaseException | None, fresh: Transaction | None) -> None:
        if fresh is None or self._refusal is not None:
            self._finish(self._refusal or self._begin_failed(error), None)
            return
        writer = self._current()[0]
        writer.replay(fresh)
        self._submit(writer)

    def _grow_and_finish(self, error: BaseException | None, fresh: Transaction | None) -> None:
        if self._refusal is None:
            self._map.grow()
            self._committer.begin(self._answer(self._finish_begun))
        else:
            self._finish(None, None)

    def _finish_begun(self, error: BaseException | None, fresh: Transaction | None) -> None:
        if fresh is None and self._refusal is None:
            self._become(self._begin_failed(error))
        self._finish(None, fresh)

    def _finish_full(self, error: BaseException | None, fresh: Transaction | None) -> None:
        self._finish(map_is_full(self.path), fresh)

    def _finish(self, outcome: QuorateError | None, fresh: Transaction | None) -> None:
        """The one place where a commit ends: the next writer is there, then `done` hears the
        outcome.
        """
        writer, done = self._current()
        self._in_flight = None
        if len(writer.ops) > _FREED_AT_ONCE and self._answers.has_loop:
            self._answers.soon(partial(self._free_slowly, writer.ops))
        if isinstance(outcome, StorageFailed):
            self._become(outcome)
        elif isinstance(outcome, StorageFull):
            self._counts["full"] += 1
        if self._refusal is None:
            if fresh is None:
                self._become(self._begin_failed(None))
            else:
                self._writer = LmdbWriter(self._store.tables, fresh)
        done(outcome)
        if self._writer is not None and self._waiting:
            waiting, self._waiting = self._waiting, []
            for callback in waiting:
                self._answers.soon(callback)

    def _free_slowly(self, ops: list[Op]) -> None:
        """Freeing the memory of a large transaction at once would stall the owning thread."""
        del ops[-_FREED_AT_ONCE:]
        if ops:
            self._answers.soon(partial(self._free_slowly, ops))

    def _current(self) -> tuple[LmdbWriter, Done]:
        if self._in_flight is None:
            raise InvariantBroken("the storage thread answered, but no commit is in flight")
        return self._in_flight

    def _become(self, refusal: QuorateError) -> None:
        """From here on everything is refused: the first reason stays."""
        if self._refusal is None:
            self._refusal = refusal
        self._writer = None
        self._waiting.clear()

    def _begin_failed(self, error: BaseException | None) -> StorageFailed:
        return StorageFailed(
            f"no write transaction can begin on the store in {self.path} ({error or 'unknown'}): "
            "check the disk, then start this host again"
        )

    # --- reading ----------------------------------------------------------------------------------

    def get(self, table: str, key: bytes) -> bytes | None:
        if self._refusal is not None:
            raise self._refusal
        return self._reader.get(table, key)

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
        return self._reader.scan(table, start, stop, reverse=reverse, limit=limit)

    def first(self, table: str) -> Record | None:
        found = self.scan(table, limit=1)
        return found[0] if found else None

    def last(self, table: str) -> Record | None:
        found = self.scan(table, reverse=True, limit=1)
        return found[0] if found else None

    # --- copies, figures, the end -----------------------------------------------------------------

    def copy_to(self, path: Path, done: Done) -> None:
        if self._refusal is not None:
            self._answers.soon(partial(done, self._refusal))
            return

        def reply(error: BaseException | None) -> None:
            self._answers.leave(partial(self._copied, path, done, error))

        try:
            self._copier.start(path, reply)
        except lmdb.Error as error:
            self._answers.soon(partial(done, explain(error, path.parent, 0)))

    def _copied(self, path: Path, done: Done, error: BaseException | None) -> None:
        self._copier.ended()
        wanted_bytes = path.stat().st_size if path.exists() else 0
        done(None if error is None else explain(error, path.parent, wanted_bytes))
        waiting, self._after_copy = self._after_copy, []
        for callback in waiting:
            callback()

    @property
    def identity(self) -> dict[str, str]:
        """What the folder belongs to, as recorded in it."""
        return dict(self._store.identity)

    def statistics(self) -> dict[str, object]:
        free = free_bytes(self.path)
        closed = isinstance(self._refusal, Stopped)
        return {
            **self._counts,
            "state": "ready" if self._refusal is None else "closed" if closed else "failed",
            "in_flight": self._in_flight is not None,
            "waiting_for_copy": len(self._after_copy),
            "used_bytes": 0 if closed else self._map.used_bytes(),
            "grown": self._map.grown,
            "map_size_bytes": self._map.size_bytes,
            "free_bytes": free,
            "space_low": free < self._low_space_bytes,
        }

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._become(Stopped(f"the store in {self.path} is closed"))
        self._committer.stop()
        self._copier.wait()
        self._store.close()

    # --- hand-over --------------------------------------------------------------------------------

    def _begin_blocking(self) -> Transaction:
        replies: SimpleQueue[tuple[BaseException | None, Transaction | None]] = SimpleQueue()
        self._committer.begin(lambda error, fresh: replies.put((error, fresh)))
        error, fresh = replies.get()
        if fresh is None:
            raise self._begin_failed(error)
        return fresh

    def _answer(self, then: Callable[[BaseException | None, Transaction | None], None]) -> Reply:
        """What the storage thread calls when it is done."""
        return lambda error, fresh: self._answers.leave(partial(then, error, fresh))
