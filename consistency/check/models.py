"""Every judge by its name, behind one function.

The law of this file: a table; to add a model, add a line here and in `names.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quorate.consistency.check import (
    algebra,
    append,
    convergence,
    linear,
    locks,
    session,
    shrink,
    staleness,
)
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.kv import KeyValue
from quorate.consistency.check.register import Register
from quorate.consistency.check.verdict import Verdict
from quorate.consistency.check.wgl import STEPS_MAX
from quorate.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Options:
    """What the judges may be told; each takes what concerns it."""

    steps_max: int = STEPS_MAX
    """Of the search for an order; used up means unknown."""
    bound_ms: float | None = None
    bound_versions: int | None = None
    clock_error_ms: float = 0.0
    remove_wins: bool = False


SHRUNK_OPERATIONS_MAX = 2_000
TRIES_MAX = 200
Judge = Callable[[History, Options], Verdict]

JUDGES: dict[str, Judge] = {
    "register": lambda history, told: linear.check(Register(), history, told.steps_max),
    "append": lambda history, _: append.check(history),
    "kv": lambda history, told: linear.check(KeyValue(), history, told.steps_max),
    "session": lambda history, _: session.check(history),
    "staleness": lambda history, told: staleness.check(
        history,
        bound_ms=told.bound_ms,
        bound_versions=told.bound_versions,
        clock_error_ms=told.clock_error_ms,
    ),
    "set": lambda history, _: algebra.check_set(history),
    "counter": lambda history, _: algebra.check_counter(history),
    "crdt": lambda history, told: convergence.check(history, remove_wins=told.remove_wins),
    "locks": lambda history, _: locks.check(history),
}


def check(model: str, history: History, options: Options | None = None) -> Verdict:
    """Judge `history` under the model of that name. Raises `UsageError` for a name that does not
    exist, `MalformedHistory` for operations the model does not know."""
    if model not in JUDGES:
        raise UsageError(f"there is no model {model!r}: choose one of {', '.join(JUDGES)}")
    judge, told = JUDGES[model], options or Options()
    verdict = judge(history, told)
    if verdict.verdict == "broken":
        verdict.counterexample = _shown(judge, told, history, verdict)
    return verdict


def _shown(judge: Judge, options: Options, history: History, verdict: Verdict) -> History | None:
    """A counterexample that is refuted by itself, for the same reason: the one the judge gave, or
    what is left of the whole history without all that is not needed."""
    kind, example = verdict.anomalies[0].kind, verdict.counterexample

    def fails(operations: Sequence[Operation]) -> bool:
        return kind in judge(history.only(operations), options).kinds

    if example is not None and fails(example.operations):
        return example
    if len(history.operations) > SHRUNK_OPERATIONS_MAX or not fails(history.operations):
        return example
    return history.only(shrink.minimise(history.operations, fails, shrink.Tries(TRIES_MAX)))
