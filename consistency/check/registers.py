"""Replicated registers in the end: one value, or siblings, and the feed of conflicts.

The law of this file: a write is replaced by one whose `versions` cover its `dot`; what nobody
replaced either is there in the end, or lost against a concurrent write and is in the feed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from quorate.consistency.check.algebra import elements, name
from quorate.consistency.check.history import Key, Operation
from quorate.consistency.check.shapes import pair
from quorate.consistency.check.values import freeze, show
from quorate.consistency.check.verdict import Anomaly


def replaced(op: Operation, writes: Sequence[Operation]) -> Operation | None:
    """An acknowledged write that had seen `op`."""
    for other in writes:
        if other is not op and other.outcome == "ok" and _saw(other, op):
            return other
    return None


def _saw(other: Operation, op: Operation) -> bool:
    if op.dot is None or other.versions is None:
        return False
    return other.versions.get(op.dot[0], 0) >= op.dot[1]


def _alive(op: Operation, writes: Sequence[Operation]) -> bool:
    """Whether certainly nobody replaced it, not even a write whose outcome is unknown."""
    return op.dot is not None and not any(
        other is not op and (other.versions is None or _saw(other, op)) for other in writes
    )


def _written(updates: Sequence[Operation]) -> tuple[list[Operation], dict[Hashable, Operation]]:
    writes = [op for op in updates if op.outcome != "fail"]
    return writes, {freeze(op.value): op for op in writes}


def check_register(updates: Sequence[Operation], finals: Sequence[Operation]) -> list[Anomaly]:
    """A final value is one that was written and not replaced."""
    writes, by_value = _written(updates)
    found: list[Anomaly] = []
    for read in finals:
        writer = by_value.get(freeze(read.result))
        if writer is None and read.result is None:
            lost = next((op for op in writes if op.outcome == "ok"), None)
            if lost is not None:
                text = f"{name(lost)} was acknowledged, and {name(read)} shows no value"
                found.append(Anomaly("lost-update", text, (lost, read)))
        elif writer is None:
            text = f"{name(read)} shows a value that nobody wrote"
            found.append(Anomaly("phantom-value", text, (read,)))
        else:
            newer = replaced(writer, writes)
            if newer is not None and freeze(newer.value) != freeze(writer.value):
                text = f"{name(read)} shows {name(writer)}, which {name(newer)} had replaced"
                found.append(Anomaly("superseded-write", text, (writer, newer, read)))
    return found


def check_siblings(updates: Sequence[Operation], finals: Sequence[Operation]) -> list[Anomaly]:
    """The final values are all that were written and not replaced."""
    writes, by_value = _written(updates)
    found: list[Anomaly] = []
    for read in finals:
        shown = {freeze(value) for value in elements(read)}
        for value in shown:
            writer = by_value.get(value)
            newer = None if writer is None else replaced(writer, writes)
            if writer is None:
                text = f"{name(read)} shows {show(value)}, which nobody wrote"
                found.append(Anomaly("phantom-value", text, (read,)))
            elif newer is not None:
                text = f"{name(read)} shows {name(writer)}, which {name(newer)} had replaced"
                found.append(Anomaly("superseded-write", text, (writer, newer, read)))
        for op in writes:
            if op.outcome == "ok" and freeze(op.value) not in shown and _alive(op, writes):
                text = f"{name(op)} was acknowledged and never replaced: {name(read)} lacks it"
                found.append(Anomaly("lost-update", text, (op, read)))
    return found


def check_feed(
    key: Key,
    updates: Sequence[Operation],
    finals: Sequence[Operation],
    feeds: Sequence[Operation],
) -> list[Anomaly]:
    """Each acknowledged write that lost against a concurrent one is in the feed of some host. A
    feed (`conflicts`) answers the lost values of its key, or [key, value] pairs without a key."""
    told: set[Hashable] = set()
    for op in feeds:
        if op.key == key:
            told |= {freeze(value) for value in elements(op)}
        elif op.key is None:
            wanted = "a feed without a key answers [key, value] pairs"
            pairs = [pair(op, item, wanted) for item in elements(op)]
            told |= {freeze(lost) for its_key, lost in pairs if its_key == key}
    kept = {freeze(read.result) for read in finals}
    writes = [op for op in updates if op.outcome != "fail"]
    return [
        Anomaly(
            "missing-conflict",
            f"{name(op)} was acknowledged, lost against a concurrent write, and is in no feed",
            (*writes, *finals, *feeds),
        )
        for op in writes
        if finals
        and op.outcome == "ok"
        and freeze(op.value) not in kept | told
        and _alive(op, writes)
    ]
