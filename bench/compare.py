"""Two results beside each other, as ratios.

The law of this file: only what both have is compared, and what differs between the machines is said
first. A figure of several repetitions whose ranges overlap is marked: the runs may not differ at
all. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from quorate.bench.tables import Row, number, table
from quorate.bench.targets import verdicts

SAME = ("cpu", "cores", "kernel", "python", "filesystem", "libraries")
WITHIN = "~"
"""Behind a ratio: the repetitions of the two runs overlap."""


class Figure(NamedTuple):
    """A field of a row, or of a dictionary in it ("field.field"), and how it is told."""

    field: str
    name: str
    digits: int = 0


class Part(NamedTuple):
    """The rows of a question that mean the same in both results if `keys` are equal."""

    title: str
    path: tuple[str, ...]
    keys: tuple[str, ...]
    figures: tuple[Figure, ...]


RATE, P50, P99 = (
    Figure("ops_per_s", "per s"),
    Figure("p50_us", "p50 us"),
    Figure("p99_us", "p99 us"),
)
LOAD = (RATE, P50, P99)
COST = Figure("cpu_us_per_op", "processor us", 1)
PARTS = (
    Part("writes", ("writes",), ("system", "in_flight", "where"), LOAD),
    Part("reads", ("reads",), ("system", "in_flight", "where"), LOAD),
    Part("levels", ("levels", "rows"), ("system", "case"), (RATE, P50, P99, COST)),
    Part("delays", ("delays", "rows"), ("one_way_ms", "call", "where", "in_flight"), LOAD),
    Part(
        "in a cut",
        ("partition", "rows"),
        ("cut", "side", "call"),
        (Figure("answered_percent", "answered %", 1), Figure("p50_ms", "p50 ms", 1)),
    ),
    Part(
        "staleness",
        ("staleness", "rows"),
        ("written", "read"),
        (Figure("age_p50_ms", "age p50 ms", 1), Figure("age_p99_ms", "age p99 ms", 1)),
    ),
    Part("paced", ("paced", "rows"), ("call", "percent"), LOAD),
    Part(
        "bytes of an operation",
        ("bytes", "rows"),
        ("call", "in_flight"),
        (Figure("disk_written_bytes", "disk"), Figure("network_bytes", "network")),
    ),
    Part("hosts", ("growth", "hosts"), ("voters", "learners"), (RATE, COST)),
    Part("growth", ("growth", "rows"), ("thing", "op", "items"), (RATE, COST)),
    Part("sizes", ("sizes", "rows"), ("op", "value_bytes", "in_flight"), LOAD),
    Part("clients outside", ("clients",), ("system", "op", "in_flight", "where"), LOAD),
    Part("asks", ("agents_calls",), ("system", "case"), (RATE, P50, P99, COST)),
    Part("turns with state", ("agents_state",), ("system", "case"), (RATE, P50, P99, COST)),
    Part(
        "many agents",
        ("agents_names",),
        ("system", "agents"),
        (Figure("started_s", "started s", 1), Figure("passive_bytes_host_max", "bytes passive")),
    ),
    Part(
        "moves",
        ("agents_moves",),
        ("system", "where"),
        (Figure("pause_ms.median", "pause ms", 1), Figure("pause_ms.p99", "p99 ms", 1)),
    ),
    Part(
        "agents of a killed host",
        ("agents_failover", "kills"),
        ("system",),
        (Figure("back_ms.median", "back ms"), Figure("back_ms.p99", "p99 ms")),
    ),
)


def compare(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The report of a comparison; ratios are after / before."""
    lines = [
        f"{key} differs: {before['machine'][key]} and {after['machine'][key]}"
        for key in SAME
        if before["machine"][key] != after["machine"][key]
    ]
    for part in PARTS:
        lines += _compared(part, before["results"], after["results"])
    now = {verdict.name: verdict for verdict in verdicts(after["results"])}
    rows: list[Row] = [
        (old.name, *_pair(old.measured, now[old.name].measured, 2), now[old.name].verdict)
        for old in verdicts(before["results"])
    ]
    lines += table(("target", "before", "now", "ratio", "verdict"), rows)
    return "\n".join([*lines, "", f"{WITHIN} the repetitions of both runs overlap", ""])


def _compared(part: Part, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The table of a part, empty where one of the two has nothing of it."""
    old, new = _rows(part, before), _rows(part, after)
    rows: list[Row] = [
        (_name(key), *(cell for figure in part.figures for cell in _cells(figure, row, new[key])))
        for key, row in old.items()
        if key in new
    ]
    head = [part.title]
    for figure in part.figures:
        head += [figure.name, "now", "ratio"]
    return [*table(tuple(head), rows), ""] if rows else []


def _rows(part: Part, results: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows: list[dict[str, Any]] = _of(part.path, results) or []
    return {tuple(row.get(key) for key in part.keys): row for row in rows}


def _name(key: tuple[Any, ...]) -> str:
    return ", ".join(f"{part:,}" if isinstance(part, int) else str(part) for part in key)


def _cells(figure: Figure, old: dict[str, Any], new: dict[str, Any]) -> tuple[str, str, str]:
    path = figure.field.split(".")
    before, after, ratio = _pair(_of(path, old), _of(path, new), figure.digits)
    spreads = old.get(f"{figure.field}_each"), new.get(f"{figure.field}_each")
    return before, after, f"{ratio} {WITHIN if _overlap(*spreads) else ' '}"


def _of(path: Sequence[str], found: Any) -> Any:
    """What lies at the end of a path; None where there is no such way."""
    for name in path:
        found = cast("dict[str, Any]", found).get(name) if isinstance(found, dict) else None
    return found


def _overlap(old: list[float] | None, new: list[float] | None) -> bool:
    """Whether the ranges of two sets of repetitions have something in common."""
    if not old or not new or len(old) < 2 or len(new) < 2:
        return False
    return min(old) <= max(new) and min(new) <= max(old)


def _pair(old: float | None, new: float | None, digits: int) -> tuple[str, str, str]:
    ratio = f"{new / old:.2f}" if old and new and old == old and new == new else "-"
    return number(old, digits), number(new, digits), ratio
