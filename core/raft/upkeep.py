"""Upkeep: the applied state becomes durable in the background, and the log behind it is dropped.

The law: the log is what makes a command safe, so the state may follow at leisure; an entry is
dropped only when the state that contains it is durable, and the newest ones stay, so that a short
absence of a follower needs no snapshot.
"""

from __future__ import annotations

from collections.abc import Callable

from quorate.core.clock import Clock
from quorate.core.errors import CorruptStorage
from quorate.core.raft.engine import HardenedRaft
from quorate.core.raft.journal_records import BASE_INDEX, REPLACE
from quorate.core.raft.state import ReplicatedState

FLUSH_INTERVAL_S = 1.0
COMPACT_SLICE_ENTRIES = 5_000


def align(engine: HardenedRaft, state: ReplicatedState) -> None:
    """At start: the state lies between the log's base and its end, and what is applied was
    committed.

    Raises `CorruptStorage` when it does not: then one of the two lost something.
    """
    applied, journal = state.applied_index, engine.journal
    if applied < journal.base_index and journal.base_index > BASE_INDEX:
        raise CorruptStorage(
            f"the state ends at entry {applied} but the log begins after {journal.base_index}: "
            f"entries between are gone; {REPLACE}"
        )
    if applied > journal.last_index:
        raise CorruptStorage(
            f"the state holds entry {applied} but the log ends at {journal.last_index}: "
            f"the log lost entries; {REPLACE}"
        )
    engine.applied_index = max(applied, journal.base_index)
    engine.commit_index = max(engine.commit_index, engine.applied_index)
    journal.setRaftCommitIndex(engine.commit_index)


class Upkeep:
    """Flushes and compaction of one member. `held_index()` is the oldest snapshot on its way to a
    follower.
    """

    def __init__(
        self,
        engine: HardenedRaft,
        state: ReplicatedState,
        held_index: Callable[[], int | None],
        clock: Clock,
        on_flushed: Callable[[Exception | None], None],
    ) -> None:
        self._engine = engine
        self._state = state
        self._held_index = held_index
        self._clock = clock
        self._on_flushed = on_flushed
        self._flushing = False
        self._flushed_at = 0.0
        self._keep: int | None = None
        self.compactions = 0

    def start(self, now: float) -> None:
        self._flushed_at = now

    def compact(self, keep_entries: int) -> None:
        """Ask for a flush now, and for all but `keep_entries` entries behind it to be dropped."""
        self._keep = keep_entries
        self._flushed_at = -1e9

    def tend(self, now: float) -> None:
        """Start a flush when one is due; drop what a forced compaction asked for."""
        if self._flushing:
            return
        due = self._state.dirty and now - self._flushed_at >= FLUSH_INTERVAL_S
        if due or self._state.wants_flush:
            self._flushing = True
            self._state.flush(self._flushed)
        elif self._keep is not None and not self._state.dirty:
            self._drop()

    def _flushed(self, error: Exception | None) -> None:
        self._flushing = False
        self._flushed_at = self._clock.monotonic()
        if error is None:
            self._drop()
        self._on_flushed(error)

    def _drop(self) -> None:
        """Drop entries that are durable in the state, but for the trailing ones, and in slices."""
        journal, settings = self._engine.journal, self._engine.settings
        keep, slack = settings.trailing_entries, settings.compact_slack_entries
        if journal.bytes_since_base > settings.trailing_bytes_max:
            keep = int(len(journal) * settings.trailing_bytes_max / journal.bytes_since_base)
            slack = 0
        if self._keep is not None:
            keep, slack, self._keep = self._keep, 0, None
        durable = min(self._state.durable_index, journal.durable_last, self._engine.commit_index)
        held = self._held_index()
        target = min(durable - keep, durable if held is None else held)
        if target - journal.base_index > slack:
            journal.compact_to(min(target, journal.base_index + COMPACT_SLICE_ENTRIES))
            self.compactions += 1
