"""Faults planted on purpose: each a small subclass of a product's part, or a part exchanged, so
that the simulator can show that it would notice.

The law: a plant changes one rule and nothing else; the product has no switch for it. `PLANTS` maps
a name to what to build hosts of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from quorate.chaos.stores.door import Door
from quorate.chaos.stores.options import HOST_IDS
from quorate.chaos.stores.parts import Parts
from quorate.chaos.stores.replicas import SimReplica
from quorate.chaos.stores.ringhost import RingHost
from quorate.chaos.stores.settings import union
from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.replica import batches
from quorate.consistency.replica.collector import Collector
from quorate.consistency.replica.freshness import Freshness
from quorate.consistency.replica.identity import IDENTITY
from quorate.consistency.replica.incoming import Incoming
from quorate.consistency.replica.joiner import Joiner
from quorate.consistency.replica.states import Vector
from quorate.consistency.ring.placement import Ring
from quorate.consistency.store.core import Core
from quorate.consistency.store.desk import Desk
from quorate.consistency.store.forward import Forward
from quorate.consistency.store.levels import ReadLevel
from quorate.consistency.store.tokens import Past
from quorate.consistency.store.views import View
from quorate.core.storage.disk_model import DiskImage

FAR_POSITION = 1 << 62

# --- sessions -------------------------------------------------------------------------------------


class CoversAnything(SimReplica):
    """After a failover a session reads whatever the next host has."""

    def covers(self, vector: Any) -> bool:
        return True


class ForgetfulForward(Forward):
    """A forwarded read does not carry the session's past."""

    async def read(
        self, core: Core, peer: str, key: str, level: ReadLevel, past: Past, timeout_s: float
    ) -> tuple[View, int]:
        return await super().read(core, peer, key, level, Past({}), timeout_s)


class ForgetfulDesk(Desk):
    """See `ForgetfulForward`."""

    def __init__(self, plane: Any) -> None:
        super().__init__(plane)
        self.forward = ForgetfulForward(plane, self.answer)


class ForgetfulDoor(Door):
    desk_class = ForgetfulDesk


class BelievesTheLink(Freshness):
    """Who does not answer is not asked: the bound is that of the members in reach (T38)."""

    def fresh_at(self, hosts: Iterable[str]) -> float:
        known = [super(BelievesTheLink, self).fresh_at([host]) for host in hosts]
        return max(known, default=self._now())


class FreshByHeartbeat(SimReplica):
    """See `BelievesTheLink`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.freshness = BelievesTheLink(self.knowledge.seen, options["clock"].monotonic)


# --- the log and the stream -----------------------------------------------------------------------


class DropsHints(SimReplica):
    """What an absent owner lacks goes from the log with everything else."""

    def _on_flushed(self, group: int) -> None:
        self.log.trim(group, FAR_POSITION)


class AcksBeforeSync(SimReplica):
    """The caller is told before the disk has it."""

    def _before_commit(self) -> None:
        super()._before_commit()
        self.hooks.on_durable(self.head)


class PushesBeforeSync(SimReplica):
    """Updates leave while they are only in memory."""

    def _pump(self) -> None:
        self._pumping = False
        if not self.stopped and self.territory.placement is not None:
            self.outgoing.pump(FAR_POSITION)

    def _before_commit(self) -> None:
        super()._before_commit()
        self._pump()


class TakesGaps(Incoming):
    """A batch after a gap is taken as if nothing were missing."""

    def _take(self, peer: str, body: bytes, batch: batches.Batch, *, again: bool) -> bool:
        knowledge = self._replica.knowledge
        seen = knowledge.seen
        if batch.actor in knowledge.actors and batch.prev > seen.get(batch.actor, 0):
            seen[batch.actor] = batch.prev
        return super()._take(peer, body, batch, again=again)


class SkipsRecords(SimReplica):
    """The sender loses its place when a link breaks, and the receiver does not mind a gap."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        taken = self.incoming
        self.incoming = TakesGaps(self)
        self.incoming.__dict__.update(taken.__dict__)

    def on_peer(self, peer: str, *, up: bool) -> None:
        super().on_peer(peer, up=up)
        known = self.outgoing.peers.get(peer)
        if not up and known is not None and self.log.own:
            known.acked[self.actor] = self.durable


