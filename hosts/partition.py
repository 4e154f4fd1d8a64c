"""`host.partition`: whom this host reaches, what changed, and what each heal had to reconcile.

The law of this file: it looks at the real links and at nothing else, on a timer of its own, and
tells changes that lasted. It keeps a bounded number of events and reports; whoever follows late
sees by the numbers what is missing. Nothing waits for it, and nothing is decided by it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.errors import Stopped
from quorate.core.group.signal import Advance
from quorate.hosts.partition_view import Links, PartitionEvent, PartitionStatus, PartitionView
from quorate.hosts.reconciliation import (
    Apart,
    ChangedKeys,
    Diverged,
    ExchangeLike,
    Reconciliation,
    Vector,
)

SETTLE_S = 0.5
TICK_S = 0.1
UNNOTICED_S = 6.0
"""A silent cut is noticed by the links within this."""
EVENTS_KEPT = 256
REPORTS_KEPT = 32
REPORT_KEYS_MAX = 1000
CHANGED_KEYS_MAX = 100_000
KEYS_PER_LOOK = 2000
REPORT_S_MAX = 600.0


class Stores(Protocol):
    """What is asked of the stores of this host."""

    def caught_up(self, peer: str, since: float) -> bool:
        """Whether everything `peer` and this host had accepted by the monotonic time `since` is on
        both of them."""
        ...

    def positions(self) -> Vector:
        """How much of everybody's updates is here: actor -> seq."""
        ...

    def held_by(self, peer: str) -> Vector:
        """How much of everybody's updates the peer was last known to have."""
        ...

    def actors_of(self, hosts: frozenset[str]) -> frozenset[int]:
        """The actors these hosts have ever been."""
        ...

    def highs(self, store: str, key: str) -> tuple[str, Vector] | None:
        """(kind, actor -> the last update of it that the key's state has seen)."""
        ...


