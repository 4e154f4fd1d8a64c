"""The (term, index) witness: an order that the system itself vouches for, checked in O(n log n).

The law of this file: a witness is `proved` when its order respects real time and explains every
answer, which is a linearization; `wrong` when it does not; `absent` when an answer has none, or
when two updates stand at one place. Reads stand behind everything of their index.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from quorate.consistency.check.history import NEVER, Operation
from quorate.consistency.check.model import Compiled
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.verdict import Anomaly
from quorate.consistency.check.wgl import Call, search

LAST = 1 << 60
KIND = "wrong-witness"
Place = tuple[int, int, int, int]


class Witnessed(NamedTuple):
    """What the witness is worth."""

    word: Literal["proved", "wrong", "absent"]
    steps: int = 0
    anomalies: list[Anomaly] = []  # noqa: RUF012  (never changed)


def check(compiled: Compiled, steps_max: int) -> Witnessed:
    """Check the order of the witnesses of one part."""
    placed: list[tuple[Place, int]] = []
    floating: list[int] = []
    for i, op in enumerate(compiled.operations):
        if op.witness is not None:
            placed.append((_place(op, compiled.reads[i]), i))
        elif op.outcome == "ok":
            return Witnessed("absent")
        else:
            floating.append(i)
    if not placed:
        return Witnessed("absent")
    placed.sort()
    order = [i for _, i in placed]
    shared = any(a[0][:3] == b[0][:3] and a[0][2] == 0 for a, b in pairwise(placed))
    anomaly = _terms(compiled, order) or _real_time(compiled, order)
    steps = 0
    if anomaly is None:
        calls = _serial(compiled, order, floating)
        found = search(calls, compiled.initial, compiled.step, steps_max)
        steps = found.steps
        if found.linearizable is None:
            return Witnessed("absent", steps)
        if found.linearizable:
            return Witnessed("proved", steps)
        op = compiled.operations[order[found.stuck]]
        anomaly = Anomaly(
            KIND,
            f"replaying in the order of the indices does not give {describe(op)!r} ({op.where})",
            (op,),
        )
    return Witnessed("absent", steps) if shared else Witnessed("wrong", steps, [anomaly])


def _place(op: Operation, is_read: bool) -> Place:
    _, index, *rest = op.witness or (0, 0)
    place = LAST if is_read else rest[0] if rest else 0
    return (index, place, int(is_read), op.invoked)


def _terms(compiled: Compiled, order: Sequence[int]) -> Anomaly | None:
    """The term never falls along the log."""
    before: Operation | None = None
    for i in order:
        op = compiled.operations[i]
        if before is not None and (before.witness or (0,))[0] > (op.witness or (0,))[0]:
            text = (
                f"{describe(before)!r} ({before.where}) has a later term at an earlier index than "
                f"{describe(op)!r} ({op.where})"
            )
            return Anomaly(KIND, text, (before, op))
        before = op
    return None


def _real_time(compiled: Compiled, order: Sequence[int]) -> Anomaly | None:
    """What ended before another began stands before it."""
    first: Operation | None = None
    for i in reversed(order):
        op = compiled.operations[i]
        if first is not None and first.ended < op.invoked:
            text = (
                f"{describe(op)!r} ({op.where}) began after {describe(first)!r} ({first.where}) "
                f"had ended, and stands before it in the log"
            )
            return Anomaly(KIND, text, (first, op))
        if first is None or op.ended < first.ended:
            first = op
    return None


def _serial(compiled: Compiled, order: Sequence[int], floating: Sequence[int]) -> list[Call]:
    """The history as if its operations had been done one by one in this order. What is unknown
    floats: it stands behind all that had ended before it was invoked."""
    calls = [Call(3 * p + 1, 3 * p + 2, compiled.codes[i]) for p, i in enumerate(order)]
    by_end = sorted((compiled.operations[i].ended, p) for p, i in enumerate(order))
    at, behind = 0, -1
    for i in sorted(floating, key=lambda i: compiled.operations[i].invoked):
        invoked = compiled.operations[i].invoked
        while at < len(by_end) and by_end[at][0] < invoked:
            behind = max(behind, by_end[at][1])
            at += 1
        calls.append(Call(3 * behind + 3, NEVER, compiled.codes[i]))
    return calls
