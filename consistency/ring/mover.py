"""The host's side of ownership: takes over, hands over, mends, and says when it is ready.

The law of this file: it tells its parts what happened and beats for them; each part has its own law
(`gaining.py`, `dropping.py`, `upkeep.py`). It never decides who owns what: that is the ring.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.merkle.ports import Send
from quorate.consistency.merkle.session import Report
from quorate.consistency.ring.dropping import Dropping
from quorate.consistency.ring.gaining import Gaining
from quorate.consistency.ring.placement import EPOCH_MAX_RINGS, Placement, Ring
from quorate.consistency.ring.ports import HostReport, Movable
from quorate.consistency.ring.site import MoverConfig, MoverHooks, Site
from quorate.consistency.ring.upkeep import Upkeep
from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.codec import Malformed

__all__ = ["Mover", "MoverConfig", "MoverHooks"]


class Mover:
    """One per host. All methods are for the one thread that owns it; none of them blocks."""

    def __init__(
        self,
        *,
        host_id: str,
        data: Movable,
        exchange: Exchange,
        send: Send,
        clock: Clock,
        scheduler: Scheduler,
        rng: random.Random,
        hooks: MoverHooks | None = None,
        config: MoverConfig | None = None,
    ) -> None:
        self._hooks = hooks or MoverHooks()
        inner = _Inner(self)
        self._site = Site(
            host_id, data, exchange, send, clock, scheduler, rng, inner, config or MoverConfig()
        )
        self.gaining = Gaining(self._site)
        self.dropping = Dropping(self._site)
        self.upkeep = Upkeep(self._site)
        self._timer: Timer | None = None
        self._drained: list[Callable[[], None]] = []
        self.leaving = False

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to beat, by the ring that the data went by when this host ran last."""
        ring = self._site.data.ring
        if ring is not None:
            self.on_ring(ring)
        self._on_tick()

    def stop(self) -> None:
        """Nothing is begun any more. What exchanges run is the exchange's to stop."""
        self._site.running = False
        if self._timer is not None:
            self._timer.cancel()

    def _on_tick(self) -> None:
        if not self._site.running:
            return
        tick_s = self._site.config.tick_s
        self._timer = self._site.scheduler.call_later(tick_s, self._on_tick)
        self.gaining.work()
        self.dropping.work()
        self.upkeep.work()
        self._look_at_drain()

    # --- what happens to it ---------------------------------------------------------------------

    def on_ring(self, ring: Ring) -> None:
        """The ring record as this host has it; an older one than known is ignored, or than the one
        that the data went by when this host ran last."""
        site = self._site
        if site.data.ring is not None and ring.epoch < site.data.ring.epoch:
            return
        if site.placement is not None and ring.epoch <= site.placement.ring.epoch:
            return
        site.placement = placement = Placement(ring)
        self.dropping.on_ring(placement)
        self.upkeep.on_ring(placement)
        self.gaining.on_ring(placement)

    def on_members(self, members: Iterable[str]) -> None:
        """The voters and learners of the group: all who may make updates."""
        self._site.members = frozenset(members)
        self.gaining.on_members()

    def on_peer(self, peer: str, up: bool) -> None:
        """The link to `peer` came or went. (Tell the exchange as well.)"""
        site = self._site
        if up and peer not in site.up:
            site.up.add(peer)
            site.down_since.pop(peer, None)
            self.gaining.work()
            self.upkeep.on_peer_up(peer)
        elif not up:
            site.up.discard(peer)
            site.down_since.setdefault(peer, site.clock.monotonic())

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """`{'k': 'rescanned', 'epoch': e}`. Raises UsageError when it is malformed."""
        epoch = message.get("epoch")
        if message.get("k") != "rescanned" or type(epoch) is not int:
            raise Malformed("not a message to a mover")
        if not 0 <= epoch <= EPOCH_MAX_RINGS:
            raise Malformed("a ring's epoch is an integer from 0 to 2**53")
        self.gaining.on_rescanned(peer, epoch)

    def sync_needed(self, peer: str) -> None:
        """What is missing here is not in the log of `peer` any more: compare states with it."""
        self.upkeep.sync_needed(peer)

    # --- what is asked of it --------------------------------------------------------------------

    def ready(self, partition: int) -> bool:
        """Whether this host holds the partition and has all of it: reads may be served here."""
        return self.gaining.ready(partition)

    def unheard(self, partition: int) -> frozenset[str]:
        """Members out of reach when this partition was taken over here: updates that only they have
        are missing, whatever `applied` says."""
        return self.gaining.absent.of(partition)

    def report(self) -> HostReport:
        """What to tell the steward, every second and after `hooks.on_ready`."""
        placement = self._site.placement
        epoch = 0 if placement is None else placement.ring.epoch
        return HostReport(epoch, self.gaining.done, self.leaving)

    def drain(self, done: Callable[[], None]) -> None:
        """Ask to be taken out of the ring; `done()` when every new owner has everything that is
        here, and every update made here was acknowledged by the hosts of the ring. Once out of it
        this host refuses updates, until `stay`.

        A host that is the last one is never done: bound the wait.
        """
        self.leaving = True
        self._drained.append(done)
        self._look_at_drain()

    def stay(self) -> None:
        """Take the wish to leave back; who waits for `drain` is told nothing more."""
        self.leaving = False
        self._drained.clear()
        self._make_updates(True)

    def _make_updates(self, make: bool) -> None:
        self._site.data.refuse_updates(refuse=not make)
        self.dropping.makes_updates(make)

    def _look_at_drain(self) -> None:
        placement = self._site.placement
        if not self._drained or placement is None:
            return
        ring = placement.ring
        gone = ring.before is None and ring.hosts and self._site.host_id not in ring.hosts
        if not gone:
            return
        if not self.dropping.gives:
            self._make_updates(False)  # or there would always be one on its way
        if any(self._site.data.unpushed(host) for host in ring.hosts):
            return
        self._site.data.settle()
        if self.dropping.handed_over():
            waiting, self._drained = self._drained, []
            for done in waiting:
                done()

    def reports(self) -> list[Report]:
        """The last exchanges begun here, oldest first."""
        return list(self.upkeep.reports)

    def statistics(self) -> dict[str, object]:
        return {
            "gaining": self.gaining.statistics(),
            "dropping": self.dropping.statistics(),
            "upkeep": self.upkeep.statistics(),
            "leaving": self.leaving,
        }

    def heard_report(self, report: Report) -> None:
        self.upkeep.reports.append(report)
        self._hooks.on_report(report)

    def became_ready(self, epoch: int) -> None:
        self._hooks.on_ready(epoch)

    def met_problem(self, text: str) -> None:
        self._hooks.on_problem(text)


class _Inner(MoverHooks):
    """What the parts tell their mover."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    def on_ready(self, epoch: int) -> None:
        self._mover.became_ready(epoch)

    def on_report(self, report: Report) -> None:
        self._mover.heard_report(report)

    def on_problem(self, text: str) -> None:
        self._mover.met_problem(text)
