"""Linearizability of a history under a sequential model: witness first, then signs, then search.

The law of this file: every way to `held` is a proof. The (term, index) witness proves by giving
the order; the search proves by finding one; the signs of a register with unique values (Gibbons &
Korach) prove when there are only reads and writes. Every way to `broken` is a refutation, and a
witness that does not explain the answers is reported even if another order does. A budget that ran
out is unknown.

Linearizability is local (Herlihy & Wing 1990): each part of the history is judged alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from quorate.consistency.check import shrink, witness
from quorate.consistency.check.history import NEVER, History, Operation, cut
from quorate.consistency.check.model import Compiled, Model
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.verdict import Anomaly, Verdict, judged
from quorate.consistency.check.wgl import STEPS_MAX, Search, search

ROUNDS_MAX = 3
LYING_TRIES_MAX = 200
SHRINK_STEPS_MAX = 200_000
"""Of one try; a try that needs more counts as not failing."""


@dataclass(slots=True)
class _Judgement:
    """What is known so far."""

    steps_left: int
    judged: int = 0
    anomalies: list[Anomaly] = field(default_factory=list[Anomaly])
    example: list[Operation] | None = None
    doubts: list[str] = field(default_factory=list[str])
    proved: int = 0


def check(model: Model, history: History, steps_max: int = STEPS_MAX) -> Verdict:
    """Judge `history` under `model`. Raises `MalformedHistory` for operations it does not know."""
    so_far = _Judgement(steps_max)
    for name, operations in model.partition(history.operations):
        so_far.judged += len(operations)
        _judge_part(model, name, operations, so_far)
    return judged(
        model.name,
        so_far.judged,
        so_far.anomalies,
        history=history,
        counterexample=None if so_far.example is None else history.only(so_far.example),
        unknown=so_far.doubts,
        notes=[f"{so_far.proved} parts proved by their witness"] if so_far.proved else (),
        steps=steps_max - so_far.steps_left,
    )


def _judge_part(model: Model, name: str, operations: list[Operation], so_far: _Judgement) -> None:
    compiled = model.compile(operations)
    witnessed = witness.check(compiled, so_far.steps_left)
    so_far.steps_left -= witnessed.steps
    if witnessed.word == "proved":
        so_far.proved += 1
        return
    signs, conclusive = model.signs(operations)
    if signs:
        so_far.anomalies += signs + witnessed.anomalies
        return
    found = search(compiled.calls(), compiled.initial, compiled.step, max(0, so_far.steps_left))
    so_far.steps_left -= found.steps
    if found.linearizable is False:
        example = so_far.example
        if example is None and not so_far.anomalies:
            so_far.example = example = smallest(model, operations)
        so_far.anomalies.append(_refuted(name, compiled, found, example or []))
    elif found.linearizable is None and not conclusive:
        so_far.doubts.append(
            f"{name}: not decided within {found.steps} steps: allow more, or record fewer "
            f"operations and fewer concurrent processes on one key"
        )
    if witnessed.anomalies and found.linearizable and so_far.example is None:
        so_far.example = _lying(model, operations)
    so_far.anomalies += witnessed.anomalies


def _lying(model: Model, operations: Sequence[Operation]) -> list[Operation]:
    """As few operations as can be answered as they were, yet not in the order of their indices."""

    def fails(kept: Sequence[Operation]) -> bool:
        compiled = model.compile(kept)
        if witness.check(compiled, SHRINK_STEPS_MAX).word != "wrong":
            return False
        found = search(compiled.calls(), compiled.initial, compiled.step, SHRINK_STEPS_MAX)
        return found.linearizable is True

    if not fails(operations):
        return list(operations)
    return shrink.minimise(operations, fails, shrink.Tries(LYING_TRIES_MAX))


def _refuted(name: str, compiled: Compiled, found: Search, example: Sequence[Operation]) -> Anomaly:
    stuck = compiled.operations[found.stuck]
    return Anomaly(
        "not-linearizable",
        f"{name}: no order of its {len(compiled.operations)} operations explains every answer; "
        f"none gets past {describe(stuck)!r} ({stuck.where})",
        tuple(example) or (stuck,),
    )


def refutes(model: Model, operations: Sequence[Operation]) -> bool:
    """Whether the search refutes these operations within the budget of one try."""
    compiled = model.compile(operations)
    found = search(compiled.calls(), compiled.initial, compiled.step, SHRINK_STEPS_MAX)
    return found.linearizable is False


def smallest(model: Model, operations: Sequence[Operation]) -> list[Operation]:
    """A small history that is refuted because `operations` are: first the shortest beginning, then
    without the groups that prove nothing. Every step keeps a linearizable history linearizable, so
    what is left is a true counterexample and not the damage of shrinking."""
    tries = shrink.Tries()
    ends = sorted({op.ended for op in operations if op.ended != NEVER})
    at = shrink.first_failing(
        -1, len(ends) - 1, lambda n: refutes(model, cut(operations, ends[n] + 1)), tries
    )
    kept = cut(operations, ends[at] + 1) if ends else list(operations)
    if not refutes(model, kept):
        return list(operations)
    for number in range(len(model.removable(kept)) * ROUNDS_MAX):
        rounds = model.removable(kept)
        if rounds:
            kept = _without(model, kept, rounds[number % len(rounds)], tries)
    return kept


def _without(
    model: Model, operations: list[Operation], groups: list[list[Operation]], tries: shrink.Tries
) -> list[Operation]:
    """What is left of `operations` when as many groups as can be are left out."""
    grouped = {op.id for group in groups for op in group}
    fixed = [op for op in operations if op.id not in grouped]

    def with_(kept: Sequence[list[Operation]]) -> list[Operation]:
        return sorted([*fixed, *(op for g in kept for op in g)], key=lambda op: op.invoked)

    return with_(shrink.minimise(groups, lambda kept: refutes(model, with_(kept)), tries))
