"""Which dots of one key were seen: a set of dots, kept as intervals.

The law of this file: `spans[actor]` is a tuple (low, high, low, high, ...) of half-open intervals
(low, high], ascending, disjoint and not touching, so that equal sets are equal tuples and give
equal bytes. Tuples are never changed, only replaced: contexts may share them.

An actor's seqs on one key grow but have gaps (the others went to other keys). A delta therefore
carries (the actor's own high on this key, seq]: joined in any order the intervals meet and melt
together, and a lost delta leaves a gap that a later full state closes.

Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), section 7.2.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, cast

from quorate.core.codec import Malformed

GREATEST_SEQ: Final = (1 << 63) - 1
GREATEST_ACTOR: Final = 1 << 53

Spans = tuple[int, ...]


def union(a: Spans, b: Spans) -> Spans:
    """All dots of both; linear in the number of intervals."""
    pairs = sorted([*zip(a[::2], a[1::2], strict=True), *zip(b[::2], b[1::2], strict=True)])
    merged: list[int] = []
    for low, high in pairs:
        if merged and low <= merged[-1]:
            if high > merged[-1]:
                merged[-1] = high
        else:
            merged += (low, high)
    return tuple(merged)


def inside(spans: Spans, seq: int) -> bool:
    """Whether `seq` lies in one of the intervals."""
    if len(spans) == 2:
        return spans[0] < seq <= spans[1]
    return bisect_left(spans, seq) % 2 == 1


class CausalContext:
    """A set of dots. Mutable; `copy()` is cheap."""

    __slots__ = ("spans",)

    def __init__(self, spans: dict[int, Spans] | None = None) -> None:
        self.spans: dict[int, Spans] = {} if spans is None else spans

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CausalContext) and self.spans == other.spans

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # mutable

    def __repr__(self) -> str:
        return f"CausalContext({self.spans})"

    def contains(self, actor: int, seq: int) -> bool:
        spans = self.spans.get(actor)
        return spans is not None and inside(spans, seq)

    def high(self, actor: int) -> int:
        """The greatest seq of `actor`; 0 if there is none."""
        spans = self.spans.get(actor)
        return spans[-1] if spans else 0

    def actors(self) -> list[int]:
        """The actors of whom anything was seen, ascending."""
        return sorted(self.spans)

    def add_interval(self, actor: int, low: int, high: int) -> None:
        """Add the dots low+1 .. high of `actor` (none if low >= high)."""
        if low >= high:
            return
        spans = self.spans.get(actor)
        if spans is None:
            self.spans[actor] = (low, high)
        elif len(spans) == 2 and spans[0] <= low <= spans[1]:
            if high > spans[1]:
                self.spans[actor] = (spans[0], high)
        else:
            self.spans[actor] = union(spans, (low, high))

    def join(self, other: CausalContext) -> bool:
        """Add all dots of `other`, in place. Whether there were new ones."""
        changed = False
        mine = self.spans
        for actor, theirs in other.spans.items():
            spans = mine.get(actor)
            if spans is None:
                mine[actor] = theirs
                changed = True
            elif len(spans) == 2 and len(theirs) == 2 and spans[0] <= theirs[0] <= spans[1]:
                if theirs[1] > spans[1]:
                    mine[actor] = (spans[0], theirs[1])
                    changed = True
            elif spans != theirs:
                joined = union(spans, theirs)
                if joined != spans:
                    mine[actor] = joined
                    changed = True
        return changed

    def covers(self, other: CausalContext) -> bool:
        """Whether every dot of `other` is here."""
        mine = self.spans
        for actor, theirs in other.spans.items():
            spans = mine.get(actor)
            if spans is None:
                return False
            if spans != theirs and union(spans, theirs) != spans:
                return False
        return True

    def close(self, stable: Mapping[int, int]) -> bool:
        """Fill the gaps that end at or below the stable cut. Whether there were any.

        Right only where everything up to `stable` that concerns this key was applied: what is not
        seen down there was never an update of this key.
        """
        changed = False
        for actor, spans in list(self.spans.items()):
            cut = stable.get(actor, 0)
            if spans == (0, spans[-1]) or spans[0] > cut:
                continue
            kept = bisect_left(spans, cut + 1)  # the boundaries at or below the cut
            rest = spans[kept:] if kept % 2 else spans[kept - 1 :]
            closed = (0, *rest)
            if closed != spans:
                self.spans[actor] = closed
                changed = True
        return changed

    def copy(self) -> CausalContext:
        return CausalContext(dict(self.spans))

    def wire(self) -> list[Any]:
        """[actor, spans, actor, spans, ...] by actor; spans are one int `high` for (0, high], else
        [low, length, gap, length, ...]. Canonical."""
        out: list[Any] = []
        spans_of = self.spans
        for actor in sorted(spans_of) if len(spans_of) > 1 else spans_of:
            spans = spans_of[actor]
            out.append(actor)
            if len(spans) == 2:
                low = spans[0]
                out.append([low, spans[1] - low] if low else spans[1])
            else:
                steps = [b - a for a, b in pairwise(spans)]
                out.append([spans[0], *steps])
        return out

    @classmethod
    def from_wire(cls, wire: object) -> CausalContext:
        """The inverse of `wire`. Raises Malformed for anything that `wire` does not give."""
        if type(wire) is not list:
            raise Malformed("a causal context must be a list")
        items = cast("list[object]", wire)
        if len(items) % 2:
            raise Malformed("a causal context must be pairs of actor and intervals")
        found: dict[int, Spans] = {}
        before = 0
        for at in range(0, len(items), 2):
            actor = items[at]
            if type(actor) is not int or not before < actor <= GREATEST_ACTOR:
                raise Malformed("the actors of a causal context must be ascending, 1 .. 2**53")
            found[actor] = _spans(items[at + 1])
            before = actor
        return cls(found)


def _spans(wire: object) -> Spans:
    if type(wire) is int:
        if not 0 < wire <= GREATEST_SEQ:
            raise Malformed("an interval of a causal context is empty, negative or too large")
        return (0, wire)
    if type(wire) is not list:
        raise Malformed("intervals must be an int or a list")
    steps = cast("list[object]", wire)
    if not steps or len(steps) % 2:
        raise Malformed("intervals must come as pairs")
    spans: list[int] = []
    at = 0
    for step in steps:
        if type(step) is not int or step < 0 or (step == 0 and spans):
            raise Malformed("an interval of a causal context is empty or negative")
        at += step
        spans.append(at)
    if at > GREATEST_SEQ:
        raise Malformed("a seq of a causal context is too large")
    if spans[0] == 0 and len(spans) == 2:
        raise Malformed("an interval from 0 must be written as one int")
    return tuple(spans)