class Partition:
    """See the law above. `look`: what the mesh says; `settle_s`: how long a change must last."""

    def __init__(
        self,
        host_id: str,
        *,
        look: Callable[[], Links],
        clock: Clock,
        scheduler: Scheduler,
        make_future: Callable[[], asyncio.Future[None]],
        settle_s: float = SETTLE_S,
    ) -> None:
        self._host = host_id
        self._look = look
        self._clock = clock
        self._scheduler = scheduler
        self._view = PartitionView(host_id, settle_s=settle_s, wall=clock.wall())
        self._events: deque[PartitionEvent] = deque(maxlen=EVENTS_KEPT)
        self._reports: deque[Reconciliation] = deque(maxlen=REPORTS_KEPT)
        self._changed = ChangedKeys(CHANGED_KEYS_MAX)
        self._positions: deque[tuple[float, Vector]] = deque()
        self._apart: dict[str, Apart] = {}
        self._met: deque[Diverged] = deque(maxlen=CHANGED_KEYS_MAX)
        self._news = Advance(make_future)
        self._timer: Timer | None = None
        self._stopped = False
        self._reports_total = 0
        self._counts = dict.fromkeys(("partitioned", "healed"), 0)
        self.stores: Stores | None = None
        """Set by who runs them; without stores there is nothing to reconcile."""

    # --- what users ask ---------------------------------------------------------------------------

    def status(self) -> PartitionStatus:
        """Where this host stands, by changes that lasted."""
        return self._view.status()

    @property
    def reaches_quorum(self) -> bool:
        """Whether this host reaches a majority of the voters."""
        return self.status().reaches_quorum

    @property
    def state(self) -> str:
        """whole, majority_side, minority or isolated."""
        return self.status().state

    async def events(self, *, after: int | None = None) -> AsyncIterator[PartitionEvent]:
        """Every change from now on, or behind event number `after` (0: all that are kept). Ends
        when the host stops."""
        seen = self._last_number() if after is None else after
        while True:
            for event in list(self._events):
                if event.number > seen:
                    seen = event.number
                    yield event
            if self._stopped:
                return
            if self._last_number() <= seen:
                await self._news.wait()

    def recent(self) -> list[PartitionEvent]:
        """The events that are kept, oldest first."""
        return list(self._events)

    def reports(self) -> list[dict[str, Any]]:
        """The reconciliation reports that are kept, newest first, as plain values."""
        now = self._clock.monotonic()
        return [report.to_json(now) for report in reversed(self._reports)]

    async def wait_report(self, number: int) -> dict[str, Any]:
        """Report `number` (the first is 1) once it is closed. Raises `Stopped`."""
        while True:
            for report in self._reports:
                if report.number == number and report.outcome != "running":
                    return report.to_json(self._clock.monotonic())
            if self._stopped:
                raise Stopped("the host is stopped or stopping")
            await self._news.wait()

    # --- what the stores tell ---------------------------------------------------------------------

    @property
    def open_reports(self) -> list[Reconciliation]:
        return [report for report in self._reports if report.outcome == "running"]

    def on_changed(self, store: str, key: str) -> None:
        """A key's state changed here. Cheap: it is looked at when a heal is under way."""
        if self._apart:
            self._changed.add(store, key)

    def on_diverged(self, found: Diverged) -> None:
        """Concurrent versions of a key met here, and one of them won (or none)."""
        if self._apart:
            self._met.append(found)

    def on_exchange(self, report: ExchangeLike) -> None:
        """An exchange of digests ended."""
        for running in self.open_reports:
            running.on_exchange(report)

    # --- looking ----------------------------------------------------------------------------------

    def start(self) -> None:
        self.look()

    def look(self) -> None:
        """Look now, and again after a while."""
        if self._timer is not None:
            self._timer.cancel()
        if self._stopped:
            return
        self._timer = self._scheduler.call_later(TICK_S, self.look)
        now, wall = self._clock.monotonic(), self._clock.wall()
        told = self._view.observe(self._look(), now, wall)
        for event in told:
            self._counts[event.kind] += 1
            self._events.append(event)
            if event.kind == "healed":
                self._open_report(event, now)
            else:
                self._note_apart(event, now)
        self._note_positions(now)
        if self._follow_reports(now) or told:
            self._news.notify()

    def _note_positions(self, now: float) -> None:
        """Remember, every second, what was here: for when a cut is noticed late."""
        if self.stores is None or (self._positions and now - self._positions[-1][0] < 1.0):
            return
        self._positions.append((now, dict(self.stores.positions())))
        while len(self._positions) > 1 and self._positions[1][0] <= now - UNNOTICED_S:
            self._positions.popleft()

    def _note_apart(self, event: PartitionEvent, now: float) -> None:
        if self.stores is not None:
            earlier: Vector = self._positions[0][1] if self._positions else {}
            there = dict(self.stores.positions())
            actors = self.stores.actors_of(frozenset(event.peers))
            for peer in event.peers:
                held = self.stores.held_by(peer)
                here = {a: max(earlier.get(a, 0), held.get(a, 0)) for a in {*earlier, *held}}
                self._apart.setdefault(peer, Apart(here, there, actors))
        self._interrupt(event, now)

    def _last_number(self) -> int:
        return self._events[-1].number if self._events else 0

    def _open_report(self, event: PartitionEvent, now: float) -> None:
        self._reports_total += 1
        self._reports.append(
            Reconciliation(
                self._reports_total,
                self._host,
                event.peers,
                apart_s=event.lasted_s,
                healed_at=event.at,
                now=now,
                keys_max=REPORT_KEYS_MAX,
            )
        )

    def _interrupt(self, event: PartitionEvent, now: float) -> None:
        for report in self.open_reports:
            again = report.pending & set(event.peers)
            if again:
                names = ", ".join(sorted(again))
                report.interrupt(f"{names} went away again: the next report goes on", now)

    def _follow_reports(self, now: float) -> bool:
        """Put in what was found, close what is done; whether anything was closed."""
        running = self.open_reports
        if not running:
            return False
        self._put_in(running)
        for report in running:
            for peer in report.pending:
                done = self.stores is None or self.stores.caught_up(peer, report.began_at)
                report.keys_not_looked_at = self._changed.dropped
                if done and not self._changed:
                    report.on_caught_up(peer, now)
                    self._apart.pop(peer, None)
            if now - report.began_at > REPORT_S_MAX:
                report.interrupt(f"not done within {REPORT_S_MAX:g} s", now)
        if not self._apart:
            self._changed.clear()
            self._met.clear()
        return any(report.outcome != "running" for report in running)

    def _put_in(self, running: list[Reconciliation]) -> None:
        """What met goes into the reports, and what was merged without a conflict."""
        while self._met:
            found = self._met.popleft()
            dots = [
                (one.actor, one.seq) for one in (found.winner, *found.losers) if one is not None
            ]
            for report in running:
                if any(side.is_news(*dot) for side in self._sides(report) for dot in dots):
                    report.on_diverged(found)
        if self.stores is None:
            return
        for store, key in self._changed.take(KEYS_PER_LOOK):
            seen = self.stores.highs(store, key)
            if seen is None:
                continue
            kind, highs = seen
            resolver = "register" if kind == "register" else f"crdt {kind}"
            for report in running:
                self._look_at(report, (store, key), highs, resolver)

    def _look_at(
        self, report: Reconciliation, place: tuple[str, str], highs: Vector, resolver: str
    ) -> None:
        for peer in report.peers:
            side = self._apart.get(peer)
            if side is None:
                continue
            went, came = side.went(highs), side.came(highs)
            report.on_key(peer, place, sent=went, received=came)
            if went and came:
                report.on_merged(Diverged(*place, resolver, "merged", None, ()))

    def _sides(self, report: Reconciliation) -> list[Apart]:
        return [self._apart[peer] for peer in report.peers if peer in self._apart]

    def stop(self) -> None:
        """Look no more; whoever follows events comes to the end. Safe to call twice."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._news.stop()

    def statistics(self) -> dict[str, object]:
        status = self.status()
        return {
            "reaches_quorum": status.reaches_quorum,
            "reachable_peers": len(status.reachable),
            "unreachable_peers": len(status.unreachable),
            "changed_keys": len(self._changed),
            "changed_keys_dropped_total": self._changed.dropped,
            "reports_open": len(self.open_reports),
            "reports_total": self._reports_total,
            "diverged_keys": sum(report.diverged_keys for report in self._reports),
            **{f"{kind}_total": count for kind, count in self._counts.items()},
        }
