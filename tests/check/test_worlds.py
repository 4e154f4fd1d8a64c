"""Correct systems always hold; systems with one rule switched off are found, and nothing else is
claimed of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.check import append
from quorate.consistency.check.history import Event, History, Recorder, pair
from quorate.consistency.check.models import Options, check
from quorate.consistency.check.verdict import Verdict
from tests.check.replicas import bounded, replicated, sessions
from tests.check.worlds import Plan, lists, run

SOAK = os.environ.get("QUORATE_SOAK") == "1"
SEEDS = st.integers(0, 1 << 30)
few = settings(max_examples=2000 if SOAK else 60, deadline=None, derandomize=not SOAK)
BOUND_MS = 40.0


def told(model: str, history: History) -> Verdict:
    return check(model, history, Options(bound_ms=BOUND_MS))


@few
@given(SEEDS)
def test_correct_stores_hold(seed: int) -> None:
    for model, history in (
        ("session", sessions(seed)),
        ("staleness", bounded(seed, BOUND_MS)),
        ("crdt", replicated(seed, "add")),
        ("crdt", replicated(seed, "write")),
    ):
        verdict = told(model, history)
        assert verdict.verdict == "held", verdict.text()


FAULTS: list[tuple[str, str, Callable[[int], History], set[str]]] = [
    (
        "session",
        "no-token",
        lambda seed: sessions(seed, "no-token"),
        {"read-your-writes", "monotonic-reads"},
    ),
    (
        "session",
        "no-deps",
        lambda seed: sessions(seed, "no-deps"),
        {"monotonic-writes", "writes-follow-reads"},
    ),
    ("staleness", "no-bound", lambda seed: bounded(seed, BOUND_MS, "no-bound"), {"too-old"}),
    ("crdt", "drop", lambda seed: replicated(seed, "add", "drop"), {"diverged", "lost-update"}),
    (
        "crdt",
        "resurrect",
        lambda seed: replicated(seed, "add", "resurrect"),
        {"resurrected-element"},
    ),
    (
        "crdt",
        "lose-conflict",
        lambda seed: replicated(seed, "write", "lose-conflict"),
        {"missing-conflict"},
    ),
]


@pytest.mark.parametrize(
    ("model", "fault", "world", "kinds"), FAULTS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_switched_off_rule_is_found(
    model: str, fault: str, world: Callable[[int], History], kinds: set[str]
) -> None:
    found: set[str] = set()
    seeds = 0
    for seed in range(40):
        verdict = told(model, world(seed))
        assert verdict.verdict in ("held", "broken")
        if verdict.verdict == "broken":
            seeds += 1
            found |= verdict.kinds
            example = verdict.counterexample
            assert example is not None
            assert told(model, example).verdict == "broken", verdict.text()
            assert len(example.operations) <= 30
    assert seeds >= 3, fault
    assert found & kinds, (fault, found)


# --- lists ----------------------------------------------------------------------------------------


@few
@given(SEEDS)
def test_correct_lists_hold(seed: int) -> None:
    verdict = append.check(run(seed, Plan(60, 4, unknown_percent=5), lists()))
    assert verdict.verdict == "held", verdict.text()


def _reads(history: History) -> list[list[Any]]:
    return [
        step
        for op in history.operations
        if op.outcome == "ok"
        for step in op.result
        if step[0] == "r" and len(step[2]) > 1
    ]


SPOILS: dict[str, tuple[Callable[[list[Any], Random], list[Any]], set[str]]] = {
    "twice": (lambda seen, _: [*seen, seen[0]], {"duplicate-element"}),
    "turned round": (lambda seen, _: seen[::-1], {"incompatible-order", "internal"}),
    "nobody's": (lambda seen, _: [*seen, -5], {"phantom-element"}),
    "a gap": (lambda seen, _: seen[1:], {"incompatible-order", "internal"}),
}


@pytest.mark.parametrize("name", SPOILS)
def test_spoilt_lists_are_refuted(name: str) -> None:
    spoil, kinds = SPOILS[name]
    for seed in range(10):
        history = run(seed, Plan(60, 4), lists())
        rng = Random(seed)
        step = rng.choice(_reads(history))
        step[2] = spoil(step[2], rng)
        verdict = append.check(history)
        assert verdict.verdict == "broken"
        assert verdict.kinds & kinds, verdict.text()


def test_a_stale_snapshot_of_lists_is_a_cycle() -> None:
    """A transaction that reads what the lists were two transactions ago."""
    found: set[str] = set()
    for seed in range(10):
        history = run(seed, Plan(80, 1), lists())
        reads = [s for s in _reads(history) if s[2]]
        reads[-1][2] = reads[-1][2][: len(reads[-1][2]) // 2]
        verdict = append.check(history)
        assert verdict.verdict == "broken"
        assert verdict.counterexample is not None
        assert len(verdict.counterexample.operations) <= 6
        found |= verdict.kinds
    assert any(kind.startswith("G-single") for kind in found)


def test_long_lists_are_judged_in_time() -> None:
    """Linear: 5 000 transactions."""
    history = run(1, Plan(5000, 8), lists(40))
    assert append.check(history).verdict == "held"


# --- what they read, they can write ---------------------------------------------------------------


def test_a_recorder_and_a_judge_fit_together() -> None:
    clock = iter(range(100))
    recorder = Recorder(lambda: next(clock), unit="ns")
    recorder.invoke("a", "write", "x", 1)
    recorder.ok("a", witness=(1, 5))
    recorder.invoke("b", "read", "x")
    recorder.ok("b", 1, witness=(1, 5))
    assert check("register", recorder.history()).verdict == "held"
    assert recorder.statistics() == {"invoke": 2, "ok": 2, "fail": 0, "unknown": 0}


def test_events_need_not_be_kept() -> None:
    seen: list[Event] = []
    recorder = Recorder(lambda: 1.5, sink=seen.append)
    recorder.invoke("a", "add", "x", 1)
    recorder.unknown("a", "no answer")
    assert seen == recorder.events
    (operation,) = pair(seen).operations
    assert (operation.outcome, operation.error) == ("unknown", "no answer")
