"""Hosts on a circle, and what is wrong with which: a small SVG, drawn by hand.

The law of this file: pure; a picture is a function of what it is told. Every link is one arrow from
who sends to who listens, beside the arrow of the other direction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from quorate.chaos.lab.links import Kind, Pair

SIZE_PX = 240
RADIUS_PX = 78
HOST_PX = 19
BESIDE_PX = 4.5
OPEN_COLOUR = "#cdd4dd"
COLOURS: Mapping[Kind, str] = {
    "open": OPEN_COLOUR,
    "black_hole": "#c62828",
    "refused": "#ad1457",
    "reset": "#d84315",
    "slow": "#ef6c00",
    "stalled": "#6a1b9a",
    "narrow": "#f9a825",
    "sliced": "#00838f",
    "limited": "#5d4037",
}
DASHES: Mapping[Kind, str] = {
    "black_hole": "5 4",
    "refused": "2 3",
    "reset": "8 3",
    "stalled": "1 4",
}
HOST_FILL = "#eef2f7"
MARK_FILL = "#ffd7d0"
TEXT = "font-family='sans-serif' text-anchor='middle'"


@dataclass(frozen=True, slots=True)
class Picture:
    """`links`: what is wrong with which; `marks`: a word beside a host that is hurt itself."""

    hosts: tuple[str, ...]
    links: Mapping[Pair, Kind] = field(default_factory=dict[Pair, Kind])
    marks: Mapping[str, str] = field(default_factory=dict[str, str])

    def svg(self, title: str = "") -> str:
        """A whole document of its own, readable on white and inside a page."""
        at = places(self.hosts)
        parts = [
            f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {SIZE_PX} {SIZE_PX}' "
            f"width='{SIZE_PX}' height='{SIZE_PX}' role='img'>",
            f"<title>{escape(title)}</title>" if title else "",
        ]
        for sender in self.hosts:
            for listener in self.hosts:
                if sender != listener:
                    kind = self.links.get((sender, listener), "open")
                    parts.append(_arrow(at[sender], at[listener], kind))
        for host in self.hosts:
            parts.append(_host(host, at[host], self.marks.get(host, "")))
        return "".join([*parts, "</svg>"])

    def text(self) -> str:
        """One line per hurt link and host, for a terminal."""
        lines = [f"{a} -> {b}: {kind}" for (a, b), kind in self.links.items() if kind != "open"]
        return "\n".join([*lines, *(f"{host}: {mark}" for host, mark in self.marks.items())])


def places(hosts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The first host at the top, the others clockwise."""
    middle = SIZE_PX / 2
    found: dict[str, tuple[float, float]] = {}
    for number, host in enumerate(hosts):
        angle = 2 * math.pi * number / max(1, len(hosts)) - math.pi / 2
        found[host] = (middle + RADIUS_PX * math.cos(angle), middle + RADIUS_PX * math.sin(angle))
    return found


def _arrow(start: tuple[float, float], end: tuple[float, float], kind: Kind) -> str:
    """From circle to circle, a little to the right of the line between the middles."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    ox, oy = -uy * BESIDE_PX, ux * BESIDE_PX
    x1, y1 = start[0] + ux * HOST_PX + ox, start[1] + uy * HOST_PX + oy
    x2, y2 = end[0] - ux * (HOST_PX + 3) + ox, end[1] - uy * (HOST_PX + 3) + oy
    colour, dash = COLOURS[kind], DASHES.get(kind)
    dashed = f" stroke-dasharray='{dash}'" if dash else ""
    wide = 1.2 if kind == "open" else 2.2
    hx, hy = x2 - ux * 7, y2 - uy * 7
    head = (
        f"{x2:.1f},{y2:.1f} {hx - uy * 3.2:.1f},{hy + ux * 3.2:.1f} "
        f"{hx + uy * 3.2:.1f},{hy - ux * 3.2:.1f}"
    )
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{wide}'{dashed}/><polygon points='{head}' fill='{colour}'/>"
    )


def _host(host: str, at: tuple[float, float], mark: str) -> str:
    x, y = at
    fill = MARK_FILL if mark else HOST_FILL
    outside = y - HOST_PX - 5 if y < SIZE_PX / 2 else y + HOST_PX + 13
    word = (
        f"<text x='{x:.1f}' y='{outside:.1f}' font-size='11' fill='#a33' stroke='#fff' "
        f"stroke-width='3' paint-order='stroke' {TEXT}>{escape(mark)}</text>"
        if mark
        else ""
    )
    return (
        f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{HOST_PX}' fill='{fill}' stroke='#456'/>"
        f"<text x='{x:.1f}' y='{y + 4:.1f}' font-size='13' fill='#123' {TEXT}>{escape(host)}"
        f"</text>{word}"
    )
