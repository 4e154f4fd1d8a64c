"""The pictures of loads: tradeoff, latencies, throughput, peers. Those of single questions are in
`more_pictures`.

The law of this file: a function takes what a result found and gives a figure, or None when the
result has nothing for it. Logarithmic axes wherever figures differ by powers; every axis has its
unit.
"""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from quorate.bench.plots import data, style

Found = dict[str, Any]
ROW_INCHES = 0.34
CASES_MAX = 40


def tradeoff(found: Found) -> Figure | None:
    """What each guarantee costs, row by row from the weakest one on."""
    rows = data.guarantees(found)
    if not rows:
        return None
    columns: list[tuple[str, str, list[float]]] = [
        ("Rate", "calls per s,\n1 024 in flight", [row.ops_per_s for row in rows]),
        ("Cut off", "% answered\nin the minority", [row.in_minority_percent for row in rows]),
        ("Staleness", "ms, p99\nof stale reads", [row.stale_p99_ms for row in rows]),
    ]
    shown = [one for one in columns if not all(map(math.isnan, one[2]))]
    widths = [2.2, *(1.2 for _ in shown)]
    made, axes = style.figure(
        *(1, 1 + len(shown), 1.4 + 0.42 * len(rows)), sharey=True, width_ratios=widths
    )
    places = list(range(len(rows)))[::-1]
    for place, row in zip(places, rows, strict=True):
        look = style.look(0 if "read" in row.name else 1)
        axes[0].plot([row.p50_ms, row.p99_ms], [place] * 2, color=look.colour, lw=2, alpha=0.5)
        axes[0].plot(row.p50_ms, place, look.mark, color=look.colour, ms=9)
        axes[0].plot(row.p99_ms, place, "|", color=look.colour, ms=11, mew=2)
    axes[0].set_yticks(places, [row.name for row in rows])
    axes[0].set_title("Latency, one client")
    style.scaled(axes[0].xaxis, "ms: mark p50, bar to p99\n(log)")
    for one, (title, label, values) in zip(axes[1:], shown, strict=True):
        _column(one, places, rows, values, title == "Rate")
        one.set_title(title)
        one.set_xlabel(label)
    return made


def _column(
    axes: Any, places: list[int], rows: list[data.Guarantee], values: list[float], log: bool
) -> None:
    """Bars with their figures; a figure that is missing is a dash."""
    known = [value for value in values if value == value]
    for place, row, value in zip(places, rows, values, strict=True):
        look = style.look(0 if "read" in row.name else 1)
        hatch = "" if "read" in row.name else "//"
        if value == value:
            axes.barh(
                place, value, 0.55, color=look.colour, alpha=0.8, hatch=hatch, edgecolor="white"
            )
        text = "-" if value != value else style.plain(float(f"{value:.3g}"))
        at = value if value == value else (min(known) if log else 0)
        axes.annotate(text, (at, place), (3, 0), textcoords="offset points", va="center", size=9)
    if log:
        style.scaled(axes.xaxis, "")
        axes.set_xlim(min(known) / 3, max(known) * 12)
    else:
        axes.set_xlim(0, max([*known, 1]) * 1.5)


def percentiles(found: Found) -> Figure | None:
    """Latency by percentile, for every system: one in flight, and the most."""
    panels: list[tuple[str, list[tuple[str, data.Points]]]] = []
    for of_panel, measured in data.panels(found):
        rows = [row for row in measured if row.get("where") == "leader"]
        numbers = sorted({row["in_flight"] for row in rows})
        for in_flight in dict.fromkeys(numbers[:1] + numbers[-1:]):
            series = [
                (row["system"], data.percentiles(row))
                for row in rows
                if row["in_flight"] == in_flight
            ]
            series = [(name, points) for name, points in series if points]
            if series:
                panels.append((f"{of_panel}, {in_flight:,} in flight", series))
    if not panels:
        return None
    rows_of_panels = math.ceil(len(panels) / 2)
    columns = min(2, len(panels))
    made, axes = style.figure(rows_of_panels, columns, 0.8 + 2.9 * rows_of_panels)
    everybody = list(dict.fromkeys(name for _, series in panels for name, _ in series))
    for one, (title, series) in zip(axes, panels, strict=False):
        for name, points in series:
            look = style.look_of(name, everybody)
            one.plot(
                [_tail(percent) for percent, _ in points],
                [ms for _, ms in points],
                color=look.colour,
                marker=look.mark,
                ls=look.dashes,
                ms=5,
                label=name,
            )
        _percent_axis(one)
        one.set_title(title)
        style.scaled(one.yaxis, "latency, ms (log)")
    for one in axes[len(panels) :]:
        one.set_visible(False)
    style.legend_below(made, axes[: len(panels)])
    return made


