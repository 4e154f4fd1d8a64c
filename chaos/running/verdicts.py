"""The word on a run: what its judges said, and whether there was anything to judge.

The law of this file: pure. Broken whatever else is true; else invalid when the run proves nothing
(too little traffic, faults that met none or did nothing); else unknown for any doubt; else held.
Only held is a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorate.chaos.running.options import OPERATIONS_PER_S_MIN, Word
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict

Judge = Callable[[History], Verdict | list[Verdict]]
OUR_BUGS = ("InvariantBroken", "CorruptStorage")
"""A host that ends itself with one of these has found a bug of ours."""
NOTES_MAX = 20


@dataclass(slots=True)
class Summary:
    """The word, and why."""

    word: Word
    verdicts: list[Verdict]
    notes: list[str] = field(default_factory=list[str])


def ask(judge: Judge, history: History) -> list[Verdict]:
    """The judge's verdicts. A judge that raises is unknown, with the reason."""
    try:
        found = judge(history)
    except Exception as error:
        text = f"the check raised {type(error).__name__}: {error}"
        return [Verdict("unknown", "check", len(history.operations), notes=[text])]
    return found if isinstance(found, list) else [found]


def judge_hosts(errors: Sequence[tuple[str, str]]) -> list[Verdict]:
    """A host that ended itself over a broken law is a broken promise of its own."""
    found = [
        Anomaly("host-failed", f"host {host}: {text}")
        for host, text in errors
        if any(bug in text for bug in OUR_BUGS)
    ]
    return [Verdict("broken", "hosts", len(errors), found)] if found else []


def fault_spans(events: Iterable[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """(name, begin, end) in seconds; one that never ended lasts for ever."""
    spans: list[tuple[str, float, float]] = []
    running: dict[str, list[float]] = {}
    for event in events:
        name, t = str(event.get("name")), float(event.get("t", 0.0))
        if event.get("phase") == "begin":
            running.setdefault(name, []).append(t)
        elif event.get("phase") == "end" and running.get(name):
            spans.append((name, running[name].pop(0), t))
    spans += [(name, begin, float("inf")) for name, begins in running.items() for begin in begins]
    return sorted(spans, key=lambda span: span[1])


def missed(history: History, spans: Sequence[tuple[str, float, float]]) -> list[str]:
    """The faults during which nobody asked for anything."""
    times: list[tuple[float, float]] = []
    for op in history.operations:
        start = history.seconds(op.start)
        times.append((start, start if op.end is None else history.seconds(op.end)))
    return [
        name
        for name, begin, end in spans
        if not any(start <= end and stop >= begin for start, stop in times)
    ]


def acknowledged(history: History) -> list[Operation]:
    return [op for op in history.operations if op.outcome == "ok"]


def per_second(history: History, begin_s: float, end_s: float) -> float:
    """Operations acknowledged within the window, per second."""
    within = [
        op
        for op in acknowledged(history)
        if op.end is not None and begin_s <= history.seconds(op.end) <= end_s
    ]
    return len(within) / max(1e-9, end_s - begin_s)


def summary(
    verdicts: Sequence[Verdict],
    *,
    per_s: float,
    met_nobody: Sequence[str] = (),
    against: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> Summary:
    """The word on a run. `against`: why its faults prove nothing; `doubts`: whatever went wrong in
    the laboratory or the workload."""
    invalid = list(against)
    if per_s < OPERATIONS_PER_S_MIN:
        invalid.append(
            f"{per_s:.0f} operations/s before the faults; under {OPERATIONS_PER_S_MIN:.0f} proves "
            f"nothing"
        )
    invalid += [f"nobody asked for anything during {name}" for name in sorted(set(met_nobody))]
    words = {verdict.verdict for verdict in verdicts}
    notes = [*doubts, *invalid][:NOTES_MAX]
    word: Word = (
        "broken"
        if "broken" in words
        else "invalid"
        if invalid
        else "unknown"
        if "unknown" in words or doubts or not verdicts
        else "held"
    )
    return Summary(word, list(verdicts), notes)
