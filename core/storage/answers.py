"""How the storage thread's answers reach the owning thread: left in a queue, with a knock on the
loop.

The law of this file: an answer runs once, on the owning thread, whoever comes first for it: the
knock, a poll, or a blocking wait.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from quorate.core.errors import UsageError

Post = Callable[[Callable[[], object]], object]
"""Runs a callback soon on the owning thread; callable from any thread
(`loop.call_soon_threadsafe`).
"""


class Answers:
    """`post` may be None where nobody runs a loop: then only `wait` and `take` bring answers."""

    def __init__(self, post: Post | None) -> None:
        self._post = post
        self._left: SimpleQueue[Callable[[], object]] = SimpleQueue()

    @property
    def has_loop(self) -> bool:
        return self._post is not None

    def leave(self, answer: Callable[[], object]) -> None:
        """From any thread. A loop that is closed meanwhile no longer wants to know."""
        self._left.put(answer)
        if self._post is not None:
            with suppress(RuntimeError):
                self._post(self.take)

    def soon(self, callback: Callable[[], object]) -> None:
        """From the owning thread, to run after what runs now."""
        if self._post is None:
            raise UsageError("this store was opened without `post`: use commit_blocking()")
        self._post(callback)

    def take(self) -> bool:
        """Runs one answer if one is there."""
        try:
            answer = self._left.get_nowait()
        except Empty:
            return False
        answer()
        return True

    def wait(self, wait_s: float | None = None) -> None:
        """Runs one answer, waiting for it at most `wait_s` seconds (None: as long as it takes)."""
        try:
            answer = self._left.get(timeout=wait_s)
        except Empty:
            return
        answer()
