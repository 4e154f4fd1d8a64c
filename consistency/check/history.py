"""Histories: what clients asked, when, and what they were told.

The law of this file: an operation is invoked once and ends at most once, as `ok` (it happened, this
is the answer), `fail` (it certainly never happens) or `unknown` (it may happen, now or later). A
process has one operation in flight. The order of the events is the order in which they happened;
times only say how far apart. Nothing here knows what operations mean.

After Herlihy & Wing 1990 (invocations and responses) and Jepsen (invoke, ok, fail, info).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from quorate.consistency.check.values import Actor, Versions
from quorate.core.errors import QuorateError, Refused, UsageError

Type = Literal["invoke", "ok", "fail", "unknown"]
Outcome = Literal["ok", "fail", "unknown"]
Process = int | str
Key = str | int | None
Time = int | float
Unit = Literal["ns", "s"]
Witness = tuple[int, ...]
"""(term, index) of the log, or (term, index, place within the entry)."""

NEVER = 1 << 62
"""The position at which an operation without an answer ends: after everything."""


class MalformedHistory(UsageError):
    """The history breaks its own law. The text says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history. What an answer does not repeat is taken from its invocation."""

    type: Type
    process: Process
    time: Time
    """Integers are nanoseconds, floats are seconds; one history uses one of them."""
    f: str = ""
    key: Key = None
    value: Any = None
    """Of an invocation: the argument. Of an answer: what was returned."""
    witness: Witness | None = None
    dot: tuple[Actor, int] | None = None
    """(actor, seq): the name of the update itself."""
    versions: Versions | None = None
    """Of a read: what the state it returned has seen. Of an update: what its state has seen after
    it."""
    shown: Versions | None = None
    """Of a read: the dots its answer depends on, when that is less than all it has seen, as when a
    concurrent write lost. Later reads of the session owe this (Terry's `RelevantWrites`)."""
    level: str | None = None
    session: str | None = None
    host: str | None = None
    error: str | None = None
    line: int = 0
    """Where it was read from; 0 for an event that was never on paper."""


@dataclass(slots=True, eq=False)
class Operation:
    """An invocation with its answer."""

    id: int
    """Its place in the order of invocations."""
    process: Process
    f: str
    key: Key
    value: Any
    invoked: int
    """Position of the invocation among all events."""
    start: Time
    outcome: Outcome = "unknown"
    result: Any = None
    ended: int = NEVER
    """Position of an `ok` or `fail` among all events; `NEVER` for unknown."""
    end: Time | None = None
    witness: Witness | None = None
    dot: tuple[Actor, int] | None = None
    versions: Versions | None = None
    shown: Versions | None = None
    level: str | None = None
    session: str | None = None
    host: str | None = None
    error: str | None = None
    line: int = 0

    @property
    def where(self) -> str:
        """How a message names it."""
        return f"line {self.line}" if self.line else f"operation {self.id}"


@dataclass(slots=True)
class History:
    """Operations in the order of their invocations."""

    operations: list[Operation] = field(default_factory=list[Operation])
    unit: Unit = "s"
    notes: list[str] = field(default_factory=list[str])
    """What a reader of the verdict has to know, as that the last line was torn."""

    def seconds(self, time: Time) -> float:
        return time / 1e9 if self.unit == "ns" else float(time)

    def only(self, operations: Iterable[Operation]) -> History:
        """The same history with these operations alone."""
        return History(sorted(operations, key=lambda op: op.invoked), self.unit)


def pair(events: Iterable[Event]) -> History:
    """Match answers to invocations.

    An invocation without an answer is unknown. Raises `MalformedHistory` for an answer to nothing,
    a process with two operations in flight, a time that goes back, and two units of time.
    """
    history = History()
    open_: dict[Process, Operation] = {}
    last: Event | None = None
    for position, event in enumerate(events):
        last = _check_time(event, last, position)
        if event.type == "invoke":
            running = open_.get(event.process)
            if running is not None:
                raise MalformedHistory(
                    f"{_where(event, position)}: process {event.process!r} invokes "
                    f"{event.f!r} while its {running.f!r} of {running.where} is in flight: give "
                    f"every concurrent caller a process of its own, or record an answer first"
                )
            open_[event.process] = operation = _begin(event, len(history.operations), position)
            history.operations.append(operation)
        else:
            _end(open_.pop(event.process, None), event, position)
    if last is not None:
        history.unit = "s" if isinstance(last.time, float) else "ns"
    return history


def _where(event: Event, position: int) -> str:
    return f"line {event.line}" if event.line else f"event {position + 1}"


def _check_time(event: Event, last: Event | None, position: int) -> Event:
    if last is None:
        return event
    if isinstance(event.time, float) != isinstance(last.time, float):
        raise MalformedHistory(
            f"{_where(event, position)}: time {event.time} after {last.time}: integers are "
            f"nanoseconds and floats are seconds; use one of them in the whole history"
        )
    if event.time < last.time:
        raise MalformedHistory(
            f"{_where(event, position)}: time goes back from {last.time} to {event.time}: record "
            f"with one monotonic clock, or sort the events of several recorders with `merge`"
        )
    return event


def _begin(event: Event, number: int, position: int) -> Operation:
    if not event.f:
        raise MalformedHistory(
            f"{_where(event, position)}: an invocation needs 'f', the name of what is asked"
        )
    return Operation(
        number,
        event.process,
        event.f,
        event.key,
        event.value,
        position,
        event.time,
        session=event.session,
        level=event.level,
        host=event.host,
        dot=event.dot,
        versions=event.versions,
        witness=event.witness,
        line=event.line,
    )


def _end(operation: Operation | None, event: Event, position: int) -> None:
    if operation is None:
        raise MalformedHistory(
            f"{_where(event, position)}: {event.type!r} of process {event.process!r}, which has "
            f"nothing in flight: record its invocation before it"
        )
    if event.f not in ("", operation.f) or event.key not in (None, operation.key):
        raise MalformedHistory(
            f"{_where(event, position)}: {event.type!r} of {event.f!r} on {event.key!r} answers "
            f"{operation.f!r} on {operation.key!r} ({operation.where}): process "
            f"{event.process!r} is used by two callers"
        )
    operation.outcome = event.type if event.type in ("ok", "fail") else "unknown"
    operation.end = event.time
    operation.error = event.error
    if event.type != "unknown":
        operation.ended = position
        operation.result = event.value
    operation.witness = event.witness or operation.witness
    operation.dot = event.dot or operation.dot
    operation.versions = operation.versions if event.versions is None else event.versions
    operation.shown = event.shown
    operation.level = event.level or operation.level
    operation.session = event.session or operation.session
    operation.host = event.host or operation.host


def merge(*recordings: Iterable[Event]) -> list[Event]:
    """The events of several recorders as one history. At equal times invocations come first, which
    claims no order that was not seen. The clocks must be one clock (processes of one machine)."""
    waiting: dict[Time, dict[Process, list[Event]]] = {}
    for recording in recordings:
        for event in recording:
            waiting.setdefault(event.time, {}).setdefault(event.process, []).append(event)
    merged: list[Event] = []
    for _, queues in sorted(waiting.items()):
        while queues:
            fronts = [queue for queue in queues.values() if queue[0].type == "invoke"]
            merged += [queue.pop(0) for queue in fronts or queues.values()]
            queues = {process: queue for process, queue in queues.items() if queue}
    return merged


class Recorder:
    """Writes a history while it happens, from a simulator or from live callers.

    `now` is the clock that was handed in: float seconds, or int nanoseconds (`unit="ns"`). `sink`
    gets every event at once, so that a killed run leaves what it saw.
    """

    def __init__(
        self,
        now: Callable[[], Time],
        *,
        unit: Unit = "s",
        sink: Callable[[Event], object] | None = None,
    ) -> None:
        self._now = now
        self._unit = unit
        self._sink = sink
        self.events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def _add(self, type_: Type, process: Process, **fields: Any) -> None:
        now = self._now()
        time: Time = int(now) if self._unit == "ns" else float(now)
        event = Event(type_, process, time, **fields)
        self.events.append(event)
        if self._sink is not None:
            self._sink(event)

    def invoke(
        self, process: Process, f: str, key: Key = None, value: Any = None, **more: Any
    ) -> None:
        """`process` asks for `f`. `more`: any other field of `Event`."""
        self._add("invoke", process, f=f, key=key, value=value, **more)

    def ok(self, process: Process, value: Any = None, **more: Any) -> None:
        """It happened, and this is the answer."""
        self._add("ok", process, value=value, **more)

    def fail(self, process: Process, error: str | None = None, **more: Any) -> None:
        """It did not happen and never will."""
        self._add("fail", process, error=error, **more)

    def unknown(self, process: Process, error: str | None = None, **more: Any) -> None:
        """It may have happened, or may happen later."""
        self._add("unknown", process, error=error, **more)

    def raised(self, process: Process, error: BaseException, **more: Any) -> None:
        """The call raised: a definite no is `fail`; whatever else is `unknown`."""
        definite = isinstance(error, Refused | UsageError) or (
            isinstance(error, QuorateError) and error.outcome == "not_applied"
        )
        text = f"{type(error).__name__}: {error}"
        self._add("fail" if definite else "unknown", process, error=text, **more)

    def history(self) -> History:
        """What was recorded so far, paired."""
        return pair(self.events)

    def statistics(self) -> dict[str, int]:
        kinds = [event.type for event in self.events]
        return {kind: kinds.count(kind) for kind in ("invoke", "ok", "fail", "unknown")}


def cut(operations: Iterable[Operation], position: int) -> list[Operation]:
    """The history as it was before the event at `position`: what was in flight is unknown."""
    kept: list[Operation] = []
    for operation in operations:
        if operation.invoked >= position:
            continue
        if operation.ended >= position and operation.ended != NEVER:
            kept.append(replace(operation, outcome="unknown", result=None, ended=NEVER, end=None))
        else:
            kept.append(operation)
    return kept
