"""Pace and latency over time, drawn.

The law of this file: numbers of `figures.py` in, SVG out; a chart adds no fact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from quorate.chaos.report import words
from quorate.chaos.report.canvas import Canvas
from quorate.chaos.report.faults import Fault
from quorate.chaos.report.figures import Pace, Spread
from quorate.chaos.report.grid import Grid
from quorate.chaos.report.markup import Markup, join, number, tag, whole

UP = 190
DOWN = 34
PANEL = 104
Height = Callable[[float], float]
"""A value's place from the top."""


def margin(width: int) -> int:
    return 44 if width < 600 else 62


# --- pace -----------------------------------------------------------------------------------------


def pace_chart(pace: Pace, faults: Sequence[Fault], width: int) -> Markup:
    """Acknowledged calls stacked by operation; refused and unknown ones hang below the line."""
    canvas = Canvas(width, pace.grid.end_s, margin(width))
    top, base = 8.0, 8.0 + UP
    marks = words.ticks(max(pace.total_per_s(), default=0.0), 4)
    parts: list[str] = [canvas.bands(faults, top, base + DOWN)]
    parts.append(
        canvas.level_lines((base - mark / marks[-1] * UP, words.short(mark)) for mark in marks)
    )

    def height(value: float) -> float:
        return base - value / marks[-1] * UP

    floor = [0.0] * pace.grid.count
    for place, name in enumerate(pace.ok):
        roof = [a + b for a, b in zip(floor, pace.per_s(name), strict=True)]
        path = _area(canvas, pace.grid, floor, roof, height)
        parts.append(tag("path", d=whole(path), class_=f"area c{place}"))
        floor = roof
    most = max((a + b for a, b in zip(pace.fail, pace.unknown, strict=True)), default=0)
    for bucket, (fail, unknown) in enumerate(zip(pace.fail, pace.unknown, strict=True)):
        y = base + 1
        for value, style in ((fail, "fail"), (unknown, "unknown")):
            if value:
                high = max(2.0, value / most * (DOWN - 4))
                x1, x2 = canvas.x(pace.grid.begin(bucket)), canvas.x(pace.grid.stop(bucket))
                wide = max(1.0, x2 - x1 - 0.5)
                parts.append(tag("rect", x=x1, y=y, width=wide, height=high, class_=style))
                y += high
    if most:
        text = f"\u2212{words.short(most / pace.grid.width_s)}"
        parts.append(
            tag("text", text, x=canvas.left - 6, y=base + DOWN, class_="axis", text_anchor="end")
        )
    parts.append(canvas.time_axis(base + DOWN))
    parts.append(tag("line", x1=canvas.left, x2=width - 10, y1=base, y2=base, class_="base"))
    return canvas.svg(base + DOWN + 22, *parts, label="pace")


def _area(
    canvas: Canvas, cells: Grid, floor: Sequence[float], roof: Sequence[float], at: Height
) -> str:
    """Steps along the roof and back along the floor."""
    there = [
        f"{number(canvas.x(cells.begin(b)))},{number(at(v))} {number(canvas.x(cells.stop(b)))},"
        f"{number(at(v))}"
        for b, v in enumerate(roof)
    ]
    back = [
        f"{number(canvas.x(cells.stop(b)))},{number(at(v))} {number(canvas.x(cells.begin(b)))},"
        f"{number(at(v))}"
        for b, v in reversed(list(enumerate(floor)))
    ]
    return f"M{' '.join((*there, *back))}Z"


def pace_tips(pace: Pace) -> list[str]:
    """What is said of every bucket."""
    tips: list[str] = []
    for bucket in range(pace.grid.count):
        lasts = pace.grid.lasts(bucket)
        each = [f"{name} {words.short(row[bucket] / lasts)}/s" for name, row in pace.ok.items()]
        each += [
            f"{n[bucket]} {word}"
            for n, word in ((pace.fail, "refused"), (pace.unknown, "unknown"))
            if n[bucket]
        ]
        tips.append(" · ".join(each))
    return tips


# --- latency --------------------------------------------------------------------------------------


