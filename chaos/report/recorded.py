"""A run folder as a value: calls, faults and what `run.json` says, in seconds since the run began.

The law of this file: it reads and never judges, and it takes what is there. A run that was killed
has torn lines, answers out of order and no verdict; each is left out or mended, and named in
`notes`, because a picture that hides a gap is a lie.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from quorate.chaos.report.faults import Fault, spans
from quorate.consistency.check import lines as history_lines
from quorate.consistency.check.history import (
    Event,
    History,
    MalformedHistory,
    Operation,
    Process,
    merge,
    pair,
)

NOTES_MAX = 12
EVERY = "restart-all"
"""The fault that means every host when it names none."""
WORKER = re.compile(r"^(?P<host>.+?)(?:\.(?P<life>\d+))?/(?P<client>.+)$")
"""`a.2/3`: the third client of host a, in its second life."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as the figures need it. Times are seconds since the run began."""

    worker: str
    """The client across the lives of its host: `a/3`."""
    host: str
    f: str
    level: str
    start: float
    end: float | None
    """None: it was never answered."""
    outcome: str
    operation: Operation

    @property
    def final(self) -> bool:
        """One of the reads after the end of the load: `a.2/final-2`."""
        return "/final" in self.worker

    @property
    def took_s(self) -> float | None:
        return None if self.end is None else self.end - self.start


@dataclass
class Recorded:
    """Everything a report is made of."""

    name: str
    run: dict[str, Any] = field(default_factory=dict[str, Any])
    calls: list[Call] = field(default_factory=list[Call])
    """In the order of their beginnings."""
    faults: list[Fault] = field(default_factory=list[Fault])
    history: History = field(default_factory=History)
    zero_s: float = 0.0
    """The monotonic time that the report calls 0."""
    notes: list[str] = field(default_factory=list[str])

    @cached_property
    def end_s(self) -> float:
        """When the last thing happened; 0 for an empty run."""
        times = [call.start if call.end is None else call.end for call in self.calls]
        times += [time for fault in self.faults for time in (fault.begin, fault.end or 0.0)]
        return max(times, default=0.0)

    @cached_property
    def hosts(self) -> tuple[str, ...]:
        """Every host that the options, a fault or a call names, in order."""
        found: dict[str, None] = dict.fromkeys(_named_hosts(self.run))
        for fault in self.faults:
            found |= dict.fromkeys(fault.hosts)
            found |= dict.fromkeys(host for link in fault.pairs for host in link)
        found |= dict.fromkeys(sorted({call.host for call in self.calls if call.host}))
        return tuple(sorted(found))


