"""Who could work when, and which links were cut when, as strips over time.

The law of this file: cells and spans in, SVG out. What is well is full, what is not is marked by
shape as well as by colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quorate.chaos.report import words
from quorate.chaos.report.canvas import Canvas
from quorate.chaos.report.faults import Fault, Pair, looks_worse, state_of
from quorate.chaos.report.figures import Cell, Row
from quorate.chaos.report.grid import Grid
from quorate.chaos.report.markup import Markup, clip, join, tag

ROWS_MAX = 40
ROW = 20
LINKS_MAX = 30


def _left(width: int) -> int:
    return 10 if width < 600 else 168


def availability_chart(
    rows: Mapping[Row, Sequence[Cell]], cells: Grid, faults: Sequence[Fault], width: int
) -> Markup:
    """One strip for each host and level: green as high as the share that was acknowledged."""
    canvas = Canvas(width, cells.end_s, _left(width))
    y = 14.0
    parts: list[str] = []
    strips: list[str] = []
    for (host, level), row in list(rows.items())[:ROWS_MAX]:
        y += 14 if canvas.narrow else 0
        parts.append(_name(canvas, y, f"{host or '?'} · {level}"))
        strips.append(_strip(canvas, cells, row, y))
        y += ROW
    bands = canvas.bands(faults, 2, y)
    return canvas.svg(y + 22, bands, *parts, *strips, canvas.time_axis(y), label="who")


def _name(canvas: Canvas, y: float, text: str) -> Markup:
    if canvas.narrow:
        return tag("text", clip(text, 50), x=canvas.left, y=y - 3, class_="row")
    shown = clip(text, 24)
    return tag("text", shown, x=canvas.left - 8, y=y + 13, class_="row", text_anchor="end")


def _strip(canvas: Canvas, cells: Grid, row: Sequence[Cell], y: float) -> Markup:
    """Neighbouring cells that look the same are drawn as one."""
    parts: list[str] = []
    high = ROW - 5.0
    begun = 0
    looks = [_look(cell) for cell in row]
    for bucket in range(1, len(looks) + 1):
        if bucket < len(looks) and looks[bucket] == looks[begun]:
            continue
        look, x1, x2 = looks[begun], canvas.x(cells.begin(begun)), canvas.x(cells.stop(bucket - 1))
        begun = bucket
        if look is None:
            continue
        share, style = look
        wide = max(0.8, x2 - x1)
        if share < 1:
            parts.append(tag("rect", x=x1, y=y, width=wide, height=high, class_=style))
        if share > 0:
            up = max(2.0, high * share)
            parts.append(tag("rect", x=x1, y=y + high - up, width=wide, height=up, class_="works"))
    right = canvas.width - canvas.right
    base = tag("line", x1=canvas.left, x2=right, y1=y + high, y2=y + high, class_="grid")
    return join([base, *parts])


def _look(cell: Cell) -> tuple[float, str] | None:
    """Share in twelfths, and the class of the rest: refused, unknown or only waiting."""
    share = cell.share
    if share is None:
        return None
    style = "refusal" if cell.fail > cell.unknown else "doubt" if cell.unknown else "wait"
    rounded = round(share * 12) / 12
    if 0 < share < 1:
        rounded = max(1 / 12, min(11 / 12, rounded))
    return rounded, "" if rounded == 1 else style


def availability_tips(rows: Mapping[Row, Sequence[Cell]], cells: Grid) -> list[str]:
    tips: list[str] = []
    for bucket in range(cells.count):
        each: list[str] = []
        for (host, level), row in list(rows.items())[:ROWS_MAX]:
            share = row[bucket].share
            if share is not None and share < 1:
                said = "waits" if not row[bucket].answered else words.percent(share)
                each.append(f"{host} {level}: {said}")
        tips.append(" · ".join(each[:8]) or "all answers acknowledged")
    return tips


# --- links ----------------------------------------------------------------------------------------


def links_hurt(faults: Sequence[Fault]) -> list[Pair]:
    """Every ordered pair that any fault touched, in order."""
    return sorted({pair for fault in faults for pair in fault.pairs})


def hosts_hurt(faults: Sequence[Fault]) -> list[str]:
    return sorted({host for fault in faults if fault.condition for host in fault.hosts})


def links_chart(faults: Sequence[Fault], end_s: float, width: int) -> Markup:
    """One strip for each link and host that a fault touched, and the faults by name above."""
    canvas = Canvas(width, end_s, 50 if width < 600 else 168)
    y = 18.0
    parts: list[str] = []
    for pair in links_hurt(faults)[:LINKS_MAX]:
        spans = [(fault, fault.harm) for fault in faults if pair in fault.pairs]
        parts.append(_line(canvas, y, f"{clip(pair[0], 9)} → {clip(pair[1], 9)}", spans))
        y += 15
    for host in hosts_hurt(faults)[:LINKS_MAX]:
        ill = [(f, str(f.condition)) for f in faults if f.condition and host in f.hosts]
        parts.append(_line(canvas, y, f"host {host}" if not canvas.narrow else host, ill))
        y += 15
    bands = canvas.bands(faults, 2, y, names=True)
    return canvas.svg(y + 22, bands, *parts, canvas.time_axis(y), label="links")


def _line(canvas: Canvas, y: float, name: str, spans: Sequence[tuple[Fault, str]]) -> Markup:
    parts: list[str] = [
        tag("text", name, x=canvas.left - 6, y=y + 9, class_="row", text_anchor="end"),
        tag(
            "line",
            x1=canvas.left,
            x2=canvas.width - canvas.right,
            y1=y + 6,
            y2=y + 6,
            class_="open",
        ),
    ]
    for fault, style in spans:
        x1, x2 = canvas.x(fault.begin), canvas.x(fault.lasts_until(canvas.end))
        wide = max(1.5, x2 - x1)
        parts.append(tag("rect", x=x1, y=y, width=wide, height=11, class_=f"bar {style}", rx=2))
        if wide > 6 * len(style) + 10:
            parts.append(tag("text", style, x=x1 + 5, y=y + 9, class_="inbar"))
    return join(parts)


def links_tips(faults: Sequence[Fault], cells: Grid) -> list[str]:
    tips: list[str] = []
    for bucket in range(cells.count):
        middle = (cells.begin(bucket) + cells.stop(bucket)) / 2
        running = [f for f in faults if f.begin <= middle < f.lasts_until(cells.end_s)]
        links, hosts = state_of(running)
        each = [f"{fault.number} {fault.name}" for fault in running]
        each += [f"{a}→{b} {harm}" for (a, b), harm in looks_worse(links)[:8]]
        each += [f"host {host} {condition}" for host, condition in sorted(hosts.items())]
        tips.append(" · ".join(each) or "all links open")
    return tips
