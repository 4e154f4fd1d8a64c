"""Time and chance are handed in, never fetched.

This file is the only place that reads the machine's clocks or seeds a generator. Everything that
decides takes a `Clock` and a `random.Random`, so that a whole host can run in virtual time and
replay from a seed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Reads time. Both readings are in seconds."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since the Unix epoch; may jump either way. Never decides anything about
        safety."""
        ...


class Timer(Protocol):
    """A planned call that can be taken back."""

    def cancel(self) -> object: ...


class Scheduler(Protocol):
    """Plans calls on the one thread that owns the host: an event loop, or a simulator's queue."""

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Run `callback` soon, after what runs now. Only from the owning thread."""
        ...

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Timer:
        """Run `callback` after `delay_s` seconds."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


def fresh_random() -> random.Random:
    """A generator seeded by the operating system, for real hosts."""
    return random.Random(int.from_bytes(os.urandom(16), "big"))
