"""What must hold at every moment of a run, looked at from outside all hosts.

The law: findings are kept in the order they were found, one sentence each; the watch changes
nothing. A dot names one update for ever; a host says only what is on its disk; what it says it has
applied is there. What is durable is read from the simulated disks, not from what a replica says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.calls import Call, Calls, Dot, Made, Vector
from quorate.chaos.stores.replicas import context_of
from quorate.consistency.merkle.messages import STATE_DEPTH
from quorate.consistency.replica import batches
from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.states import KeyState, RegisterState, state_of
from quorate.core import codec

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost

FINDINGS_MAX = 20


@dataclass(slots=True)
class Known:
    """What a host was seen to have."""

    applied: Vector = field(default_factory=dict[int, int])
    checked: Vector = field(default_factory=dict[int, int])
    """So far of each actor what is applied was looked up in the states."""
    held: set[Dot] = field(default_factory=set[Dot])
    """While it is down: the acknowledged updates that its disk has."""
    began: Vector = field(default_factory=dict[int, int])
    """The last number given out by its present actor that it found on its disk when it started."""


LAST_WINS = ("last",)


def covers(state: KeyState, made: Made) -> bool:
    """Whether the update was seen by this key's state, or where the last write wins lost to it."""
    actor, seq = made.dot
    if not isinstance(state, RegisterState):
        return state.crdt.context.contains(actor, seq)
    if state.context.get(actor, 0) >= seq:
        return True
    winner = state.winner
    if made.store not in LAST_WINS or winner is None:
        return False
    return (winner.stamp, winner.actor, winner.seq) > (made.stamp, actor, seq)


