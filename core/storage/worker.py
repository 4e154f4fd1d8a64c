"""Slow file work off the owning thread.

The law of this file: a job runs on one worker thread, its outcome is handed back through `post`;
nothing else crosses.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from quorate.core.errors import InvariantBroken

T = TypeVar("T")
Post = Callable[[Callable[[], object]], object]


class Worker:
    """One thread, started at the first job. Jobs run one after another."""

    def __init__(self, post: Post, name: str) -> None:
        self._post = post
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed = False

    def run(
        self, job: Callable[[], T], done: Callable[[T | None, Exception | None], object]
    ) -> None:
        """`done(result, None)` or `done(None, error)` on the owning thread."""
        if self._closed:
            raise InvariantBroken("a job was given to a worker that is closed")
        if self._thread is None:
            self._thread = Thread(target=self._loop, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(partial(self._one, job, done))

    def close(self) -> None:
        """Waits for what was given. Twice is no error."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _one(
        self, job: Callable[[], T], done: Callable[[T | None, Exception | None], object]
    ) -> None:
        try:
            outcome = partial(done, job(), None)
        except Exception as error:
            outcome = partial(done, None, error)
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._post(outcome)
