"""The timeline of operations per worker, and the counterexample, drawn.

The law of this file: lanes and marked operations in, SVG out. Marks have numbers, and the same
number names the same operation in every picture and in the text.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.chaos.report import words
from quorate.chaos.report.canvas import Canvas
from quorate.chaos.report.faults import Fault
from quorate.chaos.report.grid import Grid
from quorate.chaos.report.lanes import Lane, Marked, Window, natural
from quorate.chaos.report.markup import Markup, clip, tag
from quorate.chaos.report.recorded import Call

LANE = 11
DETAIL = 15
STEP = 42


def _left(width: int) -> int:
    return 48 if width < 600 else 78


def lanes_chart(
    lanes: Sequence[Lane],
    cells: Grid,
    faults: Sequence[Fault],
    marked: Sequence[Marked],
    width: int,
) -> Markup:
    """The whole run: what every worker was told, bucket by bucket."""
    canvas = Canvas(width, cells.end_s, _left(width))
    y, parts, tops = 16.0, list[str](), dict[str, float]()
    most = max((count for lane in lanes for count in lane.counts), default=1)
    for lane in lanes:
        tops[lane.worker] = y
        parts.append(_worker(canvas, y + LANE - 2.5, lane.worker))
        for bucket, (count, worst) in enumerate(zip(lane.counts, lane.worst, strict=True)):
            if not count:
                continue
            x1, x2 = canvas.x(cells.begin(bucket)), canvas.x(cells.stop(bucket))
            share = round(count / most, 1)
            shade = 9 if worst != "ok" else 3 if share < 0.3 else 6 if share < 0.6 else 9
            style = f"op {worst} s{shade}"
            wide = max(1.0, x2 - x1 - 0.6)
            high = LANE - 3.0
            parts.append(tag("rect", x=x1, y=y, width=wide, height=high, class_=style))
        y += LANE
    pins = [
        _pin(canvas.x(one.start), tops[one.call.worker] + LANE / 2 - 1, number)
        for number, one in enumerate(marked, 1)
        if one.call and one.call.worker in tops
    ]
    bands = canvas.bands(faults, 4, y)
    return canvas.svg(y + 22, bands, *parts, *pins, canvas.time_axis(y), label="workers")


def _worker(canvas: Canvas, y: float, name: str) -> Markup:
    shown = clip(name, 7 if canvas.narrow else 11)
    return tag("text", shown, x=canvas.left - 6, y=y, class_="row small", text_anchor="end")


def _pin(x: float, y: float, number: int) -> Markup:
    return tag(
        "g",
        tag("circle", cx=x, cy=y, r=7.5, class_="pin"),
        tag("text", str(number), x=x, y=y + 3.5, text_anchor="middle", class_="pin"),
    )


def window_chart(
    window: Window, faults: Sequence[Fault], marked: Sequence[Marked], width: int
) -> Markup:
    """Some seconds call by call: full bars were acknowledged, hollow ones refused, and those with a
    broken border have an unknown end."""
    canvas = Canvas(width, window.end, _left(width), window.begin)
    names = sorted({call.worker for call in window.calls}, key=natural)
    tops = {name: 16.0 + DETAIL * place for place, name in enumerate(names)}
    bottom = 16.0 + DETAIL * len(names)
    numbers = {id(one.call): number for number, one in enumerate(marked, 1) if one.call}
    parts = [_worker(canvas, top + DETAIL - 5, name) for name, top in tops.items()]
    late: list[str] = []
    for call in window.calls:
        number = numbers.get(id(call))
        bar = _bar(canvas, call, tops[call.worker], number is not None)
        (late if number else parts).append(bar)
        if number:
            x = max(canvas.left + 8.0, canvas.x(call.start) - 9)
            late.append(_pin(x, tops[call.worker] + DETAIL / 2 - 1.5, number))
    bands = canvas.bands(faults, 4, bottom)
    axis = canvas.time_axis(bottom)
    drawing = (bands, *parts, *late, axis)
    return canvas.svg(bottom + 22, *drawing, label="window", aligned=False)


def _bar(canvas: Canvas, call: Call, top: float, marked: bool) -> Markup:
    x1 = canvas.x(call.start)
    x2 = canvas.x(canvas.end if call.end is None else call.end)
    style = f"call {call.outcome}{' marked' if marked else ''}"
    return tag(
        "rect",
        x=x1,
        y=top,
        width=max(1.4, x2 - x1),
        height=DETAIL - 4.0,
        class_=style,
        data_tip=None if canvas.narrow and not marked else tip(call),
    )


def tip(call: Call) -> str:
    took = "no answer" if call.took_s is None else words.seconds(call.took_s)
    operation = call.operation
    key = "" if operation.key is None else f" {operation.key}"
    return clip(f"{call.worker} {call.f}{key} · {call.outcome} · {call.start:.3f} s · {took}", 120)


def example_chart(marked: Sequence[Marked], width: int) -> Markup:
    """The counterexample in the order of events, not to scale: one row for each operation. What
    begins right of a bar's end began after it had ended."""
    canvas = Canvas(width, 1.0, 8)
    moments = sorted({t for one in marked for t in (one.start, one.end) if t is not None})
    place = {moment: rank for rank, moment in enumerate(moments)}
    slots = max(1, len(moments))
    parts: list[str] = []
    bottom = 8.0 + STEP * len(marked)

    def x(rank: float) -> float:
        return canvas.left + 14 + (canvas.plot - 30) * rank / slots

    for number, one in enumerate(marked, 1):
        y = 8.0 + STEP * (number - 1)
        open_ = one.outcome not in ("ok", "fail") or one.end is None
        x1 = x(place[one.start])
        x2 = x(slots) + 8 if open_ else max(x1 + 10, x(place[one.end or one.start]))
        style = f"example {one.outcome}{' guilty' if one.guilty else ''}"
        if not open_:
            parts.append(tag("line", x1=x2, x2=x2, y1=y + 36, y2=bottom, class_="ended"))
        parts.append(tag("rect", x=x1, y=y + 22, width=x2 - x1, height=14, rx=3, class_=style))
        parts.append(_pin(x1, y + 29, number))
        parts.append(_told(canvas, one, (x1, x2), y + 15))
    return canvas.svg(bottom + 6, *parts, label="example", aligned=False)


def _told(canvas: Canvas, one: Marked, bar: tuple[float, float], y: float) -> Markup:
    """The operation in words above its bar, from its left or up to its right, as there is room."""
    letters = 46 if canvas.narrow else 110
    text = clip(f"{one.process}  {one.what}", letters)
    text += "" if canvas.narrow else f"  at {one.start:.3f} s"
    wide = len(text) * 6.7
    if bar[0] - 7 + wide <= canvas.width - 4:
        return tag("text", text, x=bar[0] - 7, y=y, class_="told")
    if bar[1] - wide >= 4:
        return tag("text", text, x=bar[1], y=y, class_="told", text_anchor="end")
    return tag("text", text, x=canvas.width - 4, y=y, class_="told", text_anchor="end")
