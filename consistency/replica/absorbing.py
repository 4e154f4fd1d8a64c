"""States that an exchange brought, vectors it earned, and waiting for the disk to have them.

The law of this file: all states of a call are looked at before any is taken; what is told to be
done is on this disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from quorate.consistency.merkle.ports import Absorbed
from quorate.consistency.replica import batches
from quorate.consistency.replica.definitions import check_key, check_store_name
from quorate.consistency.replica.states import KeyState, Vector, state_of, vector_from
from quorate.consistency.versions.hlc import ClockAhead
from quorate.core.codec import Malformed

if TYPE_CHECKING:
    from quorate.consistency.replica.core import ReplicaCore

ABSORB_ENTRIES_MAX = 100_000
GONE = "gone"


class Absorbing:
    """The side of a replica that exchanges use."""

    def __init__(self, replica: ReplicaCore) -> None:
        self._replica = replica
        self._done: list[tuple[int, Callable[[], None]]] = []
        """(group, what to call once it is synced)"""
        self.refused_ahead = 0

    def on_synced(self, group: int) -> None:
        """The disk has a group."""
        while self._done and self._done[0][0] <= group:
            self._done.pop(0)[1]()

    def absorb(self, entries: list[list[Any]], done: Callable[[Absorbed], None]) -> None:
        """Join states; all are looked at before any is taken. Raises `UsageError`."""
        replica = self._replica
        if len(entries) > ABSORB_ENTRIES_MAX:
            raise Malformed(f"{len(entries)} states at once")
        taken: list[tuple[str, str, KeyState | Vector]] = []
        stamp_max = 0
        for entry in entries:
            if len(entry) != 3 or not isinstance(entry[0], str) or not isinstance(entry[1], str):
                raise Malformed("a state must come as [store, key, state]")
            check_store_name(entry[0])
            check_key(entry[1])
            state = state_or_cut(entry[2])
            taken.append((entry[0], entry[1], state))
            if not isinstance(state, dict):
                stamp_max = max(stamp_max, state.stamp)
        try:
            replica.hlc.observe(stamp_max)
        except ClockAhead as error:
            self.refused_ahead += 1
            text = str(error)
            replica.scheduler.call_soon(lambda: done(Absorbed(0, [], {}, text)))
            return
        group, changed = replica.log.group, 0
        gone: list[tuple[str, str]] = []
        logged: list[list[Any]] = []
        for entry, (name, key, state) in zip(entries, taken, strict=True):
            if not isinstance(state, dict) and replica.joiner.is_dead(name, key, state):
                gone.append((name, key))
            elif self.join(name, key, state, group):
                changed += 1
                logged.append(entry)
            if isinstance(state, dict) and replica.knowledge.covers(state):
                replica.joiner.adopt(state)  # who still has the key must not bring it back
        result = Absorbed(changed, gone, self._cut_of(gone), None)
        if logged:
            replica.log.append(batches.encode_states(logged))
            replica.flusher.plan()
        self.barrier(lambda: done(result))  # also what was here already may wait for the disk

    def _cut_of(self, gone: list[tuple[str, str]]) -> Vector:
        """What was collected here, as far as it concerns all of these keys."""
        cut = self._replica.joiner.collected
        for name, key in gone:
            shelf = self._replica.shelf.store(name)
            cut = self._replica.joiner.known_of(shelf, key, cut)
        return dict(cut)

    def barrier(self, done: Callable[[], None]) -> None:
        """`done()`, in a later turn, once everything in memory now is synced."""
        replica = self._replica
        replica.writer.close_batch()
        if replica.log.idle:
            replica.scheduler.call_soon(done)
        else:
            self._done.append((replica.log.last_group, done))

    def join(self, name: str, key: str, state: KeyState | Vector, group: int) -> bool:
        joiner = self._replica.joiner
        if isinstance(state, dict):
            return joiner.drop_dead(name, key, state, group)
        return joiner.join_state(name, key, state, group)

    def advance(self, vector: Vector, done: Callable[[], None]) -> None:
        """Everything up to `vector` that concerns this host is here, by exchange."""
        replica = self._replica
        knowledge, group = replica.knowledge, replica.log.group
        news = {
            actor: seq
            for actor, seq in vector.items()
            if actor not in replica.identity.own and seq > knowledge.seen.get(actor, 0)
        }
        if not news:
            replica.scheduler.call_soon(done)
            return
        for actor, seq in news.items():
            knowledge.saw(actor, seq, group)
        replica.log.append(batches.encode_advance(news))
        self._done.append((group, done))
        replica.freshness.on_seen()
        replica.hooks.on_fresh()


def state_or_cut(wire: Any) -> KeyState | Vector:
    """A state, or the cut of a "gone". Raises `Malformed`."""
    if isinstance(wire, list) and wire[:1] == [GONE]:
        parts = cast(list[Any], wire)
        if len(parts) != 2:
            raise Malformed("a gone state must be ['gone', cut]")
        return vector_from(parts[1])
    return state_of(wire)
