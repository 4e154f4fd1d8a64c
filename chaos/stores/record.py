"""Calls and updates as histories: the form in which the judges of `consistency/check` read them.

The law: positions are the order in which things happened. A read's `shown` are the updates that it
showed, its `versions` all that needs no more to be seen on that key once these are: what they
overwrote, and where the last write wins what ranks below. An update that may be gone by right (its
only disks were lost), or that nobody was told is durable, is unknown to a judge, not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from quorate.chaos.stores.calls import Call, Calls, Made
from quorate.chaos.stores.strong import StrongWritten
from quorate.consistency.check.history import NEVER, History, Operation, Outcome
from quorate.consistency.replica.states import GROUP

STRONG = "strong"
"""The strong plane's name among the actors of a version vector."""
LAST_WINS = ("last",)
Versions = dict[Any, int]
StrongWrites = dict[str, list[StrongWritten]]
"""By key, in their order."""


class Record:
    """What is known of every key, once the run is over."""

    def __init__(self, calls: Calls, strong: StrongWrites) -> None:
        self.calls = calls
        self._strong = strong
        self._made: dict[str, list[Made]] = {}
        self._by_value: dict[tuple[str, str], Made] = {}
        for made in calls.made.values():
            self._made.setdefault(made.name, []).append(made)
            self._by_value[made.name, str(made.value)] = made

    def made(self, name: str) -> list[Made]:
        """All updates of a key, in the order in which they were made."""
        return self._made.get(name, [])

    # --- what a read has seen -------------------------------------------------------------------

    def shown(self, call: Call) -> Versions:
        """The updates that the answer shows."""
        seen = call.seen
        if seen is None or seen.version is None:
            return {}
        if seen.type != "register":
            every = (made.dot for made in self.made(call.name))
            return {a: seq for a, seq in sorted(every) if seen.saw.get(a, 0) >= seq}
        if seen.version.actor == GROUP:
            return {STRONG: seen.version.seq}
        found: Versions = {}
        add(found, seen.version[:2])
        for value in seen.siblings:
            made = self._by_value.get((call.name, str(value)))
            if made is not None:
                add(found, made.dot)
        for dot in seen.saw.items():
            made = self.calls.made.get(dot)
            if made is not None and made.name == call.name and made.is_delete:
                add(found, dot)
        return found

    def versions(self, call: Call, shown: Versions) -> Versions:
        """All updates of the key that are settled by what is shown."""
        found = dict(shown)
        seen = call.seen
        if seen is None:
            return found
        if seen.version is not None and seen.type != "register":
            for dot in seen.context.items():
                add(found, dot)
            return found
        made = self.made(call.name)
        tops = [one for one in made if shown.get(one.dot[0], 0) == one.dot[1]]
        # A tombstone may have been collected; that it was there, only the state knows.
        gone = [o for o in made if seen.context.get(o.dot[0], 0) >= o.dot[1]]
        tops += [one for one in gone if one.is_delete or seen.version is None]
        for top in tops:
            add(found, top.dot)
            for dot in top.overwrote.items():
                add(found, dot)
        if call.store in LAST_WINS:
            stamp = max([0 if seen.version is None else seen.version.stamp, *map(_stamp, tops)])
            rank = max((_rank(one) for one in tops), default=(stamp, 1 << 63, 0))
            for one in made:
                if _rank(one) <= max(rank, (stamp, 0, 0)):
                    add(found, one.dot)
            for write in self._strong.get(call.name, []):
                if write.stamp <= stamp:
                    add(found, (STRONG, write.version))
        return found

    def promoted(self) -> dict[int, Any]:
        """What promotions wrote, by call: what is in the strong log, and no call put there."""
        found: dict[int, Any] = {}
        put = {str(call.value) for call in self.calls.all if call.kind == "strong_put"}
        for name, writes in self._strong.items():
            rest = [write for write in writes if str(write.value) not in put]
            calls = [call for call in self.calls.all if call.kind == "promote"]
            calls = [call for call in calls if call.name == name]
            told: dict[int, Call] = {}
            for call in sorted(calls, key=lambda call: call.returned):
                if call.outcome == "ok":
                    told.setdefault(call.stamp, call)
            open_ = [call for call in calls if call.outcome == "unknown"]
            for write in rest:
                if write.stamp in told:
                    found[told.pop(write.stamp).id] = write.value
                elif open_:
                    found[open_.pop(0).id] = write.value
        return found

    # --- operations -----------------------------------------------------------------------------

    def read(self, call: Call) -> Operation:
        """A read as a judge knows it."""
        if call.seen is None:
            return operation_of(call, "read", None)
        shown = self.shown(call)
        return operation_of(
            call,
            "read",
            None,
            result=call.seen.value,
            shown=shown,
            versions=self.versions(call, shown),
        )

    def history(self, wanted: Callable[[Call], Operation | None]) -> History:
        """The calls for which `wanted` gives an operation, in their order."""
        places = {(call.id, ended): n for n, (call, ended) in enumerate(self.calls.events)}
        found: list[Operation] = []
        for call in self.calls.all:
            operation = wanted(call)
            if operation is not None:
                made = None if call.dot is None else self.calls.made.get(call.dot)
                if made is not None and made.excused:
                    operation.outcome, operation.end = "unknown", None
                operation.id = len(found)
                operation.invoked = places[call.id, False]
                if operation.outcome != "unknown":
                    operation.ended = places.get((call.id, True), NEVER)
                found.append(operation)
        return History(found, "s")


def _stamp(made: Made) -> int:
    return made.stamp


def _rank(made: Made) -> tuple[int, int, int]:
    return (made.stamp, *made.dot)


def add(versions: Versions, dot: tuple[Any, int]) -> None:
    """Count a dot in."""
    actor, seq = dot
    versions[actor] = max(seq, versions.get(actor, 0))


def operation_of(call: Call, f: str, value: Any, **more: Any) -> Operation:
    """One call."""
    outcomes: dict[str, Outcome] = {"ok": "ok", "no": "fail"}
    outcome = outcomes.get(call.outcome, "unknown")
    if outcome == "ok" and call.writes and not (call.achieved_durable or call.index):
        outcome = "unknown"
    dot = call.dot if call.dot is not None else (STRONG, call.strong_version)
    return Operation(
        id=call.id,
        process=call.session,
        f=f,
        key=call.name,
        value=value,
        invoked=0,
        start=call.called,
        end=None if outcome == "unknown" else call.returned,
        outcome=outcome,
        dot=dot if call.writes and dot[1] else None,
        session=call.session,
        level=call.level,
        host=call.host,
        **more,
    )


def update_of(made: Made, f: str, value: Any, place: int) -> Operation:
    """One update, as the host made it. It has seen what it overwrote, and itself."""
    outcome: Outcome = "ok" if made.sure else "unknown"
    versions: Versions = dict(made.overwrote)
    add(versions, made.dot)
    return Operation(
        id=place,
        process=f"{made.dot[0]}:{made.dot[1]}",
        f=f,
        key=made.name,
        value=value,
        invoked=2 * place,
        ended=2 * place + 1 if outcome == "ok" else NEVER,
        start=made.at,
        end=made.at if outcome == "ok" else None,
        outcome=outcome,
        dot=made.dot,
        versions=versions,
        host=made.host,
    )


def at_rest(operations: Iterable[Operation], place: int) -> list[Operation]:
    """Reads after everything."""
    found = list(operations)
    for number, operation in enumerate(found, place):
        operation.id, operation.invoked, operation.ended = number, 2 * number, 2 * number + 1
    return found
