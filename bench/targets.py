"""What was asked for, and whether it was reached.

The law of this file: a target is a row of a table; a verdict has three values, and what was not
measured was not reached. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from quorate.bench import agent_targets, ratio_targets
from quorate.bench.growth_report import TOP_ITEMS, cost_ratio

OURS = "quorate"
Results = dict[str, Any]
"""The `results` of a run: question -> what it found."""


@dataclass(frozen=True, slots=True)
class Target:
    """`measure` returns the figure, or nan if the run has none."""

    name: str
    relation: Literal["at least", "at most"]
    bound: float
    unit: str
    measure: Callable[[Results], float]

    def reached_by(self, value: float) -> bool:
        return value >= self.bound if self.relation == "at least" else value <= self.bound


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target with what was measured."""

    name: str
    target: str
    measured: float
    unit: str
    verdict: Literal["reached", "missed", "not measured"]


def load_figure(
    question: str, in_flight: int, where: str, figure: str
) -> Callable[[Results], float]:
    """Our own figure of one load; latencies in microseconds."""

    def measure(results: Results) -> float:
        for row in results.get(question, ()):
            key = (row["system"], row["in_flight"], row["where"])
            if key == (OURS, in_flight, where):
                return float(row[figure])
        return math.nan

    return measure


def milliseconds(measure: Callable[[Results], float]) -> Callable[[Results], float]:
    return lambda results: measure(results) / 1000


def found(question: str, *path: str) -> Callable[[Results], float]:
    """A figure by its path below a question."""

    def measure(results: Results) -> float:
        at: Any = results.get(question)
        for step in path:
            at = at.get(step) if isinstance(at, dict) else None  # pyright: ignore[reportUnknownVariableType,reportUnknownMemberType]
        return math.nan if at is None else float(at)  # pyright: ignore[reportUnknownArgumentType]

    return measure


def idle_figure(figure: str) -> Callable[[Results], float]:
    def measure(results: Results) -> float:
        rows = [row for row in results.get("idle", ()) if row["system"] == OURS]
        return float(rows[0][figure]) if rows else math.nan

    return measure


def level_figure(name: str) -> Callable[[Results], float]:
    """Operations a second of one of our cases."""
    return ratio_targets.case("levels", OURS, name)


TARGETS: tuple[Target, ...] = (
    Target(
        "writes, 1 024 in flight on the leader",
        "at least",
        20_000,
        "/s",
        load_figure("writes", 1024, "leader", "ops_per_s"),
    ),
    Target(
        "writes, 1 024 in flight over all hosts",
        "at least",
        20_000,
        "/s",
        load_figure("writes", 1024, "spread", "ops_per_s"),
    ),
    Target(
        "writes, what we are after",
        "at least",
        50_000,
        "/s",
        lambda results: max(
            (
                value
                for where in ("leader", "spread")
                if not math.isnan(value := load_figure("writes", 1024, where, "ops_per_s")(results))
            ),
            default=math.nan,
        ),
    ),
    Target(
        "one client's write on the leader, p50",
        "at most",
        1.0,
        "ms",
        milliseconds(load_figure("writes", 1, "leader", "p50_us")),
    ),
    Target(
        "one client's write elsewhere, p50",
        "at most",
        1.5,
        "ms",
        milliseconds(load_figure("writes", 1, "elsewhere", "p50_us")),
    ),
    Target(
        "linearizable reads, 1 024 in flight on the leader",
        "at least",
        30_000,
        "/s",
        load_figure("reads", 1024, "leader", "ops_per_s"),
    ),
    Target(
        "linearizable reads, 1 024 in flight over all hosts",
        "at least",
        30_000,
        "/s",
        load_figure("reads", 1024, "spread", "ops_per_s"),
    ),
    Target("failover after kill -9, p50", "at most", 800, "ms", found("failover", "ms", "median")),
    Target("failover after kill -9, p99", "at most", 1500, "ms", found("failover", "ms", "p99")),
    Target(
        "leadership transfer until the next write, worst",
        "at most",
        100,
        "ms",
        found("transfer", "until_write_ms", "max"),
    ),
    Target(
        "restart that applies a whole log of 1 000 000 entries",
        "at most",
        10,
        "s",
        lambda results: _if_a_million(results, "replay_s"),
    ),
    Target(
        "restart after kill -9 on what that left",
        "at most",
        10,
        "s",
        lambda results: _if_a_million(results, "restart_s"),
    ),
    Target(
        "elections while a follower 1 GB behind catches up",
        "at most",
        0,
        "",
        lambda results: (
            found("catch_up", "elections")(results)
            if found("catch_up", "behind_bytes")(results) >= 1e9
            else math.nan
        ),
    ),
    Target("idle host, processor", "at most", 1.0, "%", idle_figure("cpu_percent_max")),
    Target("idle host, resident memory", "at most", 80, "MB", idle_figure("rss_mb_max")),
    Target("local reads, all hosts", "at least", 250_000, "/s", level_figure("local reads")),
    Target("session reads, all hosts", "at least", 100_000, "/s", level_figure("session reads")),
    Target(
        "durable eventual writes, 1 024 in flight over all hosts",
        "at least",
        40_000,
        "/s",
        level_figure("eventual writes"),
    ),
    Target(
        "CRDT increments, 1 024 in flight over all hosts",
        "at least",
        40_000,
        "/s",
        level_figure("CRDT increments"),
    ),
    Target(
        "lag at 20 000 eventual writes/s, p99",
        "at most",
        50,
        "ms",
        lambda results: _if_at_least(results, "lag", "acknowledged_per_s", 19_000, "lag_p99_ms"),
    ),
    Target(
        "repair of 1 000 of 1 000 000 keys",
        "at most",
        3,
        "s",
        lambda results: _if_at_least(results, "repair", "keys", 1e6, "took_s"),
    ),
    Target(
        "bytes sent by that repair",
        "at most",
        1.0,
        "MB",
        lambda results: _if_at_least(results, "repair", "keys", 1e6, "bytes_sent") / 1e6,
    ),
    Target("the same everywhere after a heal, worst", "at most", 2, "s", found("heal", "s", "max")),
    *(Target(*row) for row in agent_targets.ROWS),
    *(
        Target(
            f"cost of an operation with 1 000 000 {what}, to 10 000",
            "at most",
            1.2,
            "times",
            lambda results, thing=thing: cost_ratio(results.get("growth", {}), thing, TOP_ITEMS),
        )
        for thing, what in (
            ("keys", "strong keys"),
            ("store", "keys of a store"),
            ("names", "names"),
            ("agents", "agents"),
        )
    ),
    *(Target(*row) for row in ratio_targets.ROWS),
)


def _if_at_least(results: Results, question: str, size: str, at_least: float, figure: str) -> float:
    """A figure of a run that was large enough to answer."""
    whole = found(question, size)(results) >= at_least
    return found(question, figure)(results) if whole else math.nan


def _if_a_million(results: Results, figure: str) -> float:
    whole = found("restart", "entries")(results) >= 1_000_000
    return found("restart", figure)(results) if whole else math.nan


def verdicts(results: Results) -> list[Verdict]:
    """Every target with its verdict, in the order of the table."""
    rows: list[Verdict] = []
    for target in TARGETS:
        value = target.measure(results)
        verdict: Literal["reached", "missed", "not measured"] = (
            "not measured"
            if math.isnan(value)
            else "reached"
            if target.reached_by(value)
            else "missed"
        )
        bound = f"{target.relation} {target.bound:,g} {target.unit}".rstrip()
        rows.append(Verdict(target.name, bound, value, target.unit, verdict))
    return rows
