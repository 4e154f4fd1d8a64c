"""Calls as histories: the form in which the judges of `consistency/check` read them.

The law: positions are the order in which things happened; an update that may be gone by right (its
only disks were lost), or that was acknowledged from memory, is unknown to a judge, not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from quorate.chaos.stores.calls import Call, Calls
from quorate.consistency.check.history import NEVER, History, Operation, Outcome

STRONG = "strong"
"""The strong plane's name among the actors of a version vector."""
HAS_SHOWN = any(field.name == "shown" for field in fields(Operation))

Versions = dict[Any, int]


def history_of(calls: Calls, wanted: Callable[[Call], Operation | None]) -> History:
    """The history of the calls for which `wanted` gives an operation."""
    places = {
        (call.id, ended): place for place, (call, ended) in enumerate(calls.events)
    }
    found: list[Operation] = []
    for call in calls.all:
        operation = wanted(call)
        if operation is None:
            continue
        operation.id = len(found)
        operation.invoked = places[call.id, False]
        if operation.outcome != "unknown":
            operation.ended = places.get((call.id, True), NEVER)
        found.append(operation)
    return History(found, "s")


def operation_of(call: Call, f: str, value: Any, **more: Any) -> Operation:
    """One call as a judge knows it."""
    outcome: Outcome = {"ok": "ok", "no": "fail"}.get(call.outcome, "unknown")  # type: ignore[assignment]
    if outcome == "ok" and call.writes and (call.excused or not call.durable):
        outcome = "unknown"
    dot = call.dot if call.dot is not None else (STRONG, call.index) if call.index else None
    return Operation(
        id=call.id,
        process=call.session,
        f=f,
        key=f"{call.store}/{call.key}",
        value=value,
        invoked=0,
        start=call.called,
        end=None if outcome == "unknown" else call.returned,
        outcome=outcome,
        dot=dot if call.writes else None,
        session=call.session,
        level=call.level,
        host=call.host,
        **more,
    )


def read_of(call: Call) -> Operation:
    """A read, with what its state had seen and what its answer depends on."""
    if call.seen is None:
        return operation_of(call, "read", None)
    seen: Versions = {**call.seen.context, STRONG: call.seen.strong_revision}
    more: dict[str, Any] = {"versions": seen, "result": call.seen.value}
    if HAS_SHOWN:
        more["shown"] = {**call.seen.saw, STRONG: call.seen.strong_revision}
    return operation_of(call, "read", None, **more)


def seen_after(call: Call) -> Versions:
    """What a register had seen once this write was in it."""
    versions: Versions = dict(call.overwrote)
    if call.dot is not None:
        versions[call.dot[0]] = call.dot[1]
    return versions


def finals(operations: Iterable[Operation], place: int) -> list[Operation]:
    """Reads at rest, after everything."""
    found = list(operations)
    for number, operation in enumerate(found):
        operation.invoked = place + 2 * number
        operation.ended = place + 2 * number + 1
    return found
