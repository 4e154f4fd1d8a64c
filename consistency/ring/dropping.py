"""Letting go of what others own: only what every one of its owners has shown to have.

The law of this file: a partition of a store that this host does not own under a stable ring is
compared with each of its owners; only when all of them have taken what is here, and nothing changed
here meanwhile, it is dropped, one partition at a time. A host that is itself out of the ring hands
over in the same way but drops nothing: it may be back. While it makes no updates of its own, what
changes here came from an owner, so an owner that has once taken everything keeps having it: without
that, a host under load would compare what others go on writing for ever.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from quorate.consistency.merkle.session import Report
from quorate.consistency.merkle.tree import PARTITION_LEVEL
from quorate.consistency.ring.placement import PARTITIONS, Placement
from quorate.consistency.ring.site import Site

Stray = tuple[str, int]
"""(store, partition) that is here and is not owned here."""


@dataclass(slots=True)
class _Check:
    """Which owners have all of a stray, as it was when its digest was this."""

    digest: int
    by: set[str] = field(default_factory=set[str])


class Dropping:
    """What this host holds and does not own."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._look_at = 0.0
        self._checks: dict[Stray, _Check] = {}
        self._queue: deque[Stray] = deque()
        self._running = False
        self._dropping = False
        self._retry_at: dict[str, float] = {}
        self._given: dict[Stray, set[str]] | None = None
        """While this host makes no updates: which owners have taken all of a stray since then."""
        self.dropped = 0

    def on_ring(self, placement: Placement) -> None:
        """A newer ring: what was shown under the former one counts no more."""
        keeps = self._site.host_id not in placement.ring.hosts
        delay_s = 0.0 if keeps else self._site.config.drop_after_s
        self._look_at = self._site.clock.monotonic() + delay_s
        self._checks.clear()
        self._queue.clear()
        self._retry_at.clear()
        if self._given is not None:
            self._given = {}

    def makes_updates(self, makes: bool) -> None:
        """Whether this host makes updates; if not, what is given to an owner stays given."""
        self._given = None if makes else {}

    @property
    def gives(self) -> bool:
        """Whether this host hands over, and makes no updates."""
        return self._given is not None

    def handed_over(self) -> bool:
        """Whether every owner has everything that is here and not owned here."""
        placement = self._placement()
        return placement is not None and all(
            self._is_shown(placement, stray) or self._is_given(placement, stray)
            for stray in self._strays(placement)
        )

    def work(self) -> None:
        """Whatever can be done now; called at every tick."""
        placement = self._placement()
        now = self._site.clock.monotonic()
        if placement is None or now < self._look_at or self._owns_all(placement):
            return
        self._site.data.settle()
        strays = self._strays(placement)
        if not strays:
            self._look_at = now + self._site.config.drop_after_s
        self._checks = {s: check for s, check in self._checks.items() if s in strays}
        if not self._running:
            self._check_some(placement, strays)
        if self._site.host_id in placement.ring.hosts and not self._dropping:
            self._queue.extend(s for s in strays if self._is_shown(placement, s))
            self._drop_next()

    def _placement(self) -> Placement | None:
        """The ring, if it is stable and somebody owns something."""
        placement = self._site.placement
        if placement is None or placement.ring.before is not None or not placement.ring.hosts:
            return None
        return placement

    def _owns_all(self, placement: Placement) -> bool:
        """Whether there can be no stray: the usual case of a small cluster."""
        host, numbers = self._site.host_id, self._site.numbers_of_replicas()
        return all(len(placement.owned(host, number)) == PARTITIONS for number in numbers)

    def _strays(self, placement: Placement) -> list[Stray]:
        data, host = self._site.data, self._site.host_id
        found: list[Stray] = []
        for store, replicas in data.stores().items():
            owned = placement.owned(host, replicas)
            if len(owned) < PARTITIONS:
                nodes = data.tree(store).level(PARTITION_LEVEL)
                found += [(store, p) for p in range(PARTITIONS) if nodes[p] and p not in owned]
        return found

    def _owners(self, placement: Placement, stray: Stray) -> tuple[str, ...]:
        store, partition = stray
        return placement.owners(partition, self._site.data.stores()[store])

    def _digest(self, stray: Stray) -> int:
        store, partition = stray
        return self._site.data.tree(store).level(PARTITION_LEVEL, partition, 1)[0]

    def _is_shown(self, placement: Placement, stray: Stray) -> bool:
        check = self._checks.get(stray)
        return (
            check is not None
            and check.digest == self._digest(stray)
            and check.by >= set(self._owners(placement, stray))
        )

    def _is_given(self, placement: Placement, stray: Stray) -> bool:
        return self._given is not None and self._given.get(stray, set()) >= set(
            self._owners(placement, stray)
        )

    # --- showing --------------------------------------------------------------------------------

    def _check_some(self, placement: Placement, strays: list[Stray]) -> None:
        """Compare some strays of one store with one owner that has not shown to have them."""
        now = self._site.clock.monotonic()
        wanted: dict[tuple[str, str], set[int]] = {}
        for stray in strays:
            check = self._checks.get(stray)
            if check is None or check.digest != self._digest(stray):
                check = self._checks[stray] = _Check(self._digest(stray))
            has_it = check.by if self._given is None else self._given.get(stray, set()) | check.by
            for peer in self._owners(placement, stray):
                retry_at = self._retry_at.get(peer, 0.0)
                if peer in self._site.up and peer not in has_it and now >= retry_at:
                    wanted.setdefault((peer, stray[0]), set()).add(stray[1])
        if wanted:
            (peer, store), partitions = min(wanted.items())
            some = sorted(partitions)[: self._site.config.partitions_per_check_max]
            self._check(peer, store, some)

    def _check(self, peer: str, store: str, partitions: list[int]) -> None:
        before = {partition: self._checks[store, partition] for partition in partitions}
        given = self._given

        def done(report: Report) -> None:
            self._running = False
            self._site.hooks.on_report(report)
            if not report.complete:
                now = self._site.clock.monotonic()
                self._retry_at[peer] = now + self._site.config.retry_s
                return
            self._site.data.settle()
            for partition, check in before.items():
                if given is not None and given is self._given:
                    given.setdefault((store, partition), set()).add(peer)
                # What came from the owner, or was changed meanwhile, is shown next time.
                if check.digest == self._digest((store, partition)):
                    check.by.add(peer)
            self.work()

        self._running = self._site.exchange.start(peer, [store], partitions, done)

    # --- dropping -------------------------------------------------------------------------------

    def _drop_next(self) -> None:
        placement = self._placement()
        self._dropping = False
        while placement is not None and self._queue:
            stray = self._queue.popleft()
            self._site.data.settle()
            if self._is_shown(placement, stray):
                self._dropping = True
                self._site.data.forget(*stray, self._dropped)
                return

    def _dropped(self) -> None:
        self.dropped += 1
        self._site.scheduler.call_later(self._site.config.drop_pause_s, self._drop_next)

    def statistics(self) -> dict[str, object]:
        return {
            "dropped_partitions": self.dropped,
            "checking": len(self._checks),
            "waiting_to_drop": len(self._queue),
        }
