"""What was asked for of agents. Pure.

The law of this file: as `targets`, whose table these rows end; a run that was too small answers
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from quorate.bench.ratio_targets import case

OURS = "quorate"
NAMED_AGENTS = 100_000
WATCHED_AGENTS = 1_000
STATE_BYTES = 1_000_000
Relation = Literal["at least", "at most"]
Results = dict[str, Any]
Measure = Callable[[Results], float]


def case_figure(question: str, name: str, figure: str) -> Measure:
    """A figure of one of our cases."""
    return case(question, OURS, name, figure)


def names_figure(*path: str) -> Measure:
    """A figure of our named agents, of a run with enough of them."""

    def measure(results: Results) -> float:
        for row in results.get("agents_names", ()):
            if row["system"] == OURS and row["agents"] >= NAMED_AGENTS:
                at: Any = row
                for step in path:
                    at = at[step]
                return float(at)
        return math.nan

    return measure


def slowest_pause(results: Results) -> float:
    """The p99 of a move's pause, of the worse of the two kinds of state."""
    rows = [row for row in results.get("agents_moves", ()) if row["system"] == OURS]
    return max(
        (float(row["pause_ms"]["p99"]) for row in rows if row["state_bytes"] >= STATE_BYTES),
        default=math.nan,
    )


def _of_failover(part: str, results: Results) -> dict[str, Any] | None:
    rows = results.get("agents_failover", {}).get(part, ())
    return next((row for row in rows if row["system"] == OURS), None)


def back_p99(results: Results) -> float:
    """Until an agent answers again after its host was killed; infinite if one never did."""
    row = _of_failover("kills", results)
    if row is None or row["agents"] < WATCHED_AGENTS * row["kills"]:
        return math.nan
    return math.inf if row["missing"] else float(row["back_ms"]["p99"]) / 1000


def of_failover(part: str, figure: str) -> Measure:
    """A sum over all kills or drains."""

    def measure(results: Results) -> float:
        row = _of_failover(part, results)
        return math.nan if row is None else float(row[figure])

    return measure


def _calls(name: str, figure: str) -> Measure:
    return case_figure("agents_calls", name, figure)


ROWS: tuple[tuple[str, Relation, float, str, Measure], ...] = (
    ("local ask, p50", "at most", 30, "us", _calls("local ask, one caller", "p50_us")),
    (
        "local asks, 200 callers, many agents",
        "at least",
        60_000,
        "/s",
        _calls("local ask, 200 callers, many agents", "ops_per_s"),
    ),
    (
        "local asks, 200 callers, one agent",
        "at least",
        60_000,
        "/s",
        _calls("local ask, 200 callers, one agent", "ops_per_s"),
    ),
    ("remote ask, p50", "at most", 300, "us", _calls("remote ask, one caller", "p50_us")),
    (
        "remote asks, 200 callers over three processes",
        "at least",
        25_000,
        "/s",
        _calls("remote ask, 200 callers on all hosts", "ops_per_s"),
    ),
    (
        "turns with strong state",
        "at least",
        10_000,
        "/s",
        case_figure("agents_state", "strong turns, 1 024 callers", "ops_per_s"),
    ),
    ("100 000 named agents started", "at most", 60, "s", names_figure("started_s")),
    (
        "memory of a passive agent on a host",
        "at most",
        3072,
        "bytes",
        names_figure("passive_bytes_host_max"),
    ),
    ("look-ups of a name", "at least", 500_000, "/s", names_figure("look_up", "per_s")),
    ("pause of a move with 1 MB of state, p99", "at most", 50, "ms", slowest_pause),
    ("agents answer after kill -9 of their host, p99", "at most", 3, "s", back_p99),
    (
        "strong updates lost by kills",
        "at most",
        0,
        "",
        of_failover("kills", "lost"),
    ),
    (
        "calls that a drain failed",
        "at most",
        0,
        "",
        of_failover("drains", "failures"),
    ),
)
"""(name, relation, bound, unit, measure) in the order of the table."""
