"""How old what this host shows can be: measured by asking every member how far its updates go.

The law of this file: a host that was asked at T (on this host's monotonic clock) and answered with
its position has told everything it had accepted by T; once everything up to that position is here,
this host is as fresh as T with regard to it. What a folder that is lost had accepted, those answer
for who have it. No clock of another host is read, and a heartbeat
proves nothing (T38).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from quorate.consistency.replica.states import Vector

PROBES_WAITING_MAX = 64


@dataclass(slots=True)
class Member:
    """What is known of one member's updates."""

    fresh_at: float = float("-inf")
    """Everything it had accepted by then is here."""
    heads: Vector = field(default_factory=dict[int, int])
    heads_at: float = float("-inf")
    waiting: deque[tuple[float, Vector]] = field(default_factory=deque[tuple[float, Vector]])


class Freshness:
    """One per replica. `seen` is the replica's vector of what is in memory."""

    def __init__(self, seen: Vector, now: Callable[[], float]) -> None:
        self._seen = seen
        self._now = now
        self._members: dict[str, Member] = {}
        self._asked: dict[int, float] = {}
        self._next_id = 1
        self.last_probe_at = float("-inf")

    def ask(self) -> int:
        """Begin a probe of everybody: its number."""
        number, self._next_id = self._next_id, self._next_id + 1
        self._asked[number] = self.last_probe_at = self._now()
        while len(self._asked) > PROBES_WAITING_MAX:
            del self._asked[next(iter(self._asked))]
        return number

    def on_heads(self, host: str, number: int, heads: Vector) -> None:
        """A member answered probe `number` with how far its own updates go."""
        asked_at = self._asked.get(number)
        if asked_at is None:
            return
        member = self._members.setdefault(host, Member())
        if asked_at >= member.heads_at:
            member.heads, member.heads_at = heads, asked_at
        if len(member.waiting) < PROBES_WAITING_MAX:
            member.waiting.append((asked_at, heads))
        self._look(member)

    def on_seen(self) -> None:
        """More of somebody's updates is here."""
        for member in self._members.values():
            if member.waiting:
                self._look(member)

    def _look(self, member: Member) -> None:
        seen = self._seen
        done = [
            (at, heads)
            for at, heads in member.waiting
            if all(seen.get(actor, 0) >= seq for actor, seq in heads.items())
        ]
        for row in done:
            member.waiting.remove(row)
            member.fresh_at = max(member.fresh_at, row[0])

    def fresh_at(self, hosts: Iterable[str]) -> float:
        """The monotonic time T such that everything `hosts` had accepted at T is here; -inf when
        nothing is known of one of them."""
        times = [self._fresh(host) for host in hosts]
        return min(times, default=self._now())

    def _fresh(self, host: str) -> float:
        member = self._members.get(host)
        return float("-inf") if member is None else member.fresh_at

    def lag(self, hosts: Iterable[str], since: float) -> int | None:
        """How many updates of `hosts`, by positions no older than monotonic time `since`, are not
        here; None when one of them did not answer since."""
        furthest: Vector = {}
        for host in hosts:
            member = self._members.get(host)
            if member is None or member.heads_at < since:
                return None
            for actor, seq in member.heads.items():
                furthest[actor] = max(seq, furthest.get(actor, 0))
        return sum(max(0, seq - self._seen.get(actor, 0)) for actor, seq in furthest.items())

    def forget(self, host: str) -> None:
        """It is no member any more."""
        self._members.pop(host, None)
