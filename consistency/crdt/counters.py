"""Counters that lose and double nothing.

The law of this file: an actor counts in entries of its own, known by the dot of their first
increment; nobody else writes them. An entry is (seq, total, floor seq, floor): its latest version,
and the part of it that resets have seen. Both only grow with their seq, so a join takes the later
of each; the value is the sum of total - floor. An increment that a reset did not see survives it.

An actor that finds no entry of its own (a new key, a guest's copy that was dropped, a wiped host
with a new actor) opens a new one: what it counted before is in another entry, which nobody touches.
An entry whose last version was reset is retired by its own actor at the next increment: only the
actor knows that no later version is on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from quorate.consistency.crdt.dotted import Dotted
from quorate.consistency.crdt.limits import AMOUNT_BITS_MAX, TOTAL_BITS_MAX
from quorate.consistency.crdt.values import listed, named, natural, whole
from quorate.consistency.versions.context import GREATEST_SEQ, inside
from quorate.core.codec import Malformed
from quorate.core.errors import LimitExceeded, UsageError

BRIEF_PARTS = 7
Entry = tuple[int, int, int, int]
"""(seq of the last version, total, seq that was reset or 0, total then)"""


class _Counter(Dotted[Entry]):
    """What both counters share. dots[actor][seq of the first increment] = Entry."""

    __slots__ = ()

    def operate(self, op: str, args: list[Any], actor: int, seq: int, stamp: int) -> Self:
        entries = self.dots.get(actor)
        spans = self.context.spans.get(actor)
        if entries is None or spans is None or op == "reset":
            return super().operate(op, args, actor, seq, stamp)
        first = max(entries)
        last, total, floor_seq, floor = entries[first]
        if len(spans) != 2 or last == floor_seq or seq <= spans[1] or op not in self.ops:
            return self._operate_slowly(op, args, actor, seq, stamp)
        # The usual increment by hand, for speed: what the slow way does, without asking.
        self.dots_needed(op, args)
        entry = (seq, self._sum(op, args, total), floor_seq, floor)
        entries[first] = entry
        self.context.spans[actor] = (spans[0], seq)
        delta = self.__class__()
        delta.dots[actor] = {first: entry}
        delta.context.spans[actor] = (first - 1, seq)
        return delta

    def brief(self) -> list[Any]:
        """[code, actor, low, length, above, below, total]: one version of one entry, without a list
        in the list."""
        if len(self.dots) == len(self.context.spans) == 1:
            ((actor, held),) = self.dots.items()
            spans = self.context.spans.get(actor, ())
            if len(held) == 1 and len(spans) == 2:
                ((first, (last, total, floor_seq, _)),) = held.items()
                if not floor_seq:
                    low, high = spans
                    return [self.code, actor, low, high - low, first - low - 1, high - last, total]
        return self.wire()

    @classmethod
    def from_brief(cls, brief: list[Any]) -> list[Any]:
        if len(brief) != BRIEF_PARTS:
            return super().from_brief(brief)
        code, actor, low, length, above, below, total = brief
        return [code, [actor, [low, length] if low else length], [[0, above, below, total]]]

    def merge_wire(self, wire: Any) -> bool | None:
        """The usual delta: one later version of one entry that is here."""
        try:
            if len(wire) == BRIEF_PARTS:
                code, actor, low, length, above, below, total = wire
            else:
                code, (actor, spans), ((name, above, below, total),) = wire
                low, length = (0, spans) if type(spans) is int else spans
                if name != 0:
                    return None
        except (TypeError, ValueError):
            return None
        for number in (actor, low, length, above, below, total):
            if type(number) is not int:
                return None
        held, own = self.dots.get(actor), self.context.spans.get(actor)
        if code != self.code or held is None or own is None or len(held) != 1:
            return None
        first, high = low + 1 + above, low + length
        last, mine = high - below, held.get(first)
        if mine is None or mine[2] or len(own) != 2 or not own[0] <= low <= own[1] < high:
            return None
        if above < 0 or below < 0 or not first <= mine[0] < last or high > GREATEST_SEQ:
            return None
        if total.bit_length() > TOTAL_BITS_MAX or (total < 0 and not self.signed):
            return None
        held[first] = (last, total, 0, 0)
        self.context.spans[actor] = (own[0], high)
        return True

    def _operate_slowly(self, op: str, args: list[Any], actor: int, seq: int, stamp: int) -> Self:
        delta = super().operate(op, args, actor, seq, stamp)
        # Alone (not in a map) all dots of the actor since the entry's first are its versions.
        for first in delta.dots[actor]:
            delta.context.add_interval(actor, first - 1, seq)
            self.context.add_interval(actor, first - 1, seq)
        return delta

    def _sum(self, op: str, args: list[Any], total: int) -> int:
        """`total` after `op`. Raises UsageError."""
        amount = args[0] if args else 1
        if type(amount) is not int or amount < 0:
            raise UsageError(f"{self.kind}: the amount must be an int >= 0, not {amount!r:.60}")
        total = total - amount if op == "decrement" else total + amount
        if amount.bit_length() > AMOUNT_BITS_MAX or total.bit_length() > TOTAL_BITS_MAX:
            raise LimitExceeded(
                f"{self.kind}: an amount has at most {AMOUNT_BITS_MAX} bits, what one actor "
                f"counted at most {TOTAL_BITS_MAX}"
            )
        return total

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: _Counter
    ) -> None:
        if op == "reset":
            self._reset(delta)
            return
        entries = self.dots.get(actor)
        if entries:
            first = max(entries)
            last, total, floor_seq, floor = entries[first]
            if last != floor_seq:
                entry = (seq, self._sum(op, args, total), floor_seq, floor)
                entries[first] = entry
                delta.dots[actor] = {first: entry}
                delta.context.add_interval(actor, first - 1, first)
                return
        entry = (seq, self._sum(op, args, 0), 0, 0)
        for old in [old for old, held in (entries or {}).items() if held[0] == held[2]]:
            self.remove_dot(actor, old, delta.context)
        self.put_dot(actor, seq, entry)
        delta.dots[actor] = {seq: entry}

    def _reset(self, delta: _Counter) -> None:
        for actor, entries in self.dots.items():
            for first, (last, total, _, _) in entries.items():
                entries[first] = (last, total, last, total)
                delta.context.add_interval(actor, first - 1, first)
                delta.context.add_interval(actor, last - 1, last)
            delta.dots[actor] = dict(entries)

    def join_store(self, other: Dotted[Entry]) -> bool:
        dots, others, changed = self.dots, other.dots, False
        for actor, spans in other.context.spans.items():
            held, theirs = dots.get(actor, {}), others.get(actor, {})
            if held.keys() != theirs.keys():
                gone = [at for at in held if at not in theirs and inside(spans, at)]
                for first in gone:
                    self.drop_dot(actor, first)
                changed = changed or bool(gone)
            for first, entry in theirs.items():
                mine = held.get(first)
                if mine is not None:
                    changed = self.same_dot(actor, first, mine, entry) or changed
                elif not self.context.contains(actor, first):
                    self.put_dot(actor, first, entry)
                    changed = True
        return changed

    def same_dot(self, actor: int, seq: int, mine: Entry, theirs: Entry) -> bool:
        if mine == theirs:
            return False
        if theirs[0] > mine[0] and theirs[2] == mine[2] and theirs[3] == mine[3]:
            joined = theirs
        else:
            joined = (*max(mine[:2], theirs[:2]), *max(mine[2:], theirs[2:]))
        self.dots[actor][seq] = joined
        return joined != mine

    def value(self) -> int:
        return sum(
            total - floor for held in self.dots.values() for _, total, _, floor in held.values()
        )

    def is_empty(self) -> bool:
        return all(
            last == floor_seq
            for held in self.dots.values()
            for last, _, floor_seq, _ in held.values()
        )

    # --- wire: [[actor, first, last, total], or with (floor seq, floor) behind, ...] --------------

    def body(self, names: Mapping[int, int], *, alive: bool = False) -> list[Any]:
        out: list[Any] = []
        dots, spans_of = self.dots, self.context.spans
        for actor in sorted(dots) if len(dots) > 1 else dots:
            held, spans = dots[actor], spans_of[actor]
            low, high = spans[0] + 1, spans[-1]
            for first in sorted(held) if len(held) > 1 else held:
                last, total, floor_seq, floor = held[first]
                if alive and last == floor_seq:
                    continue
                entry = [names[actor], first - low, high - last, total]
                if floor_seq:
                    entry += (high - floor_seq, floor)
                out.append(entry)
        return out

    def load(self, body: list[Any], actors: list[int], depth: int) -> None:
        before = (-1, -1)
        for item in body:
            entry = listed(item, "an entry of a counter")
            if len(entry) not in (4, 6):
                raise Malformed("an entry of a counter must have 4 or 6 items")
            actor = named(entry[0], actors)
            spans = self.context.spans[actor]
            first = spans[0] + 1 + natural(entry[1], "the first seq of an entry")
            if (actor, first) <= before:
                raise Malformed("the entries of a counter must be ascending")
            before = (actor, first)
            last = spans[-1] - natural(entry[2], "the last seq of an entry")
            if not inside(spans, first) or not first <= last:
                raise Malformed("an entry of a counter lies outside of the causal context")
            self.put_dot(actor, first, (last, *self._load_totals(entry, spans[-1], first, last)))

    def _load_totals(
        self, entry: list[Any], high: int, first: int, last: int
    ) -> tuple[int, int, int]:
        total = whole(entry[3], "a total", TOTAL_BITS_MAX)
        floor_seq, floor = 0, 0
        if len(entry) == 6:
            floor_seq = high - natural(entry[4], "the reset seq of an entry")
            floor = whole(entry[5], "a floor", TOTAL_BITS_MAX)
            if not first <= floor_seq <= last or (floor_seq == last and floor != total):
                raise Malformed("a counter's entry was reset outside of itself")
        if not self.signed and not 0 <= floor <= total:
            raise Malformed(f"a {self.kind} cannot have gone down")
        return total, floor_seq, floor

    signed: ClassVar[bool]


class PnCounter(_Counter):
    """Goes up and down. increment(amount=1), decrement(amount=1), reset; the value is an int."""

    __slots__ = ()
    kind = "pn_counter"
    code = 2
    signed = True
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {
        "increment": (0, 1),
        "decrement": (0, 1),
        "reset": (0, 0),
    }


class GCounter(_Counter):
    """Only goes up. increment(amount=1), reset; the value is an int."""

    __slots__ = ()
    kind = "g_counter"
    code = 1
    signed = False
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {"increment": (0, 1), "reset": (0, 0)}
