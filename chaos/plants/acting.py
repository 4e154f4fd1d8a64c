"""Plants in agents: epochs of messages, moves, repetition and order.

The law of this file: as in `leading.py`.
"""

from __future__ import annotations

from quorate.chaos.agents.plants import FlushesNothing, SendsAgain
from quorate.chaos.agents.plants_moves import (
    HandsOnTwice,
)
from quorate.chaos.plants.plant import Change
from quorate.hosts.agents import calls, engine
from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.incoming import Incoming
from quorate.hosts.agents.outbox import Outbox, Unsent
from quorate.hosts.agents.world import AgentWorld

OVERTAKEN_OF = 7
WAITS_S = 0.02


class HearsAgain(Incoming):
    """What was heard before is taken once more."""

    def _take(self, origin: str, parts: wire.Envelope, peer: str, hops: int) -> None:
        activation = self._here.get(parts[2])
        if activation is not None:
            activation.heard.clear()
        super()._take(origin, parts, peer, hops)


def _nothing() -> None:
    return None


class SendsTwice(Outbox):
    """A message of agents is sent twice now and then."""

    def add(self, peer: str, envelope: wire.Envelope, unsent: Unsent = _nothing) -> None:
        super().add(peer, envelope, unsent)
        if envelope[0] <= wire.TELL and self.batches % 8 == 0:
            super().add(peer, list(envelope), unsent)


class Overtaken(Outbox):
    """A message of agents now and then waits while later ones leave."""

    def __init__(self, world: AgentWorld) -> None:
        super().__init__(world)
        self._later = world.loop.call_later
        self._count = 0

    def add(self, peer: str, envelope: wire.Envelope, unsent: Unsent = _nothing) -> None:
        self._count += envelope[0] <= wire.TELL
        if envelope[0] <= wire.TELL and self._count % OVERTAKEN_OF == 0:
            self._later(WAITS_S, super().add, peer, envelope, unsent)
        else:
            super().add(peer, envelope, unsent)


CHANGES: dict[str, tuple[Change, ...]] = {
    "agent-messages-sent-again": (Change(engine, "Calls", SendsAgain),),
    "agent-messages-heard-twice": (
        Change(engine, "Outbox", SendsTwice),
        Change(engine, "Incoming", HearsAgain),
    ),
    "agent-order-not-kept": (
        Change(engine, "Outbox", Overtaken),
        Change(engine, "Incoming", HearsAgain),
    ),
    "mailbox-handed-on-twice": (Change(engine, "Incoming", HandsOnTwice),),
    "move-does-not-flush": (Change(calls, "Finder", FlushesNothing),),
}