def latency_chart(
    found: Mapping[str, Sequence[Spread | None]], cells: Grid, faults: Sequence[Fault], width: int
) -> Markup:
    """One panel for each operation, all on one logarithmic scale."""
    canvas = Canvas(width, cells.end_s, margin(width))
    lowest, highest = _decades(found)
    parts: list[str] = []
    top = 6.0
    for place, (name, row) in enumerate(found.items()):
        base = top + PANEL
        decades = highest - lowest

        def y(value: float, base: float = base, decades: int = decades) -> float:
            share = (math.log10(max(value, 1e-9)) - lowest) / decades
            return base - max(0.0, min(1.0, share)) * (PANEL - 8)

        parts.append(canvas.bands(faults, top, base))
        parts.append(
            canvas.level_lines(
                (y(10.0**power), words.seconds(10.0**power)) for power in range(lowest, highest + 1)
            )
        )
        parts += _spreads(canvas, cells, row, y, f"c{place}")
        parts.append(tag("text", name, x=canvas.left + 8, y=top + 25, class_=f"panel c{place}"))
        top = base + 16
    parts.append(canvas.time_axis(top - 16))
    return canvas.svg(top + 8, *parts, label="latency")


def _decades(found: Mapping[str, Sequence[Spread | None]]) -> tuple[int, int]:
    spreads = [spread for row in found.values() for spread in row if spread]
    if not spreads:
        return -3, 0
    low = math.floor(math.log10(max(1e-6, min(s.p50 for s in spreads))))
    high = math.ceil(math.log10(max(1e-6, max(s.most for s in spreads))))
    return low, max(high, low + 1)


def _spreads(
    canvas: Canvas, cells: Grid, row: Sequence[Spread | None], at: Height, style: str
) -> list[str]:
    """A band from the median to the 99th percentile, the lines of both, and the worst as dots."""
    parts: list[str] = []
    for run in _runs(row):
        xs = [canvas.x((cells.begin(b) + cells.stop(b)) / 2) for b, _ in run]
        lower = [f"{number(x)},{number(at(s.p50))}" for x, (_, s) in zip(xs, run, strict=True)]
        upper = [f"{number(x)},{number(at(s.p99))}" for x, (_, s) in zip(xs, run, strict=True)]
        if len(run) == 1:
            x, (_, s) = xs[0], run[0]
            parts.append(tag("line", x1=x, x2=x, y1=at(s.p50), y2=at(s.p99), class_=f"p99 {style}"))
            parts.append(tag("circle", cx=x, cy=at(s.p50), r=1.6, class_=f"worst {style}"))
        else:
            band = f"M{' '.join((*lower, *reversed(upper)))}Z"
            parts.append(tag("path", d=whole(band), class_=f"spread {style}"))
            parts.append(tag("path", d=whole(f"M{' '.join(upper)}"), class_=f"p99 {style}"))
            parts.append(tag("path", d=whole(f"M{' '.join(lower)}"), class_=f"p50 {style}"))
        dots = join(
            tag("circle", cx=x, cy=at(s.most), r=1.3)
            for x, (_, s) in zip(xs, run, strict=True)
            if s.most > s.p99
        )
        if dots:
            parts.append(tag("g", dots, class_=f"worst {style}"))
    return parts


def _runs(row: Sequence[Spread | None]) -> list[list[tuple[int, Spread]]]:
    """Neighbouring buckets with something in them."""
    runs: list[list[tuple[int, Spread]]] = [[]]
    for bucket, spread in enumerate(row):
        if spread is not None:
            runs[-1].append((bucket, spread))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def latency_tips(found: Mapping[str, Sequence[Spread | None]], cells: Grid) -> list[str]:
    tips: list[str] = []
    for bucket in range(cells.count):
        spreads = [(name, row[bucket]) for name, row in found.items()]
        each = [
            f"{name}: median {words.seconds(s.p50)}, p99 {words.seconds(s.p99)}, "
            f"worst {words.seconds(s.most)} of {s.count}"
            for name, s in spreads
            if s
        ]
        tips.append(" · ".join(each))
    return tips
