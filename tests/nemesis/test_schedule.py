"""Plans from names, drawn from a seed."""

from __future__ import annotations

from random import Random

import pytest

from quorate.chaos.nemesis.schedule import Pace, check_plan, plan_of
from quorate.core.errors import UsageError


def drawn(name: str, turns: int, seed: int = 1) -> list[tuple[str, ...]]:
    rng = Random(seed)
    return [plan_of(name).drawn(number, rng) for number in range(turns)]


def test_alone_in_sequence_in_pairs() -> None:
    assert drawn("kill", 2) == [("kill",), ("kill",)]
    assert drawn("kill, halves", 3) == [("kill",), ("halves",), ("kill",)]
    assert {frozenset(pair) for pair in drawn("kill+halves", 9)} == {frozenset(("kill", "halves"))}
    mixed = drawn("kill+halves,pause", 4)
    assert [len(turn) for turn in mixed] == [2, 1, 2, 1] and mixed[1] == ("pause",)


def test_of_three_a_random_pair_each_time() -> None:
    pairs = {frozenset(pair) for pair in drawn("kill+halves+slow", 60)}
    assert len(pairs) == 3 and all(len(pair) == 2 for pair in pairs)


def test_the_same_seed_draws_the_same() -> None:
    assert drawn("kill+halves+slow", 20, 7) == drawn("kill+halves+slow", 20, 7)
    assert drawn("kill+halves+slow", 20, 7) != drawn("kill+halves+slow", 20, 8)


def test_names_needs_and_nothing() -> None:
    plan = plan_of("kill,drain+kill")
    assert plan.names == ("kill", "drain") and plan.needs == {"agents"}
    assert plan_of("none").does_nothing and not plan.does_nothing


@pytest.mark.parametrize("name", ["", ",", "kil", "kill+", "kill,halvs"])
def test_bad_names(name: str) -> None:
    with pytest.raises(UsageError):
        plan_of(name)


def test_a_cluster_too_small() -> None:
    check_plan(plan_of("bridge"), "abc")
    with pytest.raises(UsageError, match="at least 3"):
        check_plan(plan_of("kill,bridge"), "ab")


def test_the_pace_never_outlasts_the_run() -> None:
    rng, pace = Random(1), Pace((3.0, 6.0), (1.0, 2.0))
    assert all(3.0 <= pace.hold(rng, 100.0) <= 6.0 for _ in range(50))
    assert pace.hold(rng, 1.0) == 1.0 and pace.calm(rng, 0.5) == 0.5
