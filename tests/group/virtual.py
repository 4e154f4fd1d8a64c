"""An event loop in virtual time: sleeps cost nothing, a deadlock is an error instead of a hang."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_now = 1000.0
        selector: Any = self._selector  # type: ignore[attr-defined]
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
    """The loop's own virtual time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.time()

    def wall(self) -> float:
        return 1_700_000_000 + self._loop.time()


def run_virtual(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time; tasks that are left over are an error."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(story)
        left = [task for task in asyncio.all_tasks(loop) if not task.done()]
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        assert not left, f"tasks left over: {left}"
        return result
    finally:
        loop.close()
