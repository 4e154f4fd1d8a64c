"""What a fault cost: what each side got while it lasted, and how long until service returned.

The law of this file: calls and faults in, numbers out. What was not measured is None and never 0:
a fault that ended under another one has no recovery of its own.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from quorate.chaos.report.faults import Fault, sides, state_of
from quorate.chaos.report.figures import level_names, level_of, spread
from quorate.chaos.report.recorded import Call

RATE_BACK_PERCENT = 80
"""Pace counts as back at this share of what it was before the first fault."""
PACE_WINDOW_S = 0.5
SERVED_FAULTS_MAX = 100

# --- what each side got ---------------------------------------------------------------------------


@dataclass(slots=True)
class Served:
    """What one side got at one level while faults of one name lasted, of the calls made then."""

    fault: str
    side: tuple[str, ...]
    majority: bool
    level: str
    number: int
    """Of the first of these faults."""
    times: int = 0
    made: int = 0
    during: int = 0
    """Acknowledged before the fault ended."""
    took: list[float] = field(default_factory=list[float])
    """Of each acknowledged call, in seconds."""

    @property
    def ok(self) -> int:
        return len(self.took)

    @property
    def p99_s(self) -> float | None:
        found = spread(self.took)
        return found and found.p99


def served(
    calls: Sequence[Call], faults: Sequence[Fault], hosts: Sequence[str], end_s: float
) -> list[Served]:
    """By fault, side and level, of the first `SERVED_FAULTS_MAX` faults. The sides of a fault are
    those of all faults that ran when it began."""
    starts, names = [call.start for call in calls], level_names(calls)
    found: dict[tuple[str, tuple[str, ...], str], Served] = {}
    for fault in faults[:SERVED_FAULTS_MAX]:
        end = fault.lasts_until(end_s)
        running = [f for f in faults if f.begin <= fault.begin < f.lasts_until(end_s) or f is fault]
        links, ill = state_of(running)
        gone = {host for host, condition in ill.items() if condition in ("down", "paused")}
        side_of = {host: tuple(side) for side in sides(hosts, links, gone) for host in side}
        counted: set[int] = set()
        for call in calls[bisect_left(starts, fault.begin) : bisect_right(starts, end)]:
            side, level = side_of.get(call.host), names[level_of(call)]
            if side is None:
                continue
            one = found.get((fault.name, side, level))
            if one is None:
                most = 2 * len(side) > len(hosts) and not gone.intersection(side)
                one = Served(fault.name, side, most, level, fault.number)
                found[fault.name, side, level] = one
            if id(one) not in counted:
                counted.add(id(one))
                one.times += 1
            one.made += 1
            if call.outcome == "ok" and call.took_s is not None:
                one.took.append(call.took_s)
                one.during += (call.end or 0.0) <= end
    return sorted(
        found.values(), key=lambda one: (one.number, not one.majority, one.side, one.level)
    )


# --- how long until service returned --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a fault cost, in seconds. None: not before the next fault began or the run ended."""

    fault: Fault
    ok: int
    fail: int
    unknown: int
    """Answers while it lasted."""
    silence_s: float
    """The longest time in which somebody asked and nobody got anything acknowledged, from the begin
    of the fault until `watched_s` after its end."""
    first_s: float | None
    """After its end, until a call made after its end was acknowledged anywhere."""
    every_s: float | None
    """The same, until that was so on every host that worked before the fault."""
    pace_s: float | None
    """The same, until acknowledged calls came at 80 % of the pace before the fault."""
    watched_s: float
    """How long there was to recover in, until the next fault began or the run ended."""
    alone: bool
    """No other fault ran when it ended, and there was time to see a pace."""
    slow: tuple[str, ...] = field(default=())
    """Hosts that did not work again while watched."""


