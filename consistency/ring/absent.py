"""Members that were away when partitions came here: what of theirs may be missing, and until when.

The law of this file: a member is heard when it goes by the present ring and has pushed again what
it kept, and when after that everyone in reach that holds those partitions, and the member itself,
was compared with to the end. Its word alone is not enough: what it made while it was away may be at
owners that came before this host, and gone from its log by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from quorate.consistency.merkle.session import Report
from quorate.consistency.ring.placement import Placement
from quorate.consistency.ring.site import Site

NOBODY: frozenset[str] = frozenset()


class Absent:
    """`on_heard()` is told whenever nothing more is missing of some of them."""

    def __init__(self, site: Site, on_heard: Callable[[], None]) -> None:
        self._site = site
        self._on_heard = on_heard
        self._partitions: dict[str, frozenset[int]] = {}
        self._spoke: set[str] = set()
        """Of them, who has pushed again, or is no member any more."""
        self._compared: set[str] = set()
        """Since the last of those spoke."""
        self._turn = 0
        """Grows whenever what was compared with counts no more."""
        self._running: set[str] = set()
        self._retry_at: dict[str, float] = {}

    # --- asked ----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._partitions)

    def of(self, partition: int) -> frozenset[str]:
        """Whose updates of this partition may be missing here."""
        if not self._partitions:
            return NOBODY
        return frozenset(h for h, theirs in self._partitions.items() if partition in theirs)

    def names(self) -> list[str]:
        return sorted(self._partitions)

    # --- told -----------------------------------------------------------------------------------

    def add(self, member: str, partitions: frozenset[int]) -> None:
        """These came here, and the member did not speak."""
        self._partitions[member] = self._partitions.get(member, frozenset()) | partitions

    def on_ring(self, kept: frozenset[int]) -> None:
        """A newer ring: everybody has to speak again. Of what came before, `kept` is here still."""
        theirs = {host: partitions & kept for host, partitions in self._partitions.items()}
        self._partitions = {host: partitions for host, partitions in theirs.items() if partitions}
        self._spoke.clear()
        self._compare_anew()

    def on_spoke(self, member: str) -> None:
        """It goes by the present ring and has pushed again what it kept, or it is no member any
        more."""
        if member in self._partitions and member not in self._spoke:
            self._spoke.add(member)
            self._compare_anew()

    def _compare_anew(self) -> None:
        self._turn += 1
        self._compared.clear()
        self._retry_at.clear()

    # --- doing ----------------------------------------------------------------------------------

    def work(self, placement: Placement) -> None:
        """Whatever can be done now."""
        if not self._spoke:
            return
        sources = self._sources(placement)
        now = self._site.clock.monotonic()
        room = self._site.config.syncs_max - len(self._running)
        for peer in sorted(sources & self._site.up - self._compared - self._running):
            if room > 0 and now >= self._retry_at.get(peer, 0.0):
                room -= 1
                self._sync_with(peer, placement)
        if all(self._is_done_with(peer) for peer in sources):
            for member in self._spoke:
                del self._partitions[member]
            self._spoke.clear()
            self._on_heard()

    def _is_done_with(self, peer: str) -> bool:
        if peer in self._compared:
            return True
        return peer not in self._spoke and self._site.is_gone(peer)

    def _missing(self) -> frozenset[int]:
        return frozenset[int]().union(*(self._partitions[member] for member in self._spoke))

    def _sources(self, placement: Placement) -> set[str]:
        missing = self._missing()
        holders: Iterable[tuple[str, ...]] = (
            placement.destinations(partition, replicas)
            for replicas in self._site.numbers_of_replicas()
            for partition in missing
        )
        found = {host for hosts in holders for host in hosts}
        return (found | self._spoke & self._site.members) - {self._site.host_id}

    def _sync_with(self, peer: str, placement: Placement) -> None:
        site, turn, missing = self._site, self._turn, self._missing()
        whole = peer in self._spoke

        def parts(replicas: int) -> frozenset[int]:
            wanted = missing & placement.held(site.host_id, replicas)
            return wanted if whole else wanted & placement.held(peer, replicas)

        def done(complete: bool, reports: list[Report]) -> None:
            self._running.discard(peer)
            if turn == self._turn and complete:
                self._compared.add(peer)
            elif turn == self._turn:
                self._retry_at[peer] = site.clock.monotonic() + site.config.retry_s
            if turn == self._turn:
                self.work(placement)

        self._running.add(peer)
        site.sync(peer, parts, done)
