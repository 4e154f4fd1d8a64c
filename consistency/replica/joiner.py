"""How an update or a state enters a key: own writes, pushed updates, states from an exchange.

The law of this file: the one place where a key's state changes. Where this host holds a partition
whole, everything up to the collected cut that is not here is dead (T40): a register that is not
here begins with the cut as its context, a CRDT is joined as if it had seen it. Concurrent register
writes go to the conflict feed; nothing is lost silently. Whoever calls has the log take the same
update in the same turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.consistency import crdt as crdts
from quorate.consistency.replica import batches
from quorate.consistency.replica.conflict_feed import ConflictFeed
from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.shelf import Shelf, StoreShelf
from quorate.consistency.replica.states import (
    CrdtState,
    KeyState,
    RegisterEntry,
    RegisterState,
    Vector,
    stronger_kind,
)
from quorate.core import codec

MS_SHIFT = 16


class Joiner:
    """`collected`: the cut up to which tombstones were collected here. `whole(partition)`: whether
    this host has everything of a partition; `missing(partition)`: but what these actors made while
    their host was away, which may come later. `on_change(store, key)`, `on_conflict(conflict)`."""

    def __init__(
        self,
        shelf: Shelf,
        feed: ConflictFeed,
        *,
        on_change: Callable[[str, str], None],
        on_conflict: Callable[[Conflict], None],
    ) -> None:
        self._shelf = shelf
        self._feed = feed
        self._on_change = on_change
        self._on_conflict = on_conflict
        self.collected: Vector = {}
        self.whole: Callable[[int], bool] = lambda partition: True
        self.missing: Callable[[int], frozenset[int]] = lambda partition: frozenset()
        self.pinned: Callable[[str, str], bool] = lambda store, key: False
        """Whether a tombstone must stay because of something that it hides in another plane."""
        self.changes = 0
        self.dropped = 0

    # --- beginnings -------------------------------------------------------------------------------

    def _floor(self, shelf: StoreShelf, key: str) -> Vector:
        """The context of a key that is not here."""
        if not self.collected or not self.whole(shelf.point(key) >> 24):
            return {}
        return self.known_of(shelf, key, self.collected)

    def known_of(self, shelf: StoreShelf, key: str, cut: Vector) -> Vector:
        """A cut, without those of whose updates of the key something may be missing here."""
        missing = self.missing(shelf.point(key) >> 24)
        return {a: s for a, s in cut.items() if a not in missing} if missing else cut

    def adopt(self, cut: Vector) -> None:
        """From here on `cut` is a context of what is not here: all of it was applied, and what of
        it is not here was collected, here or by another owner."""
        merged = dict(self.collected)
        for actor, seq in cut.items():
            if seq > merged.get(actor, 0):
                merged[actor] = seq
        self.collected = merged

    def cut_of(self, store: str, key: str) -> Vector:
        """What was collected here, as far as it concerns a key."""
        return self._floor(self._shelf.store(store), key)

    def holds(self, shelf: StoreShelf, key: str) -> bool:
        """Whether a key that is not here is nowhere, as far as this host can know."""
        return self.whole(shelf.point(key) >> 24)

    def new_register(self, shelf: StoreShelf, key: str) -> RegisterState:
        """An empty register, not on the shelf yet."""
        return RegisterState([], self._floor(shelf, key))

    def new_crdt(self, kind: str) -> CrdtState:
        """An empty CRDT, not on the shelf yet. Raises `UnknownType`."""
        return CrdtState(crdts.new(kind), 0)

    def changed(self, shelf: StoreShelf, key: str, state: KeyState, group: int) -> None:
        """The state of `key` is now this, by an update of commit group `group`."""
        state.lsn = group
        shelf.states[key] = state
        shelf.dirty[key] = None
        self.changes += 1
        self._on_change(shelf.definition.name, key)

    # --- pushed updates ---------------------------------------------------------------------------

    def apply(self, actor: int, update: batches.Update, group: int) -> None:
        """Join one update of another actor, or one of the own log. Raises `Malformed`."""
        name, key, kind, seq, stamp, first, second, deps, _ = update
        shelf = self._shelf.stores.get(name) or self._shelf.store(name)
        if kind == 0:
            entry = RegisterEntry(actor, seq, stamp, second, deps)
            self._join_register(shelf, key, [entry], first, group)
            return
        state = shelf.states.get(key)
        if state is not None and state.kind == kind and isinstance(state, CrdtState):
            by_hand = state.crdt.merge_wire(first)
            if by_hand is not None:
                if state.took(stamp, deps) or by_hand:
                    self.changed(shelf, key, state, group)
                return
        self._join_crdt(shelf, key, CrdtState(crdts.decode(first), stamp, deps), group)

    def join_state(self, name: str, key: str, state: KeyState, group: int) -> bool:
        """Join a whole state from an exchange; True if anything changed."""
        shelf = self._shelf.store(name)
        if isinstance(state, RegisterState):
            return self._join_register(shelf, key, state.entries, state.context, group)
        return self._join_crdt(shelf, key, state, group)

    def is_dead(self, name: str, key: str, state: KeyState) -> bool:
        """Whether a state that came is only what was collected here already."""
        shelf = self._shelf.store(name)
        if shelf.load(key) is not None:
            return False
        floor = self._floor(shelf, key)
        return bool(floor) and state.covered_by(floor)

    def drop_dead(self, name: str, key: str, cut: Vector, group: int) -> bool:
        """The owners collected everything of this key up to `cut`: so do we."""
        shelf = self._shelf.store(name)
        state = shelf.load(key)
        if state is None:
            return False
        if state.covered_by(cut):
            if self.pinned(name, key):
                return False
            shelf.remove(key)
            self._on_change(name, key)
            self.dropped += 1
            return True
        if isinstance(state, RegisterState) and state.drop_covered(cut):
            self.changed(shelf, key, state, group)
            return True
        return False

    # --- registers --------------------------------------------------------------------------------

    def _join_register(
        self,
        shelf: StoreShelf,
        key: str,
        entries: list[RegisterEntry],
        context: Vector,
        group: int,
    ) -> bool:
        state = shelf.states.get(key) or shelf.load(key)
        if state is None:
            state = self.new_register(shelf, key)
            if not state.context:
                fresh = RegisterState(entries, context)
                if len(entries) > 1:
                    self._met(shelf, key, fresh, [])
                self.changed(shelf, key, fresh, group)
                return True
        if not isinstance(state, RegisterState):
            incoming = RegisterState(entries, context)
            return self._two_types(shelf, key, state, incoming, group)
        before = state.entries
        if not state.merge(entries, context):
            return False
        if len(state.entries) > 1:
            self._met(shelf, key, state, before)
        if not state.entries and not before:
            return False  # everything that came was collected here
        self.changed(shelf, key, state, group)
        return True

    def _met(
        self, shelf: StoreShelf, key: str, state: RegisterState, before: list[RegisterEntry]
    ) -> None:
        """Concurrent entries: resolve or keep them, and tell."""
        definition = shelf.definition
        winner = state.winner
        if winner is None:
            return
        if definition.resolver == "lww":
            losers = state.reduce()
            reason = "concurrent"
        else:
            losers = [entry for entry in state.entries if entry is not winner]
            if all(entry in before for entry in state.entries):
                return
            reason = "siblings"
        self._tell(shelf, key, winner, losers, reason)

    def _tell(
        self,
        shelf: StoreShelf,
        key: str,
        winner: RegisterEntry | None,
        losers: list[RegisterEntry],
        reason: Any,
    ) -> None:
        highest = max(losers + ([winner] if winner else []), key=lambda entry: entry.stamp)
        conflict = Conflict(
            shelf.definition.name,
            key,
            shelf.definition.resolver,
            highest.stamp >> MS_SHIFT,
            winner,
            losers,
            reason,
        )
        if self._feed.add(shelf, conflict):
            self._on_conflict(conflict)

    # --- CRDTs ------------------------------------------------------------------------------------

    def _join_crdt(self, shelf: StoreShelf, key: str, other: CrdtState, group: int) -> bool:
        state = shelf.states.get(key) or shelf.load(key)
        cut = self._floor(shelf, key)
        if state is None:
            if not cut:
                self.changed(shelf, key, other, group)
                return True
            state = self.new_crdt(other.kind)
            merge_above(state, other, cut)
            if state.is_dead and state.covered_by(cut):
                return False
            self.changed(shelf, key, state, group)
            return True
        if isinstance(state, RegisterState) or state.kind != other.kind:
            return self._two_types(shelf, key, state, other, group)
        if not (merge_above(state, other, cut) if cut else state.merge(other)):
            return False
        self.changed(shelf, key, state, group)
        return True

    def _two_types(
        self, shelf: StoreShelf, key: str, mine: KeyState, theirs: KeyState, group: int
    ) -> bool:
        """Hosts that could not see each other made the key two different things: all keep the same
        one, the other's value goes to the feed. A CRDT that was deleted and collected where a
        register was written then is only behind: nothing is lost."""
        if has_collected(mine, theirs):
            return False
        over = has_collected(theirs, mine)
        keep_mine = not over and stronger_kind(mine.kind, theirs.kind) == "mine"
        if not over:
            loser = theirs if keep_mine else mine
            self._tell(shelf, key, None, lost_entries(loser), "type")
        if keep_mine:
            return False
        theirs.digest = mine.digest
        self.changed(shelf, key, theirs, group)
        return True


def merge_above(state: CrdtState, other: CrdtState, cut: Vector) -> bool:
    """Join `other` as if everything up to `cut` had been seen: what it has below that is not here
    is dead. The cut itself does not stay in the context, because every host has another one; what
    `other` had seen does, so that its host learns what is dead."""
    context = state.crdt.context
    before = dict(context.spans)
    if any(spans[0] < cut.get(actor, 0) for actor, spans in other.crdt.context.spans.items()):
        for actor, seq in cut.items():
            context.add_interval(actor, 0, seq)
        changed = state.merge(other)
        context.spans = dict(before)
        context.join(other.crdt.context)
        return changed or context.spans != before
    return state.merge(other)


def has_collected(state: KeyState, other: KeyState) -> bool:
    """Whether a register was written by who had collected all that a CRDT of its key ever saw."""
    if not isinstance(state, RegisterState) or isinstance(other, RegisterState):
        return False
    return other.covered_by(state.context)


def lost_entries(state: KeyState) -> list[RegisterEntry]:
    """What a key of another type held, as entries of the conflict feed."""
    if isinstance(state, RegisterState):
        return state.entries or [RegisterEntry(1, 1, 0, None)]

    value = codec.dumps([state.kind, state.crdt.wire()])
    return [RegisterEntry(1, 1, state.stamp, value)]
