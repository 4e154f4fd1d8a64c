"""Virtual time: one queue of events, and for every host a clock and a scheduler on it.

The law: nothing happens but by an event of this queue; events of one instant run in the order in
which they were planned. A host's clock may run fast or slow; a paused host does nothing until it is
resumed; what a dead host planned never runs. No time or chance of the machine is read here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

Act = Callable[[], object]

TURN_COST_S = 20e-6
"""What `call_soon` costs: a host that wakes itself for ever uses up virtual time as well."""


class Event:
    """A planned call; the timer that a scheduler gives."""

    __slots__ = ("act",)

    def __init__(self, act: Act) -> None:
        self.act: Act | None = act

    def cancel(self) -> None:
        self.act = None


class EventQueue:
    """The time of the world, in seconds, and what is planned in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.count = 0
        self._heap: list[tuple[float, int, Event]] = []
        self._order = 0

    def after(self, delay_s: float, act: Act) -> Event:
        """Run `act` after `delay_s` seconds."""
        event = Event(act)
        self._order += 1
        heapq.heappush(self._heap, (self.now + max(0.0, delay_s), self._order, event))
        return event

    def run_until(self, end: float, done: Callable[[], bool] | None = None) -> None:
        """Let time pass until `end`, or until `done()` holds after some event."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            at, _, event = heapq.heappop(heap)
            act = event.act
            if act is None:
                continue
            event.act = None
            self.now = at
            self.count += 1
            act()
            if done is not None and done():
                return
        self.now = max(self.now, end)

    def statistics(self) -> dict[str, object]:
        return {"now_s": self.now, "events": self.count, "planned": len(self._heap)}


class Life:
    """One life of a host's process: running, paused (SIGSTOP), or over."""

    def __init__(self, queue: EventQueue, *, clock_rate: float, clock_offset_s: float) -> None:
        self._queue = queue
        self._rate = clock_rate
        self._offset_s = clock_offset_s
        self._held: list[Act] = []
        self.over = False
        self.paused = False

    # --- the clock ------------------------------------------------------------------------------

    def monotonic(self) -> float:
        return self._offset_s + self._queue.now * self._rate

    def wall(self) -> float:
        return 1.7e9 + self.monotonic()

    # --- the scheduler --------------------------------------------------------------------------

    def call_soon(self, callback: Act) -> Event:
        return self._queue.after(TURN_COST_S, lambda: self.run(callback))

    def call_later(self, delay_s: float, callback: Act) -> Event:
        return self._queue.after(delay_s / self._rate, lambda: self.run(callback))

    def run(self, act: Act) -> None:
        """Run `act` in this process now, later if it is paused, never if it is over."""
        if self.over:
            return
        if self.paused:
            self._held.append(act)
        else:
            act()

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        """Everything that came meanwhile happens now, in its order."""
        self.paused = False
        held, self._held = self._held, []
        for act in held:
            self._queue.after(0.0, lambda act=act: self.run(act))

    def end(self) -> None:
        self.over = True
        self._held.clear()
