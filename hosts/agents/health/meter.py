"""How much of the loop's time a coroutine uses, and not how long it takes.

The law of this file: time counts while the coroutine itself runs, and not while it waits. It costs
a little at every step, so it is done for agents that may use much.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Meter:
    """Of one agent. `used_s` only grows."""

    __slots__ = ("_now", "used_s")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.used_s = 0.0

    @types.coroutine
    def drive(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """`await meter.drive(work)` is `await work`, measured."""
        now = self._now
        sent: Any = None
        raised: BaseException | None = None
        while True:
            began = now()
            try:
                if raised is None:
                    wanted = work.send(sent)
                else:
                    error, raised = raised, None
                    wanted = work.throw(error)
            except StopIteration as end:
                return end.value
            finally:
                self.used_s += now() - began
            try:
                sent = yield wanted
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                raised = error
