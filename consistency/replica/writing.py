"""Own updates: into memory at once, into the turn's batch, into the log at its end.

The law of this file: a sequence number is handed out once, in order, and never again; an update and
its log record are of the same turn; an update that raises changed nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.consistency.crdt import Crdt
from quorate.consistency.replica import batches
from quorate.consistency.replica.definitions import (
    VALUE_BYTES_MAX,
    ReplicaConfig,
    check_key,
)
from quorate.consistency.replica.joiner import Joiner
from quorate.consistency.replica.redo_log import RedoLog
from quorate.consistency.replica.shelf import Shelf, StoreShelf
from quorate.consistency.replica.states import (
    CrdtState,
    RegisterEntry,
    RegisterState,
    Vector,
    joined,
)
from quorate.consistency.versions.hlc import HybridClock
from quorate.core.errors import (
    LimitExceeded,
    Overloaded,
    QuorateError,
    StaleReplica,
    StorageFull,
    UsageError,
    WrongType,
)

UPDATE_OVERHEAD_BYTES = 64


class Update(NamedTuple):
    """An update as this host made it."""

    store: str
    key: str
    seq: int
    stamp: int
    lsn: int
    """The commit group: durable here once the replica's `synced_lsn` is at it."""


def wider(one: int | None, other: int | None) -> int | None:
    """The larger number of owners; None is all."""
    return None if one is None or other is None else max(one, other)


