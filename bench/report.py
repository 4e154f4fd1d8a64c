"""The report of a run as plain text: tables, ratios, verdicts.

The law of this file: it shows what the result says and computes nothing but ratios; unsynced
figures carry the word beside them. Pure.
"""

from __future__ import annotations

import math
from typing import Any

from quorate.bench.agent_report import agent_report
from quorate.bench.figures import spread_percent
from quorate.bench.growth_report import growth_report
from quorate.bench.probe_report import probe_report
from quorate.bench.store_report import store_report
from quorate.bench.tables import Row, number, small, table
from quorate.bench.targets import OURS, verdicts

LOAD_QUIET_RATIO = 0.25
"""The load average per core up to which a machine counts as idle."""


def report(result: dict[str, Any]) -> str:
    """The whole report of a result file."""
    found: dict[str, Any] = result["results"]
    lines = [*_head(result), ""]
    for question, title in (
        ("writes", "Writes of 100 bytes"),
        ("reads", "Linearizable reads"),
    ):
        if question in found:
            lines += [title, "", *_loads(found[question], result["systems"]), ""]
    if "idle" in found:
        lines += ["Idle host, the worst of three", "", *_idle(found["idle"]), ""]
    lines += _singles(found)
    lines += store_report(found)
    lines += probe_report(found)
    lines += agent_report(found, result["systems"])
    lines += growth_report(found, result["systems"])
    for question, text in result["failed"].items():
        lines += [f"FAILED {question}: {text}", ""]
    if result["interrupted"]:
        lines += ["INTERRUPTED: what is missing was not measured.", ""]
    rows = [
        (v.name, v.target, f"{small(v.measured)} {v.unit}".rstrip(), v.verdict)
        for v in verdicts(found)
    ]
    return "\n".join([*lines, *table(("target", "wanted", "measured", "verdict"), rows), ""])


def _head(result: dict[str, Any]) -> list[str]:
    machine: dict[str, Any] = result["machine"]
    disk, alone = machine["disk"], machine["lmdb"]
    libraries = ", ".join(f"{name} {v}" for name, v in machine["libraries"].items() if v)
    lines = [
        f"quorate bench, {result['plan']['mode']}: {result['plan']['repetitions']} repetitions of "
        f"{result['plan']['seconds']:g} s, {result['began_at']}, commit {result['commit'] or '-'}",
        f"machine: {machine['cpu'] or 'unknown'}, {machine['cores']} cores, "
        f"{(machine['memory_bytes'] or 0) / 1e9:.0f} GB, Linux {machine['kernel']}, "
        f"{machine['filesystem']}, load {machine['load_average']:.1f} at the start",
        f"software: {machine['python']}, {libraries}",
        f"disk: fdatasync of 4 KiB p50 {disk['fdatasync_4k_p50_us']:.0f} us, "
        f"p99 {disk['fdatasync_4k_p99_us']:.0f} us; py-lmdb alone, one synced put: "
        f"p50 {alone['commit_p50_us']:.0f} us, {alone['commits_per_s']:,.0f} commits/s",
    ]
    overhead = ", ".join(
        f"{ns / 1000:.2f} us with {n} in flight" for n, ns in result["overhead_ns"].items()
    )
    if result["sync_us"]:
        lines.append(
            "disk during the run, before each start: fdatasync p50 "
            f"{min(result['sync_us']):.0f} to {max(result['sync_us']):.0f} us"
        )
    lines.append(f"load generator alone: {overhead} (closed loop)")
    if machine["load_average"] > LOAD_QUIET_RATIO * (machine["cores"] or 1):
        lines.append("NOISY: the machine was not idle when the run began.")
    lines.append("")
    for name, system in result["systems"].items():
        if "missing" in system:
            lines.append(f"{name}: not measured: {system['missing']}")
            continue
        lines.append(f"{name}: {system['durable']}")
        lines += [f"    {key}: {value}" for key, value in system["configuration"].items()]
        if name in result.get("lost", {}):
            lines.append(f"    FAILED: {result['lost'][name]}")
    return lines


def _loads(rows: list[dict[str, Any]], systems: dict[str, Any]) -> list[str]:
    ours = {(r["in_flight"], r["where"]): r for r in rows if r["system"] == OURS}
    order = {
        key: n for n, key in enumerate(dict.fromkeys((r["in_flight"], r["where"]) for r in rows))
    }
    cells: list[Row] = []
    for row in sorted(rows, key=lambda r: order[r["in_flight"], r["where"]]):
        key = (row["in_flight"], row["where"])
        told = systems[row["system"]]
        mark = told.get("marks", {}).get(row["op"], "") if told.get("synced") else "unsynced"
        base = ours.get(key)
        cells.append(
            (
                f"{row['in_flight']:>5} in flight, {row['where']}",
                row["system"] + (f" ({mark})" if mark else ""),
                number(row["ops_per_s"]),
                f"{number(spread_percent(row['ops_per_s_each']))} %",
                small(row["p50_us"] / 1000),
                small(row["p99_us"] / 1000),
                _ratio(base, row, "ops_per_s"),
                _ratio(base, row, "p50_us"),
                str(row["errors"] or ""),
            )
        )
    head = (
        "load",
        "system",
        "per s",
        "spread",
        "p50 ms",
        "p99 ms",
        "ours/its rate",
        "ours/its p50",
        "errors",
    )
    return table(head, cells)


def _ratio(ours: dict[str, Any] | None, row: dict[str, Any], figure: str) -> str:
    if ours is None or row["system"] == OURS or not row[figure]:
        return ""
    value = ours[figure] / row[figure]
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _idle(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ("system", "processor %", "resident MB", "of it anonymous MB"),
        [
            (
                row["system"],
                number(row["cpu_percent_max"], 2),
                number(row["rss_mb_max"]),
                number(row["anonymous_mb_max"]),
            )
            for row in rows
        ],
    )


def _singles(found: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if "failover" in found:
        row = found["failover"]["ms"]
        lines += [f"Failover, {found['failover']['kills']} kills -9 of the leader: {_times(row)}"]
    if "transfer" in found:
        row = found["transfer"]
        lines += [
            f"Leadership transfer, {row['transfers']} times: until the next write "
            f"{_times(row['until_write_ms'])}; the call {_times(row['call_ms'])}"
        ]
    if "restart" in found:
        row = found["restart"]
        lines += [
            f"Restart with {row['entries']:,} entries: {row['replay_s']:.2f} s applying all, "
            f"{row.get('restart_s', math.nan):.2f} s after a kill -9 later"
        ]
    if "catch_up" in found:
        row = found["catch_up"]
        lines += [
            f"Follower {row['behind_bytes'] / 1e6:,.0f} MB behind: caught up in "
            f"{row['caught_up_s']:.1f} s with {row['elections']} elections; one client's writes "
            f"meanwhile p50 {row['meanwhile_p50_us'] / 1000:.2f} ms, "
            f"slowest {row['meanwhile_max_us'] / 1000:.0f} ms"
        ]
    return [*lines, ""] if lines else []


def _times(row: dict[str, Any]) -> str:
    return f"p50 {row['median']:.0f} ms, p99 {row['p99']:.0f} ms, worst {row['max']:.0f} ms"
