"""The ring's side of a host: the record comes from the strong plane, keys move by the product's
mover and exchange, and the host at which the strong plane is led looks after the record.

The law: nothing is decided here; it routes, and beats for the steward.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from quorate.chaos.sim.events import Life
from quorate.chaos.stores.settings import (
    MEMBERS,
    RING,
    exchange_config,
    mover_config,
    steward_config,
)
from quorate.chaos.stores.strong import Answer, Command, Oracle, View
from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.ring.mover import Mover, MoverHooks
from quorate.consistency.ring.placement import Ring
from quorate.consistency.ring.ports import HostReport
from quorate.consistency.ring.steward import RingSteward

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost

BEAT_S = 0.4


class RingHost(MoverHooks):
    """One life."""

    exchange_class = Exchange

    def __init__(self, host: StoreHost, life: Life, view: View, oracle: Oracle) -> None:
        self._host, self._life, self._view, self._oracle = host, life, view, oracle
        self.replica = host.replica
        rng = random.Random(f"ring {host.id} {host.incarnation}")
        self.exchange = self.exchange_class(
            host.replica,
            send=host.send,
            clock=life,
            scheduler=life,
            rng=rng,
            config=exchange_config(),
        )
        self.mover = Mover(
            host_id=host.id,
            data=host.replica,
            exchange=self.exchange,
            send=host.send,
            clock=life,
            scheduler=life,
            rng=rng,
            hooks=self,
            config=mover_config(),
        )
        self.replica.whole = self.mover.ready
        plane: Any = host.door.plane
        plane.sync_needed = self.mover.sync_needed
        plane.ready = self.mover.ready
        plane.unheard = self.mover.unheard
        self.replica.misses(self.mover.unheard)
        self.steward = RingSteward(host.id, life, steward_config())
        self._busy = False

    def start(self) -> None:
        """Begin with what the strong plane says here."""
        self.look()
        self.mover.start()
        self._beat()

    def look(self) -> None:
        """The strong plane's records of members and ring, as this host has them."""
        for key in (MEMBERS, RING):
            record = self._view.get(key)
            if record is not None:
                self.on_strong(Command(key, record.value))

    # --- what happens to it ---------------------------------------------------------------------

    def on_strong(self, command: Command) -> None:
        """The strong plane applied something here."""
        if command.key == RING:
            ring = Ring.from_plain(command.value)
            self.steward.on_ring(ring)
            self.mover.on_ring(ring)
            self._host.door.plane.on_ring(ring)
        elif command.key == MEMBERS:
            self.replica.on_members(command.value)
            self.mover.on_members(command.value)
            self.steward.on_members(command.value)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        kind = message.get("k")
        self.steward.on_heard(peer)
        if kind == "ae":
            self.exchange.on_message(peer, message)
        elif kind == "rescanned":
            self.mover.on_message(peer, message)
        elif kind == "report":
            self.steward.on_report(peer, HostReport.from_plain(message["r"]))
        else:
            self.replica.on_message(peer, message)

    def on_peer(self, peer: str, *, up: bool) -> None:
        self.replica.on_peer(peer, up=up)
        self.exchange.on_peer(peer, up)
        self.mover.on_peer(peer, up)

    def on_gap(self, peer: str) -> None:
        self.mover.sync_needed(peer)

    # --- hooks of the mover ---------------------------------------------------------------------

    def on_ready(self, epoch: int) -> None:
        self._host.note("has all that it gained in ring", epoch)
        self._host.door.plane.news.notify()

    def on_problem(self, text: str) -> None:
        self._host.on_problem(text)

    # --- the steward ----------------------------------------------------------------------------

    def _beat(self) -> None:
        self._life.call_later(BEAT_S, self._beat)
        leader = self._oracle.leader
        report = self.mover.report()
        leads = leader == self._host.id
        self.steward.on_leader(leads)
        self.steward.on_quorum(self._oracle.reaches_majority(self._host.id))
        if leads:
            self.steward.on_report(self._host.id, report)
            self._propose()
        elif leader is not None:
            message = {"type": "st", "k": "report", "r": report.to_plain()}
            self._host.send(leader, message)

    def _propose(self) -> None:
        proposal = self.steward.propose()
        record = self._view.get(RING)
        if proposal is None or record is None or self._busy:
            return
        self._busy = True
        self._life.call_later(2.0, self._free)
        self._host.note("proposes ring", proposal.ring.epoch, "because", proposal.why)
        command = Command(RING, proposal.ring.to_plain(), record.revision)
        self._oracle.propose(self._host.id, command, self._proposed)

    def _proposed(self, answer: Answer) -> None:
        self._free()

    def _free(self) -> None:
        self._busy = False
