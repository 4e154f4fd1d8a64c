"""The journal: entries, term, vote, commit index and configurations of one member, in one storage
environment.

The law: every change is staged in memory and reaches the disk in one transaction per flush, in the
order it was made; nobody is told of a change before `durable_seq` (hard state) or `durable_last`
(entries) covers it. Reads see staged changes at once.

It speaks PySyncObj's `Journal` (positions relative to the oldest entry) for the base engine, and
indices for ours. The oldest entry is the base: the point the log was compacted or installed at; its
command is gone, its index and term remain.

Layout: table `log` index (8 bytes, big endian) -> term, term of the entry before, commit index then
on disk, command; `meta` hard -> [term, vote, commit], base -> [index, term, generation]; `terms`
first index -> term; `config` index -> members.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pysyncobj.journal import Journal as PySyncObjJournal

from quorate.core import codec
from quorate.core.errors import CorruptStorage, InvariantBroken
from quorate.core.raft.entries import NO_OP_COMMAND, configuration_of
from quorate.core.raft.journal_records import BASE_INDEX, HEAD, KEY, REPLACE, recover
from quorate.core.raft.journal_records import TABLES as TABLES
from quorate.core.raft.members import Configuration
from quorate.core.storage.engine import Engine

_FIRST_ROWS, _ROWS_MAX = 4, 64

Entry = tuple[bytes, int, int]
"""(command, index, term), the order PySyncObj uses."""


@dataclass(slots=True)
class _Flight:
    """One flush on its way to the disk."""

    seq: int
    last: int
    ops: list[tuple[str, str, bytes, bytes | None]]


class Journal(PySyncObjJournal):
    """See the law above. Lives on one thread; the engine's commit runs elsewhere and calls back on
    this thread."""

    def __init__(self, engine: Engine, *, cache_bytes_max: int = 32 * 1024 * 1024) -> None:
        self._engine = engine
        self._cache_bytes_max = cache_bytes_max
        self._cache: dict[int, tuple[bytes, int]] = {}
        self._cache_first = 0
        self._cache_bytes = 0
        self._staged: list[tuple[str, str, bytes, bytes | None]] = []
        self._flight: _Flight | None = None
        self._term_starts: list[int] = []
        self._terms: list[int] = []
        self._configurations: dict[int, Configuration] = {}
        self._term, self._vote, self._commit = 0, None, 0
        self.base_index, self.base_term, self.generation = BASE_INDEX, 0, ""
        self.last_index = BASE_INDEX
        self.bytes_since_base = 0
        self.staged_seq = 0
        self.durable_seq = 0
        self.durable_last = BASE_INDEX
        self.term_seq = 0
        self._recover()

    # --- what is here ----------------------------------------------------------------------------

    @property
    def last_term(self) -> int:
        return self.term_at(self.last_index) or 0

    def term_at(self, index: int) -> int | None:
        """The term of the entry at `index`, or None when the log does not hold it."""
        if index == self.base_index:
            return self.base_term
        if not self.base_index < index <= self.last_index:
            return None
        return self._terms[bisect_right(self._term_starts, index) - 1]

    def first_of_term(self, index: int) -> int:
        """The first index of the run of equal terms that `index` belongs to."""
        if index <= self.base_index:
            return self.base_index
        return self._term_starts[bisect_right(self._term_starts, index) - 1]

    def entries(self, first: int, last: int, bytes_max: int | None = None) -> list[Entry]:
        """Entries `first`..`last`, ended early at `bytes_max` bytes (one always fits)."""
        if first <= self.base_index or last > self.last_index:
            raise InvariantBroken(
                f"entries {first}..{last} asked of {self.base_index + 1}..{self.last_index}"
            )
        found: list[Entry] = []
        size, rows_max = 0, _FIRST_ROWS
        while first <= last:
            part = (
                self._from_cache(first, last)
                if first >= self._cache_first
                else self._from_disk(first, min(last, first + rows_max - 1))
            )
            for entry in part:
                if found and bytes_max is not None and size + len(entry[0]) > bytes_max:
                    return found
                found.append(entry)
                size += len(entry[0])
            first = found[-1][1] + 1
            if bytes_max is not None:
                rows_max = max(1, min(_ROWS_MAX, (bytes_max - size) * len(found) // (size + 1)))
        return found

    def _from_cache(self, first: int, last: int) -> list[Entry]:
        end = min(last, first + 255)
        cache = self._cache
        return [(cache[index][0], index, cache[index][1]) for index in range(first, end + 1)]

    def _from_disk(self, first: int, last: int) -> list[Entry]:
        end = min(last, self._cache_first - 1)
        rows = self._engine.scan("log", KEY.pack(first), KEY.pack(end + 1))
        if len(rows) != end - first + 1 or rows[0][0] != KEY.pack(first):
            raise CorruptStorage(f"the journal misses entries between {first} and {end}; {REPLACE}")
        return [(value[24:], KEY.unpack(key)[0], HEAD.unpack_from(value)[0]) for key, value in rows]

    def configuration_at(self, index: int) -> tuple[int, Configuration]:
        """The newest configuration at or below `index`, with the index it came from."""
        best = max((at for at in self._configurations if at <= index), default=None)
        return (0, Configuration()) if best is None else (best, self._configurations[best])

    # --- PySyncObj's journal ---------------------------------------------------------------------

    def add(self, command: bytes, idx: int, term: int) -> None:
        """Append one entry; `idx` must be the next one."""
        if idx != self.last_index + 1:
            raise InvariantBroken(f"entry {idx} does not follow {self.last_index}")
        previous = self.last_term
        if term < previous:
            raise InvariantBroken(f"entry {idx} of term {term} follows one of term {previous}")
        head = HEAD.pack(term, previous, self._stored_commit())
        self._stage("log", KEY.pack(idx), head + command)
        if term != previous or not self._terms:
            self._stage("terms", KEY.pack(idx), KEY.pack(term))
            self._term_starts.append(idx)
            self._terms.append(term)
        configuration = configuration_of(command)
        if configuration is not None:
            self._stage("config", KEY.pack(idx), codec.dumps(configuration.to_wire()))
            self._configurations[idx] = configuration
        self._cache[idx] = (command, term)
        self._cache_bytes += len(command)
        self.bytes_since_base += len(command)
        self.last_index = idx
        self._evict()

    def clear(self) -> None:
        raise InvariantBroken(
            "the log is replaced only by reset_to(), with the snapshot that stands for it"
        )

    def deleteEntriesFrom(self, entryFrom: int) -> None:
        self.truncate_from(self.base_index + entryFrom)

    def deleteEntriesTo(self, entryTo: int) -> None:
        self.compact_to(self.base_index + entryTo)

    def __len__(self) -> int:
        return self.last_index - self.base_index + 1

    def __getitem__(self, item: int | slice) -> Any:
        if isinstance(item, slice):
            return [self[position] for position in range(*item.indices(len(self)))]
        position = item + len(self) if item < 0 else item
        if not 0 <= position < len(self):
            raise IndexError(item)
        index = self.base_index + position
        if position == 0:
            return (NO_OP_COMMAND, index, self.base_term)
        if index == self.last_index:
            cached = self._cache.get(index)
            if cached is not None:
                return (cached[0], index, cached[1])
        return self.entries(index, index)[0]

    def setRaftCommitIndex(self, raftCommitIndex: int) -> None:
        """Remember the commit index; what is stored never runs ahead of the disk (S7)."""
        self._commit = max(self._commit, raftCommitIndex)

    def getRaftCommitIndex(self) -> int:
        return min(self._commit, self.last_index)

    def setCurrentTerm(self, term: int, votedForNodeId: str | None) -> None:
        if term < self._term:
            raise InvariantBroken(f"term {term} is older than {self._term}")
        if (term, votedForNodeId) == (self._term, self._vote):
            return
        self._term, self._vote = term, votedForNodeId
        self._stage_hard()
        self.term_seq = self.staged_seq

    def getCurrentTerm(self) -> int:
        return self._term

    def getVotedForNodeId(self) -> str | None:
        return self._vote

    def onOneSecondTimer(self) -> None: ...
    def _destroy(self) -> None: ...

    # --- changes by index ------------------------------------------------------------------------

    def truncate_from(self, index: int) -> None:
        """Forget entries `index`.. (a conflict with the leader's log), never committed ones."""
        if index <= self.getRaftCommitIndex():
            raise InvariantBroken(
                f"entry {index} is committed (commit index {self._commit}) and cannot be truncated"
            )
        if index > self.last_index:
            return
        for gone in range(index, self.last_index + 1):
            self._forget(gone)
        for table in ("log", "terms", "config"):
            self._stage(table, KEY.pack(index), None, kind="cut")
        keep = bisect_right(self._term_starts, index - 1)
        del self._term_starts[keep:], self._terms[keep:]
        self._configurations = {at: c for at, c in self._configurations.items() if at < index}
        self.last_index = index - 1
        self._cache_first = min(self._cache_first, self.last_index + 1)
        self.durable_last = min(self.durable_last, self.last_index)
        if self._flight is not None:
            self._flight.last = min(self._flight.last, self.last_index)

    def compact_to(self, index: int) -> None:
        """Forget entries up to `index`, the new base. The durable state must contain them."""
        if index <= self.base_index:
            return
        if index > min(self.getRaftCommitIndex(), self.durable_last):
            raise InvariantBroken(
                f"compaction to {index} would drop entries that are not committed on disk"
            )
        term = self.term_at(index)
        assert term is not None
        for gone in range(max(self._cache_first, self.base_index + 1), index + 1):
            self._forget(gone)
        at, configuration = self.configuration_at(index)
        remaining = (self.last_index - index) / max(1, self.last_index - self.base_index)
        self.bytes_since_base = int(self.bytes_since_base * remaining)
        self._set_base(index, term, self.generation)
        self._stage("log", b"", KEY.pack(index + 1), kind="drop")
        keep = bisect_right(self._term_starts, index + 1) - 1
        if keep > 0:
            self._stage("terms", b"", KEY.pack(self._term_starts[keep]), kind="drop")
            del self._term_starts[:keep], self._terms[:keep]
        if at:
            self._stage("config", b"", KEY.pack(at), kind="drop")
            self._configurations = {i: c for i, c in self._configurations.items() if i >= at}
            self._configurations[at] = configuration

    def reset_to(
        self, index: int, term: int, configuration: Configuration, generation: str
    ) -> None:
        """Replace the whole log by the snapshot at (`index`, `term`) in state `generation`.

        One transaction: this is the moment of the install. A suffix that agrees with it is kept.
        """
        if self.term_at(index) == term and index >= self.base_index:
            self._commit = max(self._commit, index)
            self._set_base(self.base_index, self.base_term, generation)
            self._stage_hard()
            return
        self._cache.clear()
        self._cache_bytes = 0
        self._term_starts, self._terms = [], []
        for table in ("log", "terms", "config"):
            self._stage(table, b"", None, kind="cut")
        self._configurations = {index: configuration}
        self._stage("config", KEY.pack(index), codec.dumps(configuration.to_wire()))
        self.last_index = index
        self._cache_first = index + 1
        self.bytes_since_base = 0
        self.durable_last = 0
        if self._flight is not None:
            self._flight.last = 0
        self._set_base(index, term, generation)
        self._commit = max(self._commit, index)
        self._stage_hard()

    def bootstrap(self, configuration: Configuration) -> None:
        """Write the first configuration of a new group at the base of an empty log."""
        if self._configurations or self.last_index != BASE_INDEX:
            raise InvariantBroken("a log that has a configuration cannot be bootstrapped again")
        self._configurations[BASE_INDEX] = configuration
        self._stage("config", KEY.pack(BASE_INDEX), codec.dumps(configuration.to_wire()))

    # --- persisting ------------------------------------------------------------------------------

    @property
    def dirty(self) -> bool:
        return bool(self._staged)

    @property
    def flushing(self) -> bool:
        return self._flight is not None

    def flush(self, done: Callable[[Exception | None], None]) -> bool:
        """Start writing everything staged in one transaction; False when a flush runs already or
        storage is busy.

        `done(None)` is called on this thread once it is durable. After `StorageFull` everything is
        still staged: flush again later. Any other error is fatal to the host.
        """
        if self._flight is not None:
            return False
        writer = self._engine.writer()
        if writer is None:
            return False
        self._flight = _Flight(self.staged_seq, self.last_index, self._staged)
        self._staged = []
        for kind, table, key, value in self._flight.ops:
            if kind == "put":
                assert value is not None
                writer.put(table, key, value)
            elif kind == "cut":
                writer.delete_range(table, key, None)
            else:
                writer.delete_range(table, key, value)
        self._engine.commit(lambda error: self._flushed(error, done))
        return True

    def poll(self) -> None:
        """Once per turn of a busy loop: let the storage thread start, and take its answer."""
        if self._flight is not None:
            self._engine.poll()

    def _flushed(self, error: Exception | None, done: Callable[[Exception | None], None]) -> None:
        flight, self._flight = self._flight, None
        assert flight is not None
        if error is not None:
            self._staged = flight.ops + self._staged
        else:
            self.durable_seq = flight.seq
            self.durable_last = max(self.durable_last, flight.last)
            self._evict()
        done(error)

    def _stage(self, table: str, key: bytes, value: bytes | None, kind: str = "put") -> None:
        self._staged.append((kind, table, key, value))
        self.staged_seq += 1

    def _stage_hard(self) -> None:
        self._stage("meta", b"hard", codec.dumps([self._term, self._vote, self._stored_commit()]))

    def _stored_commit(self) -> int:
        return min(self._commit, self.durable_last)

    def _set_base(self, index: int, term: int, generation: str) -> None:
        self.base_index, self.base_term, self.generation = index, term, generation
        self._stage("meta", b"base", codec.dumps([index, term, generation]))

    def _forget(self, index: int) -> None:
        cached = self._cache.pop(index, None)
        if cached is not None:
            self._cache_bytes -= len(cached[0])

    def _evict(self) -> None:
        while self._cache_bytes > self._cache_bytes_max and self._cache_first <= self.durable_last:
            self._forget(self._cache_first)
            self._cache_first += 1
        self._cache_first = max(self._cache_first, self.base_index + 1)

    def _recover(self) -> None:
        found = recover(self._engine)
        self.base_index, self.base_term, self.generation = found.base
        self._term, self._vote = found.term, found.vote
        self._term_starts, self._terms = found.term_starts, found.terms
        self._configurations = found.configurations
        self.last_index = self.durable_last = found.last_index
        self._commit = max(min(found.commit, found.chained_to), self.base_index)
        self._cache_first = self.last_index + 1
        if found.chained_to < found.last_index:
            self.truncate_from(found.chained_to + 1)
        self._term = max(self._term, self.last_term)

    def statistics(self) -> dict[str, Any]:
        return {
            "base_index": self.base_index,
            "last_index": self.last_index,
            "durable_index": self.durable_last,
            "cache_bytes": self._cache_bytes,
            "log_bytes": self.bytes_since_base,
            "staged_ops": len(self._staged),
        }
