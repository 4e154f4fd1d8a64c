"""What a person sees of the scene of the levels: lines as it goes, and tables side by side.

The law of this file: it only shows. Tables are drawn by rich on a terminal and as plain text
elsewhere; what is shown is the same.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from quorate.hosts.demo.level_record import Kept, find

Row = Sequence[str]
SIDES = ("majority", "minority")
VALUE_CHARACTERS_MAX = 40


def tables(scene: dict[str, Any]) -> list[tuple[str, Row, list[Row]]]:
    """(title, head, rows) of all tables."""
    head = {
        side: f"{side} ({', '.join(host for host, s in scene['sides'].items() if s == side)})"
        for side in SIDES
    }
    writes, reads, heal = scene["writes"], scene["reads"], scene["heal"]
    levels = list(dict.fromkeys(row["level"] for row in writes))
    read_levels = list(dict.fromkeys(row["level"] for row in reads))
    found = [
        ("written during the cut at", (head["majority"], head["minority"]), levels, writes, wrote),
        ("then read at", (head["majority"], head["minority"]), read_levels, reads, read),
    ]
    made: list[tuple[str, Row, list[Row]]] = [
        (
            "",
            (title, *sides),
            [(level, *(say(find(rows, level, side)) for side in SIDES)) for level in names],
        )
        for title, sides, names, rows, say in found
    ]
    hosts = list(heal["local"])
    after: list[Row] = [
        ("local", *(str(heal["local"][host]) for host in hosts)),
        ("likes (crdt)", *(str(heal["likes"][host]) for host in hosts)),
        ("linearizable", *(str(heal["linearizable"][host]) for host in hosts)),
        (
            "linearizable, promoted",
            *(str(scene["promoted"]["linearizable"][host]) for host in hosts),
        ),
    ]
    made.append(("", ("after the heal, read", *hosts), after))
    made.append(("", ("diverged", "seen at", "resolved", "winner", "lost"), diverged(heal)))
    return made


def wrote(row: dict[str, Any]) -> str:
    """One write in a cell."""
    if not row:
        return ""
    took = f"{row['took_ms']:.0f} ms"
    if not row["ok"]:
        return f"{row['error']} after {took}: {row['outcome']}"
    where = f"on {', '.join(row['replicas'])}"
    if row["term"] is not None:
        return f"{row['achieved']}, term {row['term']} index {row['index']}, {where}, {took}"
    return f"{row['achieved']}, {'durable' if row['durable'] else 'in memory'} {where}, {took}"


def read(row: dict[str, Any]) -> str:
    """One read in a cell."""
    if not row:
        return ""
    return repr(row["value"]) if row["ok"] else f"{row['error']} after {row['took_ms']:.0f} ms"


def diverged(heal: dict[str, Any]) -> list[Row]:
    """The keys of the reports, each with the hosts that saw it."""
    seen: dict[tuple[str, ...], list[str]] = {}
    for host, report in heal["reports"].items():
        for found in report["diverged"]:
            winner = found["winner"]
            row = (
                f"{found['store']}/{found['key']}",
                f"{found['resolver']}, {found['reason']}",
                "all are merged" if winner is None else version(winner),
                "; ".join(version(loser) for loser in found["losers"]) or "nothing",
            )
            seen.setdefault(row, []).append(host)
    return [(key, ", ".join(hosts), *rest) for (key, *rest), hosts in seen.items()]


def version(found: dict[str, Any]) -> str:
    return f"{str(found['value'])[:VALUE_CHARACTERS_MAX]!r} by {found['host']}"


class LevelView:
    """Shows the scene; `silent`: nothing."""

    def __init__(self, *, silent: bool, plain: bool) -> None:
        self._silent = silent
        self._plain = plain or not sys.stdout.isatty()
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        if not self._silent:
            print(f"{time.monotonic() - self._began:6.2f} s  {text}", flush=True)

    def show(self, scene: dict[str, Any], verdicts: list[Kept]) -> None:
        """All tables and every promise."""
        if self._silent:
            return
        for title, head, rows in tables(scene):
            print()
            if not self._drawn(title, head, rows):
                print("\n".join(plain_table(head, rows)))
        print()
        for promise, held in verdicts:
            print(f"{'kept' if held else 'BROKEN':>12}  {promise}")

    def _drawn(self, title: str, head: Row, rows: list[Row]) -> bool:
        """Whether rich drew it."""
        if self._plain:
            return False
        try:
            from quorate.hosts.demo.level_table import draw
        except ImportError:
            return False
        draw(title, head, rows)
        return True


def plain_table(head: Row, rows: list[Row]) -> list[str]:
    """Aligned columns."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in lines
    ]
