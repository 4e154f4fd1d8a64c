"""What hosts say of themselves."""

from __future__ import annotations

from quorate.chaos.running.internals import Internals


def said(role: str, term: int, commit: int, applied: int = 0) -> dict[str, object]:
    return {"role": role, "term": term, "commit_index": commit, "applied_index": applied}


def test_an_ordinary_run_holds_and_silence_is_unknown() -> None:
    internals = Internals()
    assert internals.verdict().verdict == "unknown"
    internals.on_status("a", said("leader", 1, 10, 9))
    internals.on_status("b", said("follower", 1, 8, 8))
    internals.on_status("b", said("leader", 2, 12, 12))
    internals.on_status("a", said("follower", 2, 12, 12))
    internals.on_start("a")
    internals.on_status("a", said("follower", 2, 3, 3))
    assert internals.verdict().verdict == "held"


def test_two_leaders_of_one_term_are_found_also_when_they_lead_one_after_the_other() -> None:
    internals = Internals()
    internals.on_status("a", said("leader", 3, 1))
    internals.on_status("b", said("leader", 3, 1))
    assert internals.verdict().kinds == {"two-leaders"}


def test_what_falls_within_a_life_is_found() -> None:
    internals = Internals()
    internals.on_status("a", said("follower", 3, 9))
    internals.on_status("a", said("follower", 2, 8))
    assert internals.verdict().kinds == {"term-fell", "commit_index-fell"}


def test_what_was_applied_before_it_was_committed_is_found() -> None:
    internals = Internals()
    internals.on_status("a", said("follower", 3, 9, 10))
    assert internals.verdict().kinds == {"applied-uncommitted"}
