"""Only held is a pass, and a run that proves nothing is invalid."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.chaos.running import verdicts
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Anomaly, Verdict
from tests.workloads.written import Pen

HELD = Verdict("held", "m", 9)
UNKNOWN = Verdict("unknown", "m", 9)
BROKEN = Verdict("broken", "m", 9, [Anomaly("k", "t")])
ENOUGH = {"per_s": 200.0}


@pytest.mark.parametrize(
    ("judged", "more", "word"),
    [
        ([HELD], {}, "held"),
        ([HELD, UNKNOWN], {}, "unknown"),
        ([], {}, "unknown"),
        ([HELD], {"doubts": ["the run was interrupted"]}, "unknown"),
        ([HELD], {"per_s": 99.0}, "invalid"),
        ([HELD], {"met_nobody": ["halves"]}, "invalid"),
        ([HELD], {"against": ["halves showed no effect"]}, "invalid"),
        ([HELD, BROKEN], {"per_s": 1.0, "doubts": ["x"]}, "broken"),
        ([UNKNOWN], {"per_s": 1.0}, "invalid"),
    ],
)
def test_the_word_on_a_run(judged: list[Verdict], more: dict[str, Any], word: str) -> None:
    found = verdicts.summary(judged, **{**ENOUGH, **more})
    assert found.word == word
    assert bool(found.notes) == bool(more)


def test_a_check_that_raises_is_unknown_with_its_reason() -> None:
    def judge(history: History) -> Verdict:
        raise ValueError("no idea")

    (found,) = verdicts.ask(judge, History())
    assert found.verdict == "unknown"
    assert "ValueError: no idea" in found.notes[0]


def test_a_host_that_found_a_bug_of_ours_is_a_broken_run() -> None:
    errors = [("a", "stopped itself: StorageFailed: fsync"), ("b", "InvariantBroken: two leaders")]
    (found,) = verdicts.judge_hosts(errors)
    assert found.verdict == "broken"
    assert [anomaly.text for anomaly in found.anomalies] == ["host b: InvariantBroken: two leaders"]
    assert verdicts.judge_hosts(errors[:1]) == []


def test_faults_are_spans_and_know_whether_they_met_anybody() -> None:
    pen = Pen()
    pen.ok("c", "read", "x")
    pen.wait(10)
    pen.ok("c", "read", "x")
    events = [
        {"name": "halves", "phase": "begin", "t": 0.001},
        {"name": "pause", "phase": "begin", "t": 3.0},
        {"name": "halves", "phase": "end", "t": 2.0},
        {"name": "pause", "phase": "end", "t": 4.0},
        {"name": "kill", "phase": "begin", "t": 9.0},
    ]
    spans = verdicts.fault_spans(events)
    assert spans == [("halves", 0.001, 2.0), ("pause", 3.0, 4.0), ("kill", 9.0, float("inf"))]
    assert verdicts.missed(pen.history(), spans) == ["pause"]


def test_only_what_was_acknowledged_counts_as_traffic() -> None:
    pen = Pen()
    for _ in range(10):
        pen.ok("c", "read", "x")
        pen.lost("d", "write", "x", 1)
    assert verdicts.per_second(pen.history(), 0.0, 0.04) == pytest.approx(250.0)
    assert verdicts.per_second(pen.history(), 5.0, 6.0) == 0.0
