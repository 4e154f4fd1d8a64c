"""Tables of plain text, and numbers as people read them. Pure.

The law of this file: it lays out what it is given; a missing figure is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

Row = Sequence[str]


def table(head: Row, rows: Iterable[Row]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    body = [list(row) for row in rows]
    widths = [max(len(row[n]) for row in [list(head), *body]) for n in range(len(head))]

    def line(row: Row) -> str:
        cells = [
            row[0].ljust(widths[0]),
            *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
        ]
        return "  ".join(cells).rstrip()

    return [line(head), "  ".join("-" * width for width in widths), *map(line, body)]


def number(value: float | None, digits: int = 0) -> str:
    """A number for people; a dash for none."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.{digits}f}"


def small(value: float) -> str:
    """Three significant digits, for milliseconds and the like."""
    if math.isnan(value):
        return "-"
    return number(value, 2 if value < 10 else 1 if value < 100 else 0)
