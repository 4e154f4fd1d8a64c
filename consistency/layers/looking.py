"""What may be served, decided on the group's records as a host has them. Pure.

The law of this file: a value may be served only if its record is there, is within its life, and
nothing it depends on has moved since before it was computed. Whether the records are fresh enough
(the level of the call) is decided before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from quorate.consistency.layers import records
from quorate.consistency.layers.index import Index
from quorate.consistency.layers.options import StoreLike, Wanted
from quorate.consistency.layers.records import ENTRY_MARK, FLIGHT_MARK, Entry, Flight, Seen
from quorate.core.clock import Clock
from quorate.core.machine.machine import Machine

Verdict = Literal["fresh", "stale", "none"]
"""`stale`: may be served while it is replaced."""


class Look(NamedTuple):
    """What the group holds under a key."""

    entry: Entry | None
    entry_revision: int
    flight: Flight | None
    flight_revision: int


class Looking:
    """Looks at the records of one cache. `opened_at()`: the revision since which news of entries
    come by themselves."""

    def __init__(
        self, namespace: str, index: Index, clock: Clock, opened_at: Callable[[], int]
    ) -> None:
        self._ns = namespace
        self._index = index
        self._clock = clock
        self._opened_at = opened_at
        self.stores: dict[str, StoreLike] = {}
        """The stores that values depend on, by namespace."""
        self.outdated = 0

    def wall_ms(self) -> int:
        return int(self._clock.wall() * 1000)

    def look(self, machine: Machine, key: str) -> Look:
        entry_row = machine.kv_get(ENTRY_MARK + key, self._ns)
        flight_row = machine.kv_get(FLIGHT_MARK + key, self._ns)
        entry = None if entry_row is None else records.decode_bytes(entry_row.value)
        flight = None if flight_row is None else records.decode_bytes(flight_row.value)
        return Look(
            entry if isinstance(entry, Entry) else None,
            0 if entry_row is None else entry_row.mod_revision,
            flight if isinstance(flight, Flight) else None,
            0 if flight_row is None else flight_row.mod_revision,
        )

    def verdict(self, machine: Machine, key: str, look: Look) -> Verdict:
        entry = look.entry
        if entry is None:
            return "none"
        if not all(self.is_unmoved(machine, seen) for seen in entry.depends_on):
            self.outdated += 1
            return "none"
        age_s = self.age_s(key, entry, look.entry_revision)
        if age_s < entry.ttl_ms / 1000:
            return "fresh"
        return "stale" if age_s < (entry.ttl_ms + entry.stale_ms) / 1000 else "none"

    def age_s(self, key: str, entry: Entry, revision: int) -> float:
        """See `index.py` on clocks."""
        known = self._index.get(key)
        if known is not None and known.revision == revision:
            return self._clock.monotonic() - known.born_at
        if revision > self._opened_at():
            return 0.0  # its news is on its way
        return max(0.0, (self.wall_ms() - entry.at_ms) / 1000)

    def is_unmoved(self, machine: Machine, seen: Seen) -> bool:
        row = machine.kv_get(seen.key, seen.namespace)
        return (0 if row is None else row.mod_revision) == seen.revision and self._saw_all(seen)

    def _saw_all(self, seen: Seen) -> bool:
        """Whether the computation had seen every update of a store's key that this host has."""
        store = self.stores.get(seen.namespace)
        if store is None:
            return True
        here = store.versions_seen(seen.key)
        return all(seen.versions.get(actor, 0) >= seq for actor, seq in here.items())

    def seen_now(self, machine: Machine, wanted: Sequence[Wanted]) -> tuple[Seen, ...]:
        """What the dependencies are like before a computation begins."""
        found: list[Seen] = []
        for one in wanted:
            row = machine.kv_get(one.key, one.namespace)
            versions = {} if one.store is None else dict(one.store.versions_seen(one.key))
            revision = 0 if row is None else row.mod_revision
            found.append(Seen(one.namespace, one.key, revision, versions))
        return tuple(found)
