"""What a turn does to a CRDT before it is committed.

The law of this file: an operation that cannot be done is refused when it is called. Operations
whose fate does not depend on the state are kept as they are, and done when the turn is committed,
under dots of this host's log. All others, and all of a turn that may have to be done again
elsewhere, are done on a copy: what counts is the delta, under dots of the activation's own, so that
joining it twice, or on two hosts, is joining it once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from quorate.consistency import crdt as crdts
from quorate.consistency.crdt import Crdt
from quorate.consistency.crdt.limits import AMOUNT_BITS_MAX, SET_ELEMENTS_MAX
from quorate.consistency.crdt.sets import OrSet, TwoPhaseSet
from quorate.consistency.replica.states import CrdtState
from quorate.core import codec
from quorate.core.errors import LimitExceeded
from quorate.hosts.agents.state.marks import DOTS_MAX

BY_STATE: Final = frozenset(("sequence", "or_map"))
"""Kinds whose operations may fail, or mean something else, on another state."""
COUNTS: Final = {
    "g_counter": frozenset(("increment",)),
    "pn_counter": frozenset(("increment", "decrement")),
}
OP_BYTES: Final = 32
"""What an operation is charged beside its arguments."""
Operation = tuple[str, list[Any]]


class Dots:
    """Dots of one turn. `stamp()`: of the host's clock."""

    __slots__ = ("actor", "first", "next", "stamp")

    def __init__(self, actor: int, first: int, stamp: Callable[[], int]) -> None:
        self.actor = actor
        self.first = first
        self.next = first
        self.stamp = stamp

    def take(self, count: int) -> int:
        """The last of `count` fresh ones. Raises `LimitExceeded`."""
        if self.next + count - self.first > DOTS_MAX:
            raise LimitExceeded(f"one turn takes at most {DOTS_MAX} operations on CRDTs")
        self.next += count
        return self.next


class Draft:
    """One CRDT in one turn."""

    __slots__ = ("_dots", "copy", "delta", "kind", "ops", "stamp")

    def __init__(self, kind: str, dots: Dots) -> None:
        self.kind = kind
        self.ops: list[Operation] = []
        self._dots = dots
        self.copy: Crdt | None = None
        """The state with all operations done, once somebody needed it."""
        self.delta: Crdt | None = None
        self.stamp = 0

    def add(self, op: str, args: list[Any], state: CrdtState | None) -> None:
        """One more operation. Raises `UsageError`, `LimitExceeded`, `WrongType`; then nothing was
        added."""
        if self.kind in BY_STATE or self.copy is not None:
            self.draw(state)
            self._do(op, args)
        elif not _surely_done(self.kind, op, args):
            tried = crdts.new(self.kind)
            tried.operate(op, args, 1, tried.dots_needed(op, args), 1)
            if op == "add" and state is not None:
                _look_at_room(state.crdt, len(self.ops))
        self.ops.append((op, args))

    def draw(self, state: CrdtState | None) -> Crdt:
        """The copy, made from the present state now if it was not."""
        if self.copy is None:
            self.copy = crdts.new(self.kind) if state is None else copied(state.crdt)
            self.stamp = 0 if state is None else state.stamp
            for op, args in self.ops:
                self._do(op, args)
        return self.copy

    def _do(self, op: str, args: list[Any]) -> None:
        copy, dots = self.copy, self._dots
        if copy is None:
            return
        stamp = max(dots.stamp(), self.stamp)
        seq = dots.take(copy.dots_needed(op, args))
        delta = copy.operate(op, args, dots.actor, seq, stamp)
        self.stamp = stamp
        if self.delta is None:
            self.delta = delta
        else:
            self.delta.merge(delta)


def _surely_done(kind: str, op: str, args: list[Any]) -> bool:
    """Whether nothing needs to be tried: a counter's usual increment."""
    counts = COUNTS.get(kind)
    if counts is None or op not in counts or len(args) > 1:
        return False
    return not args or (type(args[0]) is int and 0 <= args[0] < 1 << AMOUNT_BITS_MAX)


def charge_bytes(args: list[Any]) -> int:
    """What an operation is charged. Raises `UsageError` for what cannot be encoded."""
    if not args or (len(args) == 1 and type(args[0]) is int):
        return OP_BYTES
    return OP_BYTES + len(codec.encode_value(args))


def copied(crdt: Crdt) -> Crdt:
    """Another one of the same state."""
    return crdts.decode(crdt.wire())


def _look_at_room(crdt: Crdt, more: int) -> None:
    if isinstance(crdt, OrSet | TwoPhaseSet) and len(crdt.elements) + more >= SET_ELEMENTS_MAX:
        raise LimitExceeded(f"a {crdt.kind} has at most {SET_ELEMENTS_MAX} elements")