def read_folder(folder: Path) -> Recorded:
    """What the folder holds. Missing files count as empty. Raises `FileNotFoundError` when there is
    no such folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a run folder: give the folder of one run")
    return recorded(
        folder.resolve().name,
        _text(folder / "run.json"),
        _lines(folder / "history.jsonl"),
        _lines(folder / "faults.jsonl"),
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _lines(path: Path) -> Iterable[str]:
    if path.is_file():
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            yield from file


def recorded(
    name: str, run: str = "", history: Iterable[str] = (), faults: Iterable[str] = ()
) -> Recorded:
    """The texts of a run as one value. Never raises for what is in them."""
    notes: list[str] = []
    body = _run(run, notes)
    told = mended(history, notes)
    spoken = list(_fault_events(faults, notes))
    starts = [told.seconds(told.operations[0].start)] if told.operations else []
    starts += [event["t"] for event in spoken]
    zero = min(starts, default=0.0)
    for event in spoken:
        event["t"] -= zero
    calls = [_call(operation, told, zero) for operation in told.operations]
    struck = [
        replace(one, hosts=tuple(_named_hosts(body)))
        if one.name == EVERY and not one.hosts
        else one
        for one in spans(spoken)
    ]
    notes += [note for note in told.notes if note not in notes]
    return Recorded(name, body, calls, struck, told, zero, notes[:NOTES_MAX])


def _run(text: str, notes: list[str]) -> dict[str, Any]:
    if not text.strip():
        notes.append("run.json is missing: the run ended before it was written")
        return {}
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict):
        return cast("dict[str, Any]", body)
    notes.append("run.json cannot be read and was left out")
    return {}


def _named_hosts(run: dict[str, Any]) -> list[str]:
    options = run.get("options")
    for body in (run, cast("dict[str, Any]", options) if isinstance(options, dict) else {}):
        hosts = body.get("hosts")
        if isinstance(hosts, list):
            return [str(host) for host in cast("list[Any]", hosts)]
    return []


def _call(operation: Operation, history: History, zero: float) -> Call:
    text = str(operation.process)
    found = WORKER.match(text)
    host = operation.host or (found["host"] if found else "")
    end = None if operation.end is None else history.seconds(operation.end) - zero
    return Call(
        f"{found['host']}/{found['client']}" if found else text,
        host,
        operation.f,
        operation.level or "",
        history.seconds(operation.start) - zero,
        end,
        operation.outcome,
        operation,
    )


# --- a history that a killed writer left ----------------------------------------------------------


def mended(rows: Iterable[str], notes: list[str]) -> History:
    """The history of the lines, whatever is wrong with some of them. What had to be done is noted
    with how often."""
    counts: dict[str, int] = {}
    events = list(_events(rows, counts))
    if any(a.time > b.time for a, b in pairwise(events)):
        _count(counts, "the lines were not in the order of time and were sorted")
        events = merge(events)
    history = pair(_pairable(events, counts))
    notes += [text if times == 1 else f"{text} ({times} times)" for text, times in counts.items()]
    return history


def _count(counts: dict[str, int], text: str) -> None:
    counts[text] = counts.get(text, 0) + 1


def _events(rows: Iterable[str], counts: dict[str, int]) -> Iterator[Event]:
    """Each line by itself, in nanoseconds when the first line is, so that one bad line costs one
    line."""
    whole: bool | None = None
    unread: list[str] = []
    for row in rows:
        try:
            event = next(history_lines.read((row,), unread), None)
        except MalformedHistory:
            _count(counts, "a line is not an event and was left out")
            continue
        if event is None:
            continue
        if whole is None:
            whole = not isinstance(event.time, float)
        if whole == isinstance(event.time, float):
            _count(counts, "a line counts time in another unit and was left out")
            continue
        yield event
    if unread:
        _count(counts, "a line is torn (its writer stopped in the middle) and was left out")


def _pairable(events: Sequence[Event], counts: dict[str, int]) -> Iterator[Event]:
    """The events that `pair` takes: no answer to nothing, one operation of a process at a time."""
    flying: dict[Process, Event] = {}
    for event in events:
        before = flying.pop(event.process, None)
        if event.type == "invoke":
            if not event.f:
                _count(counts, "a call without a name was left out")
            else:
                if before is not None:
                    _count(counts, "a call began before the same process had its last answer")
                    error = "no answer was recorded"
                    yield Event("unknown", event.process, event.time, error=error)
                flying[event.process] = event
                yield event
        elif before is None:
            _count(counts, "an answer to no call was left out")
        elif event.f not in ("", before.f) or event.key not in (None, before.key):
            _count(counts, "an answer to another call was left out")
        else:
            yield event


# --- what the nemesis did -------------------------------------------------------------------------


def _fault_events(rows: Iterable[str], notes: list[str]) -> Iterator[dict[str, Any]]:
    """Objects with a name, a phase and `t` in seconds. As in a history, integers are
    nanoseconds."""
    left_out = 0
    for row in rows:
        if not row.strip():
            continue
        try:
            body: Any = json.loads(row)
        except (ValueError, RecursionError):
            body = None
        event = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        time = event.get("t", event.get("time"))
        if not isinstance(time, int | float) or isinstance(time, bool) or "name" not in event:
            left_out += 1
            continue
        yield {**event, "t": time / 1e9 if isinstance(time, int) else time}
    if left_out:
        notes.append(f"faults.jsonl: {left_out} lines are not events and were left out")
