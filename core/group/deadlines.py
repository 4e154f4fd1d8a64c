"""Every call ends by its deadline, for the price of two dictionary writes.

The law of this file: one coarse timer for all calls of a host. Deadlines are gathered into buckets
of `granularity_s`; a sweep runs once per bucket width while any call waits and not at all when
none does. A call therefore ends at most two bucket widths after its deadline, never before it.
Time comes from the handed-in clock, the timer from the scheduler."""

from __future__ import annotations

from typing import Protocol

from quorate.core.clock import Clock, Scheduler, Timer

GRANULARITY_S = 0.02


class Expirable(Protocol):
    """What can run out of time."""

    def on_deadline(self, now: float) -> None:
        """Called once, at most two granularities after the deadline, unless discarded before."""
        ...


class Watcher(Protocol):
    """What wants to be called at every sweep while calls wait (re-sending, for example)."""

    def on_sweep(self, now: float) -> bool:
        """Do what is due; return True while another sweep is wanted."""
        ...


Bucket = dict[Expirable, None]


class Deadlines:
    """Buckets of calls by deadline, swept by one timer that stops when nothing waits.

    `add` returns the bucket; whoever finishes early takes itself out with `bucket.pop(item, None)`.
    """

    def __init__(
        self, clock: Clock, scheduler: Scheduler, *, granularity_s: float = GRANULARITY_S
    ) -> None:
        self._clock = clock
        self._scheduler = scheduler
        self._granularity_s = granularity_s
        self._per_second = 1.0 / granularity_s
        self._buckets: dict[int, Bucket] = {}
        self._watchers: list[Watcher] = []
        self._timer: Timer | None = None
        self._stopped = False
        self._expired_total = 0
        self._sweeps_total = 0

    def add(self, deadline: float, item: Expirable) -> Bucket:
        """Plan `item.on_deadline` for the first sweep after `deadline` (monotonic seconds)."""
        tick = int(deadline * self._per_second) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
        bucket[item] = None
        if self._timer is None:
            self.wake()
        return bucket

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher.on_sweep` at every sweep from now on."""
        self._watchers.append(watcher)

    def wake(self) -> None:
        """Make sure that a sweep is planned."""
        if self._timer is None and not self._stopped:
            self._timer = self._scheduler.call_later(self._granularity_s, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        self._sweeps_total += 1
        now = self._clock.monotonic()
        tick_now = int(now * self._per_second)
        wanted = False
        for watcher in self._watchers:
            wanted = watcher.on_sweep(now) or wanted
        for tick in sorted(tick for tick in self._buckets if tick <= tick_now):
            bucket = self._buckets.pop(tick)
            while bucket:  # an item that ends may take itself and others out
                item = next(iter(bucket))
                del bucket[item]
                self._expired_total += 1
                item.on_deadline(now)
        if any(self._buckets.values()):
            wanted = True
        else:
            self._buckets.clear()
        if wanted:
            self.wake()

    def stop(self) -> None:
        """Plan nothing more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def statistics(self) -> dict[str, object]:
        """Counters since the start, and how many calls wait now."""
        return {
            "waiting": sum(len(bucket) for bucket in self._buckets.values()),
            "buckets": len(self._buckets),
            "expired_total": self._expired_total,
            "sweeps_total": self._sweeps_total,
            "timer_running": self._timer is not None,
        }
