"""What a run says of single calls: at distances, in a cut, by age, at a pace, in bytes. Pure.

The law of this file: it shows what the result says, and beside each figure what it means.
"""

from __future__ import annotations

import math
from typing import Any

from quorate.bench.tables import Row, number, small, table

DELAYS_NOTE = (
    "one way, on every link, through Toxiproxy: a round trip takes two of it. One client;",
    "elsewhere: on a host that does not lead. 0 ms goes through the same proxies.",
)
PARTITION_NOTE = (
    "the calls begin with the cut, each with a deadline; errors: kind, how many, p50 and longest",
    "until it was raised. Bounded reads ask for at most so many ms: {bound_ms}.",
)
STALENESS_NOTE = (
    "age: from the writer's call of what was read until it was read. Stale: a newer version had",
    "been acknowledged before the read began, for so long, by so many. Bounded: {bound_ms} ms.",
)
PACED_NOTE = (
    "from all hosts; latencies from when a call was due. Missed: due and never begun; late: came",
    "back after the window's end.",
)
BYTES_NOTE = (
    "bytes for each operation, all three hosts together, values of 100 bytes, heartbeats included.",
    "disk: what the processes sent to it; folder: what the data grew by.",
)


def probe_report(found: dict[str, Any]) -> list[str]:
    """The lines of the five questions, of those that were asked."""
    lines: list[str] = []
    for question, title, text in (
        ("delays", "Delays between the hosts", _delays),
        ("partition", "One host of three cut off", _partition),
        ("staleness", "How old what was read is", _staleness),
        ("paced", "Calls at a fixed rate", _paced),
        ("bytes", "Bytes on disk and network", _bytes),
    ):
        if question in found:
            lines += [title, "", *text(found[question]), ""]
    return lines


def _delays(delays: dict[str, Any]) -> list[str]:
    if "missing" in delays:
        return [f"not measured: {delays['missing']}"]
    rows: list[dict[str, Any]] = delays["rows"]
    columns = list(dict.fromkeys(row["one_way_ms"] for row in rows))
    at = {(_place(row), row["one_way_ms"]): row for row in rows}
    one = list(dict.fromkeys(_place(row) for row in rows if row["in_flight"] == 1))
    many = list(dict.fromkeys(_place(row) for row in rows if row["in_flight"] > 1))
    lines = table(
        ("p50 ms, at one-way ms", *(f"{ms}" for ms in columns)),
        [
            (place, *(small(_of(at.get((place, ms)), "p50_us") / 1000) for ms in columns))
            for place in one
        ],
    )
    lines += ["", *_many(columns, at, many)] if many else []
    failed = [
        f"{_place(row)}, {row['one_way_ms']} ms: {row['error']}" for row in rows if row["errors"]
    ]
    return [*lines, "", *DELAYS_NOTE, *failed]


def _many(
    columns: list[int], at: dict[tuple[str, int], dict[str, Any]], places: list[str]
) -> list[str]:
    cells: list[Row] = []
    for place in places:
        rates = [number(_of(at.get((place, ms)), "ops_per_s")) for ms in columns]
        cells.append((place, *rates))
        behind = [_of(at.get((place, ms)), "behind_s") for ms in columns]
        if not all(map(math.isnan, behind)):
            cells.append(("    then behind, s", *map(small, behind)))
    return table(("per s, at one-way ms", *(f"{ms}" for ms in columns)), cells)


def _place(row: dict[str, Any]) -> str:
    if row["in_flight"] == 1:
        return f"{row['call']}, {row['where']}"
    return f"{row['call']}, {row['in_flight']:,} in flight over all hosts"


def _of(row: dict[str, Any] | None, figure: str) -> float:
    return math.nan if row is None else float(row[figure])


def _partition(partition: dict[str, Any]) -> list[str]:
    cells = [
        (
            f"{row['cut']} cut off, {row['side']}: {row['call']}",
            number(row["calls"]),
            f"{number(row['answered_percent'], 1)} %",
            small(row["p50_ms"]),
            small(row["p99_ms"]),
            small(row["max_ms"]),
            ", ".join(
                f"{error['kind']} {error['count']} ({small(error['p50_ms'])}/"
                f"{small(error['max_ms'])} ms)"
                for error in row["errors"]
            ),
        )
        for row in partition["rows"]
    ]
    head = ("call", "calls", "answered", "p50 ms", "p99 ms", "longest ms", "errors")
    first = (
        f"{partition['cuts']} cuts of {partition['cut_s']:g} s, deadlines of "
        f"{partition['deadline_s']:g} s"
    )
    return [first, *table(head, cells), "", *_noted(PARTITION_NOTE, partition)]


def _staleness(staleness: dict[str, Any]) -> list[str]:
    cells = [
        (
            f"{row['written']} writes, {row['read']} reads",
            number(row["written_per_s"]),
            number(row["reads"]),
            small(row["age_p50_ms"]),
            small(row["age_p99_ms"]),
            f"{number(row['stale_percent'], 1)} %",
            *(small(row[f"stale_{figure}_ms"]) for figure in ("p50", "p99", "max")),
            *(number(row[f"versions_{figure}"]) for figure in ("p50", "p99", "max")),
            ", ".join(f"{kind} {count}" for kind, count in row["refused"].items()),
        )
        for row in staleness["rows"]
    ]
    head = (
        *("written and read at", "writes/s", "reads", "age p50 ms", "p99", "stale"),
        *("stale p50 ms", "p99", "max", "versions p50", "p99", "max", "refused"),
    )
    return [*table(head, cells), "", *_noted(STALENESS_NOTE, staleness)]


def _paced(paced: dict[str, Any]) -> list[str]:
    cells = [
        (
            f"{row['call']}, {row['percent']} % of the closed loop",
            number(row["wanted_per_s"]),
            number(row["ops_per_s"]),
            *(small(row[f"{figure}_us"] / 1000) for figure in ("p50", "p99", "p99_9", "max")),
            *(str(row[figure] or "") for figure in ("missed", "late", "errors")),
        )
        for row in paced["rows"]
    ]
    head = (
        *("calls", "due per s", "done per s", "p50 ms", "p99", "p99.9", "max"),
        *("missed", "late", "errors"),
    )
    return [*table(head, cells), "", *PACED_NOTE]


def _bytes(found: dict[str, Any]) -> list[str]:
    figures = ("disk_written_bytes", "folder_bytes", "network_bytes")
    cells = [
        (f"{row['call']}, {row['in_flight']:,} in flight", *(number(row[f]) for f in figures))
        for row in found["rows"]
    ]
    cells.append(("a second without load", *(number(found["idle_per_s"][f]) for f in figures)))
    return [*table(("operation", "disk", "folder", "network"), cells), "", *BYTES_NOTE]


def _noted(note: tuple[str, ...], result: dict[str, Any]) -> list[str]:
    return [line.format(bound_ms=result["bound_ms"]) for line in note]
