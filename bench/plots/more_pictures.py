"""The pictures of single questions: growth, delays, partition, staleness, pace, sizes.

The law of this file: as in `pictures`: a figure, or None when the result has nothing for it.
"""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure

from quorate.bench.plots import data, style

Found = dict[str, Any]


def _rows(found: Found, question: str, key: str = "rows") -> list[dict[str, Any]]:
    asked: dict[str, Any] = found.get(question, {})
    return list(asked.get(key, ()))


def growth(found: Found) -> Figure | None:
    """Cost of an operation and memory of an item, over how many there are."""
    rows = _rows(found, "growth")
    costs = data.lines(rows, ("thing", "op"), "items", "cpu_us_per_op")
    memory = data.lines(rows, ("thing",), "items", "bytes_host_max")
    memory = {name: [(x, y) for x, y in points if y > 0] for name, points in memory.items()}
    if not costs:
        return None
    made, axes = style.figure(1, 2, 4.4)
    style.lines(axes[0], costs, style.looks(costs))
    style.lines(axes[1], memory, style.looks(memory))
    axes[0].set_title("Cost of an operation")
    axes[1].set_title("Memory of an item")
    style.scaled(axes[0].yaxis, "processor us, all hosts (log)")
    style.scaled(axes[1].yaxis, "bytes on the fullest host", log=False)
    axes[1].set_ylim(bottom=0)
    for one in axes:
        style.scaled(one.xaxis, "items (log)")
    axes[1].legend(fontsize=8)
    style.legend_below(made, axes[:1], 3)
    return made


def hosts(found: Found) -> Figure | None:
    """Strong writes over the number of hosts."""
    rows = _rows(found, "growth", "hosts")
    if not rows:
        return None
    named = [{**row, "hosts": row["voters"] + row["learners"], "kind": _kind(row)} for row in rows]
    made, axes = style.figure(1, 2, 3.6)
    for one, figure, divide, label in (
        (axes[0], "one_p50_us", 1000.0, "p50 of one client, ms"),
        (axes[1], "ops_per_s", 1.0, "per s, 256 in flight"),
    ):
        series = data.lines(named, ("kind",), "hosts", figure, divide)
        style.lines(one, series, style.looks(series))
        style.scaled(one.xaxis, "hosts", log=False)
        style.ticks_where_measured(one.xaxis, series)
        style.scaled(one.yaxis, label, log=False)
        one.set_ylim(bottom=0)
    style.legend_below(made, axes[:1])
    return made


def _kind(row: dict[str, Any]) -> str:
    return "three voters and learners" if row["learners"] else "voters"


def delays(found: Found) -> Figure | None:
    """One client's p50 over the delay of the links."""
    rows = [row for row in _rows(found, "delays") if row["in_flight"] <= 1]
    series = data.lines(rows, ("call", "where"), "one_way_ms", "p50_us", 1000)
    if not series:
        return None
    made, (axes,) = style.figure(1, 1, 5.0)
    style.lines(axes, series, style.looks(series))
    style.scaled(axes.yaxis, "p50 of one client, ms (log)")
    axes.set_xscale("symlog", linthresh=1)
    furthest = max(x for points in series.values() for x, _ in points)
    axes.set_xlim(-0.2, furthest * 1.3 + 0.2)
    style.scaled(axes.xaxis, "delay of each link, ms one way", log=False)
    style.ticks_where_measured(axes.xaxis, series)
    style.legend_below(made, [axes], 3)
    return made


def partition(found: Found) -> Figure | None:
    """How many calls are answered while one host of three is cut off, on each side."""
    rows = _rows(found, "partition")
    if not rows:
        return None
    calls = list(dict.fromkeys(row["call"] for row in rows))
    cuts = list(dict.fromkeys(row["cut"] for row in rows))
    made, axes = style.figure(1, len(cuts), 1.6 + 0.42 * len(calls), sharey=True)
    for one, cut in zip(axes, cuts, strict=True):
        for n, side in enumerate(("minority", "majority")):
            look = style.look(n)
            some = [row for row in rows if (row["cut"], row["side"]) == (cut, side)]
            places = [len(calls) - 1 - calls.index(row["call"]) + 0.2 * (0.5 - n) for row in some]
            answered = [row["answered_percent"] for row in some]
            one.plot(answered, places, look.mark, color=look.colour, label=side, ls="", ms=8)
        one.set_xlim(-4, 104)
        one.set_title(f"The {cut} is cut off")
        one.set_xlabel("% of the calls answered in time")
    axes[0].set_yticks(range(len(calls)), calls[::-1])
    style.legend_below(made, axes[:1])
    return made


