"""A history as a picture: one line per operation, bars in the order of events.

The law of this file: text out, no judgement.
"""

from __future__ import annotations

from typing import Any, cast

from quorate.consistency.check.history import NEVER, History, Operation
from quorate.consistency.check.values import Versions, show

OPERATIONS_SHOWN_MAX = 40
BAR_LETTERS_MAX = 60


def describe(operation: Operation) -> str:
    """`write x 3`, `read x -> 2`, and where it was done."""
    parts = [operation.f]
    if operation.key is not None:
        parts.append(str(operation.key))
    if operation.f == "txn":
        parts = [_transaction(operation)]
    elif operation.value is not None:
        parts.append(show(operation.value))
    if operation.outcome != "ok":
        parts.append(f"({operation.outcome})")
    elif operation.f != "txn" and (operation.result is not None or operation.value is None):
        parts.append(f"-> {show(operation.result)}")
    for name, value in (
        ("at", operation.host),
        ("session", operation.session),
        ("index", None if operation.witness is None else operation.witness[1]),
        ("dot", operation.dot and list(operation.dot)),
        ("saw", _vector(operation.versions)),
        ("shown", _vector(operation.shown)),
    ):
        if value is not None:
            parts.append(f"{name} {value if isinstance(value, str) else show(value)}")
    return " ".join(parts)


def _transaction(operation: Operation) -> str:
    """`[append x 1, r y [2]]`, or `if [...] then [...] else [...] -> held [...]`."""
    value: Any = operation.value
    if not isinstance(value, dict):
        return f"txn {_steps(operation.result if operation.outcome == 'ok' else value)}"
    body = cast("dict[str, Any]", value)
    words = {"compare": "if", "then": "then", "else": "else"}
    parts = [f"{words[name]} {_steps(body[name])}" for name in words if body.get(name)]
    if isinstance(operation.result, dict):
        answer = cast("dict[str, Any]", operation.result)
        held = "held" if answer.get("held") else "not held"
        parts.append(f"-> {held} {show(answer.get('results'))}")
    return f"txn {' '.join(parts)}"


def _steps(value: Any) -> str:
    steps = cast("list[Any]", value) if isinstance(value, list | tuple) else []
    texts = [
        " ".join(word if isinstance(word, str) else show(word) for word in cast("list[Any]", step))
        for step in steps
        if isinstance(step, list | tuple)
    ]
    return f"[{', '.join(texts)}]"


def _vector(versions: Versions | None) -> dict[str, int] | None:
    return None if versions is None else {str(actor): seq for actor, seq in versions.items()}


def timeline(history: History) -> list[str]:
    """A table: process, from, to (milliseconds since the first), a bar, and what was done. The bar
    of an operation whose outcome is unknown has no end."""
    shown = history.operations[:OPERATIONS_SHOWN_MAX]
    if not shown:
        return []
    positions = sorted({op.invoked for op in shown} | {op.ended for op in shown} - {NEVER})
    place = {position: rank for rank, position in enumerate(positions)}
    width = min(len(positions), BAR_LETTERS_MAX)
    scale = max(1, len(positions) - 1) / max(1, width - 1)
    zero = min(op.start for op in shown)
    rows = [("process", "from ms", "to ms", "", "what")]
    for op in shown:
        rows.append(
            (
                str(op.process),
                _milliseconds(history, op.start - zero),
                "?" if op.end is None else _milliseconds(history, op.end - zero),
                _bar(op, place, width, scale),
                describe(op),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  "
        + "  ".join(
            (
                row[0].ljust(widths[0]),
                row[1].rjust(widths[1]),
                row[2].rjust(widths[2]),
                row[3].ljust(widths[3]),
                row[4],
            )
        )
        for row in rows
    ]
    more = len(history.operations) - len(shown)
    return [*lines, f"  ... and {more} more"] if more else lines


def _milliseconds(history: History, time: float) -> str:
    return f"{history.seconds(time) * 1000:.3f}"


def _bar(operation: Operation, place: dict[int, int], width: int, scale: float) -> str:
    first = int(place[operation.invoked] / scale)
    if operation.ended == NEVER:
        return " " * first + "[" + "=" * (width - first - 1) + ">"
    last = max(first + 1, int(place[operation.ended] / scale))
    return " " * first + "[" + "=" * (last - first - 1) + "]"
