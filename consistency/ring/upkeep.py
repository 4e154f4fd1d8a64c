"""Anti-entropy as upkeep: now and then with somebody, at once with a peer that came back, or of
whose log something is missing here.

The law of this file: one peer at a time. A complete exchange earns a vector (`replica.advance`)
only where that is sound: on a stable ring, for what the peer is told as well, or for the peer's own
updates when all that this host holds was compared with it, and before with everybody it can reach.
Of a folder that is gone, nobody will ever push what some host lacks: its updates are all here once
this host was compared with everybody else, after everybody had said how far they know them. While
keys move nothing is earned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from quorate.consistency.merkle.session import Report
from quorate.consistency.ring.placement import Placement
from quorate.consistency.ring.site import Site, meet

PUT_OFF_EXCHANGES_MAX = 6
"""Periodic exchanges in a row that a busy host leaves out."""


class Upkeep:
    """The exchanges of one host that nobody asked for, and those that a gap asks for."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._due_at = 0.0
        self._wanted: deque[str] = deque()
        self._gaps: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self._running = ""
        self._put_off = 0
        self._earned: dict[tuple[int, int], dict[int, int]] = {}
        """(replicas, partition) held here -> what a peer that is told of it had applied."""
        self._compared: dict[str, float] = {}
        """Peer -> when the last complete comparison with it began, under this ring."""
        self._buried_at: dict[tuple[int, int], float] = {}
        """(actor, seq) of a folder that is gone -> when that was noticed."""
        self.reports: deque[Report] = deque(maxlen=site.config.reports_kept_max)
        self.periodic = self.asked = self.advanced = 0
        self._plan()

    # --- told -----------------------------------------------------------------------------------

    def on_ring(self, placement: Placement) -> None:
        del placement
        self._earned.clear()
        self._compared.clear()
        self._buried_at.clear()

    def on_peer_up(self, peer: str) -> None:
        """A peer is back: both have something to tell; the first by name begins."""
        self._retry_at.pop(peer, None)
        if self._site.host_id < peer:
            self._want(peer)
        self.work()

    def sync_needed(self, peer: str) -> None:
        """What is missing here is not in the log of `peer` any more."""
        self.asked += 1
        self._gaps.add(peer)
        self._want(peer)
        for other in sorted(self._site.up):  # owners of what the peer does not own have it
            self._want(other)
        self.work()

    def _want(self, peer: str) -> None:
        if peer not in self._wanted:
            self._wanted.append(peer)

    def _plan(self) -> None:
        site = self._site
        delay_s = site.config.anti_entropy_s * site.rng.uniform(0.5, 1.5)
        self._due_at = site.clock.monotonic() + delay_s

    # --- doing ----------------------------------------------------------------------------------

    def work(self) -> None:
        """Whatever can be done now; called at every tick."""
        site = self._site
        if self._running or not site.running or site.placement is None:
            return
        now = site.clock.monotonic()
        for peer in list(self._wanted):
            if peer in site.up and now >= self._retry_at.get(peer, 0.0):
                self._wanted.remove(peer)
                self._sync(peer, site.placement)
                return
        if now >= self._due_at:
            self._plan()
            if site.data.busy and self._put_off < PUT_OFF_EXCHANGES_MAX:
                self._put_off += 1
                return
            self._put_off = 0
            peers = sorted(peer for peer in site.up if self._shares(peer, site.placement))
            if peers:
                self.periodic += 1
                self._sync(site.rng.choice(peers), site.placement)

    def _shares(self, peer: str, placement: Placement) -> bool:
        host = self._site.host_id
        numbers = self._site.numbers_of_replicas()
        return any(placement.shared(host, peer, number) for number in numbers)

    def _sync(self, peer: str, placement: Placement) -> None:
        """Compare what both are told; after a gap all that this host holds."""
        site, gap = self._site, peer in self._gaps
        host, began = site.host_id, site.clock.monotonic()

        def parts(replicas: int) -> frozenset[int]:
            if gap:
                return placement.held(host, replicas)
            return placement.shared(host, peer, replicas)

        def done(complete: bool, reports: list[Report]) -> None:
            self._running = ""
            if site.placement is placement and complete and reports:
                self._compared[peer] = began
                self._earn(peer, placement, reports, gap)
                self._bury(placement)
            if complete:
                self._gaps.discard(peer)
            elif gap or peer in site.up:
                self._retry_at[peer] = site.clock.monotonic() + site.config.retry_s
                self._want(peer)
            self.work()

        self._running = peer
        site.sync(peer, parts, done)

    # --- what it earns --------------------------------------------------------------------------

    def _earn(
        self, peer: str, placement: Placement, reports: list[Report], everything: bool
    ) -> None:
        ring, host = placement.ring, self._site.host_id
        if ring.before is not None:
            return
        applied = meet(dict(report.applied) for report in reports)
        vector: dict[int, int] = {}
        alone = any(
            other not in self._compared for other in self._site.up if self._shares(other, placement)
        )  # what the peer's log let go because this host's lost folder had it, is with the others
        if everything and not alone and len({report.actors for report in reports}) == 1:
            vector = {actor: applied.get(actor, 0) for actor in reports[0].actors}
        numbers = self._site.numbers_of_replicas()
        held = {(n, p) for n in numbers for p in placement.held(host, n)}
        for number in numbers:
            for partition in placement.shared(host, peer, number):
                self._earned[number, partition] = applied
        if held <= self._earned.keys():
            several = {id(v): v for at, v in self._earned.items() if at in held}
            for actor, seq in meet(several.values()).items():
                vector[actor] = max(seq, vector.get(actor, 0))
            self._earned.clear()
        self._advance(vector)

    def _bury(self, placement: Placement) -> None:
        """Take over what is known of folders that are gone, once compared with all."""
        site = self._site
        now = site.clock.monotonic()
        others = [
            host
            for host in placement.ring.hosts
            if host != site.host_id and self._shares(host, placement)
        ]
        last = min((self._compared.get(host, 0.0) for host in others), default=0.0)
        known: dict[tuple[int, int], float] = {}
        for actor, seq in site.data.buried().items():
            since = known[actor, seq] = self._buried_at.get((actor, seq), now)
            if last > since:
                self._advance({actor: seq})
        self._buried_at = known

    def _advance(self, vector: Mapping[int, int]) -> None:
        applied = self._site.data.applied
        news = {actor: seq for actor, seq in vector.items() if seq > applied.get(actor, 0)}
        if news:
            self.advanced += 1
            self._site.data.advance(news, lambda: None)

    def statistics(self) -> dict[str, object]:
        return {
            "periodic": self.periodic,
            "asked": self.asked,
            "advanced": self.advanced,
            "running": self._running,
            "wanted": list(self._wanted),
        }
