"""A cache follows its own records: it learns of entries, wakes whoever waits, removes what must go.

The law of this file: news come from the group's history, in order and complete, so whoever waits
for a computation hears how *that* one ended. A history that is gone means looking again, never
guessing. Nothing here decides whether a value may be served.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from quorate.consistency.layers import records
from quorate.consistency.layers.flights import Flights
from quorate.consistency.layers.index import Index
from quorate.consistency.layers.records import (
    ENTRY_MARK,
    FLIGHT_MARK,
    ComputationFailed,
    Entry,
    Failure,
    Flight,
)
from quorate.core.errors import Compacted, QuorateError, Stopped
from quorate.core.group.group import Group
from quorate.core.group.watch import Event, Watch

LOAD_PAGE_RECORDS = 64
SWEEP_BATCH_ENTRIES = 64


class Landed(NamedTuple):
    """A computation that somebody waited for ended with this entry."""

    entry: Entry
    revision: int


Waiting = dict[asyncio.Future[Landed | None], int]
"""Who waits for a key, and the revision of the computation waited for."""


class Follower:
    """Follows the records of one cache; gives up computations of this host that do not run."""

    def __init__(
        self,
        group: Group,
        namespace: str,
        *,
        index: Index,
        flights: Flights,
        wall_ms: Callable[[], int],
    ) -> None:
        self._group = group
        self._ns = namespace
        self._index = index
        self._flights = flights
        self._wall_ms = wall_ms
        self._waiting: dict[str, Waiting] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._ended: QuorateError | None = None
        self.opened_at_revision = 0
        """Of what was written since, the news come by themselves."""
        self.counts = dict.fromkeys(("expired", "evicted", "removed", "resynced"), 0)

    def start(self) -> None:
        """Begin to follow; safe to call again. Raises what ended it."""
        if self._ended is not None:
            raise self._ended
        if not self._tasks:
            loop = asyncio.get_running_loop()
            self._tasks = [
                loop.create_task(self._follow(self._watch()), name=f"cache {self._ns}"),
                loop.create_task(self._sweep(), name=f"cache {self._ns} sweep"),
            ]

    async def landing(self, key: str, flight_revision: int) -> Landed | None:
        """How the computation of this revision ends: its entry, or None when it was given up or
        decided against (look again). Raises `ComputationFailed`, `Stopped`.

        No wait between looking at the record and calling this: news would be missed."""
        if self._ended is not None:
            raise self._ended
        waiter: asyncio.Future[Landed | None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, {})
        waiting[waiter] = flight_revision
        try:
            return await waiter
        finally:
            waiting.pop(waiter, None)
            if not waiting and self._waiting.get(key) is waiting:
                del self._waiting[key]

    # --- following -------------------------------------------------------------------------------

    def _watch(self) -> Watch:
        self.opened_at_revision = self._group.machine.revision
        return Watch(self._group, namespace=self._ns)

    async def _follow(self, watch: Watch) -> None:
        try:
            while True:
                await self._load()
                try:
                    async for event in watch:
                        self._on_event(event)
                except Compacted:
                    watch = self._watch()
                    self._on_gap()
        except QuorateError as error:
            self._end(error)
        except asyncio.CancelledError:
            self._end(Stopped("the cache is closed"))
            raise

    async def _load(self) -> None:
        """Learn of the entries that are there."""
        start = ENTRY_MARK
        while True:
            rows = self._group.machine.kv_range(
                start=start, stop=chr(ord(ENTRY_MARK) + 1), ns=self._ns, limit=LOAD_PAGE_RECORDS
            )
            for row in rows:
                entry = records.decode_bytes(row.value)
                if isinstance(entry, Entry):
                    age_s = (self._wall_ms() - entry.at_ms) / 1000
                    self._add(row.key[1:], row.mod_revision, entry, age_s)
            if len(rows) < LOAD_PAGE_RECORDS:
                return
            start = rows[-1].key + "\0"
            await asyncio.sleep(0)

    def _on_gap(self) -> None:
        """News are missing: everybody looks again."""
        self.counts["resynced"] += 1
        self._index.clear()
        for key in list(self._waiting):
            self._tell(key, None, 0)

    def _on_event(self, event: Event) -> None:
        mark, key = event.key[:1], event.key[1:]
        record = records.decode(event.value) if event.kind == "put" else None
        if mark == ENTRY_MARK:
            if isinstance(record, Entry):
                self._add(key, event.revision, record, 0.0)
                self._tell(key, Landed(record, event.revision), event.revision)
            else:
                self._index.remove(key)
                self.counts["removed"] += 1
        elif mark == FLIGHT_MARK:
            self._on_flight(key, record, event.revision)

    def _on_flight(self, key: str, record: object, revision: int) -> None:
        if isinstance(record, Failure):
            self._tell(key, ComputationFailed(record.kind, record.text), revision)
        elif isinstance(record, Flight):
            self._tell(key, None, revision)  # taken over
            if record.host == self._group.host_id and record.id not in self._flights.live:
                self._flights.release_soon(key, record)
        else:
            self._tell(key, None, revision)

    def _add(self, key: str, revision: int, entry: Entry, wall_age_s: float) -> None:
        before = self._index.next_due_at()
        self._index.add(
            key,
            revision,
            entry,
            now=self._group.clock.monotonic(),
            mine=entry.host == self._group.host_id,
            wall_age_s=wall_age_s,
        )
        if self._index.next_due_at() != before:
            self._wake.set()

    def _tell(self, key: str, outcome: Landed | ComputationFailed | None, revision: int) -> None:
        """Tell those who wait for an older computation than this news."""
        for waiter, flight_revision in list(self._waiting.get(key, {}).items()):
            if (revision and revision <= flight_revision) or waiter.done():
                continue
            if isinstance(outcome, ComputationFailed):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)

    # --- sweeping --------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Remove what is past its life, and what is too much."""
        while True:
            now = self._group.clock.monotonic()
            due_at = self._index.next_due_at()
            if due_at is not None and due_at <= now:
                await self._sweep_once(now)
                continue
            self._wake.clear()
            timer = None
            if due_at is not None:
                timer = self._group.scheduler.call_later(max(0.001, due_at - now), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    async def _sweep_once(self, now: float) -> None:
        found, evicted = self._index.take_due(now, SWEEP_BATCH_ENTRIES)
        done = await asyncio.gather(
            *(self._flights.drop(key, revision) for key, revision in found), return_exceptions=True
        )
        for at, outcome in enumerate(done):
            if outcome is True:
                self.counts["evicted" if at >= len(found) - evicted else "expired"] += 1

    # --- the end ---------------------------------------------------------------------------------

    def _end(self, error: QuorateError) -> None:
        self._ended = error
        for waiting in self._waiting.values():
            for waiter in waiting:
                if not waiter.done():
                    waiter.set_exception(error)

    async def close(self) -> None:
        """Stop following; whoever waits gets `Stopped`."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._ended is None:
            self._end(Stopped("the cache is closed"))
