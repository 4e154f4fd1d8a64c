"""What a judge says: held, broken or unknown, with the anomalies and the smallest counterexample.

The law of this file: unknown is never a pass. A history in which there was nothing to judge is
unknown too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.timeline import describe, timeline

Word = Literal["held", "broken", "unknown"]
ANOMALIES_SHOWN_MAX = 10
EXIT_CODES: dict[Word, int] = {"held": 0, "broken": 1, "unknown": 3}


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One broken promise: its kind (`stale-read`, `lost-element`, ...), a sentence, and the
    operations that show it."""

    kind: str
    text: str
    operations: tuple[Operation, ...] = ()


@dataclass(slots=True)
class Verdict:
    """The word on one history under one model."""

    verdict: Word
    model: str
    operations: int
    """How many were judged."""
    anomalies: list[Anomaly] = field(default_factory=list[Anomaly])
    counterexample: History | None = None
    """A history as small as could be found that the same model refutes."""
    steps: int = 0
    """Of the search, where there was one."""
    notes: list[str] = field(default_factory=list[str])

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    @property
    def kinds(self) -> set[str]:
        return {anomaly.kind for anomaly in self.anomalies}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        example = self.counterexample
        return {
            "verdict": self.verdict,
            "model": self.model,
            "operations": self.operations,
            "steps": self.steps,
            "anomalies": [
                {
                    "kind": anomaly.kind,
                    "text": anomaly.text,
                    "operations": [_plain(op) for op in anomaly.operations],
                }
                for anomaly in self.anomalies
            ],
            "counterexample": None if example is None else [_plain(o) for o in example.operations],
            "notes": self.notes,
        }

    def text(self) -> str:
        """For a person: the word, the anomalies, and the counterexample as a timeline."""
        lines = [f"{self.verdict}: {self.model}, {self.operations} operations, {self.steps} steps"]
        lines += [f"  note: {note}" for note in self.notes]
        for anomaly in self.anomalies[:ANOMALIES_SHOWN_MAX]:
            lines.append(f"  {anomaly.kind}: {anomaly.text}")
        more = len(self.anomalies) - ANOMALIES_SHOWN_MAX
        if more > 0:
            lines.append(f"  and {more} more")
        if self.counterexample is not None:
            lines += ["", f"counterexample ({len(self.counterexample.operations)} operations):"]
            lines += timeline(self.counterexample)
        return "\n".join(lines)


def _plain(operation: Operation) -> dict[str, Any]:
    return {
        "line": operation.line,
        "process": operation.process,
        "start": operation.start,
        "end": operation.end,
        "outcome": operation.outcome,
        "what": describe(operation),
    }


def judged(
    model: str,
    operations: int,
    anomalies: Sequence[Anomaly],
    *,
    history: History,
    counterexample: History | None = None,
    unknown: Iterable[str] = (),
    notes: Iterable[str] = (),
    steps: int = 0,
) -> Verdict:
    """Broken if anything was found; else unknown for any reason to doubt; else held. The default
    counterexample is what shows the first anomaly."""
    doubts = list(unknown)
    if not operations:
        doubts.append("the history holds nothing that this model judges")
    if anomalies and counterexample is None:
        counterexample = history.only(set(anomalies[0].operations))
    word: Word = "broken" if anomalies else "unknown" if doubts else "held"
    all_notes = [*history.notes, *notes, *doubts]
    return Verdict(word, model, operations, list(anomalies), counterexample, steps, all_notes)
