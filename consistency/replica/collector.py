"""Collecting tombstones below the stable cut.

The law of this file: a tombstone goes only when every owner has it on its disk and nobody can still
send anything older (`Knowledge.stable`), under one stable ring, and when nothing in another plane
would show again without it (`Joiner.pinned`). What was collected is remembered as a cut; `Joiner`
refuses what the cut covers and this host does not have (T40).
"""

from __future__ import annotations

from quorate.consistency.replica.joiner import Joiner
from quorate.consistency.replica.knowledge import Knowledge
from quorate.consistency.replica.shelf import Shelf, StoreShelf
from quorate.consistency.replica.states import RegisterState, Vector
from quorate.consistency.ring.placement import Ring

PASS_KEYS_MAX = 500
"""Keys looked at in one pass: about 5 ms."""


class Collector:
    """One per replica; a pass now and then."""

    def __init__(self, host_id: str, shelf: Shelf, joiner: Joiner, knowledge: Knowledge) -> None:
        self._host_id = host_id
        self._shelf = shelf
        self._joiner = joiner
        self._knowledge = knowledge
        self._todo: list[tuple[StoreShelf, str]] = []
        self._cut: Vector = {}
        self.collected_keys = 0

    def cut(self, ring: Ring | None) -> Vector:
        """What is stable now; empty while keys move."""
        if ring is None or ring.before is not None or self._host_id not in ring.hosts:
            return {}
        return self._knowledge.stable(self._host_id, ring.hosts, ring.epoch)

    def run(self, ring: Ring | None) -> None:
        """One bounded pass over the keys with something to collect."""
        if not self._todo:
            shelves = self._shelf.stores.values()
            if not any(shelf.candidates for shelf in shelves):
                return
            cut = self.cut(ring)
            if not cut or (cut == self._cut and not self._fresh_candidates()):
                return
            self._cut = cut
            self._todo = [(s, key) for s in shelves for key in sorted(s.candidates)]
        elif not self.cut(ring):
            self._todo = []  # the ring changed meanwhile
            return
        for _ in range(min(PASS_KEYS_MAX, len(self._todo))):
            shelf, key = self._todo.pop()
            if self._joiner.whole(shelf.point(key) >> 24):
                self._collect(shelf, key)

    def _fresh_candidates(self) -> bool:
        """A candidate that the last cut covers: it came by an exchange after that pass."""
        return any(
            (state := shelf.states.get(key)) is not None and state.covered_by(self._cut)
            for shelf in self._shelf.stores.values()
            for key in list(shelf.candidates)[:PASS_KEYS_MAX]
        )

    def _collect(self, shelf: StoreShelf, key: str) -> None:
        state = shelf.load(key)
        if state is None:
            shelf.not_collectable(key)
            return
        cut = self._joiner.known_of(shelf, key, self._cut)
        covered = state.covered_by(cut)
        if covered and state.is_dead:
            if self._joiner.pinned(shelf.definition.name, key):
                return
            self._joiner.adopt(cut)  # before anything is removed
            shelf.remove(key)
            self.collected_keys += 1
            return
        if isinstance(state, RegisterState):
            alive = [e for e in state.entries if e.value is not None]
            if covered and len(alive) < len(state.entries):
                self._joiner.adopt(cut)  # a tombstone beside siblings
                state.entries = alive
                self._joiner.changed(shelf, key, state, state.lsn)
            return
        if not state.is_dead:
            shelf.not_collectable(key)