class Watch:
    """Collects findings. `stop` is called at the first. `disks(host)`: what lies on a disk."""

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
        self.hosts: dict[str, StoreHost] = {}
        self.epoch: Callable[[], int] = lambda: 0
        """Of the ring as the group has it."""
        self._told: dict[str, list[Conflict]] = {}
        self.lost_conflicts: list[Conflict] = []
        """What feeds had told that were lost with their disks."""
        self._by_actor: dict[int, list[Made]] = {}
        self._collected: Vector = {}
        self._ever: dict[str, Vector] = {}
        """By host: the most that it ever had applied, on whatever disk."""
        self._trimmed: Vector = {}

    def collected(self) -> Vector:
        """The join of what any host ever collected: by its law every owner had applied that."""
        for host in self.hosts.values():
            for actor, seq in host.replica.joiner.collected.items():
                if seq > self._collected.get(actor, 0):
                    self._collected[actor] = seq
        return self._collected

    def find(self, text: str) -> None:
        """Something that must not be."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)
            self._transcript.note("FOUND", text)
            self._stop()

    # --- lives ----------------------------------------------------------------------------------

    def on_started(self, host: StoreHost) -> None:
        """A restart keeps what was applied."""
        self.hosts[host.id] = host
        known = self.known.setdefault(host.id, Known())
        applied = host.replica.applied
        for actor, seq in known.applied.items():
            if applied.get(actor, 0) < seq:
                self.find(
                    f"{host.id} had applied {actor}:{seq}, and after a restart "
                    f"{applied.get(actor, 0)}"
                )
        known.checked = {}
        known.began = {host.replica.actor: host.replica.head}
        self._forget_lost(host)

    def _forget_lost(self, host: StoreHost) -> None:
        """What was in memory only is gone, and its dots may be given again: nobody saw them."""
        for actor in host.replica.identity.own:
            rows = self._by_actor.get(actor, [])
            while rows and rows[-1].dot[1] > max(host.disk.upto.get(actor, 0), host.replica.head):
                self._calls.made.pop(rows.pop().dot, None)

    def on_killed(self, host: StoreHost) -> None:
        if host.failed is None:
            self.look(host)
        for actor in host.replica.applied:
            self._had(host.id, actor)
        known = self.known[host.id]
        known.held = {made.dot for made in self._calls.made.values() if self._has(host, made)}

    def on_wiped(self, host: StoreHost) -> None:
        """Updates that lay on this disk only are nobody's fault any more."""
        self.known[host.id] = Known()
        self.lost_conflicts += self._told.pop(host.id, [])
        for made in self._calls.made.values():
            others = [other for other in self.hosts.values() if other is not host]
            if made.sure and not any(self._holds(other, made) for other in others):
                made.excused = f"only {host.id} held it when its disk was lost"

    def on_conflict(self, host_id: str, conflict: Conflict) -> None:
        """A host's feed has it."""
        self._told.setdefault(host_id, []).append(conflict)

    def _holds(self, host: StoreHost, made: Made) -> bool:
        """Whether the host's disk has this acknowledged update, the host running or not."""
        if host.life is None:
            return made.dot in self.known[host.id].held
        return self._has(host, made)

    def _has(self, host: StoreHost, made: Made) -> bool:
        actor, seq = made.dot
        if not made.sure or host.replica.applied.get(actor, 0) < seq:
            return False
        if self._collected.get(actor, 0) >= seq:
            return True
        state = host.replica.read(made.store, made.key)  # a newer value alone cannot give it back
        return state is not None and context_of(state).get(actor, 0) >= seq

    # --- updates --------------------------------------------------------------------------------

    def on_made(self, host: StoreHost, made: Made) -> None:
        """A replica made an update: its dot was never given before."""
        actor, seq = made.dot
        rows = self._by_actor.setdefault(actor, [])
        if rows and seq <= rows[-1].dot[1]:
            other = rows[-1]
            self.find(
                f"dot {actor}:{seq} of {made.name} on {host.id} comes after {other.dot[1]} of "
                f"{other.name} on {other.host}: a dot names two updates"
            )
        rows.append(made)
        self._calls.made[made.dot] = made

    def on_acknowledged(self, call: Call) -> None:
        """A client was told that its update is there: it is on the disks that are named."""
        if call.dot is None:
            return
        made = self._calls.made.get(call.dot)
        if made is None or made.name != call.name:
            self.find(f"call {call.id} was told dot {call.dot}, which nobody made for {call.name}")
            return
        if not call.achieved_durable:
            return
        actor, seq = made.dot
        made.acked = True
        if len(call.holders) < call.wait_for:
            self.find(f"call {call.id} waited for {call.wait_for} hosts; told {call.holders}")
        for holder in call.holders:
            if self.hosts[holder].disk.ever.get(actor, 0) < seq:
                self.find(
                    f"call {call.id} was told that {holder} holds {actor}:{seq}; its disk ends at "
                    f"{self.hosts[holder].disk.ever.get(actor, 0)}"
                )

    def on_sent(self, host: StoreHost, peer: str, message: dict[str, Any]) -> None:
        """A host speaks: updates it pushes, and what it says it has, are on its disk."""
        if message.get("type") != "st":
            return
        kind, upto = message.get("k"), host.disk.upto
        if kind == "push":
            for body in message["b"]:
                batch = batches.decode_record(body)
                if isinstance(batch, batches.Batch) and batch.upto > upto.get(batch.actor, 0):
                    self.find(
                        f"{host.id} pushes {batch.actor}:{batch.upto} to {peer}; its disk ends at "
                        f"{upto.get(batch.actor, 0)}"
                    )
        elif kind == "ae":
            self._check_shown(host, peer, message.get("states") or [])
        elif kind in ("ack", "know", "hello"):
            said: Any = message["v"]
            for actor, seq in said.items():
                if seq > upto.get(actor, 0):
                    self.find(
                        f"{host.id} tells {peer} that it has {actor}:{seq} ({kind}); its disk ends "
                        f"at {upto.get(actor, 0)}"
                    )

    def _check_shown(self, host: StoreHost, peer: str, states: list[list[Any]]) -> None:
        """States that leave a host in an exchange: its own updates in them are on its disk."""
        for key, body in states:
            seen = context_of(state_of(codec.loads(body, depth_max=STATE_DEPTH)))
            for actor in host.replica.identity.own:
                began = self.known[host.id].began.get(actor, 0)  # states may be ahead of the log
                upto = max(host.disk.upto.get(actor, 0), began)
                if seen.get(actor, 0) > upto:
                    self.find(
                        f"{host.id} shows {peer} its update {actor}:{seen[actor]} of {key!r}; its "
                        f"disk ends at {upto}"
                    )

    # --- looking --------------------------------------------------------------------------------

    def look(self, host: StoreHost) -> None:
        """Called now and then for every running host, and before it is killed."""
        replica, known = host.replica, self.known[host.id]
        applied = replica.applied
        if replica.durable > replica.head:
            self.find(f"{host.id} has synced {replica.durable} of {replica.head} updates")
        for actor, seq in applied.items():
            if seq > host.disk.upto.get(actor, 0):
                self.find(
                    f"{host.id} says it applied {actor}:{seq}; its disk ends at "
                    f"{host.disk.upto.get(actor, 0)}"
                )
        for actor, seq in known.applied.items():
            if applied.get(actor, 0) < seq:
                self.find(f"{host.id} had applied {actor}:{seq} and now {applied.get(actor, 0)}")
        known.applied = dict(applied)
        self._check_applied(host, known)
        self._check_hints(host)

    def _had(self, host_id: str, actor: int) -> int:
        """How much of an actor a host ever had on a disk."""
        ever = self._ever.setdefault(host_id, {})
        host = self.hosts.get(host_id)
        now = 0 if host is None else host.replica.applied.get(actor, 0)
        ever[actor] = max(now, ever.get(actor, 0))
        return ever[actor]

    def _check_hints(self, host: StoreHost) -> None:
        """What left the log of its maker is on the disk of every owner, or was. (While the first
        ring stands: later owners get whole partitions.)"""
        replica = host.replica
        if self.epoch() != 1 or replica.ring is None:
            return
        actor = replica.actor
        kept = [record.prev for record in replica.log.own if record.actor == actor]
        first, since = min(kept, default=replica.durable), self._trimmed.get(actor, 0)
        self._trimmed[actor] = max(first, since)
        for made in reversed(self._by_actor.get(actor, ())):
            if made.dot[1] <= since:
                break
            if made.dot[1] > first or not made.sure:
                continue
            for owner in replica.owners(made.store, made.key):
                if owner != host.id and self._had(owner, actor) < made.dot[1]:
                    self.find(
                        f"{host.id} let {actor}:{made.dot[1]} of {made.name} go from its log, and "
                        f"{owner}, an owner, never had it"
                    )

    def _check_applied(self, host: StoreHost, known: Known) -> None:
        """What is newly said to be applied was seen by the states of its keys."""
        replica, ring = host.replica, host.replica.ring
        if ring is None or ring.before is not None or host.id not in ring.hosts:
            return
        if ring.epoch != self.epoch():
            return  # it does not know yet what it owns now
        collected = self.collected()
        for actor, seq in known.applied.items():
            since = known.checked.get(actor, 0)
            if seq <= since:
                continue
            known.checked[actor] = seq
            for made in reversed(self._by_actor.get(actor, ())):
                if made.dot[1] <= since:
                    break
                if made.dot[1] > seq or not made.sure or not replica.owns(made.store, made.key):
                    continue
                if collected.get(actor, 0) >= made.dot[1]:
                    continue
                if made.host in host.unheard(made.store, made.key):
                    continue  # nor does it show that to a session
                state = replica.read(made.store, made.key)
                if state is not None and not covers(state, made):
                    self.find(
                        f"{host.id} says it applied {actor}:{seq}, and {made.name} there has not "
                        f"seen {made.dot[1]}, made on {made.host}"
                    )