# --- states ---------------------------------------------------------------------------------------


class EagerCollector(Collector):
    """Tombstones go as soon as this host has them, and nobody remembers them."""

    def cut(self, ring: Ring | None) -> Vector:
        return dict(self._knowledge.applied)


class ForgetfulJoiner(Joiner):
    """See `EagerCollector`."""

    def adopt(self, cut: Vector) -> None:
        return


class CollectsEarly(SimReplica):
    """See `EagerCollector`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.joiner.__class__ = ForgetfulJoiner
        self.collector = EagerCollector(self.host_id, self.shelf, self.joiner, self.knowledge)


class ContextFreeJoiner(Joiner):
    """What a write had seen is dropped when it is merged."""

    def _join_register(
        self, shelf: Any, key: str, entries: Any, context: Vector, group: int, **more: Any
    ) -> bool:
        own: Vector = {entry.actor: entry.seq for entry in entries}
        return super()._join_register(shelf, key, entries, own, group, **more)


class DropsContexts(SimReplica):
    """See `ContextFreeJoiner`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.joiner.__class__ = ContextFreeJoiner


class HalfExchange(Exchange):
    """Anti-entropy never looks at the partitions with odd numbers."""

    def start(
        self, peer: str, stores: Sequence[str] | None, partitions: Iterable[int], done: Any
    ) -> bool:
        return super().start(peer, stores, [p for p in partitions if p % 2 == 0], done)


class HalfExchanging(RingHost):
    exchange_class = HalfExchange


def marked(host: str) -> Callable[[list[Any]], Any]:
    """A merge function that depends on where it runs."""
    return lambda values: sorted({*union(values), -ord(host[0])})


def keeps_actor(host: Any) -> DiskImage | None:
    """The folder is emptied but for who it is."""
    image: DiskImage | None = host.disk.log
    if image is None or IDENTITY not in image.tables["meta"]:
        return None
    return DiskImage({"log": {}, "meta": {IDENTITY: image.tables["meta"][IDENTITY]}})


_OURS = Parts()

PLANTS: dict[str, Parts] = {
    "no-read-your-writes": replace(_OURS, replica_class=CoversAnything),
    "token-ignored-on-forward": replace(_OURS, door_class=ForgetfulDoor),
    "fresh-by-heartbeat": replace(_OURS, replica_class=FreshByHeartbeat),
    "hint-dropped": replace(_OURS, replica_class=DropsHints),
    "ack-before-sync": replace(_OURS, replica_class=AcksBeforeSync),
    "push-before-sync": replace(_OURS, replica_class=PushesBeforeSync),
    "applied-over-a-gap": replace(_OURS, replica_class=SkipsRecords),
    "collected-early": replace(_OURS, replica_class=CollectsEarly),
    "context-dropped": replace(_OURS, replica_class=DropsContexts),
    "range-skipped": replace(_OURS, ring_class=HalfExchanging),
    "resolver-not-deterministic": replace(_OURS, merge_of=marked),
    "dot-reused": replace(_OURS, on_wiped=keeps_actor),
}


FOCUS: dict[str, dict[str, Any]] = {
    "token-ignored-on-forward": {
        "hosts": HOST_IDS[:5],
        "spares": (),
        "faults": ("halves", "one_way", "isolate", "cut_pair"),
        "faults_per_s": 1.2,
        "calls_per_s": 8.0,
        "keys": 2,
    },
}
"""Worlds that are about little else, for faults that need a rare order of things."""


def planted(name: str) -> Parts:
    """The parts of a world with that fault."""
    return PLANTS[name]
