"""The workloads that are judged by `consistency/check`: the words they record are the judges' own,
a clean history holds and a planted violation is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quorate.chaos.workloads.catalogue import workload_of
from quorate.consistency.check.verdict import Verdict
from tests.workloads.written import Pen


def register(pen: Pen, bad: bool) -> None:
    pen.ok("a", "write", "r", "1", witness=(1, 5, 2))
    pen.ok("b", "cas", "r", ["1", "2"], True, witness=(1, 6, 3))
    pen.ok("a", "cas", "r", ["1", "3"], False)
    pen.ok("a", "read", "r", None, "1" if bad else "2")


def append(pen: Pen, bad: bool) -> None:
    pen.ok(
        "a",
        "txn",
        None,
        [["append", "x", 1], ["r", "y", None]],
        [["append", "x", 1], ["r", "y", []]],
    )
    pen.ok("b", "txn", None, [["append", "y", 2]], [["append", "y", 2]])
    seen = [] if bad else [1]
    pen.ok(
        "c", "txn", None, [["r", "x", None], ["r", "y", None]], [["r", "x", seen], ["r", "y", [2]]]
    )


def sets(pen: Pen, bad: bool) -> None:
    pen.ok("a", "add", "set/1", "e", level="strong")
    pen.ok("a", "increment", "sum/1", 1, level="strong")
    pen.ok("b", "final", "set/1", None, [] if bad else ["e"], level="strong")
    pen.ok("b", "final", "sum/1", None, 1, level="strong")


def counts(pen: Pen, bad: bool) -> None:
    pen.ok("a", "increment", "sum/1", 1, level="strong")
    pen.lost("b", "increment", "sum/1", 1, level="strong")
    pen.ok("b", "final", "sum/1", None, 3 if bad else 2, level="strong")
    pen.ok("a", "add", "set/1", "e", level="strong")
    pen.ok("b", "final", "set/1", None, ["e"], level="strong")


def locks(pen: Pen, bad: bool) -> None:
    pen.ok("a", "acquire", "l", None, 5)
    pen.ok("b", "acquire", "l", None, 6)
    pen.ok("b", "effect", "l", 6, witness=(0, 1))
    if bad:
        pen.ok("a", "effect", "l", 5, witness=(0, 2))


def leases(pen: Pen, bad: bool) -> None:
    locks(pen, bad)
    pen.ok("a", "look", "k", None, [True, True])


def staleness(pen: Pen, bad: bool) -> None:
    pen.ok("a", "write", "st/a", 1, session="a", level="eventual")
    pen.ok("a", "write", "st/a", 2, session="a", level="eventual")
    pen.wait(0.5)
    pen.ok("b", "read", "st/a", {"ms": 100}, 1 if bad else 2, level="bounded")


def crdts(pen: Pen, bad: bool) -> None:
    pen.ok("a", "add", "tags/1", "x", host="a", level="crdt", dot=("a", 1))
    pen.ok("a", "append", "lines/1", "y", host="a", level="crdt")
    for host in "ab":
        pen.ok(host, "final", "tags/1", None, ["x"], host=host, level="local")
        lines = [] if bad and host == "b" else ["y"]
        pen.ok(host, "final", "lines/1", None, lines, host=host, level="local")


STORIES: dict[str, Callable[[Pen, bool], None]] = {
    "register": register,
    "append": append,
    "sets": sets,
    "sets ": counts,
    "locks": locks,
    "leases": leases,
    "staleness": staleness,
    "crdts": crdts,
}


def judged(name: str, bad: bool) -> set[str]:
    pen = Pen()
    STORIES[name](pen, bad)
    found: Any = workload_of(name.strip()).check(pen.history())
    verdicts: list[Verdict] = found if isinstance(found, list) else [found]
    return {verdict.verdict for verdict in verdicts}


@pytest.mark.parametrize("name", STORIES)
def test_a_clean_history_holds(name: str) -> None:
    assert judged(name, bad=False) == {"held"}


@pytest.mark.parametrize("name", STORIES)
def test_a_planted_violation_is_found(name: str) -> None:
    assert "broken" in judged(name, bad=True)
