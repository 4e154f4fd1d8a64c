"""Wrong versions of the CRDTs, one mistake each, that the law suite must catch.

Each is a mistake that somebody made or could make; the docstring names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quorate.consistency.crdt import sequences
from quorate.consistency.crdt.base import Crdt
from quorate.consistency.crdt.counters import GCounter, PnCounter
from quorate.consistency.crdt.maps import OrMap
from quorate.consistency.crdt.places import Place, between
from quorate.consistency.crdt.registers import EwFlag, LwwRegister, MvRegister
from quorate.consistency.crdt.sequences import Sequence
from quorate.consistency.crdt.sets import GSet, OrSet, TwoPhaseSet


class LwwWithoutTieBreak(LwwRegister):
    """Of equal stamps the one that came first wins."""

    def winner(self) -> bytes | None:
        entries = [entry for held in self.dots.values() for entry in held.values()]
        return max(entries, key=lambda entry: entry[0])[1] if entries else None


class LwwByArrival(LwwRegister):
    """The last to arrive wins, whatever its stamp."""

    def winner(self) -> bytes | None:
        entries = [entry for held in self.dots.values() for entry in held.values()]
        return entries[-1][1] if entries else None


class SetReusingDots(OrSet):
    """After some adds the numbers begin again."""

    def renew(self, element: bytes, actor: int, seq: int, delta: Any) -> None:
        super().renew(element, actor, 1 + seq % 2, delta)


class SetKeepingOldDots(OrSet):
    """An element that is there is not added again: a concurrent removal wins."""

    def renew(self, element: bytes, actor: int, seq: int, delta: Any) -> None:
        if element not in self.elements:
            super().renew(element, actor, seq, delta)


class SetForgettingContext(OrSet):
    """Merge takes the elements and drops the context."""

    def merge(self, other: Crdt) -> bool:
        changed = self.join_store(other)
        for actor, held in self.dots.items():
            for seq in held:
                self.context.add_interval(actor, seq - 1, seq)
        return changed


class SetForgettingOnCollect(OrSet):
    """Collecting closes all gaps, not only those below the stable cut."""

    def collect(self, stable: Mapping[int, int]) -> bool:
        return super().collect(dict.fromkeys(self.context.spans, 1 << 60))


class SetInArrivalOrder(OrSet):
    """The wire form follows the order of insertion."""

    def body(self, names: Mapping[int, int]) -> list[Any]:
        pairs = list(zip(*[iter(super().body(names))] * 2, strict=True))
        order = list(self.dots)
        index = {names[actor]: order.index(actor) for actor in self.dots}
        return [part for pair in sorted(pairs, key=lambda p: index[p[0]]) for part in pair]

    def load(self, body: list[Any], actors: list[int], depth: int) -> None:
        for at in range(0, len(body), 2):
            self._load_actor(actors[body[at]], body[at + 1])


class GSetWithNarrowDelta(GSet):
    """The delta does not say that the old dot of the element is gone."""

    def discard(self, element: bytes, seen: Any) -> None:
        super().discard(element, type(seen)())


class TwoPhaseAddingAgain(TwoPhaseSet):
    """What was removed can be added again."""

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: Any
    ) -> None:
        if op == "add":
            self.renew(b"+" + sequences.element_bytes(args[0], 99, ""), actor, seq, delta)
        else:
            super().apply_op(op, args, actor, seq, stamp, delta)

    def value(self) -> list[Any]:
        return [sequences.decode_value(e[1:]) for e in sorted(self.elements) if e[:1] == b"+"]


class TwoPhaseCollectedEarly(TwoPhaseSet):
    """Collecting drops the marks of removed elements."""

    def collect(self, stable: Mapping[int, int]) -> bool:
        for element, dots in list(self.elements.items()):
            if element[:1] == b"-":
                for dot in dots:
                    self.drop_dot(*dot)
        return super().collect(stable)


class CounterTakingMaxOfSums(PnCounter):
    """Joining two versions of an entry keeps the larger total."""

    def same_dot(self, actor: int, seq: int, mine: Any, theirs: Any) -> bool:
        joined = (max(mine[0], theirs[0]), max(mine[1], theirs[1]), *max(mine[2:], theirs[2:]))
        self.dots[actor][seq] = joined
        return joined != mine


class CounterAddingTotals(GCounter):
    """Joining two versions of an entry adds them up."""

    def same_dot(self, actor: int, seq: int, mine: Any, theirs: Any) -> bool:
        if mine == theirs:
            return False
        self.dots[actor][seq] = (max(mine[0], theirs[0]), mine[1] + theirs[1], *mine[2:])
        return True


class CounterCollectedEarly(PnCounter):
    """Collecting drops entries that were reset: a concurrent increment brings the old total back,
    or is lost."""

    def collect(self, stable: Mapping[int, int]) -> bool:
        for actor, held in list(self.dots.items()):
            for first, entry in list(held.items()):
                if entry[0] == entry[2]:
                    self.drop_dot(actor, first)
        return super().collect(stable)


class CounterResetByDots(GCounter):
    """A reset removes entries whole, also what was added to them concurrently."""

    def _reset(self, delta: Any) -> None:
        self.remove_all(delta.context)


class CounterOfOneEntry(PnCounter):
    """An actor that forgot its entry goes on under the same name."""

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: Any
    ) -> None:
        if op == "reset" or self.dots.get(actor):
            super().apply_op(op, args, actor, seq, stamp, delta)
        else:
            entry = (seq, self._sum(op, args, 0), 0, 0)
            self.put_dot(actor, 1, entry)
            delta.dots[actor] = {1: entry}
            delta.context.add_interval(actor, 0, 1)


class RegisterOfOneValue(MvRegister):
    """Of concurrent values only one is shown."""

    def value(self) -> list[Any]:
        return super().value()[:1]


class RegisterKeepingWhatItSaw(MvRegister):
    """A write does not take the place of what it saw."""

    def remove_all(self, seen: Any) -> None:
        return


class FlagThatDisables(EwFlag):
    """Enabling what is enabled does nothing: a concurrent disabling wins."""

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: Any
    ) -> None:
        if op != "enable" or not self.dots:
            super().apply_op(op, args, actor, seq, stamp, delta)


class MapThatRemoves(OrMap):
    """Removing a key drops all dots of the nested store, entries of counters too."""

    def _reset(self, keys: Any, actor: int, seq: int, stamp: int, delta: Any) -> None:
        for key in list(keys):
            for child in self.children.pop(key, {}).values():
                if isinstance(child, PnCounter):
                    child.remove_all(delta.context)
                else:
                    child.apply_op("reset", [], actor, seq, stamp, type(child)(delta.context))


class MapShowingTheFirst(OrMap):
    """Of two kinds at a key the one that came first is shown."""

    def shown(self, key: str) -> Crdt | None:
        kinds = self.children.get(key, {})
        return next((kinds[code] for code in kinds if not kinds[code].is_empty()), None)


class MapWithoutTypes(OrMap):
    """A key may become another kind."""

    def _update(self, key: str, kind: str, op: str, args: list[Any], *rest: Any) -> None:
        others = self.children.pop(key, {})
        self.children[key] = {c: child for c, child in others.items() if child.kind == kind}
        super()._update(key, kind, op, args, *rest)
        self.children[key] = {**others, **self.children.get(key, {})}


class MapMergingHalf(OrMap):
    """A key that only one side has is taken over as it is: removals are not looked at."""

    def join_store(self, other: OrMap) -> bool:
        changed = False
        for key, kinds in other.children.items():
            for code, theirs in kinds.items():
                empty = type(theirs)(self.context)
                mine = self.children.setdefault(key, {}).setdefault(code, empty)
                changed = mine.join_store(theirs) or changed
        return changed


class SequenceByArrival(Sequence):
    """Items go to the end of what is there when they come from elsewhere."""

    def settle(self) -> None:
        self.order = [place for place in self.order if place not in self._gone] + self._added
        self._added, self._gone = [], set()


class SequenceSettingForAll(Sequence):
    """A deletion removes an item whatever was set since."""

    def join_store(self, other: Any) -> bool:
        changed = super().join_store(other)
        for place, cell in list(self.cells.items()):
            if not self.context.contains(place[-5], place[-2]):
                continue
            if (place[-5], place[-2]) not in cell:
                for dot in cell:
                    self.drop_dot(*dot)
        self.settle()
        return changed


def scattered(left: Place, right: Place, actor: int, first: int, count: int) -> list[Place]:
    """Every item begins a run of its own, as in Logoot: concurrent runs interleave."""
    places: list[Place] = []
    for seq in range(first, first + count):
        places += between(left, right, actor + (seq * 7919 % 13 << 40), seq, 1)
        places[-1] = (*places[-1][:-5], actor, *places[-1][-4:])
        left = places[-1]
    return places
