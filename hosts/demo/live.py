"""The live view of the demonstration: a table that redraws itself. The only importer of rich
here."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from quorate.hosts.demo.arena import Arena
from quorate.hosts.demo.view import FRAME_S, LABELS, Throughput, row

STORY_LINES_MAX = 12
STYLES = {"up": "green", "killed": "bold red", "starting": "yellow"}
COLUMNS = ("HOST", "STATE", "ROLE", "TERM", "APPLIED", "LAG", "WRITES/S")


class LiveView:
    """Members, leader and throughput above the story so far."""

    def __init__(self) -> None:
        self._console = Console()
        self._began = time.monotonic()
        self._story: list[str] = []
        self._throughput = Throughput()
        self._arena: Arena | None = None
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()

    def say(self, text: str) -> None:
        self._story.append(f"{time.monotonic() - self._began:6.2f} s  {text}")
        self._draw()

    async def follow(self, arena: Arena) -> None:
        self._arena = arena
        while True:
            self._throughput.sample(time.monotonic(), arena.ledger.acked_count)
            self._draw()
            await asyncio.sleep(FRAME_S)

    def figures(self, figures: dict[str, Any]) -> None:
        held = figures["lost"] == 0 and figures["duplicated"] == 0
        style = "bold green" if held else "bold red"
        rows = Table.grid(padding=(0, 2))
        for name, value in figures.items():
            mark = style if name in ("lost", "duplicated") else ""
            rows.add_row(Text(str(value), style=mark, justify="right"), LABELS[name])
        self.close()
        title = "nothing lost, nothing twice" if held else "a promise was broken"
        self._console.print(Panel(rows, title=title, border_style=style, expand=False))

    def close(self) -> None:
        if self._live.is_started:
            self._draw()
            self._live.stop()

    def _draw(self) -> None:
        parts: list[Any] = []
        if self._arena is not None:
            parts = [self._table(self._arena), Text(self._throughput.line(), style="cyan")]
        self._live.update(
            Group(*parts, *(Text(line) for line in self._story[-STORY_LINES_MAX:])), refresh=True
        )

    def _table(self, arena: Arena) -> Table:
        table = Table(title=f"quorate demo: {arena.ledger.acked_count} acknowledged writes")
        for column in COLUMNS:
            table.add_column(column, justify="left" if column in COLUMNS[:3] else "right")
        now = time.monotonic()
        for view in arena.views.values():
            cells = row(view, arena.leader, arena.committed, now)
            style = "bold" if view.host_id == arena.leader else STYLES.get(view.state, "")
            table.add_row(*cells, style=style)
        return table
