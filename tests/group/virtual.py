"""Stories in virtual time: sleeps cost nothing, a deadlock is an error instead of a hang."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from quorate.bench.virtual_loop import VirtualLoop

T = TypeVar("T")


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