class Writer:
    """The own updates of one replica."""

    def __init__(
        self,
        shelf: Shelf,
        joiner: Joiner,
        log: RedoLog,
        hlc: HybridClock,
        config: ReplicaConfig,
    ) -> None:
        self._shelf = shelf
        self._joiner = joiner
        self._log = log
        self._hlc = hlc
        self._config = config
        self.actor = 0
        self.head = 0
        """The last sequence that was handed out."""
        self.logged = 0
        """The last sequence in a log record."""
        self.closed: QuorateError | None = None
        self.clock_error: QuorateError | None = None
        self.leaving: QuorateError | None = None
        """Others have taken over what was here; an update made now might reach nobody."""
        self._rows: dict[tuple[str, str], batches.Update] = {}
        """This turn's updates, one per key: a later one of a key says all that the earlier said.
        A CRDT's row holds the delta itself until the batch is closed."""
        self._batch_bytes = 0
        self.unsynced_bytes = 0
        self._sizes: list[tuple[int, int]] = []
        self.written = 0

    def begin(self, actor: int, head: int, logged: int) -> None:
        """Number from `head` on, as `actor`; its stream goes on behind `logged`."""
        self.actor, self.head, self.logged = actor, head, logged

    def _check(self, key: str, size_bytes: int) -> None:
        if self.closed is not None:
            raise self.closed
        if self.clock_error is not None:
            raise self.clock_error
        if self.leaving is not None:
            raise self.leaving
        if self._log.full:
            raise StorageFull("this host's disk is full; nothing was written")
        if self.unsynced_bytes > self._config.unsynced_bytes_max:
            raise Overloaded(f"{self.unsynced_bytes} bytes wait for this host's disk; slow down")
        if size_bytes > VALUE_BYTES_MAX:
            raise LimitExceeded(
                f"key {key!r}: {size_bytes} bytes; at most {VALUE_BYTES_MAX} are allowed"
            )

    def put(
        self,
        store: str,
        key: str,
        value: bytes | None,
        deps: Vector | None,
        floor: int,
        only: int | None,
    ) -> Update:
        """Write a register, overwriting everything of it that is here."""
        check_key(key)
        size_bytes = 0 if value is None else len(value)
        self._check(key, size_bytes)
        shelf = self._store(store)
        state = shelf.states.get(key) or shelf.load(key)
        if state is None:
            if shelf.definition.resolver != "lww" and not self._joiner.holds(shelf, key):
                raise StaleReplica(
                    f"store {store!r}, key {key!r}: this host does not hold the key, and a blind "
                    "write would overwrite what it made of it before; nothing was written"
                )
            state = self._joiner.new_register(shelf, key)
        elif not isinstance(state, RegisterState):
            raise WrongType(f"store {store!r}, key {key!r} is a {state.kind}, not a register")
        for entry in state.entries:
            if entry.stamp > floor:
                floor = entry.stamp
        stamp = self._hlc.now(floor)
        actor, seq = self.actor, self.head + 1
        self.head = seq
        context = {**state.context, actor: seq}
        state.entries = [RegisterEntry(actor, seq, stamp, value, deps)]
        state.context = context
        group = self._log.group
        self._joiner.changed(shelf, key, state, group)
        before = self._earlier(store, key, 0)
        if before is not None:
            only = wider(before[batches.ONLY], only)
        self._add([store, key, 0, seq, stamp, context, value, deps, only], size_bytes)
        return Update(store, key, seq, stamp, group)

    def operate(
        self,
        store: str,
        key: str,
        kind: str,
        op: str,
        args: list[Any],
        deps: Vector | None,
        floor: int,
        only: int | None,
    ) -> Update:
        """Apply an operation to a CRDT, made if it is not there."""
        check_key(key)
        self._check(key, 0)
        shelf = self._store(store)
        state = shelf.states.get(key) or shelf.load(key)
        if state is None:
            state = self._joiner.new_crdt(kind)
        if isinstance(state, RegisterState) or state.kind != kind:
            raise WrongType(f"store {store!r}, key {key!r} is a {state.kind}, not a {kind}")
        crdt = state.crdt
        stamp = self._hlc.now(max(floor, state.stamp))
        seq = self.head + crdt.dots_needed(op, args)
        delta = crdt.operate(op, args, self.actor, seq, stamp)
        self.head = seq
        state.took(stamp, deps)
        group = self._log.group
        self._joiner.changed(shelf, key, state, group)
        before = self._earlier(store, key, kind)
        if before is not None:
            before[batches.FIRST].merge(delta)
            delta = before[batches.FIRST]
            deps = joined(before[batches.DEPS] or {}, deps or {}) or None
            only = wider(before[batches.ONLY], only)
        self._add([store, key, kind, seq, stamp, delta, None, deps, only], 64)
        return Update(store, key, seq, stamp, group)

    def join_delta(
        self,
        store: str,
        key: str,
        delta: Crdt,
        stamp: int,
        deps: Vector | None,
        floor: int,
        only: int | None,
    ) -> Update:
        """Join a delta made elsewhere or before, whose dots are of no host's log. It takes a place
        in this log like any update; the place is among what a reader's session must find."""
        check_key(key)
        self._check(key, 0)
        shelf = self._store(store)
        state = shelf.states.get(key) or shelf.load(key)
        if state is None:
            state = self._joiner.new_crdt(delta.kind)
        if isinstance(state, RegisterState) or state.kind != delta.kind:
            raise WrongType(f"store {store!r}, key {key!r} is a {state.kind}, not a {delta.kind}")
        before = self._earlier(store, key, delta.kind)
        if before is not None:
            before[batches.FIRST].merge(delta)
            deps = joined(before[batches.DEPS] or {}, deps or {}) or None
            only = wider(before[batches.ONLY], only)
        state.crdt.merge(delta)
        stamp = self._hlc.now(max(floor, state.stamp, stamp))
        seq = self.head = self.head + 1
        deps = {**(deps or {}), self.actor: seq}
        state.took(stamp, deps)
        group = self._log.group
        self._joiner.changed(shelf, key, state, group)
        sent = delta if before is None else before[batches.FIRST]
        self._add([store, key, delta.kind, seq, stamp, sent, None, deps, only], 64)
        return Update(store, key, seq, stamp, group)

    def admit(self, updates: int, size_bytes: int) -> None:
        """See `StoreReplica.admit`."""
        size_bytes += updates * UPDATE_OVERHEAD_BYTES
        config = self._config
        self._check("", 0)
        if self.unsynced_bytes + size_bytes > config.unsynced_bytes_max:
            raise Overloaded(f"{self.unsynced_bytes} bytes wait for this host's disk; slow down")
        if self._rows and (
            len(self._rows) + updates >= config.batch_updates_max
            or self._batch_bytes + size_bytes >= config.batch_bytes_max
        ):
            self.close_batch()

    def delete(
        self, store: str, key: str, deps: Vector | None, floor: int, only: int | None
    ) -> Update:
        """A register gets a tombstone; a CRDT is reset (what was seen here goes)."""
        shelf = self._store(store)
        state = shelf.load(check_key(key))
        if isinstance(state, CrdtState):
            return self.operate(store, key, state.kind, "reset", [], deps, floor, only)
        return self.put(store, key, None, deps, floor, only)

    def _store(self, store: str) -> StoreShelf:
        shelf = self._shelf.stores.get(store)
        if shelf is None:
            raise UsageError(f"store {store!r} was never defined on this host")
        return shelf

    def _earlier(self, store: str, key: str, kind: int | str) -> batches.Update | None:
        """Take back this turn's row of the key, to be said again with what is added now."""
        row = self._rows.get((store, key))
        if row is None:
            return None
        if row[batches.KIND] != kind:
            self.close_batch()
            return None
        del self._rows[store, key]
        return row

    def _add(self, row: batches.Update, size_bytes: int) -> None:
        rows = self._rows
        rows[row[0], row[1]] = row
        size_bytes += UPDATE_OVERHEAD_BYTES
        self._batch_bytes += size_bytes
        self.unsynced_bytes += size_bytes
        self.written += 1
        config = self._config
        if len(rows) == 1:
            self._log.plan()
        elif len(rows) >= config.batch_updates_max or self._batch_bytes >= config.batch_bytes_max:
            self.close_batch()

    def close_batch(self) -> None:
        """Make a log record of the updates since the last one."""
        if not self._rows:
            return
        rows = list(self._rows.values())
        self._rows.clear()
        stamp_max = 0
        for row in rows:
            if row[batches.STAMP] > stamp_max:
                stamp_max = row[batches.STAMP]
            if row[batches.KIND] != 0:
                row[batches.FIRST] = row[batches.FIRST].brief()
        batch = batches.Batch(self.actor, self.logged, self.head, stamp_max, rows)
        self._sizes.append((self._log.group, self._batch_bytes))
        self._batch_bytes = 0
        self._log.append_own(batches.encode_batch(batch), self.actor, self.logged, self.head)
        self.logged = self.head

    def on_synced(self, group: int) -> None:
        """Their bytes wait no longer."""
        done = 0
        for at, size_bytes in self._sizes:
            if at > group:
                break
            done += 1
            self.unsynced_bytes -= size_bytes
        del self._sizes[:done]
