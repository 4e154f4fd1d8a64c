"""What a run says of the stores: a table of the levels, and a line for lag, repair and heal. Pure.

The law of this file: it shows what the result says, and beside each figure what it means.
"""

from __future__ import annotations

import math
from typing import Any

from quorate.bench.figures import spread_percent
from quorate.bench.tables import number, small, table

NOTES = (
    "per s: all hosts together, medians of the repetitions. Local reads are answered from memory",
    "in the host's own process, called in bursts of 64; writes are acknowledged when they are on",
    "the disk of the host that was asked (strong: of a majority), and behind is how long the other",
    "hosts needed for the rest when the load had ended. processor us: of all hosts together, with",
    "replication and load generator. py-lmdb: as many processes, no event loop, no other copies.",
)


def store_report(found: dict[str, Any]) -> list[str]:
    """The lines of the four questions about stores, of those that were asked."""
    lines: list[str] = []
    if "levels" in found:
        lines += ["Levels of consistency", "", *_levels(found["levels"]), ""]
    singles = [
        text(found[question])
        for question, text in (("lag", _lag), ("repair", _repair), ("heal", _heal))
        if question in found
    ]
    return [*lines, *singles, ""] if singles else lines


def _levels(levels: dict[str, Any]) -> list[str]:
    rows: list[dict[str, Any]] = levels["rows"]
    ours = [row for row in rows if "beside" not in row]
    ordered: list[dict[str, Any]] = []
    for row in ours:
        ordered += [row, *(r for r in rows if r.get("beside") == row["case"])]
    cells = [
        (
            row["case"] if "beside" not in row else f"    py-lmdb alone: {row['case']}",
            number(row["ops_per_s"]),
            f"{number(spread_percent(row['ops_per_s_each']))} %",
            small(row["p50_us"]),
            small(row["p99_us"]),
            small(row.get("cpu_us_per_op", math.nan)),
            small(row.get("behind_s", math.nan)),
            str(row["errors"] or ""),
        )
        for row in ordered
    ]
    head = ("case", "per s", "spread", "p50 us", "p99 us", "processor us", "behind s", "errors")
    cost = f"load generator of the reads alone: {levels['generator_ns']:.0f} ns for each call"
    return [*table(head, cells), "", *NOTES, cost]


def _lag(lag: dict[str, Any]) -> str:
    return (
        f"Lag at {lag['per_s']:,} eventual writes/s from all hosts "
        f"({lag['acknowledged_per_s']:,.0f}/s acknowledged): another host sees an update after "
        f"p50 {lag['lag_p50_ms']:.1f} ms, p99 {lag['lag_p99_ms']:.1f} ms from the call; "
        f"acknowledged p50 {lag['write_p50_ms']:.1f} ms, p99 {lag['write_p99_ms']:.1f} ms"
    )


def _repair(repair: dict[str, Any]) -> str:
    return (
        f"Repair of {repair['differing']:,} of {repair['keys']:,} keys between two hosts: "
        f"{repair['took_s']:.2f} s, {repair['bytes_sent'] / 1e3:,.0f} kB sent by both together"
    )


def _heal(heal: dict[str, Any]) -> str:
    times = heal["s"]
    return (
        f"Heal after a silent cut of {heal['cut_s']:g} s with {heal['writes']:,} writes on both "
        f"sides, {heal['heals']} times: the same on all hosts after p50 {times['median']:.2f} s, "
        f"worst {times['max']:.2f} s"
    )
