"""What comes in: the log at the start, and the messages of the other replicas.

The law of this file: a peer's batch is taken only in order, from the host whose actor it is, with a
stamp that this host's clock can believe; it is joined and logged in one turn and acknowledged when
synced. What cannot be taken changes nothing and is answered with the reason.

    hello      who I am, what I have         push       batches of updates, in order
    know       what I have, how far I got    ack        up to here on my disk
    need       I have only this much         gap        my log begins later: compare states
    ahead      your clock is too far ahead   who        I do not know you: say hello
    probe      how far did you get           heads      this far
    rescan     tell me everything again      rescanned  that was all
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from quorate.consistency.replica import batches
from quorate.consistency.replica.absorbing import state_or_cut
from quorate.consistency.replica.flusher import MARK, Mark
from quorate.consistency.replica.knowledge import Report
from quorate.consistency.replica.outgoing import message
from quorate.consistency.replica.redo_log import PLACE_BITS
from quorate.consistency.replica.shelf import META
from quorate.consistency.replica.states import Vector, vector_from
from quorate.consistency.versions.hlc import ClockAhead
from quorate.core.codec import Malformed
from quorate.core.errors import UsageError

if TYPE_CHECKING:
    from quorate.consistency.replica.core import ReplicaCore

TELL_ANYWAY_TICKS = 20
"""Told again after so many intervals even if nothing changed."""


class Incoming:
    """The receiving side of one replica."""

    def __init__(self, replica: ReplicaCore) -> None:
        self._replica = replica
        self._acks: list[tuple[int, str, int, int]] = []
        """(group, peer, actor, upto) to be acknowledged when the group is synced."""
        self._told: dict[str, tuple[Any, int]] = {}
        self._rescans: dict[str, int] = {}
        """Peer -> the epoch by which it asked to be told everything again."""
        self._promised_epoch = 0
        """The ring on this disk."""
        self._ticks = 0
        self._counts: dict[str, int] = dict.fromkeys(
            ("batches", "updates", "duplicates", "gaps", "unknown", "ahead", "malformed"), 0
        )
        self._handlers: dict[str, Callable[[str, dict[str, Any]], None]] = {
            "hello": self._on_hello,
            "push": self._on_push,
            "know": self._on_know,
            "ack": self._on_ack,
            "need": self._on_need,
            "gap": self._on_gap,
            "ahead": self._on_ahead,
            "who": lambda peer, _: self.greet(peer),
            "probe": self._on_probe,
            "heads": self._on_heads,
            "rescan": self._on_rescan,
        }

    # --- the start --------------------------------------------------------------------------------

    def recover(self) -> None:
        """Read what is on disk. Raises `CorruptStorage`."""
        replica = self._replica
        knowledge, identity, log = replica.knowledge, replica.identity, replica.log
        body = replica.shelf.disk.get(META, MARK)
        mark = Mark(0, 0, {}, {}, {}) if body is None else Mark.decode(body)
        knowledge.seen.update(mark.applied)
        knowledge.actors.update(mark.actors)
        replica.joiner.collected = mark.collected
        if mark.ring is not None:
            replica.territory.take(mark.ring)
            self._promised_epoch = mark.ring.epoch
        replica.joiner.whole = lambda partition: False  # what is logged was taken: nothing is dead
        own, last = set(identity.own), mark.group << PLACE_BITS
        for position, body in log.records():
            last = max(last, position)
            self._replay(position, body, own, mark.group)
        replica.joiner.whole = lambda partition: True
        log.begin_after(last)
        replica.flusher.flushed_group = mark.group
        knowledge.waiting.clear()
        knowledge.applied.update(knowledge.seen)
        for actor in own:
            knowledge.actors[actor] = replica.host_id
        logged = knowledge.seen.get(identity.actor, 0)
        head = max(mark.head, logged) if identity.actor in mark.actors else logged
        replica.writer.begin(identity.actor, head, logged)

    def _replay(self, position: int, body: bytes, own: set[int], flushed_group: int) -> None:
        replica, group = self._replica, position >> PLACE_BITS
        record = batches.decode_record(body)
        if isinstance(record, batches.Batch) and record.actor in own:
            replica.log.found_own(position, record.actor, record.prev, record.upto, len(body))
        else:
            replica.log.found_foreign(position)
        if group <= flushed_group:
            return
        if isinstance(record, batches.Batch):
            for update in record.updates:
                replica.joiner.apply(record.actor, update, 0)
            if record.prev <= replica.knowledge.seen.get(record.actor, 0):
                replica.knowledge.saw(record.actor, record.upto, group)  # else: told out of order
        elif isinstance(record, batches.States):
            for name, key, wire in record.entries:
                replica.absorbing.join(name, key, state_or_cut(wire), 0)
        else:
            for actor, seq in record.vector.items():
                replica.knowledge.saw(actor, seq, group)

    # --- telling ----------------------------------------------------------------------------------

    def heads(self) -> Vector:
        """How far this host's own updates go."""
        replica = self._replica
        applied = replica.knowledge.applied
        heads = {actor: applied.get(actor, 0) for actor in replica.identity.own}
        heads[replica.actor] = replica.head
        return heads

    def greet(self, peer: str, *, reply: bool = False) -> None:
        """Say who this is and what is here."""
        replica = self._replica
        self._told.pop(peer, None)
        parts = message(
            "hello", h=self.heads(), v=dict(replica.applied), r=reply, w=replica.hlc.times_ms()
        )
        replica.send(peer, parts, False)

    def tell(self, *, now: bool = False) -> None:
        """Say what is here to everybody to whom it is news."""
        replica = self._replica
        self._ticks += 1
        epoch = 0 if replica.ring is None else replica.ring.epoch
        vector, heads = dict(replica.applied), self.heads()
        own_ms, wall_ms = times_ms = replica.hlc.times_ms()
        jumped = round((wall_ms - own_ms) / replica.config.drift_max_ms)  # that a clock was set
        news = epoch, vector, heads, jumped
        for peer in replica.territory.others():
            told, at = self._told.get(peer, (None, 0))
            if told == news and not now and self._ticks - at < TELL_ANYWAY_TICKS:
                continue
            if replica.send(peer, message("know", e=epoch, v=vector, h=heads, w=times_ms), False):
                self._told[peer] = (news, self._ticks)

    # --- messages ---------------------------------------------------------------------------------

    def on_message(self, peer: str, parts: dict[str, Any]) -> None:
        """See the table above. Raises `UsageError`; then nothing was changed by the bad part."""
        handler = self._handlers.get(cast(str, parts.get("k")))
        try:
            if handler is None:
                raise Malformed(f"no message {parts.get('k')!r} between stores")
            handler(peer, parts)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            self._counts["malformed"] += 1
            if isinstance(error, UsageError):
                raise
            raise Malformed(
                f"a malformed {parts.get('k')!r} message: {type(error).__name__}: {error}"
            ) from error

    def _on_hello(self, peer: str, parts: dict[str, Any]) -> None:
        replica = self._replica
        heads, vector = vector_from(parts["h"]), vector_from(parts["v"])
        actors = replica.knowledge.actors
        for actor in heads:
            if actors.setdefault(actor, peer) != peer:
                raise Malformed(f"host {peer!r} says it is actor {actor} of {actors[actor]!r}")
        self._look_at_clock(peer, *_times_of(parts["w"]))
        own = {actor: vector.get(actor, 0) for actor in replica.identity.own}
        if own[replica.actor] > replica.head:
            replica.on_amnesia(peer)
        replica.outgoing.on_hello(peer, own)
        if not parts["r"]:
            self.greet(peer, reply=True)
        replica.plan_pump()

    def _on_push(self, peer: str, parts: dict[str, Any]) -> None:
        again = bool(parts.get("again"))
        self._look_at_clock(peer, *_times_of(parts["w"]))
        for body in cast(list[bytes], parts["b"]):
            batch = batches.decode_record(body)
            if not isinstance(batch, batches.Batch):
                raise Malformed("a push must hold batches")
            if not self._take(peer, body, batch, again=again):
                return
        self._replica.freshness.on_seen()
        self._replica.hooks.on_fresh()

    def _take(self, peer: str, body: bytes, batch: batches.Batch, *, again: bool) -> bool:
        """Join and log one batch; False when what follows cannot be taken either."""
        replica, actor = self._replica, batch.actor
        knowledge = replica.knowledge
        if knowledge.actors.get(actor) != peer:
            self._counts["unknown"] += 1
            replica.hooks.on_problem(
                f"host {peer!r} pushed updates of actor {actor}, which it never said it is: refused"
            )
            replica.send(peer, message("who"), False)
            return False
        seen = knowledge.seen.get(actor, 0)
        if not again and batch.prev > seen:
            self._counts["gaps"] += 1
            replica.send(peer, message("need", a=actor, s=seen), False)
            return False
        if not again and batch.upto <= seen:
            self._counts["duplicates"] += 1
            applied = knowledge.applied.get(actor, 0)  # what is here may still wait for the disk
            self._acks.append((0, peer, actor, min(batch.upto, applied)))
            replica.scheduler.call_soon(self._send_acks)
            return True
        if not self._believable(peer, batch.stamp_max):
            return False
        group = replica.log.group
        join = replica.joiner.apply
        for update in batch.updates:
            if again or update[batches.SEQ] > seen:
                join(actor, update, group)
        replica.log.append(body)
        self._counts["batches"] += 1
        self._counts["updates"] += len(batch.updates)
        if not again:
            knowledge.saw(actor, batch.upto, group)
            self._acks.append((group, peer, actor, batch.upto))
        replica.flusher.plan()
        return True

    def _believable(self, peer: str, stamp: int) -> bool:
        """Follow the stamp, or refuse what comes from a clock too far ahead."""
        replica = self._replica
        try:
            replica.hlc.observe(stamp)
        except ClockAhead as error:
            self._counts["ahead"] += 1
            replica.hooks.on_problem(f"updates of host {peer!r} are refused: {error}")
            replica.send(peer, message("ahead", w=replica.hlc.times_ms()), False)
            return False
        return True

    def _look_at_clock(self, peer: str, own_ms: int, wall_ms: int) -> None:
        """Tell a peer whose time is too far ahead before its updates have to be refused. One whose
        time is near this host's has no reason left to refuse it."""
        replica = self._replica
        replica.outgoing.peer(peer).wall = wall_ms, replica.now()
        ahead_ms, drift_max_ms = own_ms - replica.hlc.now_ms(), replica.config.drift_max_ms
        if ahead_ms > drift_max_ms and not replica.agree_on_time(own_ms, wall_ms):
            replica.send(peer, message("ahead", w=replica.hlc.times_ms()), False)
        elif ahead_ms >= -drift_max_ms:
            replica.no_longer_refused(peer)

    def on_synced(self, group: int, moved: Vector) -> None:
        """The disk has a group: acknowledge what it held."""
        del moved, group
        self._replica.identity.on_synced(self._replica.log.synced)
        self._send_acks()
        self._replica.absorbing.on_synced(self._replica.log.synced)

    def _send_acks(self) -> None:
        synced = self._replica.log.synced
        ready: dict[str, Vector] = {}
        rest: list[tuple[int, str, int, int]] = []
        for row in self._acks:
            group, peer, actor, upto = row
            if group <= synced:
                ready.setdefault(peer, {})[actor] = upto
            else:
                rest.append(row)
        self._acks = rest
        for peer, vector in ready.items():
            self._replica.send(peer, message("ack", v=vector), False)

    def _on_ack(self, peer: str, parts: dict[str, Any]) -> None:
        self._acked(peer, vector_from(parts["v"]))

    def _acked(self, peer: str, vector: Vector) -> None:
        for actor in self._replica.identity.own:
            if actor in vector:
                self._replica.on_acked(peer, actor, vector[actor])

    def _on_know(self, peer: str, parts: dict[str, Any]) -> None:
        vector, heads = vector_from(parts["v"]), vector_from(parts["h"])
        if type(parts["e"]) is not int:
            raise Malformed("an epoch must be a number")
        self._look_at_clock(peer, *_times_of(parts["w"]))
        self._replica.knowledge.reports[peer] = Report(parts["e"], vector, heads)
        self._acked(peer, vector)

    def _on_need(self, peer: str, parts: dict[str, Any]) -> None:
        outgoing, actor = self._replica.outgoing, parts["a"]
        known = outgoing.peer(peer)
        if actor in self._replica.identity.own and type(parts["s"]) is int:
            known.acked[actor] = parts["s"]
            outgoing.rewind(known)
            self._replica.plan_pump()

    def _on_gap(self, peer: str, parts: dict[str, Any]) -> None:
        """What the peer thinks of this host may be old news: say what is here first."""
        replica, actor = self._replica, parts["a"]
        applied = replica.applied.get(actor, 0)
        if type(parts["h"]) is not int:
            raise Malformed("a gap must say how far the updates go")
        if applied:
            replica.send(peer, message("ack", v={actor: applied}), False)
        if applied < parts["h"]:
            replica.hooks.on_gap(peer)

    def _on_ahead(self, peer: str, parts: dict[str, Any]) -> None:
        replica = self._replica
        own_ms, wall_ms = _times_of(parts["w"])
        known = replica.outgoing.peer(peer)
        replica.outgoing.rewind(known)
        if replica.agree_on_time(own_ms, wall_ms):
            return
        known.hold_until = replica.now() + replica.config.clock_retry_s
        if replica.hlc.now_ms() - own_ms > replica.config.drift_max_ms:
            known.refuses_until = replica.now() + 3 * replica.config.clock_retry_s
        replica.look_at_refusals(peer)

    def _on_probe(self, peer: str, parts: dict[str, Any]) -> None:
        replica = self._replica
        told = replica.knowledge.orphans(replica.identity.own) | self.heads()
        replica.send(peer, message("heads", id=parts["id"], h=told), False)

    def _on_heads(self, peer: str, parts: dict[str, Any]) -> None:
        self._replica.freshness.on_heads(peer, parts["id"], vector_from(parts["h"]))
        self._replica.hooks.on_fresh()

    def _on_rescan(self, peer: str, parts: dict[str, Any]) -> None:
        if type(parts["epoch"]) is not int:
            raise Malformed("an epoch must be a number")
        self._rescans[peer] = parts["epoch"]
        self.look_at_rescans()

    def look_at_rescans(self) -> None:
        """Whoever asked is told everything once this host itself makes updates by that ring, also
        after a restart: what it made by an older one is then all in the log."""
        replica = self._replica
        epoch = 0 if replica.ring is None else replica.ring.epoch
        for peer, asked in list(self._rescans.items()):
            if epoch >= asked:
                del self._rescans[peer]
                self._promise(epoch, partial(self._start_rescan, peer, asked))

    def _promise(self, epoch: int, done: Callable[[], None]) -> None:
        """`done()` once this host will never act by a ring older than its own, `epoch`. Not called
        when the disk is full: who asked asks again."""
        replica = self._replica

        def flushed(error: Exception | None) -> None:
            if error is None:
                self._promised_epoch = max(self._promised_epoch, epoch)
                done()

        if self._promised_epoch >= epoch:
            done()
        else:
            replica.flusher.flush(flushed)

    def _start_rescan(self, peer: str, epoch: int) -> None:
        replica = self._replica
        replica.writer.close_batch()
        replica.outgoing.start_rescan(peer, epoch)
        replica.plan_pump()

    def statistics(self) -> dict[str, int]:
        return dict(self._counts)


def _times_of(told: Any) -> tuple[int, int]:
    """What a host says of its time and its wall clock, in milliseconds. Raises `Malformed`."""
    times = cast(list[Any], told) if isinstance(told, list) else []
    if len(times) != 2 or any(type(ms) is not int for ms in times):
        raise Malformed("a host's time and its wall clock must be numbers of milliseconds")
    return times[0], times[1]
