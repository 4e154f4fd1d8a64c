"""An event loop in virtual time, and its clock: waiting costs nothing.

The law of this file: time moves only when nothing is ready, and then to the next timer; when there
is none, somebody waits for ever, and that is an error instead of a hang. For tests and for counting
what work costs; nothing of a running host uses it.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

STARTS_AT_S = 1000.0
EPOCH_S = 1_700_000_000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing is ready. Raises AssertionError out of `run_*` when
    everything waits and no timer is set."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_now = STARTS_AT_S
        selector = cast(Any, self)._selector
        real_select = selector.select

        def select(timeout: float | None) -> Any:
            if timeout is None:
                raise AssertionError("everything waits and no timer is set: a call would hang")
            self._virtual_now += max(0.0, timeout)
            return real_select(0)

        selector.select = select

    def time(self) -> float:
        return self._virtual_now


class LoopClock:
    """A `Clock` on the loop's own virtual time, in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return EPOCH_S + self._loop.time()