def recoveries(calls: Sequence[Call], faults: Sequence[Fault], end_s: float) -> list[Recovery]:
    """One for every fault, in their order."""
    answered = sorted(
        (call for call in calls if call.outcome == "ok" and call.end is not None),
        key=lambda call: call.end or 0.0,
    )
    ends = [call.end or 0.0 for call in answered]
    before = _pace_before(ends, faults)
    others = sorted(
        (call.end if call.end is not None else call.start, call.outcome)
        for call in calls
        if call.outcome != "ok"
    )
    wanted = asked(calls, faults, end_s)
    first_ends: dict[str, float] = {}
    for call in answered:
        first_ends.setdefault(call.host, call.end or 0.0)
    found: list[Recovery] = []
    for fault in faults:
        end = fault.lasts_until(end_s)
        until = min([f.begin for f in faults if f.begin >= end and f is not fault], default=end_s)
        busy = any(f is not fault and f.begin < end < f.lasts_until(end_s) for f in faults)
        watched = 0.0 if fault.end is None else max(0.0, until - end)
        after = answered[bisect_left(ends, end) : bisect_right(ends, until)] if watched else []
        first = _first_by_host(after, end)
        worked = {host for host, time in first_ends.items() if time <= fault.begin}
        slow = tuple(sorted(worked - set(first))) if watched else ()
        other = others[bisect_left(others, (fault.begin, "")) : bisect_right(others, (end, "~"))]
        alone = not busy and watched >= PACE_WINDOW_S
        found.append(
            Recovery(
                fault,
                bisect_right(ends, end) - bisect_left(ends, fault.begin),
                sum(outcome == "fail" for _, outcome in other),
                sum(outcome != "fail" for _, outcome in other),
                longest_silence(wanted, ends, fault.begin, until),
                min(first.values(), default=None),
                None if slow or not first else max(first.values()),
                _pace_back(ends, end, until, before) if alone else None,
                watched,
                alone,
                slow,
            )
        )
    return found


def _first_by_host(after: Iterable[Call], end: float) -> dict[str, float]:
    found: dict[str, float] = {}
    for call in after:
        if call.start >= end and call.host not in found:
            found[call.host] = (call.end or end) - end
    return found


def asked(
    calls: Iterable[Call], faults: Iterable[Fault] = (), end_s: float = 0.0
) -> list[tuple[float, float]]:
    """The times in which at least one call was in flight, or hosts were down or paused together
    with the clients that live in them; merged, in order. A call that was never answered is a
    moment: its client may be dead."""
    times = [(call.start, call.start if call.end is None else call.end) for call in calls]
    times += [
        (fault.begin, fault.lasts_until(end_s))
        for fault in faults
        if fault.condition in ("down", "paused")
    ]
    found: list[tuple[float, float]] = []
    for begin, end in sorted(times):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def longest_silence(
    wanted: Sequence[tuple[float, float]], ends: Sequence[float], begin: float, until: float
) -> float:
    """The longest time between two of the ordered `ends` within the window, counted from when
    somebody asked (`wanted`, see `asked`): when nobody wants anything, nothing is missing."""
    inside = ends[bisect_left(ends, begin) : bisect_right(ends, until)]
    stops = [stop for _, stop in wanted]
    longest = 0.0
    for a, b in pairwise([begin, *inside, until]):
        if b - a > longest:
            place = bisect_right(stops, a)
            since = max(a, wanted[place][0]) if place < len(wanted) else b
            longest = max(longest, b - since)
    return longest


def _pace_before(ends: Sequence[float], faults: Sequence[Fault]) -> float:
    """Acknowledged calls a second before the first fault, without the first half of a second."""
    begin = min((fault.begin for fault in faults), default=0.0)
    since = min(0.5, begin / 2)
    count = bisect_left(ends, begin) - bisect_left(ends, since)
    return count / (begin - since) if begin > since else 0.0


def _pace_back(ends: Sequence[float], end: float, until: float, before: float) -> float | None:
    """The first window after `end` with enough in it; the time until it began."""
    wanted = before * PACE_WINDOW_S * RATE_BACK_PERCENT / 100
    step, tries = PACE_WINDOW_S / 10, int(max(0.0, until - end) / (PACE_WINDOW_S / 10)) + 1
    for place in range(tries if before else 0):
        since = end + place * step
        if since + PACE_WINDOW_S > until + step / 2:
            break
        if bisect_left(ends, since + PACE_WINDOW_S) - bisect_left(ends, since) >= wanted:
            return place * step
    return None
