"""Work that is to be done for agents at certain times, the next one first. Pure.

The law of this file: a piece of work is an agent's name and a key, and is here at most once; while
it is being tried it is not handed out again. What stands in the group is told with `set`; a piece
that changed there is another piece, and the end of the old one's try means nothing to it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

Key = str | int
STALE_MIN_ROWS: Final = 64


class Errand:
    """One piece of work."""

    __slots__ = ("at_ms", "due_ms", "failures", "key", "name", "running", "told", "troubles")

    def __init__(self, name: str, key: Key, due_ms: int) -> None:
        self.name = name
        self.key = key
        self.due_ms = due_ms
        """As it stands in the group; with another one it is another errand."""
        self.at_ms = due_ms
        """When it is tried next."""
        self.failures = 0
        """In a row, of the agent's own."""
        self.troubles = 0
        """In a row, of the world's."""
        self.running = False
        self.told = False
        """Somebody was told that it fails."""

    def __repr__(self) -> str:
        return f"<Errand {self.name!r} {self.key!r} due {self.due_ms}>"


class Table:
    """All that one host has to do."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[Key, Errand]] = {}
        self._heap: list[tuple[int, int, Errand]] = []
        self._number = 0
        self._count = 0

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __len__(self) -> int:
        return self._count

    # --- what stands in the group -----------------------------------------------------------------

    def set(self, name: str, rows: Mapping[Key, int]) -> None:
        """These (key -> due) are all that the agent has."""
        known = self._rows.get(name)
        if known is not None:
            for key in [key for key in known if key not in rows]:
                self.remove(name, key)
        for key, due_ms in rows.items():
            self.add(name, key, due_ms)

    def add(self, name: str, key: Key, due_ms: int) -> None:
        """This is to be done; nothing happens if it is here already."""
        present = self._rows.get(name, {}).get(key)
        if present is not None:
            if present.due_ms == due_ms:
                return
            self.remove(name, key)
        errand = Errand(name, key, due_ms)
        self._rows.setdefault(name, {})[key] = errand
        self._count += 1
        self._push(errand)

    def remove(self, name: str, key: Key) -> None:
        """It is done, or not wanted any more."""
        rows = self._rows.get(name)
        if rows is None or rows.pop(key, None) is None:
            return
        self._count -= 1
        if not rows:
            del self._rows[name]
        self._tidy()

    def drop(self, name: str) -> None:
        """The agent is not this host's."""
        rows = self._rows.pop(name, None)
        if rows is not None:
            self._count -= len(rows)
            self._tidy()

    def clear(self) -> None:
        self._rows.clear()
        self._heap.clear()
        self._count = 0

    # --- what is to be done -----------------------------------------------------------------------

    def next_at_ms(self) -> int | None:
        """When the next piece is to be tried; None if there is none that waits."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def take(self, now_ms: int, most: int) -> list[Errand]:
        """What is to be tried now, the earliest first; it is running from then on."""
        found: list[Errand] = []
        while len(found) < most:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now_ms:
                break
            errand = heapq.heappop(self._heap)[2]
            errand.running = True
            found.append(errand)
        return found

    def again(self, errand: Errand, at_ms: int) -> None:
        """Its try has ended; the next one is at `at_ms`."""
        errand.running = False
        errand.at_ms = at_ms
        if self.has(errand):
            self._push(errand)

    def has(self, errand: Errand) -> bool:
        """Whether this very piece is still to be done."""
        return self._rows.get(errand.name, {}).get(errand.key) is errand

    # --- the heap ---------------------------------------------------------------------------------

    def _push(self, errand: Errand) -> None:
        self._number += 1
        heapq.heappush(self._heap, (errand.at_ms, self._number, errand))

    def _drop_stale(self) -> None:
        heap = self._heap
        while heap and not self._waits(heap[0]):
            heapq.heappop(heap)

    def _waits(self, entry: tuple[int, int, Errand]) -> bool:
        at_ms, _, errand = entry
        return at_ms == errand.at_ms and not errand.running and self.has(errand)

    def _tidy(self) -> None:
        if len(self._heap) > 2 * self._count + STALE_MIN_ROWS:
            self._heap = [entry for entry in self._heap if self._waits(entry)]
            heapq.heapify(self._heap)
