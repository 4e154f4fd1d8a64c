"""What a host knows of a cache's entries: how old they are, which were used last, what must go.
Pure.

The law of this file: age is measured from when *this host* learned of an entry, by its monotonic
clock. The wall clock is a hint for entries that were there before the cache was opened here, and
can only shorten their life: a clock that is set back or an hour ahead keeps nothing alive. The
limits hold for the whole cache; what goes first is what was used least recently as this host sees
it (its own reads, and everybody's writes).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import NamedTuple

from quorate.consistency.layers.records import Entry


class Kept(NamedTuple):
    """One entry as this host knows it."""

    revision: int
    size_bytes: int
    born_at: float
    """Monotonic seconds of this host."""
    ttl_s: float
    stale_s: float
    mine: bool
    """Computed by this host: this host removes it first."""


class Index:
    """The entries of one cache, oldest use first. `grace_s`: how much later this host removes what
    another host should have removed."""

    def __init__(self, *, entries_max: int, bytes_max: int, grace_s: float) -> None:
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._grace_s = grace_s
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._due: list[tuple[float, str, int]] = []
        self._crowded_at: float | None = None
        self.size_bytes = 0

    def limit(self, *, entries_max: int, bytes_max: int) -> None:
        """Other limits from now on."""
        self._entries_max, self._bytes_max = entries_max, bytes_max

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: str) -> Kept | None:
        return self._kept.get(key)

    def add(
        self,
        key: str,
        revision: int,
        entry: Entry,
        *,
        now: float,
        mine: bool,
        wall_age_s: float = 0.0,
    ) -> None:
        """An entry was written (or found when the cache was opened: `wall_age_s` is then its age by
        the wall clocks). An older revision than the known one is ignored."""
        known = self._kept.get(key)
        if known is not None and known.revision >= revision:
            return
        self.remove(key)
        life_s = (entry.ttl_ms + entry.stale_ms) / 1000
        born_at = now - min(max(0.0, wall_age_s), life_s)
        size_bytes = len(key.encode()) + len(entry.value)
        kept = Kept(revision, size_bytes, born_at, entry.ttl_ms / 1000, entry.stale_ms / 1000, mine)
        self._kept[key] = kept
        self.size_bytes += size_bytes
        due_at = born_at + life_s + (0.0 if mine else self._grace_s)
        heapq.heappush(self._due, (due_at, key, revision))
        self._note_crowding(now if mine else now + self._grace_s)

    def remove(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size_bytes -= kept.size_bytes
        if not self._is_crowded():
            self._crowded_at = None

    def clear(self) -> None:
        self._kept.clear()
        self._due.clear()
        self.size_bytes, self._crowded_at = 0, None

    def touch(self, key: str) -> None:
        """The entry was used."""
        if key in self._kept:
            self._kept.move_to_end(key)

    # --- what must go ----------------------------------------------------------------------------

    def next_due_at(self) -> float | None:
        """When `take_due` has something; None: never as things are."""
        times = [] if self._crowded_at is None else [self._crowded_at]
        if self._due:
            times.append(self._due[0][0])
        return min(times, default=None)

    def take_due(self, now: float, limit: int) -> tuple[list[tuple[str, int]], int]:
        """Up to `limit` (key, revision) to remove from the cache, and how many of them are there
        because the cache is over its limits. What is not removed after all comes again later."""
        found: list[tuple[str, int]] = []
        while self._due and self._due[0][0] <= now and len(found) < limit:
            _, key, revision = heapq.heappop(self._due)
            kept = self._kept.get(key)
            if kept is not None and kept.revision == revision:
                found.append((key, revision))
                heapq.heappush(self._due, (now + max(1.0, self._grace_s), key, revision))
        expired = len(found)
        if self._crowded_at is not None and self._crowded_at <= now:
            found += self._crowd({key for key, _ in found}, limit - len(found))
            if len(found) < limit:
                self._crowded_at = now + max(1.0, self._grace_s)
        return found, len(found) - expired

    def _crowd(self, going: set[str], limit: int) -> list[tuple[str, int]]:
        entries = len(self._kept) - len(going)
        size_bytes = self.size_bytes - sum(self._kept[key].size_bytes for key in going)
        found: list[tuple[str, int]] = []
        for key, kept in self._kept.items():
            if len(found) >= limit:
                break
            if entries <= self._entries_max and size_bytes <= self._bytes_max:
                break
            if key not in going:
                found.append((key, kept.revision))
                entries -= 1
                size_bytes -= kept.size_bytes
        return found

    def _is_crowded(self) -> bool:
        return len(self._kept) > self._entries_max or self.size_bytes > self._bytes_max

    def _note_crowding(self, at: float) -> None:
        if self._is_crowded():
            self._crowded_at = at if self._crowded_at is None else min(at, self._crowded_at)
