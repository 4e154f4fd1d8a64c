"""Names: one binding per epoch, epochs that grow, an outside that takes nothing old."""

from __future__ import annotations

from quorate.chaos.workloads.names import NamesWorkload, check_bindings
from tests.workloads.written import Pen


def a_good_run() -> Pen:
    pen = Pen()
    pen.ok("a", "acquire", "n", "a#1", 7)
    pen.ok("a", "effect", "n", 7, witness=(0, 1))
    pen.ok("b", "acquire", "n", "b#1", None)
    pen.ok("b", "look", "n", None, ["a#1", 7], level="linearizable")
    pen.ok("b", "acquire", "n", "b#2", 9)
    pen.ok("b", "effect", "n", 9, witness=(0, 2))
    pen.ok("c", "look", "n", None, ["a#1", 7], level="local")
    return pen


def test_a_clean_run_holds() -> None:
    verdicts = NamesWorkload().check(a_good_run().history())
    assert [verdict.verdict for verdict in verdicts] == ["held", "held"]


def test_two_bindings_of_one_epoch_are_found() -> None:
    pen = a_good_run()
    pen.ok("c", "look", "n", None, ["c#1", 9], level="linearizable")
    assert check_bindings(pen.history()).kinds == {"two-bindings"}


def test_a_linearizable_look_at_an_old_binding_is_found() -> None:
    pen = a_good_run()
    pen.ok("c", "look", "n", None, ["a#1", 7], level="linearizable")
    assert check_bindings(pen.history()).kinds == {"stale-binding"}


def test_a_look_that_overlaps_the_new_binding_may_see_the_old_one() -> None:
    pen = a_good_run()
    pen.begin("c", "look", "n", level="linearizable")
    pen.ok("b", "acquire", "n", "b#3", 12)
    pen.end("c", ["b#2", 9])
    assert check_bindings(pen.history()).verdict == "held"


def test_an_effect_under_an_old_epoch_is_found() -> None:
    pen = a_good_run()
    pen.ok("a", "effect", "n", 7, witness=(0, 3))
    locks, _ = NamesWorkload().check(pen.history())
    assert "fenced-effect-accepted" in locks.kinds


def test_nothing_recorded_is_unknown() -> None:
    assert check_bindings(Pen().history()).verdict == "unknown"
