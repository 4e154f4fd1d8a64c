"""What the pictures show, taken out of a result: pure, and apart from how it is drawn.

The law of this file: a result that does not have it gives an empty list, never a guess; figures
that are missing (nan) are left out.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from quorate.bench.histogram import Histogram

OURS = "quorate"
OURS_OUTSIDE = "quorate, HTTP"
PERCENTS = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.99)
GUARANTEES = (
    ("local read", "local reads", "local"),
    ("session read", "session reads", "session"),
    ("linearizable read", "linearizable reads", "linearizable"),
    ("eventual write", "eventual writes", "eventual"),
    ("session write", "session writes", "session"),
    ("CRDT increment", "CRDT increments", "crdt"),
    ("strong write", "strong writes", "strong"),
)
"""(with one client, with many, level), from the weakest guarantee on: reads, then writes."""


class Guarantee(NamedTuple):
    """One row of the tradeoff picture; nan where the result has nothing."""

    name: str
    p50_ms: float
    p99_ms: float
    ops_per_s: float
    in_minority_percent: float
    """Of the calls on the side of the minority, how many were answered."""
    stale_p99_ms: float
    """Reads: how long before a newer version had been acknowledged; 0: never."""


class Ratio(NamedTuple):
    """Ours beside one peer's: above 1 ours is more (a rate) or took longer (a time)."""

    case: str
    peer: str
    rate: float
    p50: float


Points = list[tuple[float, float]]


def guarantees(found: dict[str, Any]) -> list[Guarantee]:
    """Of the levels, from the weakest guarantee on; empty without `levels`."""
    rows = {row["case"]: row for row in found.get("levels", {}).get("rows", ())}
    listed: list[Guarantee] = []
    for one, many, _ in GUARANTEES:
        alone, together = rows.get(f"one client, {one}"), rows.get(many)
        if alone is None and together is None:
            continue
        listed.append(
            Guarantee(
                one,
                _ms(alone, "p50_us"),
                _ms(alone, "p99_us"),
                _of(together, "ops_per_s"),
                available_percent(found, many),
                stale_p99_ms(found, one.removesuffix(" read")) if "read" in one else math.nan,
            )
        )
    return listed


def available_percent(found: dict[str, Any], call: str) -> float:
    """Answered calls of the cut-off minority, the worst over who was cut off; nan without."""
    rows = [
        row["answered_percent"]
        for row in found.get("partition", {}).get("rows", ())
        if row["side"] == "minority" and row["call"].rstrip("s") == call.rstrip("s")
    ]
    return min(rows, default=math.nan)


def stale_p99_ms(found: dict[str, Any], level: str) -> float:
    """How stale reads at this level were, the worst over the levels of writing; nan without."""
    rows = [row for row in found.get("staleness", {}).get("rows", ()) if row["read"] == level]
    known = [row["stale_p99_ms"] if row["stale_percent"] else 0.0 for row in rows]
    return max((value for value in known if value == value), default=math.nan)


def percentiles(row: dict[str, Any]) -> Points:
    """(percent, milliseconds) out of the row's histogram; empty if it kept none."""
    if not row.get("latency"):
        return []
    histogram = Histogram.from_json(row["latency"])
    last = 100 * (1 - 1 / max(2, histogram.count))
    return [(p, histogram.percentile(p) / 1e6) for p in PERCENTS if p <= last]


def loads(found: dict[str, Any], question: str) -> list[dict[str, Any]]:
    """The rows of a question of loads, those that did something."""
    return [row for row in found.get(question, ()) if row["ops_per_s"]]


def panels(found: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """What loads are shown beside each other: writes and reads from inside, then from clients."""
    clients = loads(found, "clients")
    every = [("Writes", loads(found, "writes")), ("Reads", loads(found, "reads"))]
    every += [
        (f"{name} of clients", [row for row in clients if row["op"] == op])
        for name, op in (("Writes", "put"), ("Reads", "get"))
    ]
    return [(title, rows) for title, rows in every if rows]


def over_in_flight(rows: list[dict[str, Any]], where: str = "leader") -> dict[str, Points]:
    """System -> (in flight, per second), for systems measured with more than one number."""
    series: dict[str, Points] = {}
    for row in rows:
        if row.get("where", where) == where:
            series.setdefault(row["system"], []).append((row["in_flight"], row["ops_per_s"]))
    return {name: sorted(points) for name, points in series.items() if len(points) > 1}


def spans(found: dict[str, Any], question: str) -> list[tuple[str, str, float, float]]:
    """(case, system, p50 ms, p99 ms) of a question whose rows have cases, but of bursts."""
    asked: Any = found.get(question, ())
    rows: list[dict[str, Any]] = asked["rows"] if "rows" in asked else list(asked)
    return [
        (row["case"], row["system"], row["p50_us"] / 1000, row["p99_us"] / 1000)
        for row in rows
        if row["p50_us"] > 0 and row["p99_us"] > 0
    ]


def ratios(found: dict[str, Any]) -> list[Ratio]:
    """Ours beside every peer, in all questions that ask both the same."""
    made: list[Ratio] = []
    for title, rows in panels(found):
        made += _beside([(_load_case(title, row), row) for row in rows])
    for question in ("agents_calls", "agents_state"):
        made += _beside([(row["case"], row) for row in found.get(question, ())])
    levels = found.get("levels", {}).get("rows", ())
    ours = {row["case"]: row for row in levels if row["system"] == OURS}
    for row in levels:
        if "beside" in row and row["beside"] in ours and row["ops_per_s"]:
            rate = ours[row["beside"]]["ops_per_s"] / row["ops_per_s"]
            made.append(Ratio(row["beside"], row["system"], rate, math.nan))
    return made


def _load_case(title: str, row: dict[str, Any]) -> str:
    """Clients are all outside: where they ask says nothing."""
    where = "" if "clients" in title else f", {row['where']}"
    return f"{title.lower()}, {row['in_flight']:,} in flight{where}"


def _beside(cases: list[tuple[str, dict[str, Any]]]) -> list[Ratio]:
    """Of clients outside ours are those over HTTP; inside is no peer."""
    ours = {case: row for case, row in cases if row["system"] in (OURS, OURS_OUTSIDE)}
    return [
        Ratio(
            case,
            row["system"],
            ours[case]["ops_per_s"] / row["ops_per_s"],
            ours[case]["p50_us"] / row["p50_us"] if row["p50_us"] else math.nan,
        )
        for case, row in cases
        if not row["system"].startswith(OURS) and case in ours and row["ops_per_s"]
    ]


def lines(
    rows: list[dict[str, Any]], names: tuple[str, ...], x: str, y: str, divide: float = 1.0
) -> dict[str, Points]:
    """Rows as lines: those that agree in `names` are one line of (x, y / divide)."""
    series: dict[str, Points] = {}
    for row in rows:
        value = row.get(y, math.nan) / divide
        if value == value and row.get(x) is not None:
            name = ", ".join(str(row[key]) for key in names)
            series.setdefault(name, []).append((row[x], value))
    return {name: sorted(points) for name, points in series.items()}


def _of(row: dict[str, Any] | None, figure: str) -> float:
    return math.nan if row is None else float(row[figure])


def _ms(row: dict[str, Any] | None, figure: str) -> float:
    return _of(row, figure) / 1000
