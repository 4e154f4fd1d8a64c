"""A body of code that is cancelled when what it stands on is lost; like `asyncio.timeout`.

The law of this file: the task that runs the body is cancelled once, and that cancellation (and no
other) leaves the block as the given error. A cancellation from outside stays a cancellation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from quorate.core.errors import QuorateError


class CancelScope:
    """Enter it in a task, `trip` it from anywhere on the same loop, leave it."""

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._cancelling_before = 0
        self._make_error: Callable[[], QuorateError] | None = None

    @property
    def tripped(self) -> bool:
        return self._make_error is not None

    def enter(self) -> None:
        """Raises RuntimeError outside of a task: there would be nothing to cancel."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a lock or a campaign is held by a task; run this inside one")
        self._task = task
        self._cancelling_before = task.cancelling()
        if self._make_error is not None:
            task.cancel()

    def trip(self, make_error: Callable[[], QuorateError]) -> None:
        """Cancel the body; leaving the block then raises the error."""
        if self._make_error is not None:
            return
        self._make_error = make_error
        if self._task is not None:
            self._task.cancel()

    async def leave(self, raised: type[BaseException] | None) -> QuorateError | None:
        """Call first at the exit, with the exception type of the body; returns the error to raise
        instead.

        Raises CancelledError when the task was cancelled from outside while the body ended.
        """
        task, self._task = self._task, None
        if self._make_error is None or task is None:
            return None
        ended_by_cancel = raised is not None and issubclass(raised, asyncio.CancelledError)
        swallowed = False
        if not ended_by_cancel:
            try:  # the body ended before the cancellation reached it: let it arrive here
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                swallowed = True
        outside = task.uncancel() > self._cancelling_before
        if outside and swallowed:
            raise asyncio.CancelledError
        if outside or (raised is not None and not ended_by_cancel):
            return None
        return self._make_error()
