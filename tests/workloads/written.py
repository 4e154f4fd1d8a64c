"""Histories written by hand, in the order of their events: `ok` and `lost` for one operation after
the other, `begin` and `end` for what overlaps.
"""

from __future__ import annotations

from typing import Any

from quorate.consistency.check.history import History, Recorder


class Pen:
    """Writes operations one after the other, or overlapping with `begin` and `end`."""

    def __init__(self) -> None:
        self._now = 0
        self.recorder = Recorder(self._tick, unit="ns")

    def _tick(self) -> int:
        self._now += 1_000_000
        return self._now

    def begin(self, process: str, f: str, key: Any = None, value: Any = None, **more: Any) -> None:
        self.recorder.invoke(process, f, key, value, **more)

    def end(self, process: str, result: Any = None, **more: Any) -> None:
        self.recorder.ok(process, result, **more)

    def ok(
        self, process: str, f: str, key: Any, value: Any = None, result: Any = None, **more: Any
    ) -> None:
        self.begin(process, f, key, value, **{k: v for k, v in more.items() if k in BEFORE})
        self.end(process, result, **{k: v for k, v in more.items() if k not in BEFORE})

    def lost(self, process: str, f: str, key: Any, value: Any = None, **more: Any) -> None:
        """One of which nobody knows what came of it."""
        self.begin(process, f, key, value, **more)
        self.recorder.unknown(process, "nobody knows")

    def wait(self, seconds: float) -> None:
        self._now += int(seconds * 1e9)

    def history(self) -> History:
        return self.recorder.history()


BEFORE = ("session", "level", "host")
