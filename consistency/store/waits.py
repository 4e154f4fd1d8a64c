"""What callers of a store wait for: their update on disk, at other hosts, or news of any kind.

The law of this file: everything ends by its deadline, for the price of a comparison; one future for
each waiting call, resolved in the order in which the updates were made. Deadlines are looked at by
the host's one coarse sweep, and only when the earliest of them has passed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from quorate.core.clock import Clock
from quorate.core.errors import OutcomeUnknown, QuorateError
from quorate.core.group.deadlines import Deadlines

MakeFuture = Callable[[], "asyncio.Future[Any]"]
NEVER = float("inf")


class _Waiting(NamedTuple):
    seq: int
    future: asyncio.Future[None]
    until: float


class DurableQueue:
    """Own updates that wait for the disk, in order. `on_durable(seq)` ends those up to `seq`."""

    def __init__(self, make_future: MakeFuture, clock: Clock, deadlines: Deadlines) -> None:
        self._make_future = make_future
        self._clock = clock
        self._deadlines = deadlines
        self._queue: deque[_Waiting] = deque()
        self._earliest = NEVER
        self._ended: QuorateError | None = None
        self._late = 0
        deadlines.watch(self)

    def wait(self, seq: int, until: float) -> asyncio.Future[None]:
        """Resolved when own updates up to `seq` are on disk; `OutcomeUnknown` after `until`
        (monotonic seconds)."""
        future = self._make_future()
        if self._ended is not None:
            future.set_exception(OutcomeUnknown(str(self._ended)))
            return future
        if not self._queue:
            self._deadlines.wake()
        self._queue.append(_Waiting(seq, future, until))
        if until < self._earliest:
            self._earliest = until
        return future

    def on_durable(self, seq: int) -> None:
        queue = self._queue
        while queue and queue[0].seq <= seq:
            future = queue.popleft().future
            if not future.done():
                future.set_result(None)
        if not queue:
            self._earliest = NEVER

    def on_sweep(self, now: float) -> bool:
        if now >= self._earliest:
            self._end_late(now)
        return bool(self._queue)

    def _end_late(self, now: float) -> None:
        keep: deque[_Waiting] = deque()
        for waiting in self._queue:
            if waiting.until > now and not waiting.future.done():
                keep.append(waiting)
            elif not waiting.future.done():
                self._late += 1
                waiting.future.set_exception(
                    OutcomeUnknown(
                        "the deadline passed while the update waited for this host's disk: it is "
                        "in memory and may become durable"
                    )
                )
        self._queue = keep
        self._earliest = min((waiting.until for waiting in keep), default=NEVER)

    def end(self, error: QuorateError) -> None:
        """The host stops: whoever waits does not know whether the disk has it."""
        self._ended = error
        for waiting in self._queue:
            if not waiting.future.done():
                waiting.future.set_exception(OutcomeUnknown(f"the update may be durable: {error}"))
        self._queue.clear()

    def statistics(self) -> dict[str, object]:
        return {"waiting": len(self._queue), "late_total": self._late}


class _Holding(NamedTuple):
    seq: int
    enough: Callable[[], bool]
    future: asyncio.Future[bool]
    until: float


class HeldQueue:
    """Own updates that wait for other hosts' disks. `on_held(upto)`: some host has those up to
    `upto`."""

    def __init__(self, make_future: MakeFuture, clock: Clock, deadlines: Deadlines) -> None:
        self._make_future = make_future
        self._clock = clock
        self._deadlines = deadlines
        self._queue: deque[_Holding] = deque()
        deadlines.watch(self)

    def wait(self, seq: int, enough: Callable[[], bool], until: float) -> asyncio.Future[bool]:
        """Resolved with True once `enough()` holds, with False after `until` (monotonic seconds).
        Calls come in the order of their updates."""
        future = self._make_future()
        if not self._queue:
            self._deadlines.wake()
        self._queue.append(_Holding(seq, enough, future, until))
        return future

    def on_held(self, upto: int) -> None:
        queue = self._queue
        unfinished: list[_Holding] = []
        while queue and queue[0].seq <= upto:
            waiting = queue.popleft()
            if waiting.future.done():
                continue
            if waiting.enough():
                waiting.future.set_result(True)
            else:
                unfinished.append(waiting)
        queue.extendleft(reversed(unfinished))

    def on_sweep(self, now: float) -> bool:
        queue = self._queue
        if any(waiting.until <= now for waiting in queue):
            for waiting in queue:
                if waiting.until <= now and not waiting.future.done():
                    waiting.future.set_result(waiting.enough())
            self._queue = deque(waiting for waiting in queue if not waiting.future.done())
        return bool(self._queue)

    def end(self) -> None:
        """The host stops: whoever waits is told what is known now."""
        for waiting in self._queue:
            if not waiting.future.done():
                waiting.future.set_result(waiting.enough())
        self._queue.clear()

    def statistics(self) -> dict[str, object]:
        return {"waiting": len(self._queue)}


class _Look:
    """One waiter for news."""

    __slots__ = ("bucket", "future", "until")

    def __init__(self, future: asyncio.Future[None], until: float) -> None:
        self.future = future
        self.until = until
        self.bucket: dict[Any, None] | None = None

    def on_deadline(self, now: float) -> None:
        if not self.future.done():
            self.future.set_result(None)


class News:
    """Something moved: wakes everybody who then looks for himself. No payload, no queue."""

    def __init__(self, make_future: MakeFuture, clock: Clock, deadlines: Deadlines) -> None:
        self._make_future = make_future
        self._clock = clock
        self._deadlines = deadlines
        self._waiters: dict[_Look, None] = {}
        self._stopped = False

    def notify(self) -> None:
        """Free of cost while nobody waits."""
        if self._waiters:
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                if not waiter.future.done():
                    waiter.future.set_result(None)

    async def wait(self, until: float) -> bool:
        """Return at the next news (True), or after `until` or when stopped (False)."""
        if self._stopped or self._clock.monotonic() >= until:
            return False
        look = _Look(self._make_future(), until)
        self._waiters[look] = None
        if until != NEVER:
            look.bucket = self._deadlines.add(until, look)
        try:
            await look.future
        finally:
            self._waiters.pop(look, None)
            if look.bucket is not None:
                look.bucket.pop(look, None)
        return not self._stopped and self._clock.monotonic() < until

    async def until(self, look: Callable[[], bool], until: float) -> bool:
        """Wait until `look()` holds: True; False after the deadline `until`."""
        while not look():
            if not await self.wait(until):
                return look()
        return True

    def stop(self) -> None:
        """Wake everybody for the last time."""
        self._stopped = True
        self.notify()

    def statistics(self) -> dict[str, object]:
        return {"waiting": len(self._waiters)}
