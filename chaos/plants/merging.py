"""Plants in the stores: sessions, bounds, the stream of updates, tombstones, merging.

The law of this file: as in `leading.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from quorate.chaos.plants.plant import Change
from quorate.chaos.stores.plants import (
    EagerCollector,
    ForgetfulForward,
    TakesGaps,
)
from quorate.consistency.crdt.counters import PnCounter
from quorate.consistency.replica import core
from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.consistency.replica.freshness import Freshness
from quorate.consistency.replica.outgoing import Outgoing
from quorate.consistency.replica.replica import StoreReplica
from quorate.consistency.replica.states import Vector
from quorate.consistency.store import desk
from quorate.hosts import store_parts

Entry = tuple[int, int, int, int]
SKIPPED_OF = 20
SHORT: dict[str, Any] = {"retained_records_max": 4}


class CoversAnything(StoreReplica):
    """A host shows a session what it has, whatever the session has seen elsewhere."""

    def covers(self, vector: Any) -> bool:
        return True


class AlwaysFresh(Freshness):
    """Whatever is here is fresh enough."""

    def fresh_at(self, hosts: Iterable[str]) -> float:
        return self._now()

    def lag(self, hosts: Iterable[str], since: float) -> int | None:
        return 0


class ForgetsTheAbsent(Outgoing):
    """What a host did not hear while it was away is taken for heard."""

    def on_hello(self, host: str, has: Vector) -> None:
        super().on_hello(host, {**has, **self._heads()})


class SkipsSome(Outgoing):
    """Of every twenty messages one leaves empty."""

    _count = 0

    def _push(self, bodies: list[bytes], **parts: Any) -> dict[str, Any]:
        self._count += 1
        return super()._push([] if self._count % SKIPPED_OF == 0 else bodies, **parts)


def _slowly(counter: PnCounter, wire: Any) -> bool | None:
    return None


def _larger(counter: PnCounter, actor: int, seq: int, mine: Entry, theirs: Entry) -> bool:
    """Of two versions of what an actor counted, the larger one."""
    joined = (max(mine[0], theirs[0]), max(mine[1], theirs[1]), *max(mine[2:], theirs[2:]))
    counter.dots[actor][seq] = joined
    return joined != mine


def replica(made: type[StoreReplica]) -> Change:
    """Hosts whose stores have a replica of that class."""
    return Change(store_parts, "StoreReplica", made)


CHANGES: dict[str, tuple[Change, ...]] = {
    "session-token-ignored": (replica(CoversAnything),),
    "session-token-not-forwarded": (Change(desk, "Forward", ForgetfulForward),),
    "bounded-without-a-bound": (Change(core, "Freshness", AlwaysFresh),),
    "hint-dropped": (
        Change(core, "Outgoing", ForgetsTheAbsent),
        Change(core, "Incoming", TakesGaps),
    ),
    "updates-skipped": (Change(core, "Outgoing", SkipsSome), Change(core, "Incoming", TakesGaps)),
    "tombstone-collected-early": (
        Change(core, "Collector", EagerCollector),
        # Hosts keep little of their logs, so that one that was away has to compare whole states.
        Change(store_parts, "ReplicaConfig", partial(ReplicaConfig, flush_s=0.5, **SHORT)),
    ),
    "counter-merged-by-max": (
        Change(PnCounter, "merge_wire", _slowly),
        Change(PnCounter, "same_dot", _larger),
    ),
}
