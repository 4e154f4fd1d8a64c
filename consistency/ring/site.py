"""What the parts of a mover share: whose host this is, what it can reach, how it syncs with a peer.

The law of this file: it decides nothing about owners; it runs what a part asks for, and tells.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.merkle.ports import Send
from quorate.consistency.merkle.session import Report
from quorate.consistency.ring.placement import Placement
from quorate.consistency.ring.ports import Movable
from quorate.core.clock import Clock, Scheduler

REPLICAS_DEFAULT = 3
"""Asked with first, as long as no store is known."""
Parts = Callable[[int], frozenset[int]]
"""From a number of replicas to the partitions to compare."""


class MoverHooks:
    """What a mover tells its host. Override what is wanted; none of it may raise."""

    def on_ready(self, epoch: int) -> None:
        """This host has everything it gained under that ring: tell the steward."""

    def on_report(self, report: Report) -> None:
        """An exchange with a peer ended."""

    def on_problem(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class MoverConfig:
    """Intervals and limits of moving and mending."""

    anti_entropy_s: float = 10.0
    """Between two periodic exchanges, on average."""
    retry_s: float = 1.0
    """After an exchange that was not complete."""
    tick_s: float = 0.25
    """How often waiting work is looked at."""
    rescan_retry_s: float = 3.0
    dead_after_s: float = 60.0
    """A member that cannot be reached for longer is not waited for."""
    drop_after_s: float = 5.0
    """How long a ring must be stable before anything is dropped."""
    drop_pause_s: float = 0.02
    """Between two partitions dropped."""
    syncs_max: int = 2
    """Peers at a time from which gained partitions come."""
    partitions_per_check_max: int = 64
    reports_kept_max: int = 100


@dataclass(slots=True)
class Site:
    """This host, as its mover's parts see it."""

    host_id: str
    data: Movable
    exchange: Exchange
    send: Send
    clock: Clock
    scheduler: Scheduler
    rng: random.Random
    hooks: MoverHooks
    config: MoverConfig
    placement: Placement | None = None
    members: frozenset[str] = frozenset()
    up: set[str] = field(default_factory=set[str])
    down_since: dict[str, float] = field(default_factory=dict[str, float])
    running: bool = True

    def numbers_of_replicas(self) -> frozenset[int]:
        """All that stores here have."""
        return frozenset(self.data.stores().values()) | {REPLICAS_DEFAULT}

    def is_gone(self, host: str) -> bool:
        """Whether a host has been out of reach for so long that nobody waits for it."""
        if host in self.up:
            return False
        now = self.clock.monotonic()
        return now - self.down_since.setdefault(host, now) >= self.config.dead_after_s

    def sync(self, peer: str, parts: Parts, done: Callable[[bool, list[Report]], None]) -> None:
        """Exchange with `peer`, for every store the partitions that `parts` gives for its number of
        replicas; then `done(complete, reports)`."""
        _PeerSync(self, peer, parts, done).go()


class _PeerSync:
    """The exchanges with one peer, one after another: stores of equal partitions together."""

    def __init__(
        self, site: Site, peer: str, parts: Parts, done: Callable[[bool, list[Report]], None]
    ) -> None:
        self._site, self._peer, self._parts, self._done = site, peer, parts, done
        self._handled: set[str] = set()
        self._others: dict[str, int] = {}
        self._reports: list[Report] = []

    def go(self) -> None:
        groups = self._groups()
        if groups:
            self._next(groups)
        else:
            self._done(True, self._reports)

    def _groups(self) -> list[tuple[frozenset[int], Sequence[str]]]:
        """What is still to be compared."""
        known = self._others | dict(self._site.data.stores())
        names = known.keys() - self._handled
        groups: dict[frozenset[int], list[str]] = {}
        if not self._handled and not self._reports:
            groups[self._parts(REPLICAS_DEFAULT)] = []  # asks at least which stores there are
        for name in sorted(names):
            parts = self._parts(known[name])
            groups.setdefault(parts, []).append(name)
        self._handled.update(names)
        return [(parts, stores) for parts, stores in groups.items() if parts]

    def _next(self, groups: list[tuple[frozenset[int], Sequence[str]]]) -> None:
        if not groups:
            self.go()
            return
        (parts, stores), *rest = groups

        def ended(report: Report) -> None:
            self._site.hooks.on_report(report)
            self._reports.append(report)
            self._others.update(report.others)
            if report.complete and self._site.running:
                self._next(rest)
            else:
                self._done(False, self._reports)

        if not self._site.exchange.start(self._peer, stores, parts, ended):
            self._done(False, self._reports)


def meet(vectors: Iterable[dict[int, int]]) -> dict[int, int]:
    """What all of them cover."""
    found: dict[int, int] | None = None
    for vector in vectors:
        if found is None:
            found = dict(vector)
        else:
            found = {a: min(s, vector[a]) for a, s in found.items() if a in vector}
    return found or {}
