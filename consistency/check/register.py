"""Registers with read, write and compare-and-set; each key is one.

The law of this file: `read` answers the value; `write` takes one; `cas` takes [expected, new] and
answers whether it swapped (no answer value: it did). A key begins as None. An unknown operation may
take effect at any time after its invocation, or never.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from quorate.consistency.check import zones
from quorate.consistency.check.history import NEVER, MalformedHistory, Operation
from quorate.consistency.check.model import Compiled, Rounds
from quorate.consistency.check.shapes import pair
from quorate.consistency.check.values import Numbers
from quorate.consistency.check.verdict import Anomaly
from quorate.consistency.check.wgl import Code, State

READ, WRITE, SWAP, KEPT, MAYBE = range(5)
"""A read; a write; a cas that swapped; one that did not; one of which nothing is known."""
RegisterCode = tuple[int, int, int]
"""(what, value read, written or expected, new value)"""


def step(state: State, code: Code) -> State | None:
    """The state after the operation, or None if the state contradicts its answer. States are the
    numbers of values."""
    what, value, new = cast("RegisterCode", code)
    if what == READ:
        return state if value == state else None
    if what == WRITE:
        return value
    if what == SWAP:
        return new if value == state else None
    if what == KEPT:
        return state if value != state else None
    return new if value == state else state


class Register:
    """The model."""

    name = "register"

    def __init__(self, initial: Any = None) -> None:
        self._initial = initial

    def partition(self, operations: Sequence[Operation]) -> list[tuple[str, list[Operation]]]:
        parts: dict[Any, list[Operation]] = {}
        for op in operations:
            _check(op)
            parts.setdefault(op.key, []).append(op)
        return [("the register" if k is None else f"key {k!r}", ops) for k, ops in parts.items()]

    def compile(self, operations: Sequence[Operation]) -> Compiled:
        numbers = Numbers()
        initial = numbers.of(self._initial)
        kept, codes = self._codes(operations, numbers)
        reads = [code[0] in (READ, KEPT) for code in codes]
        needs = [value if what in (READ, SWAP) else None for what, value, _ in codes]
        gives = [_gives(code) for code in codes]
        return Compiled(kept, list[Code](codes), reads, initial, step, needs, gives)

    def _codes(
        self, operations: Sequence[Operation], numbers: Numbers
    ) -> tuple[list[Operation], list[RegisterCode]]:
        """Codes of what can matter: no failed operation, no unknown read, and no unknown write of
        a value that nobody saw or asked for."""
        pairs = [(op, code(op, numbers)) for op in operations if _matters(op)]
        if any(c[0] == KEPT for _, c in pairs):
            seen = None
        else:
            seen = {c[1] for _, c in pairs if c[0] in (READ, SWAP, MAYBE)}
        useful = [
            (op, c)
            for op, c in pairs
            if op.ended != NEVER or seen is None or (c[1] if c[0] == WRITE else c[2]) in seen
        ]
        return [op for op, _ in useful], [c for _, c in useful]

    def signs(self, operations: Sequence[Operation]) -> tuple[list[Anomaly], bool]:
        numbers = Numbers()
        initial = numbers.of(self._initial)
        kept, codes = self._codes(operations, numbers)
        return zones.check(kept, codes, initial, numbers.values)

    def removable(self, operations: Sequence[Operation]) -> Rounds:
        """Reads and refused swaps one by one; then, where no refused swap is left, a value with
        everyone who wrote, saw or replaced it."""
        numbers = Numbers()
        initial = numbers.of(self._initial)
        pairs = [(op, code(op, numbers)) for op in operations if _matters(op)]
        useless = [[op] for op in operations if not _matters(op)]
        watching = [[op] for op, c in pairs if c[0] in (READ, KEPT)]
        if any(c[0] == KEPT for _, c in pairs):
            return [useless + watching]
        union: dict[int, int] = {}

        def root(value: int) -> int:
            while union.setdefault(value, value) != value:
                value = union[value]
            return value

        for _, (what, value, new) in pairs:
            if what in (SWAP, MAYBE):
                union[root(value)] = root(new)
        groups: dict[int, list[Operation]] = {}
        for op, (_, value, _) in pairs:
            groups.setdefault(root(value), []).append(op)
        return [useless + watching, [g for value, g in groups.items() if value != root(initial)]]


def _gives(code: RegisterCode) -> int | None:
    what, value, new = code
    return value if what == WRITE else new if what in (SWAP, MAYBE) else None


def _matters(op: Operation) -> bool:
    return op.outcome == "ok" or (op.outcome == "unknown" and op.f != "read")


def _check(op: Operation) -> None:
    if op.f not in ("read", "write", "cas"):
        raise MalformedHistory(
            f"{op.where}: a register knows read, write and cas, not {op.f!r}: choose another "
            f"--model, or leave this operation out"
        )
    if op.f == "cas":
        pair(op, op.value, "cas takes [expected, new]")
        if op.outcome == "ok" and op.result not in (None, True, False):
            raise MalformedHistory(
                f"{op.where}: cas answers true or false, not {op.result!r}: record whether it "
                f"swapped"
            )


def code(op: Operation, numbers: Numbers) -> RegisterCode:
    """The operation as the search sees it."""
    if op.f == "read":
        return (READ, numbers.of(op.result), 0)
    if op.f == "write":
        return (WRITE, numbers.of(op.value), 0)
    expected, new = numbers.of(op.value[0]), numbers.of(op.value[1])
    if op.outcome != "ok":
        return (MAYBE, expected, new)
    return (KEPT if op.result is False else SWAP, expected, new)
