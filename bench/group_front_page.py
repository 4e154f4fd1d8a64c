"""The figures of the Raft group as the front page shows them, beside every peer of the same run.

The law of this file: a row is a load, a column is a system; what a system was not asked is a dash,
and what its figures promise less than the others' stands in the head of its column. Pure.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.tables import number, small

COLUMNS = (
    ("quorate", "quorate"),
    ("etcd", "etcd {version}, its Go client"),
    ("etcd-python", "etcd from Python"),
    ("redis-wait", "Redis {version}, `WAIT 1` (a replica's memory)"),
    ("pysyncobj", "PySyncObj, never synced"),
    ("pysyncobj-unbatched", "the same, unbatched"),
)
"""System -> head of its column."""
ROWS = (
    ("one client's write on the leader, p50", "writes", 1, "leader", "p50_us"),
    ("writes, 64 in flight on the leader", "writes", 64, "leader", "ops_per_s"),
    ("writes, 1 024 in flight on the leader", "writes", 1024, "leader", "ops_per_s"),
    ("writes, 1 024 in flight over all hosts", "writes", 1024, "spread", "ops_per_s"),
    ("one client's linearizable read, p50", "reads", 1, "leader", "p50_us"),
    ("linearizable reads, 64 in flight on the leader", "reads", 64, "leader", "ops_per_s"),
    ("linearizable reads, 1 024 in flight over all hosts", "reads", 1024, "spread", "ops_per_s"),
)
"""What the row says, and the load and the figure that it shows."""


def group_figures(found: dict[str, Any], systems: dict[str, Any]) -> list[str]:
    """The table and what is told in words, in Markdown."""
    loads = {
        (question, row["system"], row["in_flight"], row["where"]): row
        for question in ("writes", "reads")
        for row in found.get(question, ())
    }
    shown = [(name, head) for name, head in COLUMNS if any(key[1] == name for key in loads)]
    heads = [head.format(version=_version(systems, name)) for name, head in shown]
    return [
        f"| 100-byte values | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
        *(
            _line(label, figure, [loads.get((question, name, n, where)) for name, _ in shown])
            for label, question, n, where, figure in ROWS
        ),
        "",
        " ".join(_told(found)),
    ]


def _line(label: str, figure: str, rows: list[dict[str, Any] | None]) -> str:
    return f"| {label} | {' | '.join(_cell(row, figure) for row in rows)} |"


def _version(systems: dict[str, Any], name: str) -> str:
    return str(systems.get(name, {}).get("configuration", {}).get("version", "")).split(",")[0]


def _cell(row: dict[str, Any] | None, figure: str) -> str:
    if row is None:
        return "-"
    if figure == "ops_per_s":
        return f"{number(row['ops_per_s'])}/s"
    us = float(row[figure])
    return f"{small(us)} us" if us < 1000 else f"{small(us / 1000)} ms"


def _told(found: dict[str, Any]) -> list[str]:
    told: list[str] = []
    if "failover" in found:
        ms = found["failover"]["ms"]
        told.append(
            f"Failover after kill -9 over {found['failover']['kills']} kills, until the next "
            f"write: p50 {ms['median']:.0f} ms, worst {ms['max']:.0f} ms."
        )
    if "transfer" in found:
        ms = found["transfer"]["until_write_ms"]
        told.append(
            f"Leadership transfer, until the next write: p50 {ms['median']:.0f} ms, worst "
            f"{ms['max']:.0f} ms."
        )
    if "catch_up" in found:
        row = found["catch_up"]
        told.append(
            f"A follower {row['behind_bytes'] / 1e9:g} GB behind: caught up in "
            f"{row['caught_up_s']:.0f} s, {row['elections']} elections."
        )
    if "restart" in found:
        row = found["restart"]
        told.append(
            f"Restart after a kill -9 that followed {number(row['entries'])} entries: "
            f"{row['restart_s']:.1f} s (applying all of them from nothing: "
            f"{row['replay_s']:.0f} s)."
        )
    for row in found.get("idle", ()):
        if row["system"] == "quorate":
            told.append(
                f"An idle host: {row['rss_mb_max']:.0f} MB, "
                f"{row['cpu_percent_max']:.1f} % of a core."
            )
    return told
