"""Arguments and answers of operations, taken apart with care.

The law of this file: whatever a history holds, the outcome is a value of the wanted shape or a
`MalformedHistory` that names the operation.
"""

from __future__ import annotations

from typing import Any, cast

from quorate.consistency.check.history import MalformedHistory, Operation
from quorate.consistency.check.values import show


def malformed(op: Operation, text: str) -> MalformedHistory:
    return MalformedHistory(f"{op.where}: {text}")


def listed(op: Operation, value: Any, wanted: str) -> list[Any]:
    """A list. `wanted` says what it is, as "a read answers a list of elements"."""
    if not isinstance(value, list | tuple):
        raise malformed(op, f"{wanted}, not {show(value)}")
    return list(cast("list[Any]", value))


def pair(op: Operation, value: Any, wanted: str) -> list[Any]:
    """A list of two."""
    items = listed(op, value, wanted)
    if len(items) != 2:
        raise malformed(op, f"{wanted}, not {show(items)}")
    return items


def rows(op: Operation, value: Any, wanted: str, *, key_at: int) -> list[list[Any]]:
    """A list of lists, each with a key (text or a number) at `key_at`."""
    found: list[list[Any]] = []
    for item in listed(op, value, wanted):
        row = listed(op, item, wanted)
        if len(row) <= key_at or not isinstance(row[key_at], str | int):
            raise malformed(op, f"{wanted}, not {show(row)}")
        found.append(row)
    return found


def number(op: Operation, value: Any, wanted: str) -> float | None:
    """A number from 0 on, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise malformed(op, f"{wanted}, not {show(value)}")
    return value
