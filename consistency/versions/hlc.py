"""Stamps that agree with the clock on the wall and with cause and effect.

The law of this file: a stamp given is greater than every stamp given or observed before, a peer
whose clock is far ahead is refused and not followed, and a wall clock that jumps is followed only
slowly, unless other hosts agree with it (`agree`). A stamp is 64 bits: wall milliseconds << 16 |
counter; who made it breaks ties elsewhere.

Source: Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks" (2014). Here the
physical part is not the wall clock itself but monotonic time from the wall time at the start; once
a second it is compared with the wall and slewed towards it by at most `SLEW_MS_PER_S`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from quorate.core.clock import Clock
from quorate.core.errors import Unavailable

COUNTER_BITS: Final = 16
LOOK_INTERVAL_S: Final = 1.0
SLEW_MS_PER_S: Final = 10.0
JUMP_MIN_MS: Final = 250.0
"""A difference to the wall clock of at least this is reported as a jump."""


class ClockAhead(Unavailable):
    """A stamp is so far ahead of our clock that following it would carry the error to everybody.

    Nothing was changed. Set the clocks of the hosts right.
    """


def wall_ms(stamp: int) -> int:
    """The wall part of a stamp, in milliseconds since the Unix epoch."""
    return stamp >> COUNTER_BITS


def make(ms: int, counter: int) -> int:
    """The stamp of `ms` milliseconds and `counter` (0 .. 65535)."""
    return ms << COUNTER_BITS | counter


class HybridClock:
    """One per host. Not safe for threads."""

    __slots__ = (
        "_clock",
        "_difference_ms",
        "_drift_max_ms",
        "_jumps",
        "_last",
        "_look_at",
        "_looked_at",
        "_monotonic",
        "_offset_ms",
        "_refused",
        "walls_agree",
    )

    def __init__(self, clock: Clock, *, drift_max_ms: int = 1000) -> None:
        """`drift_max_ms`: how far ahead of ours a stamp may be before it is refused."""
        self._clock = clock
        self._monotonic = clock.monotonic
        self._drift_max_ms = drift_max_ms
        started = clock.monotonic()
        self._offset_ms = clock.wall() * 1000.0 - started * 1000.0
        self._looked_at = started
        self._look_at = started + LOOK_INTERVAL_S
        self._difference_ms = 0.0
        self._jumps = 0
        self._refused = 0
        self._last = 0
        self.walls_agree: Callable[[], bool] = lambda: False
        """Whether the wall clocks of other hosts say what this one's says."""

    def now(self, floor: int = 0) -> int:
        """A new stamp, greater than all before and than `floor`, what it must come after.

        Raises ClockAhead for a floor that `observe` would refuse: whoever follows it carries the
        error on, in a session or a record."""
        at = self._monotonic()
        if at >= self._look_at:
            self._look(at)
        last = self._last
        if floor > last:
            self.observe(floor)
            last = floor
        stamp = int(at * 1000.0 + self._offset_ms) << COUNTER_BITS
        if stamp <= last:
            stamp = last + 1  # a full counter runs over into the milliseconds: still growing
        self._last = stamp
        return stamp

    def observe(self, stamp: int) -> None:
        """Let later stamps be greater than `stamp`, which came from elsewhere.

        Raises ClockAhead, changing nothing, if it is more than `drift_max_ms` ahead of our clock;
        unless our wall clock has reached it, and those of others say the same: then ours was behind
        (all hosts started with wrong clocks that were then set right) and goes by the wall's.
        """
        if stamp <= self._last:
            return
        at = self._monotonic()
        if at >= self._look_at:
            self._look(at)
        stamp_ms, own = stamp >> COUNTER_BITS, at * 1000.0 + self._offset_ms
        ahead_ms = stamp_ms - int(own)
        if ahead_ms > self._drift_max_ms:
            wall = self._clock.wall() * 1000.0
            if stamp_ms - wall <= self._drift_max_ms and self.walls_agree():
                self._follow_wall(at, wall - own)
                self._last = stamp
                return
            self._refused += 1
            raise ClockAhead(
                f"a stamp is {ahead_ms} ms ahead of this host's clock, {self._drift_max_ms} ms is "
                "the most that is followed: set the clock of one of the two hosts right"
            )
        self._last = stamp

    def now_ms(self) -> int:
        """The time this host goes by, in milliseconds since the Unix epoch."""
        return int(self._monotonic() * 1000.0 + self._offset_ms)

    def times_ms(self) -> tuple[int, int]:
        """The time this host goes by, and what its wall clock says, as other hosts are told."""
        return self.now_ms(), int(self._clock.wall() * 1000.0)

    def agree(self, other_ms: int, other_wall_ms: int) -> bool:
        """Another host's time, or one that it has stamped, when it is far from ours: if our own
        wall clock is nearer to it, and agrees with it or with that host's wall clock, ours was
        wrong (a host that started with a wrong clock which somebody then set right), and the wall's
        is taken at once. True if it was. Going back, stamps begin again at the wall's time: what
        was stamped too far ahead is refused everywhere anyway."""
        at = self._monotonic()
        wall = self._clock.wall() * 1000.0
        own = at * 1000.0 + self._offset_ms
        drift = self._drift_max_ms
        if abs(own - other_ms) <= max(drift, abs(wall - other_ms)):
            return False
        walls_agree = abs(wall - other_wall_ms) <= drift < abs(wall - own)
        if abs(wall - other_ms) > drift and not walls_agree:
            return False
        self._follow_wall(at, wall - own)
        if wall < own:
            self._last = min(self._last, int(wall) << COUNTER_BITS)
        return True

    def _follow_wall(self, at: float, difference_ms: float) -> None:
        """Go by the wall clock's time from now on."""
        self._offset_ms += difference_ms
        self._difference_ms = 0.0
        self._looked_at, self._look_at = at, at + LOOK_INTERVAL_S

    @property
    def last(self) -> int:
        """The greatest stamp given or observed."""
        return self._last

    def problem(self) -> str | None:
        """What is wrong with the wall clock, or None: it jumped and we have not yet followed."""
        self._look(self._monotonic())
        difference = self._difference_ms
        if -JUMP_MIN_MS < difference < JUMP_MIN_MS:
            return None
        where = "ahead of" if difference > 0 else "behind"
        return (
            f"the wall clock jumped: it is {abs(difference) / 1000:.1f} s {where} the time this "
            f"host goes by, which follows it by {SLEW_MS_PER_S:.0f} ms each second"
        )

    def statistics(self) -> dict[str, float]:
        """`difference_ms` of wall and own time, `jumps` seen, stamps `refused`."""
        return {
            "difference_ms": self._difference_ms,
            "jumps": self._jumps,
            "refused": self._refused,
        }

    def _look(self, at: float) -> None:
        """Compare with the wall clock and move a little towards it; own time never goes back."""
        passed_s = at - self._looked_at
        difference = self._clock.wall() * 1000.0 - (at * 1000.0 + self._offset_ms)
        if abs(difference) >= JUMP_MIN_MS > abs(self._difference_ms):
            self._jumps += 1
        most = SLEW_MS_PER_S * passed_s
        step = max(-most, min(most, difference))
        self._offset_ms += step
        self._difference_ms = difference - step
        self._looked_at = at
        self._look_at = at + LOOK_INTERVAL_S
