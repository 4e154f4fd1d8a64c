"""The search against a checker that tries every order, against the signs of unique values, and
against systems that are correct or certainly spoilt."""

from __future__ import annotations

import itertools
import os
import time
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.check import linear, zones
from quorate.consistency.check.history import NEVER, History
from quorate.consistency.check.kv import KeyValue
from quorate.consistency.check.model import Compiled, Model
from quorate.consistency.check.register import Register
from quorate.consistency.check.values import Numbers
from quorate.consistency.check.wgl import search
from tests.check.worlds import Plan, concurrency, key_values, registers, run, stale_read

SOAK = os.environ.get("QUORATE_SOAK") == "1"
SEEDS = st.integers(0, 1 << 30)
few = settings(max_examples=1000 if SOAK else 60, deadline=None, derandomize=not SOAK)
many = settings(max_examples=20_000 if SOAK else 250, deadline=None, derandomize=not SOAK)


def brute(compiled: Compiled) -> bool:
    """Every subset of the unknown, in every order."""
    known = [i for i, op in enumerate(compiled.operations) if op.ended != NEVER]
    maybe = [i for i, op in enumerate(compiled.operations) if op.ended == NEVER]
    for count in range(len(maybe) + 1):
        for some in itertools.combinations(maybe, count):
            for order in itertools.permutations([*known, *some]):
                if _explains(compiled, order):
                    return True
    return False


def _explains(compiled: Compiled, order: tuple[int, ...]) -> bool:
    state = compiled.initial
    ops = compiled.operations
    for place, i in enumerate(order):
        if any(ops[later].ended < ops[i].invoked for later in order[place + 1 :]):
            return False
        after = compiled.step(state, compiled.codes[i])
        if after is None:
            return False
        state = after
    return True


def spoilt(seed: int, history: History) -> History:
    """Answers drawn at random: some histories stay right, most do not."""
    rng = Random(seed)
    for op in history.operations:
        if op.outcome == "ok" and rng.random() < 0.5:
            if op.f in ("read", "get"):
                op.result = rng.choice([None, *range(len(history.operations))])
            elif op.f == "cas":
                op.result = rng.random() < 0.5
    return history


def agree(model: Model, history: History) -> bool:
    compiled = model.compile(history.operations)
    found = search(compiled.calls(), compiled.initial, compiled.step)
    assert found.linearizable is brute(compiled)
    if found.linearizable:
        assert _explains(compiled, found.order)
    return bool(found.linearizable)


@many
@given(SEEDS)
def test_the_search_agrees_with_trying_every_order(seed: int) -> None:
    plan = Plan(6, 3, unknown_percent=20)
    agree(Register(), run(seed, plan, registers()))
    agree(Register(), spoilt(seed, run(seed, plan, registers())))
    agree(Register(), spoilt(seed, run(seed, plan, registers(values=3))))
    agree(KeyValue(), spoilt(seed, run(seed, Plan(5, 3, unknown_percent=20), key_values(2))))


def test_both_verdicts_are_met_often() -> None:
    plan = Plan(6, 3, unknown_percent=20)
    told = [agree(Register(), spoilt(s, run(s, plan, registers()))) for s in range(100)]
    assert 10 < sum(told) < 90


@many
@given(SEEDS)
def test_the_signs_of_unique_values_agree_with_the_search(seed: int) -> None:
    """What they find is a violation; with reads and writes alone, finding nothing is a proof."""
    for cas in (False, True):
        plan = Plan(12, 4, unknown_percent=10)
        history = spoilt(seed, run(seed, plan, registers(cas=cas)))
        model = Register()
        compiled = model.compile(history.operations)
        found = search(compiled.calls(), compiled.initial, compiled.step)
        signs, conclusive = model.signs(history.operations)
        if signs:
            assert found.linearizable is False, signs
        elif conclusive:
            assert found.linearizable is True
        assert conclusive or cas


@few
@given(SEEDS)
def test_a_correct_system_holds(seed: int) -> None:
    for witness in (False, True):
        plan = Plan(80, 5, unknown_percent=3, witness=witness)
        for model, act in ((Register(), registers(2)), (KeyValue(), key_values(4))):
            verdict = linear.check(model, run(seed, plan, act))
            assert verdict.verdict == "held", verdict.text()


@few
@given(SEEDS)
def test_a_stale_read_is_refuted_and_its_counterexample_is_small(seed: int) -> None:
    rng = Random(seed)
    history = stale_read(run(seed, Plan(60, 4, unknown_percent=2), registers()), rng)
    if history is None:
        return
    verdict = linear.check(Register(), history)
    assert verdict.verdict == "broken"
    assert linear.refutes(Register(), history.operations)
    assert verdict.counterexample is not None
    assert linear.refutes(Register(), verdict.counterexample.operations)
    assert len(verdict.counterexample.operations) <= 8


@few
@given(SEEDS)
def test_shrinking_keeps_a_right_history_right(seed: int) -> None:
    """Whatever a shrinker leaves out of a linearizable history, the rest is linearizable: so what
    it leaves of a broken one is broken for the same reason."""
    rng = Random(seed)
    for model, act in ((Register(), registers()), (KeyValue(), key_values(2))):
        operations = run(seed, Plan(20, 4, unknown_percent=10), act).operations
        for groups in model.removable(operations):
            gone = {op.id for group in groups if rng.random() < 0.5 for op in group}
            kept = [op for op in operations if op.id not in gone]
            assert linear.check(model, History(kept)).verdict != "broken"


def test_without_signs_the_search_shrinks_to_the_few_that_matter() -> None:
    """Values are written twice, so there are no signs; 3 of 120 operations show it."""
    history = run(3, Plan(120, 4), registers(cas=False))
    for op in history.operations:
        if op.f == "write" and op.value == history.operations[-1].value:
            op.value = -1
    bad = stale_read(history, Random(1))
    assert bad is not None
    example = linear.smallest(Register(), bad.operations)
    assert linear.refutes(Register(), example)
    assert len(example) <= 4


def test_zones_need_unique_values() -> None:
    numbers = Numbers()
    history = run(5, Plan(10, 2), registers(cas=False))
    writes = [op for op in history.operations if op.f == "write"][:2]
    zero = numbers.of(None)
    assert zones.check(writes, [(1, 1, 0), (1, 1, 0)], zero, [None, 1]) == ([], False)


def _fastest(history: History, times: int = 3) -> tuple[float, int]:
    best, steps = float("inf"), 0
    for _ in range(times):
        compiled = Register().compile(history.operations)
        calls = compiled.calls()
        start = time.process_time()
        found = search(calls, compiled.initial, compiled.step)
        best = min(best, time.process_time() - start)
        assert found.linearizable
        steps = found.steps
    return best, steps


def test_three_thousand_operations_of_eight_clients_are_searched_quickly() -> None:
    """Counted in steps, which do not depend on the machine; the speed has a wide margin."""
    history = run(11, Plan(3000, 8), registers())
    assert concurrency(history) > 3
    seconds, steps = _fastest(history)
    assert steps < 60_000
    assert 3000 / seconds > 20_000


def test_a_planted_stale_read_among_a_thousand_is_refuted_within_a_second() -> None:
    history = stale_read(run(12, Plan(1000, 5, unknown_percent=1), registers()), Random(2))
    assert history is not None
    start = time.process_time()
    verdict = linear.check(Register(), history)
    assert verdict.verdict == "broken"
    assert time.process_time() - start < 1
    compiled = Register().compile(history.operations)
    found = search(compiled.calls(), compiled.initial, compiled.step)
    assert found.linearizable is False
