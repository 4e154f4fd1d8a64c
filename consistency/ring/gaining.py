"""Taking over partitions on a new ring: from every former owner in reach, until nothing is missing.

The law of this file: a partition is ready when, after every member has said that it pushes by the
new ring and has pushed again what it kept (`rescan`), every former owner in reach was compared with
to the end. The order matters: an update made under the old ring may be at former owners only, so
the comparing that counts begins after the last such member spoke. What comes earlier is help.

A member out of reach for `dead_after_s` is not waited for; `absent` says for which partitions its
updates may be missing. A partition of which nobody is left is given up after as long, and told.
"""

from __future__ import annotations

from quorate.consistency.merkle.session import Report
from quorate.consistency.ring.absent import Absent
from quorate.consistency.ring.placement import PARTITIONS, Placement, Ring
from quorate.consistency.ring.site import Site


class Gaining:
    """What this host takes over under the present ring."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._epoch = 0
        self._pending: frozenset[int] = frozenset()
        self._ready: frozenset[int] = frozenset()
        self._gained: frozenset[int] = frozenset()
        self._numbers: frozenset[int] = frozenset()
        self._everyone: frozenset[str] = frozenset()
        self._members: set[str] = set()
        """Who still has to push again."""
        self._asked_at: dict[str, float] = {}
        self._running: set[str] = set()
        self._helped: set[str] = set()
        self._compared: set[str] = set()
        self._retry_at: dict[str, float] = {}
        self.absent = Absent(site, self._on_heard)
        self._told = 0
        self.given_up = self.moves = 0

    # --- asked ----------------------------------------------------------------------------------

    def ready(self, partition: int) -> bool:
        """Whether this host holds the partition and has all of it."""
        return partition in self._ready

    @property
    def done(self) -> bool:
        """Whether everything gained under the present ring is here."""
        return self._epoch > 0 and self._told == self._epoch

    # --- told -----------------------------------------------------------------------------------

    def on_ring(self, placement: Placement) -> None:
        """A newer ring."""
        ring = placement.ring
        self._epoch = ring.epoch
        self._pending = self._ready = self._gained = frozenset()
        self._widen(placement)
        self._everyone = self._all_members(ring)
        self._members = set(self._everyone)
        for collection in (self._asked_at, self._retry_at):
            collection.clear()
        self._helped.clear()
        self._compared.clear()
        self.absent.on_ring(self._ready)
        self.moves += bool(self._pending)
        self.work()

    def _widen(self, placement: Placement) -> None:
        """Look at all numbers of replicas that stores have; new ones come with new stores."""
        host = self._site.host_id
        self._numbers = self._site.numbers_of_replicas()
        held = frozenset[int]().union(*(placement.held(host, n) for n in self._numbers))
        gained = frozenset[int]().union(*(placement.gained(host, n) for n in self._numbers))
        fresh = gained - self._gained
        self._gained = gained
        self._pending |= fresh
        self._ready = (self._ready | held - gained) - fresh
        if fresh:
            self._compared.clear()
            self._helped.clear()
            self._told = 0

    def on_members(self) -> None:
        """Members came or went. A host that has just started may have known an older list: who left
        is not waited for, who came meanwhile is."""
        placement = self._site.placement
        if placement is None:
            return
        everyone = self._all_members(placement.ring)
        if self._pending:
            self._members |= everyone - self._everyone
        self._members &= everyone
        self._everyone = everyone
        for host in self.absent.names():
            if host not in everyone:
                self.absent.on_spoke(host)
        self.work()

    def _on_heard(self) -> None:
        if self.done:
            self._site.hooks.on_ready(self._epoch)

    def _all_members(self, ring: Ring) -> frozenset[str]:
        """All others that may make updates, or that own data."""
        hosts = self._site.members.union(ring.hosts, ring.before or ())
        return hosts - {self._site.host_id}

    def on_rescanned(self, peer: str, epoch: int) -> None:
        """The peer has pushed again all that it kept, by the ring of `epoch`."""
        if epoch == self._epoch:
            self._members.discard(peer)
            self.absent.on_spoke(peer)
            self.work()

    # --- doing ----------------------------------------------------------------------------------

    def work(self) -> None:
        """Whatever can be done now; called at every tick and at every piece of news."""
        site = self._site
        if not site.running or site.placement is None or site.placement.ring.epoch != self._epoch:
            return
        if self._site.numbers_of_replicas() != self._numbers:
            self._widen(site.placement)
        if self._pending or self.absent:
            self._ask_again()
        self.absent.work(site.placement)
        if self._pending:
            self._sync()
        if self._finished():
            self._finish()

    def _ask_again(self) -> None:
        now = self._site.clock.monotonic()
        for member in sorted(self._members & self._site.up):
            if now >= self._asked_at.get(member, now):
                message = {"type": "st", "k": "rescan", "epoch": self._epoch}
                self._site.send(member, message, False)
                self._asked_at[member] = now + self._site.config.rescan_retry_s

    def _everyone_spoke(self) -> bool:
        return all(self._site.is_gone(member) for member in self._members)

    def _sources(self) -> dict[str, frozenset[int]]:
        """The former owners, each with what this host gains of it."""
        placement, host = self._site.placement, self._site.host_id
        found: dict[str, set[int]] = {}
        if placement is not None:
            for replicas in self._site.numbers_of_replicas():
                for partition in placement.gained(host, replicas):
                    for peer in placement.former(partition, replicas):
                        found.setdefault(peer, set()).add(partition)
        found.pop(host, None)
        return {peer: frozenset(partitions) for peer, partitions in found.items()}

    def _sync(self) -> None:
        counts = self._everyone_spoke()
        had = self._compared if counts else self._helped
        now = self._site.clock.monotonic()
        waiting = [
            peer
            for peer in self._sources()
            if peer in self._site.up
            and peer not in had | self._running
            and now >= self._retry_at.get(peer, 0.0)
        ]
        self._site.rng.shuffle(waiting)
        for peer in waiting[: max(0, self._site.config.syncs_max - len(self._running))]:
            self._sync_with(peer, counts)

    def _sync_with(self, peer: str, counts: bool) -> None:
        site, placement, epoch = self._site, self._site.placement, self._epoch
        if placement is None:
            return
        host = site.host_id

        def parts(replicas: int) -> frozenset[int]:
            gained = placement.gained(host, replicas)
            return frozenset(p for p in gained if peer in placement.former(p, replicas))

        def done(complete: bool, reports: list[Report]) -> None:
            self._running.discard(peer)
            if epoch == self._epoch:
                if complete:
                    self._helped.add(peer)
                if complete and counts:
                    self._compared.add(peer)
                if not complete:
                    self._retry_at[peer] = site.clock.monotonic() + site.config.retry_s
            self.work()

        self._running.add(peer)
        site.sync(peer, parts, done)

    def _finished(self) -> bool:
        if self._told == self._epoch:
            return False
        if not self._pending:
            return True
        if not self._everyone_spoke():
            return False
        sources = self._sources()
        if any(peer in self._site.up and peer not in self._compared for peer in sources):
            return False
        orphans = self._pending - frozenset[int]().union(
            *(partitions for peer, partitions in sources.items() if peer in self._compared)
        )
        if not orphans:
            return True
        return all(self._site.is_gone(peer) for peer in sources if peer not in self._compared)

    def _finish(self) -> None:
        sources = self._sources()
        kept = frozenset[int]().union(*(sources[p] for p in sources if p in self._compared))
        orphans = len(self._pending - kept)
        if orphans:
            self.given_up += orphans
            self._site.hooks.on_problem(
                f"of {orphans} of {PARTITIONS} partitions no former owner is in reach: what only "
                "they had is missing until one comes back"
            )
        for member in self._members:
            if self._pending:
                self.absent.add(member, self._pending)
        self._ready |= self._pending
        self._pending = frozenset()
        self._told = self._epoch
        self._site.hooks.on_ready(self._epoch)

    def statistics(self) -> dict[str, object]:
        return {
            "epoch": self._epoch,
            "ready": self.done,
            "pending_partitions": len(self._pending),
            "waiting_for_members": sorted(self._members) if self._pending else [],
            "compared": sorted(self._compared),
            "given_up_partitions": self.given_up,
            "unheard": self.absent.names(),
            "moves": self.moves,
        }
