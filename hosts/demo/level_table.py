"""The tables of the scene of the levels on a terminal. Imports rich."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

BAD = ("Error", "NoQuorum", "Partitioned", "StaleReplica", "NoLeader", "Timeout")


def draw(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one table; what was refused is yellow."""
    table = Table(title=title or None)
    for column in head:
        table.add_column(column, overflow="fold")
    for first, *rest in rows:
        refused = [any(cell.startswith(word) for word in BAD) for cell in rest]
        cells = [
            Text(cell, style="yellow" if bad else "")
            for cell, bad in zip(rest, refused, strict=True)
        ]
        table.add_row(Text(first, style="bold"), *cells)
    Console().print(table)
