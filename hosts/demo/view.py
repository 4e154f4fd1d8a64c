"""What a person sees of the demonstration: a live table on a terminal, plain lines elsewhere,
nothing for --json.

The law of this file: it only shows. It changes nothing, measures nothing, and works without rich.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from typing import Any, Literal, Protocol

from quorate.hosts.demo.arena import Arena, View

FRAME_S = 0.125
SPARKS = 60
BARS = " ▁▂▃▄▅▆▇█"
LABELS = {
    "acked": "acknowledged writes",
    "lost": "lost",
    "duplicated": "applied twice",
    "failover_ms": "failover, kill to first acknowledged write (ms)",
    "writes_per_s": "acknowledged writes per second before the kill",
    "catch_up_ms": "restart to caught up (ms)",
    "unknown": "outcome unknown (never counted as written)",
    "checked": "comparisons over three copies",
}


class Audience(Protocol):
    """Who watches."""

    def say(self, text: str) -> None: ...
    async def follow(self, arena: Arena) -> None: ...
    def figures(self, figures: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


def audience(kind: Literal["auto", "plain", "none"]) -> Audience:
    """The live view on a terminal with rich, else lines; nobody for `none`."""
    if kind == "none":
        return Nobody()
    if kind == "plain" or not sys.stdout.isatty():
        return Lines()
    try:
        from quorate.hosts.demo.live import LiveView
    except ImportError:
        return Lines()
    return LiveView()


class Nobody:
    """Sees nothing."""

    def say(self, text: str) -> None: ...
    async def follow(self, arena: Arena) -> None: ...
    def figures(self, figures: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


class Lines:
    """One line per event, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.2f} s  {text}", flush=True)

    async def follow(self, arena: Arena) -> None: ...

    def figures(self, figures: dict[str, Any]) -> None:
        for name, value in figures.items():
            print(f"{value:>12}  {LABELS[name]}")

    def close(self) -> None: ...


class Throughput:
    """Acknowledged writes per second over time, for a sparkline."""

    def __init__(self, samples_max: int = SPARKS) -> None:
        self.samples: deque[float] = deque(maxlen=samples_max)
        self._last: tuple[float, int] | None = None

    def sample(self, now: float, acked: int) -> None:
        if self._last is not None and now > self._last[0]:
            self.samples.append((acked - self._last[1]) / (now - self._last[0]))
        self._last = (now, acked)

    def line(self) -> str:
        top = max(self.samples, default=0.0)
        if top <= 0:
            return ""
        last = len(BARS) - 1
        return "".join(BARS[min(last, round(one / top * last))] for one in self.samples)


def row(view: View, leader: str | None, committed: int, now: float) -> tuple[str, ...]:
    """One host as cells: id, state, role, term, applied, lag, writes per second."""
    status = view.status if view.state == "up" else {}
    applied = status.get("applied_index")
    return (
        view.host_id,
        view.state,
        "leader" if view.host_id == leader else str(status.get("role", "")),
        str(status.get("term", "")),
        "" if applied is None else str(applied),
        "" if applied is None else str(max(0, committed - applied)),
        f"{view.rate(now):.0f}" if view.state == "up" else "",
    )
