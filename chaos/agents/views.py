"""What one process has of the group: its copy of the machine, and whom it believes to lead.

The law: a process applies a prefix of the log and only ever more of it; a new one begins with what
was flushed to its disk; a snapshot takes the place of entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from quorate.chaos.sim.events import Life
from quorate.chaos.stores.strong import Command, Record, View
from quorate.core.machine.dict_store import DictStore
from quorate.core.machine.machine import Machine

BATCH = "a batch"
"""Commands of this key are an entry of command batches, as the product's submitter made them."""
PATIENCE_S = (0.3, 0.5)
"""Without a heartbeat for so long a process knows of no leader."""

Applied = list[tuple[int, int, Any]]


class Entry(NamedTuple):
    """One entry of the log."""

    term: int
    command: Command


class Image(NamedTuple):
    """The state of a machine at one index."""

    applied: int
    tables: dict[str, dict[bytes, bytes]]
    records: dict[str, Record]


class GroupView(View):
    """What one process has applied, and whom it believes to lead."""

    def __init__(self, life: Life, image: Image | None, machine: Callable[..., Machine]) -> None:
        super().__init__(life)
        self._machine_class = machine
        self.leader: str | None = None
        self.term = 0
        self.heard_at = float("-inf")
        self.patience_s = PATIENCE_S[1]
        self.on_entry: Callable[[int, int, Applied], object] = _nothing
        """(index, term, results) of an entry applied here."""
        self.on_snapshot: Callable[[], object] = _nothing
        self.on_leader: Callable[[str | None, int], object] = _nothing
        self.install(image or Image(0, {}, {}))

    def install(self, image: Image) -> None:
        """A snapshot takes the place of what was here."""
        self.store = DictStore(image.tables)
        self.machine = self._machine_class(self.store)
        self.applied = image.applied
        self.records = dict(image.records)

    def image(self) -> Image:
        """What would be on disk after a flush now."""
        self.machine.before_flush()
        tables = {name: dict(rows) for name, rows in self.store.tables.items()}
        return Image(self.applied, tables, dict(self.records))

    def apply_entry(self, index: int, entry: Entry) -> Applied:
        key, value, expected = entry.command
        self.applied = index
        results = self.machine.apply(index, entry.term, value if key == BATCH else [])
        if key != BATCH and expected in (None, self._revision(key)):
            self.records[key] = Record(index, value)
        return results

    def _revision(self, key: str) -> int:
        known = self.records.get(key)
        return 0 if known is None else known.revision

    def believe(self, leader: str | None, term: int, now: float) -> None:
        """From now on this process takes `leader` for the leader."""
        self.heard_at = now
        if (leader, term) != (self.leader, self.term):
            self.leader, self.term = leader, term
            self.life.run(lambda: self.on_leader(leader, term))


def _nothing(*_: object) -> None:
    return None
