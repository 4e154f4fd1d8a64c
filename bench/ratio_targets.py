"""What was asked for beside others in the same run, and the furthest marks of our own. Pure.

The law of this file: as `targets`, whose table these rows end. A ratio needs both sides from one
run; without the peer there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

OURS = "quorate"
Relation = Literal["at least", "at most"]
Results = dict[str, Any]
Measure = Callable[[Results], float]


def case(question: str, system: str, name: str, figure: str = "ops_per_s") -> Measure:
    """A figure of one case of a system."""

    def measure(results: Results) -> float:
        found: Any = results.get(question, ())
        rows: list[dict[str, Any]] = found["rows"] if question == "levels" and found else found
        for row in rows:
            if (row["system"], row["case"]) == (system, name):
                return float(row[figure])
        return math.nan

    return measure


def best(question: str, system: str, in_flight: int) -> Measure:
    """The highest rate of a system's loads with so many in flight, wherever they ran."""

    def measure(results: Results) -> float:
        rates = [
            float(row["ops_per_s"])
            for row in results.get(question, ())
            if (row["system"], row["in_flight"]) == (system, in_flight)
        ]
        return max(rates, default=math.nan)

    return measure


def one_client(system: str) -> Measure:
    """The median time of a write at the leader, nothing else in flight, in microseconds."""

    def measure(results: Results) -> float:
        for row in results.get("writes", ()):
            if (row["system"], row["in_flight"], row["where"]) == (system, 1, "leader"):
                return float(row["p50_us"])
        return math.nan

    return measure


def ratio(ours: Measure, theirs: Measure) -> Measure:
    """Ours divided by theirs; nan without one of them."""

    def measure(results: Results) -> float:
        below = theirs(results)
        return ours(results) / below if below > 0 else math.nan

    return measure


def _asks(name: str, peer: str) -> Measure:
    return ratio(case("agents_calls", OURS, name), case("agents_calls", peer, name))


LOCAL = "local ask, 200 callers, many agents"
REMOTE = "remote ask, 200 callers on all hosts"
ROWS: tuple[tuple[str, Relation, float, str, Measure], ...] = (
    (
        "writes, 1 024 in flight, to etcd's",
        "at least",
        8,
        "times",
        ratio(best("writes", OURS, 1024), best("writes", "etcd", 1024)),
    ),
    (
        "one client's write on the leader, p50, to etcd's",
        "at most",
        0.8,
        "times",
        ratio(one_client(OURS), one_client("etcd")),
    ),
    (
        "linearizable reads, what we are after",
        "at least",
        100_000,
        "/s",
        best("reads", OURS, 1024),
    ),
    (
        "session reads, what we are after",
        "at least",
        200_000,
        "/s",
        case("levels", OURS, "session reads"),
    ),
    (
        "local reads, to py-lmdb's own",
        "at least",
        0.5,
        "times",
        ratio(
            case("levels", OURS, "local reads"),
            case("levels", "py-lmdb", "read transaction and get"),
        ),
    ),
    (
        "durable eventual writes, what we are after",
        "at least",
        60_000,
        "/s",
        case("levels", OURS, "eventual writes"),
    ),
    (
        "CRDT increments, what we are after",
        "at least",
        60_000,
        "/s",
        case("levels", OURS, "CRDT increments"),
    ),
    ("local asks, 200 callers, to casty's", "at least", 1, "times", _asks(LOCAL, "casty")),
    ("remote asks, 200 callers, to casty's", "at least", 0.5, "times", _asks(REMOTE, "casty")),
    ("local asks, 200 callers, to Ray's", "at least", 20, "times", _asks(LOCAL, "ray")),
    ("remote asks, 200 callers, to Ray's", "at least", 20, "times", _asks(REMOTE, "ray")),
)
