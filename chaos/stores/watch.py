"""What must hold at every moment of a run, looked at from outside all hosts.

The law: findings are kept in the order they were found, one sentence each; the watch changes
nothing. A dot names one update for ever; a host says only what is on its disk; what it says it has
applied is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.calls import Call, Calls, Vector
from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.states import KeyState, RegisterState

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost

FINDINGS_MAX = 20


@dataclass(slots=True)
class Known:
    """What a host was seen to have."""

    incarnation: int = 0
    applied: Vector = field(default_factory=Vector)
    checked: Vector = field(default_factory=Vector)
    """So far of each actor what is applied was looked up in the states."""


def covers(state: KeyState, actor: int, seq: int) -> bool:
    """Whether that update was seen by this key's state."""
    if isinstance(state, RegisterState):
        return state.context.get(actor, 0) >= seq
    return state.crdt.context.contains(actor, seq)


class Watch:
    """Collects findings. `stop` is called at the first."""

    def __init__(
        self,
        calls: Calls,
        transcript: Transcript,
        now: Callable[[], float],
        stop: Callable[[], object],
    ) -> None:
        self._calls, self._transcript, self._stop = calls, transcript, stop
        self.now = now
        self.findings: list[str] = []
        self.known: dict[str, Known] = {}
        self.durable: Vector = {}
        """How far the log of each actor was ever seen to be synced."""
        self.hosts_of: dict[int, str] = {}
        self.gone: set[str] = set()
        """Hosts whose disk is empty since they lost it."""
        self.conflicts: list[tuple[str, Conflict]] = []
        self._by_actor: dict[int, list[Call]] = {}

    def find(self, text: str) -> None:
        """Something that must not be."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)
            self._transcript.note("FOUND", text)
            self._stop()

    # --- events ---------------------------------------------------------------------------------

    def on_started(self, host: StoreHost) -> None:
        self.gone.discard(host.id)
        known = self.known.setdefault(host.id, Known())
        known.incarnation = host.incarnation
        applied = host.replica.applied
        for actor, seq in known.applied.items():
            if applied.get(actor, 0) < seq:
                self.find(f"{host.id} had applied {actor}:{seq}; restarted, {applied.get(actor)}")
        known.checked = {}
        self.hosts_of[host.replica.actor] = host.id

    def on_killed(self, host: StoreHost) -> None:
        if host.failed is None:
            self.look(host)

    def on_wiped(self, host: StoreHost) -> None:
        """Updates that lay on this disk only are nobody's fault any more."""
        self.known[host.id] = Known()
        self.gone.add(host.id)
        for call in self._calls.acknowledged():
            if call.excused or call.dot is None:
                continue
            actor, seq = call.dot
            if not any(known.applied.get(actor, 0) >= seq for known in self.known.values()):
                call.excused = f"only {host.id} held it when its disk was lost"

    def on_update(self, host: StoreHost, call: Call) -> None:
        """An update got its dot."""
        assert call.dot is not None
        actor, last = call.dot
        rows = self._by_actor.setdefault(actor, [])
        if rows and rows[-1].dot is not None and last - call.dots + 1 <= rows[-1].dot[1]:
            other = rows[-1]
            self.find(
                f"dot {actor}:{last} of call {call.id} on {host.id} comes after call {other.id} on "
                f"{other.host} had {other.dot}: a dot names two updates"
            )
        rows.append(call)
        self._calls.by_dot[call.dot] = call

    def on_conflict(self, host: StoreHost, conflict: Conflict) -> None:
        self.conflicts.append((host.id, conflict))

    def on_sent(self, host: StoreHost, peer: str, message: dict[str, Any]) -> None:
        return

    # --- looking --------------------------------------------------------------------------------

    def look(self, host: StoreHost) -> None:
        """Called now and then for every running host, and before it is killed."""
        replica, known = host.replica, self.known[host.id]
        own, applied = replica.actor, replica.applied
        if replica.durable > replica.head:
            self.find(f"{host.id} has synced {replica.durable} of {replica.head} updates")
        if applied.get(own, 0) != replica.durable:
            self.find(
                f"{host.id} has synced {replica.durable} and says {applied.get(own)} of itself"
            )
        self.durable[own] = max(self.durable.get(own, 0), replica.durable)
        for actor, seq in known.applied.items():
            if applied.get(actor, 0) < seq:
                self.find(f"{host.id} had applied {actor}:{seq} and now {applied.get(actor, 0)}")
        known.applied = dict(applied)
        self._check_applied(host, known)

    def look_at_all(self, hosts: list[StoreHost]) -> None:
        """After each host was looked at: nobody has more of an actor than that actor synced."""
        for host in hosts:
            for actor, seq in self.known[host.id].applied.items():
                if seq > self.durable.get(actor, 0):
                    self.find(
                        f"{host.id} says it applied {actor}:{seq}; that actor's disk ends at "
                        f"{self.durable.get(actor, 0)}"
                    )

    def _check_applied(self, host: StoreHost, known: Known) -> None:
        """What is newly said to be applied was seen by the states of its keys."""
        replica, ring = host.replica, host.replica.ring
        if ring is None or ring.before is not None or host.id not in ring.hosts:
            return
        for actor, seq in known.applied.items():
            since = known.checked.get(actor, 0)
            if seq <= since:
                continue
            known.checked[actor] = seq
            for call in reversed(self._by_actor.get(actor, ())):
                assert call.dot is not None
                if call.dot[1] <= since:
                    break
                if call.dot[1] > seq or not replica.owns(call.store, call.key):
                    continue
                state = replica.read(call.store, call.key)
                if state is not None and not covers(state, *call.dot):
                    self.find(
                        f"{host.id} says it applied {actor}:{seq}, and {call.store}/{call.key} "
                        f"there has not seen {call.dot[1]} (call {call.id} on {call.host})"
                    )