def staleness(found: Found) -> Figure | None:
    """How often and how far behind what was read was."""
    rows = _rows(found, "staleness")
    if not rows:
        return None
    names = [f"{row['written']} writes, {row['read']} reads" for row in rows]
    made, axes = style.figure(1, 3, 1.6 + 0.42 * len(rows), sharey=True)
    look = style.look(0)
    for one, figure, label in (
        (axes[0], "stale_percent", "% of the reads stale"),
        (axes[1], "stale_p99_ms", "ms behind, p99"),
        (axes[2], "versions_p99", "versions behind, p99"),
    ):
        values = [0.0 if row[figure] != row[figure] else row[figure] for row in rows]
        places = list(range(len(rows)))[::-1]
        one.barh(places, values, 0.55, color=look.colour, alpha=0.8)
        for place, value in zip(places, values, strict=True):
            text = style.plain(float(f"{value:.3g}"))
            one.annotate(text, (value, place), (3, 0), textcoords="offset points", va="center")
        one.set_xlim(0, max([*values, 1e-9]) * 1.35)
        one.set_xlabel(label)
    axes[0].set_yticks(range(len(rows)), names[::-1])
    return made


def paced(found: Found) -> Figure | None:
    """p50 and p99 at fixed rates, counted from when a call was due."""
    rows = _rows(found, "paced")
    if not rows:
        return None
    made, axes = style.figure(1, 2, 4.2, sharey=True)
    for one, figure in zip(axes, ("p50_us", "p99_us"), strict=True):
        series = data.lines(rows, ("call",), "percent", figure, 1000)
        style.lines(one, series, style.looks(series))
        one.set_title(figure.removesuffix("_us"))
        style.scaled(one.xaxis, "% of the rate of the closed loop", log=False)
        style.ticks_where_measured(one.xaxis, series)
    style.scaled(axes[0].yaxis, "latency from when it was due, ms (log)")
    style.legend_below(made, axes[:1], 3)
    return made


def sizes(found: Found) -> Figure | None:
    """p50 of one client, and bytes a second of many, over the size of a value."""
    rows = _rows(found, "sizes")
    one_client = [row for row in rows if row["in_flight"] <= 1]
    most = {
        (row["op"], row["value_bytes"]): row for row in sorted(rows, key=lambda r: r["in_flight"])
    }
    alone = data.lines(one_client, ("op",), "value_bytes", "p50_us", 1000)
    if not alone:
        return None
    many = data.lines(list(most.values()), ("op",), "value_bytes", "mb_per_s")
    made, axes = style.figure(1, 2, 4.2)
    style.lines(axes[0], alone, style.looks(alone))
    style.lines(axes[1], many, style.looks(alone))
    style.scaled(axes[0].yaxis, "p50 of one client, ms (log)")
    style.scaled(axes[1].yaxis, "MB/s of many (log)")
    for one in axes:
        style.scaled(one.xaxis, "bytes of a value (log)")
    style.legend_below(made, axes[:1])
    return made


def times(found: Found) -> Figure | None:
    """Single times of faults and moves, each as a point: none hides behind a mean."""
    listed: list[tuple[str, list[float]]] = []
    for name, question, figure, divide in (
        ("failover after kill -9", "failover", "ms", 1000.0),
        ("hand-over until the next write", "transfer", "until_write_ms", 1000.0),
        ("heal until all hold the same", "heal", "s", 1.0),
    ):
        values = found.get(question, {}).get(figure, {}).get("values", [])
        if values:
            listed.append((name, [value / divide for value in values]))
    for row in found.get("agents_moves", ()):
        values = [value / 1000 for value in row["pause_ms"]["values"]]
        if values:
            listed.append((f"move of 1 MB ({row['where']})", values))
    if not listed:
        return None
    made, (axes,) = style.figure(1, 1, 1.3 + 0.5 * len(listed))
    for n, (_, values) in enumerate(reversed(listed)):
        look = style.look(0)
        spread = [n + 0.28 * math.sin(2.4 * k) for k in range(len(values))]
        axes.plot(values, spread, look.mark, color=look.colour, alpha=0.45, ls="", ms=5)
        middle = sorted(values)[len(values) // 2]
        axes.plot(middle, n, "|", color=style.INK, ms=18, mew=2)
    axes.set_yticks(range(len(listed)), [name for name, _ in reversed(listed)])
    style.scaled(axes.xaxis, "s (log): each point one time, bar the median")
    return made
