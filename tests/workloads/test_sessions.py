"""The four guarantees, told by nothing but the elements that reads returned."""

from __future__ import annotations

from typing import Any

from quorate.chaos.workloads.sessions import SessionsWorkload
from tests.workloads.written import Pen


def add(pen: Pen, session: str, key: str, element: str) -> None:
    pen.ok(session, "add", key, element, session=session, level="session")


def read(pen: Pen, session: str, key: str, elements: list[Any]) -> None:
    pen.ok(session, "read", key, None, elements, session=session, level="session")


def kinds(pen: Pen) -> set[str]:
    return SessionsWorkload().check(pen.history())[0].kinds


def test_a_clean_run_holds() -> None:
    pen = Pen()
    add(pen, "s", "x", "1")
    read(pen, "s", "x", ["1"])
    read(pen, "t", "x", [])
    add(pen, "t", "y", "2")
    read(pen, "s", "y", ["2"])
    read(pen, "t", "x", ["1"])
    for host in "ab":
        pen.ok(host, "final", "x", None, ["1"], host=host)
        pen.ok(host, "final", "y", None, ["2"], host=host)
    assert [verdict.verdict for verdict in SessionsWorkload().check(pen.history())] == [
        "held",
        "held",
    ]


def test_not_reading_ones_own_write_is_found() -> None:
    pen = Pen()
    add(pen, "s", "x", "1")
    read(pen, "s", "x", [])
    assert kinds(pen) == {"read-your-writes"}


def test_a_read_that_goes_back_is_found() -> None:
    pen = Pen()
    add(pen, "t", "x", "1")
    read(pen, "s", "x", ["1"])
    read(pen, "s", "x", [])
    assert "monotonic-reads" in kinds(pen)


def test_a_write_seen_without_the_one_before_is_found() -> None:
    pen = Pen()
    add(pen, "t", "x", "1")
    add(pen, "t", "x", "2")
    read(pen, "s", "x", ["2"])
    assert "monotonic-writes" in kinds(pen)


def test_a_write_seen_without_what_its_writer_had_read_is_found() -> None:
    pen = Pen()
    add(pen, "t", "x", "cause")
    read(pen, "s", "x", ["cause"])
    add(pen, "s", "y", "effect")
    read(pen, "u", "y", ["effect"])
    read(pen, "u", "x", [])
    assert "writes-follow-reads" in kinds(pen)


def test_an_add_of_unknown_outcome_need_not_be_seen() -> None:
    pen = Pen()
    pen.lost("s", "add", "x", "1", session="s", level="session")
    read(pen, "s2", "x", [])
    add(pen, "s", "x", "2")
    read(pen, "s", "x", ["2"])
    assert kinds(pen) == set()


def test_an_acknowledged_add_that_one_host_lacks_is_found() -> None:
    pen = Pen()
    add(pen, "s", "x", "1")
    pen.ok("a", "final", "x", None, ["1"], host="a")
    pen.ok("b", "final", "x", None, [], host="b")
    assert {"lost-update", "diverged"} <= SessionsWorkload().check(pen.history())[1].kinds
