"""The film strip: the network as a picture for every time it changed.

The law of this file: a frame in, a small SVG out. Hosts stand on a circle, always at the same
place; a cut is a broken line with a cross, so that it is seen without its colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from quorate.chaos.report import words
from quorate.chaos.report.faults import Frame, Harm, looks_worse, sides
from quorate.chaos.report.markup import Markup, clip, join, tag

FRAMES_MAX = 18
SIZE = 132
HOSTS_DRAWN_MAX = 12


def strip(frames: Sequence[Frame], hosts: Sequence[str]) -> Markup:
    """The frames as a list."""
    return tag("ol", join(_frame(frame, hosts) for frame in frames), class_="film")


def said(frame: Frame, hosts: Sequence[str]) -> str:
    """The frame in words."""
    parts = [f"{words.moment(frame.begin)} to {words.moment(frame.end)}"]
    parts += [fault.name for fault in frame.faults]
    for harm in ("cut", "impaired"):
        pairs = [f"{a} to {b}" for (a, b), kind in looks_worse(frame.links) if kind == harm]
        parts += [f"{harm}: {words.listed(pairs, 12)}"] if pairs else []
    parts += [f"host {host} {condition}" for host, condition in sorted(frame.hosts.items())]
    if frame.calm:
        parts.append("all links open")
    return "; ".join(parts)


def _frame(frame: Frame, hosts: Sequence[str]) -> Markup:
    names = ", ".join(dict.fromkeys(fault.name for fault in frame.faults)) or "calm"
    picture = tag(
        "svg",
        _network(frame, hosts[:HOSTS_DRAWN_MAX]),
        viewBox=f"0 0 {SIZE} {SIZE}",
        width=SIZE,
        height=SIZE,
        role="img",
        aria_label=said(frame, hosts),
    )
    when = f"{words.moment(frame.begin).removesuffix(' s')}\u2013{words.moment(frame.end)}"
    return tag(
        "li",
        picture,
        tag("b", clip(names, 34)),
        tag("span", when),
        class_="calm" if frame.calm else "rough",
    )


def _network(frame: Frame, hosts: Sequence[str]) -> Markup:
    middle, radius = SIZE / 2, SIZE / 2 - 20
    places: dict[str, tuple[float, float]] = {}
    for number, host in enumerate(hosts):
        turn = 2 * math.pi * number / max(1, len(hosts)) - math.pi / 2
        places[host] = (middle + radius * math.cos(turn), middle + radius * math.sin(turn))
    gone = [host for host, condition in frame.hosts.items() if condition != "hurt"]
    parted = sides(hosts, frame.links, gone)
    best = parted[0] if parted and 2 * len(parted[0]) > len(hosts) else []
    parts: list[str] = []
    for place, a in enumerate(hosts):
        for b in hosts[place + 1 :]:
            parts += _link(frame, (places[a], places[b]), (a, b))
    for host, (x, y) in places.items():
        parts += _host(host, x, y, frame.hosts.get(host, ""), host in best)
    return join(parts)


Spot = tuple[float, float]


def _link(frame: Frame, spots: tuple[Spot, Spot], hosts: tuple[str, str]) -> list[str]:
    there = frame.links.get(hosts)
    back = frame.links.get((hosts[1], hosts[0]))
    if there == back:
        return _line(spots[0], spots[1], there, arrow=False)
    return [
        *_line(*_aside(spots[0], spots[1]), there, arrow=True),
        *_line(*_aside(spots[1], spots[0]), back, arrow=True),
    ]


def _aside(a: Spot, b: Spot) -> tuple[Spot, Spot]:
    """The line from a to b, a little to its right, so that both directions are seen."""
    length = math.dist(a, b) or 1.0
    dx, dy = (a[1] - b[1]) / length * 4, (b[0] - a[0]) / length * 4
    return (a[0] + dx, a[1] + dy), (b[0] + dx, b[1] + dy)


def _line(a: Spot, b: Spot, harm: Harm | None, *, arrow: bool) -> list[str]:
    """From a to b, short of both circles."""
    length = math.dist(a, b) or 1.0
    ux, uy = (b[0] - a[0]) / length, (b[1] - a[1]) / length
    x1, y1, x2, y2 = a[0] + ux * 14, a[1] + uy * 14, b[0] - ux * 14, b[1] - uy * 14
    style = f"link {harm or 'well'}"
    parts: list[str] = [tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)]
    if arrow:
        for side in (-1, 1):
            hx, hy = x2 - ux * 6 - uy * 3.5 * side, y2 - uy * 6 + ux * 3.5 * side
            parts.append(tag("line", x1=x2, y1=y2, x2=hx, y2=hy, class_=f"{style} head"))
    if harm == "cut":
        mx, my = (x1 + x2) / 2, (y1 + y2) / 2
        for sx in (-1, 1):
            parts.append(
                tag("line", x1=mx - 4 * sx, y1=my - 4, x2=mx + 4 * sx, y2=my + 4, class_="cross")
            )
    return parts


def _host(host: str, x: float, y: float, condition: str, majority: bool) -> list[str]:
    style = f"host {condition or ('most' if majority else 'few')}"
    parts: list[str] = [
        tag("circle", cx=x, cy=y, r=12.5, class_=style),
        tag("text", clip(host, 4), x=x, y=y + 4, text_anchor="middle", class_=style),
    ]
    if condition == "down":
        for side in (-1, 1):
            parts.append(
                tag("line", x1=x - 9 * side, y1=y - 9, x2=x + 9 * side, y2=y + 9, class_="cross")
            )
    elif condition:
        sign = "‖" if condition == "paused" else "!"
        parts.append(tag("circle", cx=x + 10, cy=y - 10, r=7, class_="sign"))
        parts.append(tag("text", sign, x=x + 10, y=y - 6.5, text_anchor="middle", class_="sign"))
    return parts
