"""How all pictures look: colours, marks, sizes, and how they are saved.

The law of this file: a series is told apart by its mark and its dashes as well as by its colour
(Okabe and Ito's, which colour-blind readers tell apart); no system's colour changes between
pictures. Text in an SVG stays text, and ink and grid are named so that a dark page can turn them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

Point = tuple[float, float]
INK = "#1f2328"
GRID = "#d4d9de"
PAPER = "#ffffff"
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a7a7a",
    "#a0522d",
    "#332288",
    "#1f2328",
    "#6b8e23",
)
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "p", "h", "d")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (6, 2, 1, 2)),
    "-",
    "--",
    ":",
    "-.",
    (0, (3, 1)),
    (0, (4, 1, 1, 1)),
    (0, (2, 2)),
)
_MPL: Any = matplotlib
"""Its types of settings name every one of them; ours are a plain dict."""
KNOWN = (
    *("quorate", "pysyncobj", "etcd", "casty", "ray", "pysyncobj-unbatched", "redis", "redis-wait"),
    *("etcd-python", "quorate, HTTP", "py-lmdb"),
)
"""In the order of the colours; others take what is left."""
SAME_AS = {"quorate, inside": "quorate"}
WIDTH_INCHES = 8.0
PNG_DOTS_PER_INCH = 160
SETTINGS: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.grid": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
}


@dataclass(frozen=True, slots=True)
class Look:
    """How one series is drawn."""

    colour: str
    mark: str
    dashes: Any


def look(n: int) -> Look:
    """The look of the n-th series."""
    return Look(COLOURS[n % len(COLOURS)], MARKS[n % len(MARKS)], DASHES[n % len(DASHES)])


def look_of(system: str, others: Sequence[str] = ()) -> Look:
    """The look of a system; one that is not known takes a place by its place among `others`."""
    system = SAME_AS.get(system, system)
    if system in KNOWN:
        return look(KNOWN.index(system))
    strangers = [other for other in others if other not in KNOWN]
    return look(6 + (strangers.index(system) if system in strangers else 0))


def figure(rows: int, columns: int, height_inches: float, **more: Any) -> tuple[Figure, list[Any]]:
    """A figure and its axes, row by row."""
    made = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    grid: Any = made.subplots(rows, columns, squeeze=False, **more)
    return made, [axes for row in grid for axes in row]


def drawn(draw: Callable[[dict[str, Any]], Figure | None], found: dict[str, Any]) -> Figure | None:
    """What `draw` makes, in our style."""
    with _MPL.rc_context(SETTINGS):
        return draw(found)


def as_png(made: Figure) -> bytes:
    out = io.BytesIO()
    canvas: Any = made
    with _MPL.rc_context(SETTINGS):
        FigureCanvasAgg(made)
        canvas.savefig(out, format="png", dpi=PNG_DOTS_PER_INCH)
    return out.getvalue()


def as_svg(made: Figure, name: str) -> str:
    """The same figure gives the same bytes."""
    out = io.BytesIO()
    canvas: Any = made
    with _MPL.rc_context({**SETTINGS, "svg.hashsalt": name}):
        FigureCanvasSVG(made)
        canvas.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue().decode()


def plain(value: float, _: object = None) -> str:
    """A number on an axis: 1.2M, 30k, 1,024, 0.02."""
    if 1000 <= abs(value) < 10_000 and value == int(value):
        return f"{value:,.0f}"
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def scaled(axis: Any, label: str, *, log: bool = True) -> None:
    """A labelled axis, `axes.xaxis` or `axes.yaxis`, with plain numbers."""
    if log:
        axis._set_axes_scale("log")
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(plain))
    axis.set_label_text(label)


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each name, by its place."""
    return {name: look(n) for n, name in enumerate(names)}


def lines(axes: Any, series: Mapping[str, Sequence[Point]], looks: Mapping[str, Look]) -> None:
    """A line with marks for each series of (x, y)."""
    for name, points in series.items():
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            color=looks[name].colour,
            marker=looks[name].mark,
            ls=looks[name].dashes,
            label=name,
        )


def ticks_where_measured(axis: Any, series: Mapping[str, Sequence[Point]]) -> None:
    """A tick on the x axis where something was measured, and nowhere else."""
    axis.set_major_locator(FixedLocator(sorted({x for p in series.values() for x, _ in p})))
    axis.set_minor_locator(NullLocator())


def legend_below(made: Figure, axes: Sequence[Any], columns: int = 4) -> None:
    """One legend for all these axes, under them: it never covers a point."""
    found: dict[str, Any] = {}
    for one in axes:
        handles, labels = one.get_legend_handles_labels()
        for handle, label in zip(handles, labels, strict=True):
            found.setdefault(label, handle)
    if found:
        whole: Any = made
        whole.legend(found.values(), found, loc="outside lower center", ncols=columns, fontsize=9)
