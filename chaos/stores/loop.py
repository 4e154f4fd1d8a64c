"""An event loop of one simulated process: the product's coroutines run on it in virtual time.

The law: every callback is an event of the world's queue, in the order in which it was planned; the
loop dies with its process, and what was waiting then waits for ever. Nothing here reads a clock or
opens anything: it is asyncio's interface over `Life`.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable
from contextvars import Context
from typing import Any

from quorate.chaos.stores.lives import StoreLife

Act = Callable[..., object]


class LifeLoop(asyncio.AbstractEventLoop):
    """What futures and tasks need of a loop, and no more. `on_error(text)` is told of an exception
    that nobody caught."""

    def __init__(self, life: StoreLife, on_error: Callable[[str], object]) -> None:
        self._life = life
        self._on_error = on_error
        life.around = self.run

    def run(self, act: Callable[[], object]) -> None:
        """Run `act` as a callback of this loop."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            act()
        except Exception as error:
            self._on_error(f"a callback raised {type(error).__name__}: {error} ({where(error)})")
        finally:
            events._set_running_loop(before)

    # --- what futures and tasks call --------------------------------------------------------------

    def time(self) -> float:
        return self._life.monotonic()

    def call_soon(
        self, callback: Act, *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._life.call_soon(lambda: self._run_handle(handle))
        return handle

    def call_later(
        self, delay: float, callback: Act, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Act, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._life.call_later(max(0.0, when - self.time()), lambda: self._run_handle(handle))
        return handle

    def _run_handle(self, handle: asyncio.Handle) -> None:
        if not handle.cancelled():
            handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        return

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **kwargs: Any) -> Any:
        return asyncio.Task(coro, loop=self, name=kwargs.get("name"))

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._life.over

    def is_closed(self) -> bool:
        return self._life.over

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._life.over and error is not None:
            self._on_error(f"nobody caught {type(error).__name__}: {error} ({where(error)})")


def where(error: BaseException) -> str:
    """File and line of the innermost frame."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "nowhere"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
