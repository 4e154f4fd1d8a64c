"""How an agent is, judged by looks at it, and what is to be done. Pure.

The law of this file: one look is no finding; what is wrong must be seen again, and what was found
is over only when it is clearly better. A look that itself came late judges nobody: then this host
is what is starved (Lifeguard: a starved member suspects itself first).

    finding           seen                                              remedy
    high_memory       uses 90 % of what it may, until below 80 %        clean_up, then restart
    high_cpu          half of the loop's time, and others wait for it   throttle
    unresponsive      a turn that does not end though interrupted,      restart
                      or a mailbox that does not move
    corrupted_state   its state cannot be read, or says so itself       restore
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Finding = Literal["high_memory", "high_cpu", "unresponsive", "corrupted_state"]
Remedy = Literal["clean_up", "throttle", "restart", "restore"]

MEMORY_HIGH_RATIO: Final = 0.9
MEMORY_FINE_RATIO: Final = 0.8
CLEAN_AGAIN_S: Final = 30.0
CLEANUPS_MAX: Final = 3
"""So many that did not help, and it still uses more than it may: then it is started anew."""

CPU_HIGH_RATIO: Final = 0.5
CPU_FINE_RATIO: Final = 0.25
LAG_HIGH_S: Final = 0.05
"""Others wait so long for the loop: an agent that uses an idle host's time harms nobody."""
CPU_LOOKS: Final = 3
THROTTLE_FIRST_S: Final = 0.02
THROTTLE_LONGEST_S: Final = 1.0

TURN_GRACE_S: Final = 5.0
"""A turn was interrupted at its limit and has so long to end."""
STUCK_LOOKS: Final = 10


class Look(NamedTuple):
    """What is seen of one agent."""

    at: float
    """Monotonic."""
    late: bool
    """The look came much later than planned."""
    lag_s: float
    """How long others waited for the loop, at worst, since the last look."""
    turns: int
    """Ended so far."""
    queued: int
    """Messages that wait."""
    running_s: float
    """How long its turn runs; 0: none does."""
    turn_limit_s: float | None
    may_run: bool
    """Nothing keeps turns from beginning."""
    busy_ratio: float
    """Of the loop's time, measured."""
    used_bytes: int
    allowed_bytes: int | None
    corrupt: str
    """Why its state is known to be corrupted; empty if it is not."""


class Order(NamedTuple):
    """What is to be done."""

    finding: Finding
    remedy: Remedy
    text: str
    throttle_s: float = 0.0
    """The least time between two turns from now on."""


class Track:
    """What earlier looks at one agent saw."""

    __slots__ = (
        "cleaned_at",
        "cleanups",
        "cpu_fine",
        "cpu_high",
        "memory_high",
        "overdue",
        "stuck",
        "throttle_s",
        "turns",
    )

    def __init__(self) -> None:
        self.memory_high = False
        self.cleaned_at = 0.0
        self.cleanups = 0
        self.cpu_high = 0
        """Looks in a row."""
        self.cpu_fine = 0
        self.throttle_s = 0.0
        self.turns = -1
        self.stuck = 0
        self.overdue = 0

    @property
    def findings(self) -> list[Finding]:
        """What is wrong now."""
        found: list[Finding] = []
        if self.memory_high:
            found.append("high_memory")
        if self.throttle_s:
            found.append("high_cpu")
        if self.stuck >= STUCK_LOOKS or self.overdue > 1:
            found.append("unresponsive")
        return found


def judge(track: Track, look: Look) -> list[Order]:
    """What one more look leads to. It is the one thing that changes `track`."""
    if look.corrupt:
        return [Order("corrupted_state", "restore", look.corrupt)]
    orders: list[Order | None] = [_memory(track, look)]
    if look.late:
        track.stuck = track.overdue = track.cpu_high = 0
        track.turns = look.turns
    else:
        orders += [_cpu(track, look), _responding(track, look)]
    return [order for order in orders if order is not None]


def _memory(track: Track, look: Look) -> Order | None:
    allowed = look.allowed_bytes
    if not allowed or look.used_bytes < MEMORY_FINE_RATIO * allowed:
        track.memory_high = False
        track.cleanups = 0
        return None
    if look.used_bytes < MEMORY_HIGH_RATIO * allowed:
        return None
    text = f"it uses {look.used_bytes} of {allowed} bytes"
    if track.memory_high and look.at - track.cleaned_at < CLEAN_AGAIN_S:
        return None
    track.memory_high = True
    track.cleaned_at = look.at
    if track.cleanups >= CLEANUPS_MAX and look.used_bytes > allowed:
        track.cleanups = 0
        return Order(
            "high_memory", "restart", f"{text}, and {CLEANUPS_MAX} calls of on_cleanup freed none"
        )
    track.cleanups += 1
    return Order("high_memory", "clean_up", text)


def _cpu(track: Track, look: Look) -> Order | None:
    if look.busy_ratio >= CPU_HIGH_RATIO and look.lag_s >= LAG_HIGH_S:
        track.cpu_high += 1
        track.cpu_fine = 0
    elif look.busy_ratio < CPU_FINE_RATIO:
        track.cpu_fine += 1
        track.cpu_high = 0
    else:
        track.cpu_high = track.cpu_fine = 0
    before = track.throttle_s
    if track.cpu_high >= CPU_LOOKS and before < THROTTLE_LONGEST_S:
        track.cpu_high = 0
        track.throttle_s = min(THROTTLE_LONGEST_S, max(THROTTLE_FIRST_S, 2 * before))
    elif before and track.cpu_fine >= CPU_LOOKS:
        track.cpu_fine = 0
        track.throttle_s = before / 2 if before / 2 >= THROTTLE_FIRST_S else 0.0
    else:
        return None
    text = f"it uses {look.busy_ratio:.0%} of the loop, others wait up to {look.lag_s:.3f} s"
    return Order("high_cpu", "throttle", text, track.throttle_s)


def _responding(track: Track, look: Look) -> Order | None:
    limit_s = look.turn_limit_s
    if limit_s is not None and look.running_s > limit_s + TURN_GRACE_S:
        track.overdue += 1
    else:
        track.overdue = 0
    moved = look.turns != track.turns or look.running_s or not look.queued or not look.may_run
    track.stuck = 0 if moved else track.stuck + 1
    track.turns = look.turns
    if track.overdue > 1:
        track.overdue = 0
        return Order(
            "unresponsive",
            "restart",
            f"a turn runs for {look.running_s:.1f} s and does not end, though it was interrupted",
        )
    if track.stuck >= STUCK_LOOKS:
        track.stuck = 0
        return Order("unresponsive", "restart", f"{look.queued} messages wait, and no turn begins")
    return None