def _tail(percent: float) -> float:
    """One more nine is one step more."""
    return -math.log10(1 - percent / 100)


def _percent(tail: float, _: object = None) -> str:
    """What `_tail` came from, for the axis."""
    return f"{100 * (1 - 10**-tail):.4g}"


def _percent_axis(axes: Any) -> None:
    shown = (1, 50, 90, 99, 99.9, 99.99)
    axes.xaxis.set_major_locator(FixedLocator([_tail(percent) for percent in shown]))
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.set_xlabel("percentile")


def spans(found: Found) -> Figure | None:
    """p50 to p99 of every case that has a name: levels, and agents beside their peers."""
    rows = [
        (f"{case}", system, p50, p99)
        for question in ("levels", "agents_calls", "agents_state")
        for case, system, p50, p99 in data.spans(found, question)
    ]
    if not rows:
        return None
    cases = list(dict.fromkeys(case for case, _, _, _ in rows))
    systems = list(dict.fromkeys(system for _, system, _, _ in rows))
    made, (axes,) = style.figure(1, 1, 1.4 + ROW_INCHES * len(cases))
    told: set[str] = set()
    for case, system, p50, p99 in rows:
        beside = sorted({s for c, s, _, _ in rows if c == case}, key=systems.index)
        place = len(cases) - cases.index(case) - 1
        place += 0.22 * ((len(beside) - 1) / 2 - beside.index(system))
        look = style.look_of(system, systems)
        axes.plot([p50, p99], [place] * 2, color=look.colour, lw=2, alpha=0.5)
        axes.plot(p99, place, "|", color=look.colour, ms=7, mew=2)
        label = None if system in told else system
        told.add(system)
        axes.plot(p50, place, look.mark, color=look.colour, ms=6, label=label, ls="")
    axes.set_yticks(range(len(cases)), cases[::-1])
    axes.set_ylim(-0.7, len(cases) - 0.3)
    style.scaled(axes.xaxis, "latency, ms (log): mark p50, bar to p99")
    style.legend_below(made, [axes])
    return made


def throughput(found: Found) -> Figure | None:
    """Calls a second over how many are in flight, at the leader."""
    panels = [
        (title, series)
        for title, rows in data.panels(found)
        if (series := data.over_in_flight(rows))
    ]
    if not panels:
        return None
    columns = min(2, len(panels))
    rows_of_panels = math.ceil(len(panels) / columns)
    made, axes = style.figure(rows_of_panels, columns, 1.0 + 2.9 * rows_of_panels, sharey=True)
    everybody = list(dict.fromkeys(name for _, series in panels for name in series))
    for one, (title, series) in zip(axes, panels, strict=False):
        style.lines(one, series, {name: style.look_of(name, everybody) for name in everybody})
        style.scaled(one.xaxis, "in flight (log)")
        style.ticks_where_measured(one.xaxis, series)
        one.set_title(title)
        style.scaled(one.yaxis, "per s (log)")
    for one in axes[len(panels) :]:
        one.set_visible(False)
    style.legend_below(made, axes[: len(panels)])
    return made


def peers(found: Found) -> Figure | None:
    """Ours over the peer's rate, case by case: right of the line ours does more."""
    every = data.ratios(found)
    if not every:
        return None
    cases = list(dict.fromkeys(row.case for row in every))[:CASES_MAX]
    rows = [row for row in every if row.case in cases]
    names = list(dict.fromkeys(row.peer for row in rows))
    made, (axes,) = style.figure(1, 1, 1.5 + ROW_INCHES * len(cases))
    told: set[str] = set()
    for row in rows:
        look = style.look_of(row.peer, names)
        place = len(cases) - cases.index(row.case) - 1
        label = None if row.peer in told else f"beside {row.peer}"
        told.add(row.peer)
        axes.plot(row.rate, place, look.mark, color=look.colour, ms=8, label=label, ls="")
    axes.axvline(1, color=style.INK, lw=1.2)
    axes.set_yticks(range(len(cases)), cases[::-1])
    axes.set_ylim(-0.7, len(cases) - 0.3)
    style.scaled(axes.xaxis, "ours / its calls per s (log; 1: the same, right: ours does more)")
    style.legend_below(made, [axes], 3)
    return made
