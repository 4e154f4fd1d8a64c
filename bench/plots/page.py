"""The page: every result with its pictures and tables, in one HTML file.

The law of this file: pure; nothing is fetched from anywhere, no script runs. It follows the
reader's light or dark preference, and prints on paper in light.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any

from quorate.bench.plots.blocks import as_html

INK, GRID, PAPER = "#1f2328", "#d4d9de", "#ffffff"
"""As in `style`, which turns nothing by itself."""
STYLE = """
:root { --ink: #1f2328; --soft: #57606a; --grid: #d4d9de; --paper: #ffffff; --band: #f3f5f7;
  color-scheme: light dark; }
@media (prefers-color-scheme: dark) { @media screen { :root { --ink: #e6edf3; --soft: #9aa4ae;
  --grid: #3b434c; --paper: #14181d; --band: #1c2229; } } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem 1.1rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .4rem; }
h2 { font-size: 1.3rem; margin: 2.6rem 0 .4rem; border-top: 2px solid var(--grid);
  padding-top: 1rem; }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p, li { max-width: 46rem; }
.soft { color: var(--soft); font-size: .92rem; overflow-wrap: anywhere; }
figure { margin: 1.4rem 0; overflow-x: auto; }
figure svg { width: 100%; min-width: 34rem; height: auto; display: block; }
figcaption { font-weight: 600; margin-bottom: .3rem; position: sticky; left: 0; }
.wide { overflow-x: auto; margin: .6rem 0 1.2rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { text-align: left; }
tbody tr:nth-child(odd) { background: var(--band); }
pre { overflow-x: auto; font-size: .8rem; background: var(--band); padding: .7rem .9rem; }
nav a, a { color: inherit; }
@media print { body { max-width: none; font-size: 10pt; } figure, tr { break-inside: avoid; }
  figure svg { min-width: 0; } pre { white-space: pre-wrap; } }
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One result: its report as text, (title, SVG) of its pictures, what it has nothing for."""

    name: str
    result: dict[str, Any]
    text: str
    drawn: list[tuple[str, str]]
    missing: list[str]


def page(shown: list[Shown]) -> str:
    """The whole document."""
    links = " · ".join(f'<a href="#{_id(one.name)}">{html.escape(one.name)}</a>' for one in shown)
    parts = "\n".join(_part(one) for one in shown)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>quorate bench</title><style>{STYLE}</style></head><body>"
        "<h1>What each consistency level costs</h1>"
        '<p class="soft">Figures of different machines, or of different runs, are not comparable: '
        "each part below is one run.</p>"
        f"<nav>{links}</nav>\n{parts}\n</body></html>\n"
    )


def _part(one: Shown) -> str:
    figures = "\n".join(
        f"<figure><figcaption>{html.escape(title)}</figcaption>{inlined(svg, title)}</figure>"
        for title, svg in one.drawn
    )
    told = "".join(f"<li>{html.escape(text)}</li>" for text in one.missing)
    missing = (
        f'<details class="soft"><summary>Not in this result</summary><ul>{told}</ul></details>'
    )
    command = html.escape(str(one.result.get("command", "")))
    began = html.escape(str(one.result.get("began_at", "")))
    return (
        f'<h2 id="{_id(one.name)}">{html.escape(one.name)}</h2>'
        f'<p class="soft">{began}. Made by <code>{command}</code></p>'
        f"{figures}{missing if told else ''}\n{as_html(one.text)}"
    )


def inlined(svg: str, title: str) -> str:
    """The picture as part of the page: no head of its own, ink and grid in the page's colours, a
    name for those who do not see it."""
    text = svg[svg.index("<svg") :]
    text = text.replace(INK, "var(--ink)").replace(GRID, "var(--grid)")
    text = text.replace(f"fill: {PAPER}", "fill: none", 1)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    name = html.escape(title, quote=True)
    return text.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def _id(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower())
