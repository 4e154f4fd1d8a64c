"""Two results beside each other, as ratios.

The law of this file: only what both have is compared, and what differs between the machines is said
first. Pure.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.tables import Row, number, table
from quorate.bench.targets import verdicts

SAME = ("cpu", "cores", "kernel", "python", "filesystem", "libraries")


def compare(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The report of a comparison; ratios are after / before."""
    lines = [
        f"{key} differs: {before['machine'][key]} and {after['machine'][key]}"
        for key in SAME
        if before["machine"][key] != after["machine"][key]
    ]
    for question in ("writes", "reads"):
        old = {_key(row): row for row in before["results"].get(question, ())}
        new = {_key(row): row for row in after["results"].get(question, ())}
        rows: list[Row] = [
            (
                f"{in_flight:>5} in flight, {where}",
                system,
                *_pair(old[key]["ops_per_s"], new[key]["ops_per_s"], 0),
                *_pair(old[key]["p50_us"], new[key]["p50_us"], 0),
                *_pair(old[key]["p99_us"], new[key]["p99_us"], 0),
            )
            for key in old
            if key in new
            for system, in_flight, where in [key]
        ]
        head = (
            question,
            "system",
            "per s",
            "now",
            "ratio",
            "p50 us",
            "now",
            "ratio",
            "p99 us",
            "now",
            "ratio",
        )
        lines += [*table(head, rows), ""] if rows else []
    now = {verdict.name: verdict for verdict in verdicts(after["results"])}
    rows = [
        (old.name, *_pair(old.measured, now[old.name].measured, 2), now[old.name].verdict)
        for old in verdicts(before["results"])
    ]
    return "\n".join([*lines, *table(("target", "before", "now", "ratio", "verdict"), rows), ""])


def _key(row: dict[str, Any]) -> tuple[str, int, str]:
    return row["system"], row["in_flight"], row["where"]


def _pair(old: float | None, new: float | None, digits: int) -> tuple[str, str, str]:
    ratio = f"{new / old:.2f}" if old and new and old == old and new == new else "-"
    return number(old, digits), number(new, digits), ratio
