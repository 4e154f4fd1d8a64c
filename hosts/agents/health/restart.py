"""When an agent that broke is started anew, and when it is given up. Pure.

The law of this file: the first time at once, then later and later; so many times within a window
that slides, then no more. Times are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

DELAY_FIRST_S: Final = 0.2
DELAY_FACTOR: Final = 3
DELAY_LONGEST_S: Final = 15.0


def recent(times: Sequence[float], now: float, window_s: float) -> list[float]:
    """Restarts that still count."""
    return [at for at in times if now - at < window_s]


def delay_s(times: Sequence[float], now: float, restarts_max: int, window_s: float) -> float | None:
    """How long to wait before the next restart; None: it is given up."""
    count = len(recent(times, now, window_s))
    if count >= restarts_max:
        return None
    if not count:
        return 0.0
    return min(DELAY_LONGEST_S, DELAY_FIRST_S * DELAY_FACTOR ** (count - 1))


def trouble_s(times: int) -> float:
    """How long to wait when the world was in the way so many times in a row (at least 1)."""
    return min(DELAY_LONGEST_S, DELAY_FIRST_S * 2.0 ** min(times - 1, 16))
