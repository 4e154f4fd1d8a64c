"""What a run says of growth, of the sizes of values and of clients outside: tables. Pure.

The law of this file: it shows what the result says, and beside each figure what it means; the ratio
to the cost at 10 000 items is the only arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

from quorate.bench.figures import spread_percent
from quorate.bench.tables import Row, number, small, table

BASE_ITEMS = 10_000
TOP_ITEMS = 1_000_000
GROWTH_NOTES = (
    "processor us: of all hosts together for one operation, load generator included; to 10 000:",
    "that cost divided by the same at 10 000 items. Loads at the leader, 64 in flight; look-ups,",
    "local reads in bursts. Bytes: what the processes have more than before, for each item; on a",
    "host: of the fullest one; own: without mapped files. Asks go to 200 agents on the host that",
    "is asked, the others sleep.",
)
SIZES_NOTE = (
    "In flight: as many as 8 MB hold, 64 at most; local reads in bursts. Strong writes are synced",
    "by a majority, eventual ones by the leader's own disk; both kinds of read find the value.",
)
CLIENTS_NOTE = (
    "One client process outside with aiohttp and connections kept alive (redis: RESP, etcd: its Go"
    " client), all at the leader."
)


def growth_report(found: dict[str, Any], systems: dict[str, Any]) -> list[str]:
    """The lines of the three questions, of those that were asked."""
    lines: list[str] = []
    if "growth" in found:
        lines += _growth(found["growth"])
    if "sizes" in found:
        lines += _sizes(found["sizes"])
    if "clients" in found:
        lines += ["Clients outside", "", *_clients(found["clients"], systems), "", CLIENTS_NOTE, ""]
    return lines


# --- growth ---------------------------------------------------------------------------------------


def cost_ratio(growth: dict[str, Any], thing: str, items: int) -> float:
    """The worst ratio of a cost at `items` to the same at 10 000, over what is asked of `thing`;
    nan unless all of it was measured at both."""
    ratios = [
        _ratio(growth, row)
        for row in growth.get("rows", ())
        if (row["thing"], row["items"]) == (thing, items)
    ]
    return math.nan if not ratios or any(map(math.isnan, ratios)) else max(ratios)


def _ratio(growth: dict[str, Any], row: dict[str, Any]) -> float:
    for base in growth["rows"]:
        if (base["thing"], base["op"], base["items"]) == (row["thing"], row["op"], BASE_ITEMS):
            cost = float(base["cpu_us_per_op"])
            return float(row["cpu_us_per_op"]) / cost if cost else math.nan
    return math.nan


def _growth(growth: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if growth["hosts"]:
        lines += ["Growth: strong writes by hosts", "", *_hosts(growth["hosts"]), ""]
    if growth["rows"]:
        lines += ["Growth: cost of an operation by items", "", *_items(growth), ""]
        lines += [*GROWTH_NOTES, *(f"not taken: {text}" for text in growth["not_taken"]), ""]
    return lines


def _hosts(rows: list[dict[str, Any]]) -> list[str]:
    cells: list[Row] = [
        (
            f"{row['voters']} voters" + (f", {row['learners']} learners" * bool(row["learners"])),
            small(row["one_p50_us"] / 1000),
            small(row["one_p99_us"] / 1000),
            number(row["ops_per_s"]),
            f"{number(row['spread_percent'])} %",
            small(row["cpu_us_per_op"]),
            str(row["errors"] or ""),
        )
        for row in rows
    ]
    head = (
        *("hosts", "one client p50 ms", "p99 ms", "per s, 256 in flight", "spread"),
        *("processor us", "errors"),
    )
    return table(head, cells)


def _items(growth: dict[str, Any]) -> list[str]:
    cells: list[Row] = [
        (
            f"{row['thing']}: {row['op']}",
            number(row["items"]),
            small(row["cpu_us_per_op"]),
            small(_ratio(growth, row)),
            number(row["ops_per_s"]),
            f"{number(row['spread_percent'])} %",
            small(row["p50_us"]),
            number(row["bytes_host_max"]),
            number(row["bytes_host_max_anonymous"]),
            number(row["bytes_all"]),
            number(row["filled_per_s"]),
            str(row["errors"] or ""),
        )
        for row in sorted(growth["rows"], key=lambda row: _place(growth, row))
    ]
    head = (
        *("operation", "items", "processor us", "to 10 000", "per s", "spread", "p50 us"),
        *("bytes on a host", "own", "bytes of all", "filled/s", "errors"),
    )
    return table(head, cells)


def _place(growth: dict[str, Any], row: dict[str, Any]) -> tuple[int, int]:
    """All sizes of one operation below each other."""
    order = list(dict.fromkeys((each["thing"], each["op"]) for each in growth["rows"]))
    return order.index((row["thing"], row["op"])), int(row["items"])


# --- sizes and clients ----------------------------------------------------------------------------


def _sizes(sizes: dict[str, Any]) -> list[str]:
    order = list(dict.fromkeys(row["op"] for row in sizes["rows"]))
    cells: list[Row] = [
        (
            f"{row['op']}, {row['in_flight']:>2} in flight" if row["in_flight"] else row["op"],
            number(row["value_bytes"]),
            number(row["ops_per_s"]),
            f"{number(spread_percent(row['ops_per_s_each']))} %",
            small(row["mb_per_s"]),
            small(row["p50_us"] / 1000),
            small(row["p99_us"] / 1000),
            str(row["errors"] or ""),
        )
        for row in sorted(
            sizes["rows"],
            key=lambda row: (order.index(row["op"]), row["in_flight"] != 1, row["value_bytes"]),
        )
    ]
    head = ("operation", "value bytes", "per s", "spread", "MB/s", "p50 ms", "p99 ms", "errors")
    limit = f"A value may have {sizes['limit_bytes']:,} bytes, encoded."
    not_asked = ", ".join(f"{size:,}" for size in sizes["not_asked"])
    more = [f"Above that limit and not asked: {not_asked} bytes."] if not_asked else []
    return ["Sizes of values", "", *table(head, cells), "", *SIZES_NOTE, limit, *more, ""]


def _clients(rows: list[dict[str, Any]], systems: dict[str, Any]) -> list[str]:
    inside = {
        (row["op"], row["in_flight"]): row for row in rows if row["system"] == "quorate, inside"
    }
    cells: list[Row] = []
    for row in rows:
        base = inside.get((row["op"], row["in_flight"]))
        ratio = math.nan if base is None or base is row else row["p50_us"] / base["p50_us"]
        mark = systems.get(row["system"], {}).get("marks", {}).get(row["op"], "")
        cells.append(
            (
                f"{row['op']}, {row['in_flight']:>2} in flight",
                row["system"] + (f" ({mark})" if mark else ""),
                number(row["ops_per_s"]),
                f"{number(spread_percent(row['ops_per_s_each']))} %",
                small(row["p50_us"] / 1000),
                small(row["p99_us"] / 1000),
                "" if math.isnan(ratio) else small(ratio),
                str(row["errors"] or ""),
            )
        )
    head = ("load", "system", "per s", "spread", "p50 ms", "p99 ms", "its p50/inside", "errors")
    return table(head, cells)
