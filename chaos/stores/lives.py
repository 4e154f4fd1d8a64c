"""A host's clocks: one wall clock per machine, which may be set wrong, and one life per process.

The law: the monotonic clock of a life never jumps; the wall clock belongs to the machine, outlives
its processes, and is whatever somebody set it to.
"""

from __future__ import annotations

from collections.abc import Callable

from quorate.chaos.sim.events import Act, EventQueue, Life

EPOCH_S = 1.7e9


class Hardware:
    """The clock on the board of one machine: `skew_s` beside the truth, `rate` fast."""

    def __init__(self, queue: EventQueue, *, skew_s: float, rate: float) -> None:
        self._queue = queue
        self.rate = rate
        self.skew_s = skew_s
        self._skew_of_birth_s = skew_s

    def wall(self) -> float:
        return EPOCH_S + self._queue.now * self.rate + self.skew_s

    def jump(self, seconds: float) -> None:
        """Somebody sets the clock."""
        self.skew_s += seconds

    @property
    def ahead_s(self) -> float:
        """How far ahead it was set of where it was at first."""
        return self.skew_s - self._skew_of_birth_s

    def repair(self) -> None:
        """The clock is set right again (as right as it was at first)."""
        self.skew_s = self._skew_of_birth_s


class StoreLife(Life):
    """One process on that machine."""

    def __init__(self, queue: EventQueue, hardware: Hardware, *, clock_offset_s: float) -> None:
        super().__init__(queue, clock_rate=hardware.rate, clock_offset_s=clock_offset_s)
        self._hardware = hardware
        self.around: Callable[[Act], object] = lambda act: act()
        """What every act of this process runs in: its event loop."""

    def run(self, act: Act) -> None:
        """See `Life.run`."""
        if self.over or self.paused:
            super().run(act)
        else:
            self.around(act)

    def wall(self) -> float:
        return self._hardware.wall()
