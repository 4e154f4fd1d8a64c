"""The timeline as data: one lane per worker, the calls of a window, and the counterexample.

The law of this file: choosing and matching, no drawing. What a judge named is found again in the
history by its process and its beginning, because only those two are in every verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from quorate.chaos.report.faults import Fault
from quorate.chaos.report.grid import Grid
from quorate.chaos.report.recorded import Call, Recorded
from quorate.consistency.check.timeline import describe, timeline

LANES_MAX = 32
CALLS_DRAWN_MAX = 700
MARKS_MAX = 40
Worst = Literal["", "ok", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Marked:
    """An operation of a counterexample. Times are seconds since the run began."""

    process: str
    start: float
    end: float | None
    outcome: str
    what: str
    call: Call | None
    guilty: bool
    """Named by the anomaly itself; the others are what makes it one."""


@dataclass(frozen=True, slots=True)
class Example:
    """The counterexample of one verdict."""

    model: str
    kind: str
    text: str
    marked: tuple[Marked, ...]
    more: int
    """Operations past the limit of what is drawn."""
    drawing: tuple[str, ...]
    """As text, in the judges' own layout."""


def verdicts_of(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The verdicts of `run.json`: a list, an object by name, or one."""
    found: Any = run.get("verdicts")
    if isinstance(found, dict):
        body = cast("dict[str, Any]", found)
        if isinstance(body.get("verdict"), str):
            return [body]
        return [
            {"model": name, **cast("dict[str, Any]", one)}
            for name, one in body.items()
            if isinstance(one, dict)
        ]
    items = cast("list[Any]", found) if isinstance(found, list) else []
    return [cast("dict[str, Any]", one) for one in items if isinstance(one, dict)]


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; nothing of anything else."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


def examples(record: Recorded) -> list[Example]:
    """One of every verdict that has a counterexample, in order."""
    known = {(str(call.operation.process), call.operation.start): call for call in record.calls}
    found: list[Example] = []
    for verdict in verdicts_of(record.run):
        anomalies = objects(verdict.get("anomalies"))
        plain = objects(verdict.get("counterexample"))
        first = anomalies[0] if anomalies else {}
        plain = plain or objects(first.get("operations"))
        if not plain:
            continue
        guilty = {_name(one) for one in objects(first.get("operations"))}
        marked = [_marked(one, known, guilty, record) for one in plain]
        marked.sort(key=lambda one: one.start)
        found.append(
            Example(
                str(verdict.get("model", "")),
                str(first.get("kind", "")),
                str(first.get("text", "")),
                tuple(marked[:MARKS_MAX]),
                max(0, len(marked) - MARKS_MAX),
                tuple(_drawing(marked, record)),
            )
        )
    return found


def _name(plain: Mapping[str, Any]) -> tuple[str, Any]:
    start = plain.get("start")
    return (str(plain.get("process")), start if isinstance(start, int | float) else 0)


def _marked(
    plain: Mapping[str, Any],
    known: Mapping[tuple[str, Any], Call],
    guilty: set[tuple[str, Any]],
    record: Recorded,
) -> Marked:
    name = _name(plain)
    call = known.get(name)
    if call is not None:
        what, end, outcome = describe(call.operation), call.end, call.outcome
        return Marked(name[0], call.start, end, outcome, what, call, name in guilty)
    seconds = record.history.seconds
    end = plain.get("end")
    return Marked(
        name[0],
        seconds(name[1]) - record.zero_s,
        seconds(end) - record.zero_s if isinstance(end, int | float) else None,
        str(plain.get("outcome", "unknown")),
        str(plain.get("what", "")),
        None,
        name in guilty,
    )


def _drawing(marked: Sequence[Marked], record: Recorded) -> Iterable[str]:
    if all(one.call for one in marked):
        return timeline(record.history.only(one.call.operation for one in marked if one.call))
    return [f"  {one.process}  {one.start * 1000:.3f} ms  {one.what}" for one in marked]


# --- lanes ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Lane:
    """One worker: what it was told in every bucket."""

    worker: str
    counts: list[int]
    worst: list[Worst]
    answered: list[float] = field(default_factory=list[float])


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that puts a/2 before a/10."""
    parts = re.split(r"(\d{1,18})", text)
    digits = [part.isdigit() and part.isascii() for part in parts]
    return [
        (0, int(part), "") if digit else (1, 0, part)
        for part, digit in zip(parts, digits, strict=True)
    ]


def lanes(calls: Sequence[Call], cells: Grid, wanted: Iterable[str] = ()) -> tuple[list[Lane], int]:
    """At most `LANES_MAX` lanes, those of `wanted` first of all, in order of their names; and how
    many workers were left out."""
    names = sorted({call.worker for call in calls}, key=natural)
    first = [name for name in dict.fromkeys(wanted) if name in set(names)]
    step = max(1, -(-len(names) // LANES_MAX))
    spread = names[::step] if step > 1 else names
    chosen = sorted([*dict.fromkeys([*first, *spread])][:LANES_MAX], key=natural)
    rows = {n: Lane(n, [0] * cells.count, [""] * cells.count) for n in chosen}
    rank: dict[str, int] = {"": 0, "ok": 1, "fail": 2, "unknown": 3}
    for call in calls:
        lane = rows.get(call.worker)
        if lane is None:
            continue
        bucket = cells.of(call.start if call.end is None else call.end)
        lane.counts[bucket] += 1
        outcome: Worst = call.outcome if call.outcome in ("ok", "fail") else "unknown"  # type: ignore[assignment]
        if rank[outcome] > rank[lane.worst[bucket]]:
            lane.worst[bucket] = outcome
    return list(rows.values()), len(names) - len(chosen)


@dataclass(frozen=True, slots=True)
class Window:
    """Some seconds of the history, call by call."""

    begin: float
    end: float
    calls: tuple[Call, ...]
    left_out: int
    why: str


def window(
    record: Recorded, marked: Sequence[Marked], workers: Iterable[str], worst: Fault | None
) -> Window:
    """Around the counterexample; without one, around the begin of the worst fault; without that,
    the start. Narrowed until it holds a few hundred calls of these workers."""
    times = [t for one in marked for t in (one.start, one.end or one.start)]
    if times:
        middle, why = (min(times), max(times)), "the counterexample"
    elif worst:
        middle = (worst.begin, worst.begin)
        why = f"the begin of fault {worst.number}, {worst.name}"
    else:
        middle, why = (0.0, 0.0), "the beginning"
    chosen = set(workers)
    mine = [call for call in record.calls if call.worker in chosen]
    begin, end, inside = 0.0, 0.0, list[Call]()
    for halvings in range(8):
        margin = 1.0 / 2**halvings
        begin, end = max(0.0, middle[0] - margin), min(record.end_s, middle[1] + margin)
        inside = [c for c in mine if c.start <= end and (c.end is None or c.end >= begin)]
        if len(inside) <= CALLS_DRAWN_MAX:
            break
    needed = {id(one.call) for one in marked}
    kept = [call for call in inside if id(call) in needed]
    rest = [call for call in inside if id(call) not in needed]
    room = max(0, CALLS_DRAWN_MAX - len(kept))
    step = max(1, -(-len(rest) // room)) if room else len(rest) + 1
    drawn = sorted([*kept, *rest[::step]], key=lambda call: call.start)
    return Window(begin, end, tuple(drawn), len(inside) - len(drawn), why)
