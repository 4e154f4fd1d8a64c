"""How fresh a host is, by what the members say of their updates and of those of lost folders."""

from __future__ import annotations

from quorate.consistency.replica.freshness import Freshness
from quorate.consistency.replica.knowledge import Knowledge, Report

LOST, OWN, NEW = 11, 12, 13


def test_of_a_lost_folder_those_answer_who_have_something_of_it() -> None:
    knowledge = Knowledge()
    knowledge.applied.update({LOST: 9, OWN: 4, NEW: 2})
    assert knowledge.orphans([OWN]) == {LOST: 9, NEW: 2}, "nobody said yet whose those are"
    knowledge.reports["a"] = Report(1, {}, {LOST: 9})
    assert knowledge.orphans([OWN]) == {NEW: 2}
    knowledge.reports["a"] = Report(1, {}, {NEW: 2})
    assert knowledge.orphans([OWN]) == {LOST: 9}, "host a lives in another folder now"


def test_a_host_is_as_fresh_as_what_it_has_of_all_that_was_told() -> None:
    seen: dict[int, int] = {NEW: 2}
    now = [10.0]
    freshness = Freshness(seen, lambda: now[0])
    number = freshness.ask()
    freshness.on_heads("a", number, {NEW: 2})
    freshness.on_heads("c", number, {OWN: 1, LOST: 9})
    assert freshness.fresh_at(["a"]) == 10.0
    assert freshness.fresh_at(["a", "c"]) == float("-inf")
    assert freshness.lag(["a", "c"], 10.0) == 10
    freshness.on_heads("a", number, {NEW: 2, LOST: 9})
    assert freshness.lag(["a", "c"], 10.0) == 10, "two hosts tell of the same nine updates"
    seen.update({OWN: 1, LOST: 9})
    freshness.on_seen()
    assert freshness.fresh_at(["a", "c"]) == 10.0
    assert freshness.lag(["a", "c"], 10.0) == 0
