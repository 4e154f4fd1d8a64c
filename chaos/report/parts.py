"""The pieces that sections are made of: a figure with its title and text alternative, legends,
tables, the signs of the verdicts.

The law of this file: markup only. A figure cannot be made without a title and words that say what
it shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from quorate.chaos.report.canvas import NARROW, WIDE
from quorate.chaos.report.grid import Grid
from quorate.chaos.report.markup import Markup, clip, join, raw, tag, whole

WORDS = ("held", "broken", "unknown", "invalid")
SIGNS = {
    "held": (
        tag("circle", cx=32, cy=32, r=29, class_="body"),
        tag("path", d="M19 33l9 9 18-20", class_="sign"),
    ),
    "broken": (
        tag("path", d="M20 3h24l17 17v24L44 61H20L3 44V20z", class_="body"),
        tag("path", d="M22 22l20 20M42 22L22 42", class_="sign"),
    ),
    "unknown": (
        tag("path", d="M32 2l30 30-30 30L2 32z", class_="body"),
        tag("path", d="M24 26c0-11 16-11 16 0 0 7-8 6-8 13", class_="sign"),
        tag("circle", cx=32, cy=47, r=3.2, class_="dot"),
    ),
    "invalid": (
        tag("path", d="M32 4l30 54H2z", class_="body"),
        tag("path", d="M32 24v16", class_="sign"),
        tag("circle", cx=32, cy=49, r=3.2, class_="dot"),
    ),
}
"""Four shapes, so that a verdict is seen without its colour."""
PATTERNS = tag(
    "svg",
    tag(
        "defs",
        tag(
            "pattern",
            tag("rect", width=6, height=6, class_="hatchground"),
            tag("path", d="M-1 5l2 2M-1 -1l8 8M5 -1l2 2", class_="hatchline"),
            id="hatch",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        ),
        tag(
            "pattern",
            tag("rect", width=5, height=5, class_="dotground"),
            tag("circle", cx=2.5, cy=2.5, r=1.3, class_="dot"),
            id="dots",
            width=5,
            height=5,
            patternUnits="userSpaceOnUse",
        ),
        tag(
            "pattern",
            tag("rect", width=6, height=6, class_="doubtground"),
            tag("path", d="M0 0l6 6M6 0L0 6", class_="weave"),
            id="weave",
            width=6,
            height=6,
            patternUnits="userSpaceOnUse",
        ),
    ),
    width=0,
    height=0,
    style="position:absolute",
    aria_hidden="true",
)


def sign(word: str) -> Markup:
    """The shape of a verdict; the word stands beside it."""
    parts = SIGNS.get(word, SIGNS["unknown"])
    return tag("svg", join(parts), viewBox="0 0 64 64", class_="glyph", aria_hidden="true")


def chip(word: str) -> Markup:
    marks = {"held": "✓", "broken": "✗", "unknown": "?", "invalid": "!"}
    shown = word if word in WORDS else "unknown"
    return tag("span", f"{marks[shown]} {word}", class_=f"chip t-{shown}")


def figure(
    name: str,
    title: str,
    alternative: str,
    draw: Callable[[int], Markup],
    *,
    legend: Markup | None = None,
    tips: tuple[Sequence[str], Grid] | None = None,
    below: Markup | None = None,
) -> Markup:
    """A chart twice, for a wide and a narrow page; a style sheet shows one of them."""
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("h2", title, id=f"{name}-title"),
            tag("p", alternative, id=f"{name}-alt", class_="alt"),
        ),
        legend or raw(""),
        draw(WIDE),
        draw(NARROW),
        below or raw(""),
        class_="card",
        id=name,
        data_tips=_tips(tips[0]) if tips else None,
        data_bucket=f"{tips[1].width_s:g}" if tips else None,
    )


def _tips(tips: Sequence[str]) -> Markup:
    """As JSON in an attribute, never cut: half of it would be no JSON."""
    return whole(json.dumps([clip(tip, 400) for tip in tips], ensure_ascii=False))


def legend(entries: Iterable[tuple[str, str]]) -> Markup:
    """(class of the swatch, what it means)."""
    items = [
        tag(
            "li",
            tag(
                "svg",
                tag("rect", x=0.5, y=0.5, width=17, height=11, rx=2, class_=style),
                viewBox="0 0 18 12",
                aria_hidden="true",
            ),
            text,
        )
        for style, text in entries
    ]
    return tag("ul", join(items), class_="legend")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[str]) -> Markup:
    """`styles`: one class for each column; `n` for numbers."""
    head = [
        tag("th", text, class_=style or None, scope="col") for text, style in _zip(heads, styles)
    ]
    body = [
        tag("tr", join(tag("td", text, class_=style or None) for text, style in _zip(row, styles)))
        for row in rows
    ]
    inner = tag("table", tag("thead", tag("tr", join(head))), tag("tbody", join(body)))
    return tag("div", inner, class_="scroll", tabindex=0)


def _zip(cells: Sequence[str], styles: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(cells, styles, strict=True))


def folded(summary: str, *inside: Markup) -> Markup:
    return tag("details", tag("summary", summary), join(inside))
