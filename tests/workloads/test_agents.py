"""Agents: turns made once and in order, effects fenced, families gone together."""

from __future__ import annotations

import pytest

from quorate.chaos.workloads.agents import AgentsWorkload, check_families
from quorate.chaos.workloads.fencing import check_fencing
from quorate.chaos.workloads.turns import check_turns
from tests.workloads.written import Pen


def counting(*totals: int) -> Pen:
    pen = Pen()
    for total in totals:
        pen.ok("c", "turn", "t", None, total)
    return pen


def test_a_clean_run_holds() -> None:
    pen = counting(1, 2)
    pen.lost("d", "turn", "t")
    pen.ok("c", "turn", "t", None, 4)
    pen.ok("c", "effect", "t", 3, witness=(0, 1))
    pen.ok("c", "begin", "own/1")
    pen.ok("c", "own", "own/1", "own/1/0")
    pen.ok("c", "end", "own/1", None, True)
    pen.ok("c", "ping", "own/1", "own/1/0", None)
    pen.ok("c", "final", "t", None, 4)
    pen.ok("c", "living", None, None, [], host="a")
    assert [verdict.verdict for verdict in AgentsWorkload().check(pen.history())] == ["held"] * 3


@pytest.mark.parametrize(
    ("totals", "final", "kind"),
    [
        ((1, 2, 2), 3, "lost-turn"),
        ((1, 3, 2), 3, "stale-turn"),
        ((1, 2, 3), 2, "lost-turn"),
        ((1, 2, 3), 4, "turn-made-twice"),
    ],
)
def test_a_turn_lost_or_made_twice_is_found(totals: tuple[int, ...], final: int, kind: str) -> None:
    pen = counting(*totals)
    pen.ok("c", "final", "t", None, final)
    assert kind in check_turns(pen.history()).kinds


def test_turns_without_a_final_read_are_unknown() -> None:
    assert check_turns(counting(1, 2).history()).verdict == "unknown"


def test_an_effect_of_an_epoch_that_is_over_is_found() -> None:
    pen = Pen()
    pen.ok("c", "effect", "t", 5, witness=(0, 1))
    pen.ok("c", "effect", "t", 4, witness=(0, 2))
    assert check_fencing(pen.history()).kinds == {"fenced-effect-accepted"}


def family() -> Pen:
    pen = Pen()
    pen.ok("c", "begin", "own/1")
    pen.ok("c", "own", "own/1", "own/1/0")
    pen.ok("c", "end", "own/1", None, True)
    return pen


def test_an_orphan_is_found() -> None:
    pen = family()
    pen.ok("c", "living", None, None, ["own/1/0"], host="b")
    assert check_families(pen.history()).kinds == {"orphan"}


def test_an_answer_of_the_dead_is_found() -> None:
    pen = family()
    pen.ok("c", "ping", "own/1", "own/1/0", "own/1/0")
    pen.ok("c", "living", None, None, [], host="b")
    assert check_families(pen.history()).kinds == {"answer-of-the-dead"}


def test_who_was_never_ended_may_live() -> None:
    pen = Pen()
    pen.ok("c", "begin", "own/1")
    pen.ok("c", "own", "own/1", "own/1/0")
    pen.lost("c", "end", "own/1")
    pen.ok("c", "living", None, None, ["own/1", "own/1/0"], host="b")
    assert check_families(pen.history()).verdict == "held"
