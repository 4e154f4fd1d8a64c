"""What a run says of agents: a table of calls and turns, and lines for the rest. Pure.

The law of this file: it shows what the result says, and beside each figure what it means.
"""

from __future__ import annotations

import math
from typing import Any

from quorate.bench.figures import spread_percent
from quorate.bench.tables import Row, number, small, table

NOTES = (
    "ours/its: our rate or p50 divided by that system's. processor us: all hosts together, for one",
    "operation, load generator included. strong: quorate's is synced to the disks of a majority,",
    "casty's is in the memory of a majority; stored: casty's with its SQLite store.",
)
NAMES_NOTE = (
    "bytes on a host: what the fullest host's process has more than before, divided by all agents",
    "(every host knows all names); bytes of all: the same of the three hosts together.",
)


def agent_report(found: dict[str, Any], systems: dict[str, Any]) -> list[str]:
    """The lines of the questions about agents, of those that were asked."""
    lines: list[str] = []
    for question, title in (("agents_calls", "Asks"), ("agents_state", "Turns that write state")):
        if question in found:
            lines += [title, "", *_loads(found[question]), ""]
    if lines:
        lines += [*NOTES, ""]
    if "agents_names" in found:
        lines += ["Named agents", "", *_names(found["agents_names"]), "", *NAMES_NOTE, ""]
    if "agents_moves" in found:
        lines += [*map(_move, found["agents_moves"]), ""]
    failover = found.get("agents_failover", {})
    if failover:
        lines += [*map(_kill, failover["kills"]), *map(_drain, failover["drains"]), ""]
    if lines:
        lacks = [
            f"{name}, {what}: {why}"
            for name, system in systems.items()
            for what, why in system.get("lacks", {}).items()
        ]
        lines += ["Not comparable:", *lacks, ""] if lacks else []
    return lines


def _loads(rows: list[dict[str, Any]]) -> list[str]:
    ours = {row["case"]: row for row in rows if row["system"] == "quorate"}
    cells: list[Row] = [
        (
            row["case"],
            row["system"],
            number(row["ops_per_s"]),
            f"{number(spread_percent(row['ops_per_s_each']))} %",
            small(row["p50_us"]),
            small(row["p99_us"]),
            small(row["cpu_us_per_op"]),
            _ratio(ours.get(row["case"]), row, "ops_per_s"),
            _ratio(ours.get(row["case"]), row, "p50_us"),
            str(row["errors"] or ""),
        )
        for row in rows
    ]
    head = (
        *("case", "system", "per s", "spread", "p50 us", "p99 us", "processor us"),
        *("ours/its rate", "ours/its p50", "errors"),
    )
    return table(head, cells)


def _ratio(ours: dict[str, Any] | None, row: dict[str, Any], figure: str) -> str:
    if ours is None or ours is row or not row[figure]:
        return ""
    value = float(ours[figure]) / float(row[figure])
    return "-" if math.isnan(value) else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _names(rows: list[dict[str, Any]]) -> list[str]:
    cells: list[Row] = [
        (
            row["system"],
            number(row["agents"]),
            small(row["started_s"]),
            number(row["agents"] / row["started_s"]),
            small(row["answered_s"]),
            number(row["started_bytes_host_max"]),
            number(row["passive_bytes_host_max"]),
            number(row["passive_bytes_all"]),
            number(row["look_up"]["per_s"]),
            str(row["still_active"] or ""),
        )
        for row in rows
    ]
    head = (
        *(
            "system",
            "agents",
            "started s",
            "per s",
            "asked once s",
            "bytes on a host, active",
            "passive",
        ),
        *("bytes of all, passive", "look-ups/s", "still active"),
    )
    return table(head, cells)


def _move(row: dict[str, Any]) -> str:
    pause, call = row["pause_ms"], row["call_ms"]
    return (
        f"{row['system']}: {row['moves']} moves of an agent with {row['state_bytes'] / 1e6:g} MB "
        f"in {row['where']}: its caller waits p50 {pause['median']:.1f} ms, p99 "
        f"{pause['p99']:.1f} ms; the call p50 {call['median']:.1f} ms; "
        f"{row['failures']} failed asks"
    )


def _kill(row: dict[str, Any]) -> str:
    back = row["back_ms"]
    return (
        f"{row['system']}: {row['kills']} kills -9 of a host, {row['agents']:,} agents in all: "
        f"each answers again after p50 {back['median'] / 1000:.2f} s, "
        f"p99 {back['p99'] / 1000:.2f} s, worst {back['max'] / 1000:.2f} s; "
        f"{row['missing']} did not, {row['lost']} lost updates, "
        f"{row['failures']:,} calls failed meanwhile"
    )


def _drain(row: dict[str, Any]) -> str:
    seconds = row["seconds"]
    return (
        f"{row['system']}: {row['drains']} drains, {row['agents']:,} agents in all: "
        f"{seconds['median']:.2f} s each, worst {seconds['max']:.2f} s; {row['failures']} calls "
        f"failed, {row['lost']} lost updates, {row['stayed']} agents stayed"
    )
