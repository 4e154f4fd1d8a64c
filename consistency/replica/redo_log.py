"""The log of one replica: every batch of updates, own or received, synced before anybody hears of
it.

The law of this file: what is appended becomes durable in groups, in order, one commit at a time;
`on_synced(group)` comes after the disk has it. A full disk loses nothing: the group waits and is
put again. Received records go when the state on disk contains them; own records stay until every
owner has them (they are the hints of hinted hand-off), or until the limits say otherwise.

A record's key is its position: group << 20 | place in the group. Its value is a batch as
`batches.py` writes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.core.clock import Scheduler, Timer
from quorate.core.errors import StorageFailed, StorageFull
from quorate.core.storage.engine import Engine, Writer

LOG, META = "log", "meta"
LOG_TABLES = (LOG, META)
PLACE_BITS = 20
FRESH_BYTES_MAX = 16 << 20
"""Own records kept in memory beside the disk, however long an owner is away."""


class OwnRecord(NamedTuple):
    """An own batch that some owner may still lack."""

    position: int
    actor: int
    prev: int
    """The stream's position before it."""
    upto: int
    size_bytes: int


class RedoLog:
    """The records and their commits. All use is from the owning thread."""

    def __init__(
        self,
        engine: Engine,
        scheduler: Scheduler,
        config: ReplicaConfig,
        *,
        now: Callable[[], float],
        before_commit: Callable[[], None],
        on_synced: Callable[[int], None],
        on_full: Callable[[bool], None],
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._config = config
        self._now = now
        self._before_commit = before_commit
        self._on_synced = on_synced
        self._on_full = on_full
        self._on_fatal = on_fatal
        self.group = 1
        """The group that takes what is appended now."""
        self.synced = 0
        """Every record of this group and those before is on this disk."""
        self.full = False
        self.own: deque[OwnRecord] = deque()
        self.own_bytes = 0
        self._foreign: deque[int] = deque()
        self._forming: list[tuple[int, bytes]] = []
        self._meta: dict[bytes, bytes] = {}
        self._committing: list[tuple[int, bytes]] = []
        self._committing_meta: dict[bytes, bytes] = {}
        self._fresh: dict[int, bytes] = {}
        """Own records that will soon be pushed; older ones are read from the disk."""
        self._fresh_bytes = 0
        self._dropped: list[int] = []
        self._dropping: list[int] = []
        self._busy = False
        self._planned = False
        self._began_at = float("-inf")
        self._last_bytes = 0
        """Bytes of the last group: a host with much to write gathers for a moment."""
        self._stopped = False
        self._retry: Timer | None = None
        self._counts = {"groups": 0, "records": 0, "bytes": 0, "full": 0, "trimmed": 0}

    # --- reading ----------------------------------------------------------------------------------

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Every record on disk, in order; for start-up. New groups begin after the last."""
        start = b""
        while rows := self._engine.scan(LOG, start, limit=256):
            for key, value in rows:
                yield int.from_bytes(key, "big"), value
            start = rows[-1][0] + b"\0"

    def begin_after(self, position: int) -> None:
        """Go on behind `position`, with everything up to there synced."""
        self.group = (position >> PLACE_BITS) + 1
        self.synced = self.group - 1

    def found_own(self, position: int, actor: int, prev: int, upto: int, size_bytes: int) -> None:
        """An own record, made or found at start-up: it is kept until every owner has it."""
        self.own.append(OwnRecord(position, actor, prev, upto, size_bytes))
        self.own_bytes += size_bytes

    def found_foreign(self, position: int) -> None:
        """A received record found at start-up."""
        self._foreign.append(position)

    def body(self, position: int) -> bytes | None:
        """A record on this disk; recent ones come from memory."""
        found = self._fresh.get(position)
        return found or self._engine.get(LOG, position.to_bytes(8, "big"))

    def meta(self, key: bytes) -> bytes | None:
        return self._engine.get(META, key)

    # --- writing ----------------------------------------------------------------------------------

    def append(self, body: bytes) -> int:
        """Take a received record into the present group: its position. It is trimmed once the
        state has it."""
        position = self._append(body)
        self._foreign.append(position)
        return position

    def append_own(self, body: bytes, actor: int, prev: int, upto: int) -> int:
        """Take an own batch into the present group: its position."""
        position = self._append(body)
        self._fresh[position] = body
        self._fresh_bytes += len(body)
        while self._fresh_bytes > FRESH_BYTES_MAX and len(self._fresh) > 1:
            self._forget_fresh(next(iter(self._fresh)))
        self.found_own(position, actor, prev, upto, len(body))
        return position

    def _forget_fresh(self, position: int) -> None:
        body = self._fresh.pop(position, None)
        if body is not None:
            self._fresh_bytes -= len(body)

    def _append(self, body: bytes) -> int:
        position = self.group << PLACE_BITS | len(self._forming)
        self._forming.append((position, body))
        self._counts["records"] += 1
        self._counts["bytes"] += len(body)
        self.plan()
        return position

    def put_meta(self, key: bytes, value: bytes) -> None:
        """Written with the present group."""
        self._meta[key] = value
        self.plan()

    def plan(self) -> None:
        """Commit at the end of this turn, if nothing is on its way."""
        if self._planned or self._busy or self._stopped:
            return
        self._planned = True
        if self._last_bytes >= self._config.gather_bytes_min:
            wait_s = self._began_at + self._config.gather_s - self._now()
            if wait_s > 0:
                self._scheduler.call_later(wait_s, self._turn)
                return
        self._scheduler.call_soon(self._turn)

    def _turn(self) -> None:
        self._planned = False
        if self._busy or self._stopped:
            return
        self._before_commit()
        if not self._forming and not self._meta and not self._dropped:
            return
        self._busy = True
        self._began_at = self._now()
        self._committing, self._forming = self._forming, []
        self._committing_meta, self._meta = self._meta, {}
        self._dropping, self._dropped = self._dropped, []
        self._last_bytes = sum(len(body) for _, body in self._committing)
        self.group += 1
        self._put()

    def _put(self) -> None:
        """Hand the group to the disk; again after a full one."""
        self._retry = None
        if self._stopped:
            return
        writer = self._engine.writer()
        if writer is None:
            self._engine.when_writable(self._put)
            return
        self._fill(writer)
        self._engine.commit(self._on_committed)

    def _on_committed(self, error: Exception | None) -> None:
        if self._stopped:
            return
        if isinstance(error, StorageFull):
            self._counts["full"] += 1
            self._note_full(full=True)
            self._retry = self._scheduler.call_later(self._config.retry_s, self._put)
            return
        if error is not None:
            self._on_fatal(error)
            return
        self._note_full(full=False)
        self._counts["groups"] += 1
        self._counts["trimmed"] += len(self._dropping)
        self._committing, self._committing_meta = [], {}
        self._busy = False
        self.synced = self.group - 1
        self._on_synced(self.synced)
        self.plan()

    def _note_full(self, *, full: bool) -> None:
        if self.full != full:
            self.full = full
            self._on_full(full)

    def blocking(self) -> None:
        """Write everything that was appended, now; for the last moments of a host. Raises
        `StorageFull`, `StorageFailed`."""
        self._before_commit()
        self._engine.commit_blocking()
        while self._forming or self._meta or self._committing:
            if not self._committing:
                self._committing, self._forming = self._forming, []
                self._committing_meta, self._meta = self._meta, {}
                self.group += 1
            writer = self._engine.writer()
            if writer is None:
                raise StorageFailed("the replica's log cannot be written any more")
            self._fill(writer)
            self._engine.commit_blocking()
            self._committing, self._committing_meta = [], {}
            self.synced = self.group - 1
            self._on_synced(self.synced)

    def _fill(self, writer: Writer) -> None:
        for position, body in self._committing:
            writer.put(LOG, position.to_bytes(8, "big"), body)
        for key, value in self._committing_meta.items():
            writer.put(META, key, value)
        for position in self._dropping:
            writer.delete(LOG, position.to_bytes(8, "big"))

    @property
    def idle(self) -> bool:
        """Everything that was appended is on this disk."""
        return not self._forming and not self._busy

    @property
    def last_group(self) -> int:
        """The group of the last record that is not synced yet."""
        return self.group if self._forming else self.group - 1

    def poll(self) -> None:
        """Notice a finished commit early, in a busy turn."""
        if self._busy:
            self._engine.poll()

    # --- trimming ---------------------------------------------------------------------------------

    def trim(self, flushed_group: int, acked_position: int) -> OwnRecord | None:
        """Delete what nobody needs: received records of groups that the state on disk contains,
        and own ones up to `acked_position` of such groups. Gives the last own record that went
        although somebody lacks it (a limit), or None."""
        drop = self._dropped
        bound = (flushed_group + 1) << PLACE_BITS
        while self._foreign and self._foreign[0] < bound:
            drop.append(self._foreign.popleft())
        forced: OwnRecord | None = None
        config = self._config
        while self.own and self.own[0].position < bound:
            over = (
                self.own_bytes > config.retained_bytes_max
                or len(self.own) > config.retained_records_max
            )
            if self.own[0].position > acked_position:
                if not over:
                    break
                forced = self.own[0]
            gone = self.own.popleft()
            self.own_bytes -= gone.size_bytes
            self._forget_fresh(gone.position)
            drop.append(gone.position)
        if drop:
            self.plan()
        return forced

    def stop(self) -> None:
        """Nothing is written any more."""
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()

    def statistics(self) -> dict[str, object]:
        return {
            **self._counts,
            "full_now": self.full,
            "retained_records": len(self.own),
            "retained_bytes": self.own_bytes,
            "in_memory_bytes": self._fresh_bytes,
            "unsynced_records": len(self._forming) + len(self._committing),
        }
