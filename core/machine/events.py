"""The history that watches read: one record per entry, the newest also in memory.

The law of this file: a reader gets every event from the revision it asked for, in order, or
`Compacted`; never a gap. Events of one revision are never torn apart. What is forgotten follows
from the revision alone, in lumps; it is this host's own affair (`keep_revisions` may differ between
hosts) and so not part of the digest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any

from quorate.core import codec
from quorate.core.errors import Compacted
from quorate.core.machine.effects import EVENT_FIELDS
from quorate.core.machine.limits import (
    EVENTS_LUMP_REVISIONS,
    EVENTS_PAGE_BYTES,
    EVENTS_RING_BYTES,
    EVENTS_RING_EVENTS,
    SCAN_PAGE_RECORDS,
)
from quorate.core.machine.records import Event
from quorate.core.machine.store import EVENTS, Store


def _key(revision: int) -> bytes:
    return revision.to_bytes(8, "big")


class EventLog:
    """`oldest_revision`: the first revision that can still be read from; `floor`: the first
    revision of the oldest record.
    """

    __slots__ = (
        "_keep_revisions",
        "_ring",
        "_ring_bytes",
        "_ring_events",
        "_ring_firsts",
        "_ring_sizes",
        "_store",
        "floor",
        "oldest_revision",
        "revision",
    )

    def __init__(
        self, store: Store, revision: int, keep_revisions: int, oldest_revision: int, floor: int
    ) -> None:
        self._store = store
        self._keep_revisions = keep_revisions
        self.revision = revision
        self.oldest_revision = oldest_revision
        self.floor = floor
        self._ring: list[list[Any]] = []
        self._ring_firsts: list[int] = []
        self._ring_sizes: list[int] = []
        self._ring_events = 0
        self._ring_bytes = 0

    def append(self, events: list[Any], revision: int) -> bytes:
        """Take the (flat) events of one entry, which brought the machine to `revision`; returns
        their record.
        """
        first = events[0]
        record = codec.dumps(events)
        self._store.put(EVENTS, _key(first), record)
        self._ring.append(events)
        self._ring_firsts.append(first)
        self._ring_sizes.append(len(record))
        self._ring_events += len(events) // EVENT_FIELDS
        self._ring_bytes += len(record)
        if self._ring_events > 2 * EVENTS_RING_EVENTS or self._ring_bytes > 2 * EVENTS_RING_BYTES:
            self._trim_ring()
        lump_before = self.revision // EVENTS_LUMP_REVISIONS
        self.revision = revision
        if revision // EVENTS_LUMP_REVISIONS != lump_before:
            self._forget_old()
        return record

    def _trim_ring(self) -> None:
        drop = 0
        while drop < len(self._ring) - 1 and (
            self._ring_events > EVENTS_RING_EVENTS or self._ring_bytes > EVENTS_RING_BYTES
        ):
            self._ring_events -= len(self._ring[drop]) // EVENT_FIELDS
            self._ring_bytes -= self._ring_sizes[drop]
            drop += 1
        for ring in (self._ring, self._ring_firsts, self._ring_sizes):
            del ring[:drop]

    def _forget_old(self) -> None:
        lump_start = self.revision // EVENTS_LUMP_REVISIONS * EVENTS_LUMP_REVISIONS
        oldest = lump_start - self._keep_revisions
        if oldest <= self.oldest_revision:
            return
        self.oldest_revision = oldest
        stop = _key(oldest + 1)
        while True:
            rows = self._store.scan(EVENTS, _key(self.floor), stop, limit=SCAN_PAGE_RECORDS)
            for key, _ in rows[:-1]:
                self._store.delete(EVENTS, key)
            if rows:
                self.floor = int.from_bytes(rows[-1][0], "big")  # it may reach beyond `oldest`
            if len(rows) < SCAN_PAGE_RECORDS:
                return

    # --- reads ------------------------------------------------------------------------------------

    def read(self, from_revision: int, limit: int) -> tuple[list[Event], int]:
        """Events from `from_revision` on and the revision to go on from; about `limit`, whole
        revisions only.

        Raises Compacted if some of them are forgotten.
        """
        if from_revision < self.oldest_revision and not (
            from_revision == 0 and self.oldest_revision == 1
        ):
            raise Compacted(
                f"the history from revision {from_revision} on is forgotten, the oldest is "
                f"{self.oldest_revision}: read the present state and watch from there",
                self.oldest_revision,
            )
        if from_revision > self.revision:
            return [], from_revision
        found: list[Event] = []
        size_bytes = 0
        for event in _events(self._records_from(from_revision)):
            if event.revision < from_revision:
                continue
            full = len(found) >= limit or size_bytes >= EVENTS_PAGE_BYTES
            if full and event.revision != found[-1].revision:
                return found, found[-1].revision + 1
            found.append(event)
            size_bytes += len(event.value or b"")
        return found, self.revision + 1

    def _records_from(self, revision: int) -> Iterator[list[Any]]:
        """The flat records that hold `revision` and what follows."""
        firsts = self._ring_firsts
        if firsts and revision >= firsts[0]:
            yield from self._ring[bisect_right(firsts, revision) - 1 :]
            return
        before = self._store.scan(EVENTS, b"", _key(revision + 1), reverse=True, limit=1)
        start = before[0][0] if before else _key(revision)
        while True:
            rows = self._store.scan(EVENTS, start, None, limit=SCAN_PAGE_RECORDS)
            for _, data in rows:
                yield codec.loads(data)
            if len(rows) < SCAN_PAGE_RECORDS:
                return
            start = rows[-1][0] + b"\0"

    def statistics(self) -> dict[str, object]:
        return {
            "events_oldest_revision": self.oldest_revision,
            "events_in_memory": self._ring_events,
            "events_in_memory_bytes": self._ring_bytes,
        }


def _events(records: Iterable[list[Any]]) -> Iterator[Event]:
    for flat in records:
        for at in range(0, len(flat), EVENT_FIELDS):
            yield Event(*flat[at : at + EVENT_FIELDS])
