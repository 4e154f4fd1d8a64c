"""Replicas that differ leave service; the majority stays, and nobody is blamed for lagging."""

from __future__ import annotations

from quorate.core.group.digest_watch import DigestWatch, Report

THREE = ("a", "b", "c")


def test_equal_hosts_stay_in_service() -> None:
    watch = DigestWatch("a")
    watch.on_report("b", Report(10, b"x"), 10, b"x")
    watch.on_report("c", Report(7, b"w"), 10, b"w")
    assert watch.verdict(THREE, 0.0) == "in_service"
    assert watch.describe() == "b agrees at index 10, c agrees at index 7"


def test_the_one_that_differs_from_both_others_leaves_at_once() -> None:
    watch = DigestWatch("a")
    watch.on_report("b", Report(10, b"x"), 10, b"bad")
    watch.on_report("c", Report(10, b"x"), 10, b"bad")
    assert watch.verdict(THREE, 0.0) == "out_of_service"


def test_one_of_the_majority_stays_though_a_peer_differs() -> None:
    watch = DigestWatch("b")
    watch.on_report("a", Report(10, b"bad"), 10, b"x")
    assert watch.verdict(THREE, 0.0) == "undecided"
    watch.on_report("c", Report(10, b"x"), 10, b"x")
    assert watch.verdict(THREE, 9.0) == "in_service"


def test_without_a_majority_all_involved_leave_after_a_grace() -> None:
    watch = DigestWatch("a", grace_s=5)
    watch.on_report("b", Report(10, b"x"), 10, b"y")
    assert watch.verdict(("a", "b"), 100.0) == "undecided"
    assert watch.verdict(("a", "b"), 104.9) == "undecided"
    assert watch.verdict(("a", "b"), 105.0) == "out_of_service"


def test_a_report_ahead_of_us_waits_until_we_are_there() -> None:
    watch = DigestWatch("a")
    watch.on_report("b", Report(50, b"x"), 10, None)
    watch.on_report("b", Report(60, b"z"), 20, None)
    assert watch.wanted(49) == []
    assert watch.wanted(50) == [("b", Report(50, b"x"))], "the first one is kept, or none ever fits"
    watch.on_report("b", Report(50, b"x"), 50, b"other")
    watch.on_report("c", Report(50, b"x"), 50, b"other")
    assert watch.verdict(THREE, 0.0) == "out_of_service"


def test_a_digest_nobody_remembers_proves_nothing_and_a_snapshot_starts_over() -> None:
    watch = DigestWatch("a")
    watch.on_report("b", Report(1, b"x"), 5000, None)
    assert watch.verdict(THREE, 0.0) == "in_service"
    watch.on_report("b", Report(10, b"x"), 10, b"bad")
    watch.on_report("c", Report(10, b"x"), 10, b"bad")
    watch.forget()
    assert watch.verdict(THREE, 0.0) == "in_service"


def test_a_learner_that_differs_decides_nothing() -> None:
    watch = DigestWatch("a")
    watch.on_report("d", Report(10, b"x"), 10, b"y")
    watch.on_report("e", Report(10, b"x"), 10, b"y")
    assert watch.verdict(THREE, 0.0) == "in_service"


def test_a_learner_is_judged_by_the_voters() -> None:
    watch = DigestWatch("d")
    watch.on_report("a", Report(10, b"x"), 10, b"y")
    assert watch.verdict(THREE, 0.0) == "undecided"
    watch.on_report("b", Report(10, b"x"), 10, b"y")
    assert watch.verdict(THREE, 0.0) == "out_of_service"
