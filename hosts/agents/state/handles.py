"""The typed handles of an agent's state: the same as a store's.

The law of this file: names only. What a handle does is in `consistency/store/handles.py`; it asks
for `operate` and `read_crdt`, which the agent's state has.
"""

from __future__ import annotations

from typing import Any

from quorate.consistency.store import handles


class Handles:
    """A key as a CRDT. The state has no part in it: two handles of one key are the same."""

    def g_counter(self, key: str) -> handles.GCounter:
        """A counter that only grows."""
        return handles.GCounter(self._store(), key)

    def pn_counter(self, key: str) -> handles.PnCounter:
        """A counter that goes up and down."""
        return handles.PnCounter(self._store(), key)

    def g_set(self, key: str) -> handles.GSet:
        """A set that only grows."""
        return handles.GSet(self._store(), key)

    def two_phase_set(self, key: str) -> handles.TwoPhaseSet:
        """A set whose removed elements never come back."""
        return handles.TwoPhaseSet(self._store(), key)

    def or_set(self, key: str) -> handles.OrSet:
        """A set in which an addition wins over a removal that did not see it."""
        return handles.OrSet(self._store(), key)

    def lww_register(self, key: str) -> handles.LwwRegister:
        """A value; the last write wins."""
        return handles.LwwRegister(self._store(), key)

    def mv_register(self, key: str) -> handles.MvRegister:
        """A value; of concurrent writes all are kept."""
        return handles.MvRegister(self._store(), key)

    def flag(self, key: str) -> handles.Flag:
        """True or False; enabling wins."""
        return handles.Flag(self._store(), key)

    def or_map(self, key: str) -> handles.OrMap:
        """A map of CRDTs: `cart.counter("qty")`, `cart.set("tags")`, `cart["note"]`."""
        return handles.OrMap(self._store(), key)

    def sequence(self, key: str) -> handles.Sequence:
        """A list that several may edit."""
        return handles.Sequence(self._store(), key)

    def _store(self) -> Any:
        return self
