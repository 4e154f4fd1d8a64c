"""What a run tells while it goes on.

The law of this file: it counts and words; it decides nothing. `say` is handed in.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

Say = Callable[[str], None]
WINDOW_S = 2.0


def quiet(_: str) -> None:
    """Say nothing."""


class Progress:
    """Counts events and words a line about them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._acknowledged: deque[float] = deque()
        self._running: Counter[str] = Counter()
        self._where: dict[str, str] = {}
        self.phase = "starting"
        self.until: float | None = None
        self.violations = 0
        self.outcomes: Counter[str] = Counter()

    def enter(self, phase: str, seconds: float | None = None) -> None:
        """A new part of the run, that takes `seconds`."""
        self.phase = phase
        self.until = None if seconds is None else self._now() + seconds

    def on_event(self, type_: str) -> None:
        self.outcomes[type_] += 1
        if type_ == "ok":
            self._acknowledged.append(self._now())

    def on_fault(self, event: dict[str, Any]) -> None:
        name = str(event.get("name"))
        if event.get("phase") == "begin":
            self._running[name] += 1
            self._where[name] = " ".join(map(str, event.get("hosts") or ()))
        elif self._running[name]:
            self._running[name] -= 1

    def per_s(self) -> float:
        """Acknowledged operations per second, just now."""
        since = self._now() - WINDOW_S
        while self._acknowledged and self._acknowledged[0] < since:
            self._acknowledged.popleft()
        return len(self._acknowledged) / WINDOW_S

    def faults(self) -> str:
        running = [name for name, count in self._running.items() if count]
        named = [f"{name} {self._where.get(name, '')}".strip() for name in running]
        return ", ".join(named) or "none"

    def line(self) -> str:
        left = "" if self.until is None else f" {max(0.0, self.until - self._now()):4.0f} s left"
        return (
            f"{self.phase:<8}{left:>12}  {self.per_s():5.0f} op/s  "
            f"fault: {self.faults():<28}  violations so far: {self.violations}"
        )
