"""What a store promises: the protocols that the journal, the state store and the tests are written
against.

The law of this file: protocols and plain values only; no lmdb, no threads, no clock, no files.

A store is a set of named tables of bytes to bytes, ordered by key as bytes compare. All use is from
one *owning thread* (an event loop, or the simulator). Writes gather in the `Writer` of the one open
transaction; `commit` makes them durable off the owning thread, all or none, in order. Reads see the
last committed state, never the open transaction.

Store format, version 1 (LMDB): one named LMDB database per table, engine 0.9 file format; a record
is a CRC32 (4 bytes, little-endian, over table name + key + value) followed by the value. The table
`quorate.format` describes the store; the file `STORE` beside the data says that the folder was
initialised once, so that a data file that vanished is told from a new folder; the file `LOCK`
carries the process that holds the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

KEY_BYTES_MAX = 511
"""The longest key in bytes that a store takes (LMDB's compiled-in limit); the shortest is 1."""

VALUE_BYTES_MAX = 1 << 30
"""The longest value in bytes that a store takes."""

Done = Callable[[Exception | None], object]
"""Told the outcome on the owning thread: None, or StorageFull (recovers) or StorageFailed (fatal).
"""

Record = tuple[bytes, bytes]
"""(key, value)"""


class Writer(Protocol):
    """The one open transaction. No disk is touched until `Engine.commit`; later writes win over
    earlier ones.

    Raises UsageError (LimitExceeded for sizes) with the transaction unchanged; InvariantBroken when
    it is used after its commit began.
    """

    def put(self, table: str, key: bytes, value: bytes) -> None: ...

    def delete(self, table: str, key: bytes) -> None:
        """Removes the record; no error where there is none."""
        ...

    def delete_range(self, table: str, start: bytes, stop: bytes | None) -> None:
        """Removes every record with start <= key < stop; `stop` None means to the end of the table.

        About 1 us for each record on the owning thread, except for a whole table (b"", None), which
        is cheap: callers with very long ranges go in slices.
        """
        ...


class Engine(Protocol):
    """One store, with one open write transaction at a time."""

    def writer(self) -> Writer | None:
        """The open transaction, or None while a commit is in flight (and after a failure or
        `close`).
        """
        ...

    def when_writable(self, callback: Callable[[], object]) -> None:
        """`callback()` once on the owning thread, soon after `writer()` is available; never after a
        failure.
        """
        ...

    def commit(self, done: Done) -> None:
        """Makes what the writer holds durable, all or none, off the owning thread.

        `writer()` is None from here until `done` runs, and available again (empty) when `done`
        runs. After an error the transaction is gone and nothing of it was written: the caller puts
        again. With nothing to write `done` is called soon and no disk is touched.
        """
        ...

    def commit_blocking(self) -> None:
        """`commit` for start-up and tools: returns when durable, raises what `done` would hear.

        Waits first for a commit in flight (its `done` runs here); with no writer then to put into
        it commits nothing more.
        """
        ...

    def poll(self) -> None:
        """Runs `done` of a commit that the disk has finished, now; otherwise returns at once.

        Worth calling once per turn by an owning thread that is always busy, because such a thread
        keeps the interpreter lock from the storage thread. Never waits for the disk.
        """
        ...

    def get(self, table: str, key: bytes) -> bytes | None:
        """The committed value, or None. Raises CorruptStorage when the record does not match its
        checksum.
        """
        ...

    def scan(
        self,
        table: str,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[Record]:
        """Committed records with start <= key < stop in key order (reversed: from the last), at
        most `limit`.
        """
        ...

    def first(self, table: str) -> Record | None: ...

    def last(self, table: str) -> Record | None: ...

    def copy_to(self, path: Path, done: Done) -> None:
        """A consistent compacted copy of the last committed state into the new file `path`, off the
        owning thread.

        It shows the state at the time of this call. The file is synced before `done(None)`; on an
        error nothing is left at `path`.
        """
        ...

    def statistics(self) -> dict[str, object]: ...

    def close(self) -> None:
        """Waits for the running commit, drops what is not committed, frees the store. Twice is no
        error.
        """
        ...


def check_record(table: str, key: bytes, value: bytes) -> str | None:
    """Why this record cannot be stored (one sentence), or None."""
    if not 0 < len(key) <= KEY_BYTES_MAX:
        return f"a key in table {table!r} has {len(key)} bytes; 1 to {KEY_BYTES_MAX} are allowed"
    if len(value) > VALUE_BYTES_MAX:
        return f"a value in table {table!r} has {len(value)} bytes; at most {VALUE_BYTES_MAX} are"
    return None
