"""Pushing own updates to the other owners: one cursor per peer through the own records of the log.

The law of this file: only synced records leave; a peer gets them in order, each after the position
it has; the cursor goes on when the peer says its disk has them. What is not acknowledged stays (the
log is the hint of hinted hand-off) and is pushed again after a new link, a gap or a silence. The
state of a peer is what it said, never what was sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from quorate.consistency.replica import batches
from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.consistency.replica.redo_log import OwnRecord, RedoLog
from quorate.consistency.replica.states import Vector
from quorate.core.errors import CorruptStorage

Send = Callable[[str, dict[str, Any], bool], bool]
"""(peer, message, bulk): False when it certainly did not leave."""
Wanted = Callable[[str, list[Any]], bool]
"""(peer, update): whether the update goes to the peer."""


@dataclass(slots=True)
class Peer:
    """What one peer has of this host's updates."""

    host: str
    greeted: bool = False
    """It said hello over the present link."""
    acked: Vector = field(default_factory=dict[int, int])
    """Own actor -> on its disk up to here."""
    sent: int = 0
    """Log position up to which everything was pushed over this link."""
    unacked: deque[tuple[int, int, int, int]] = field(
        default_factory=deque[tuple[int, int, int, int]]
    )
    """(position, actor, upto, bytes) pushed and not acknowledged."""
    unacked_bytes: int = 0
    last_news: float = 0.0
    hold_until: float = 0.0
    refuses_until: float = 0.0
    """It said that this host's clock is too far ahead; forgotten then, unless it says so again."""
    wall: tuple[int, float] | None = None
    """What its wall clock said, in milliseconds, and when that was heard."""
    rescan: tuple[int, int, int] | None = None
    """(epoch, next position, last position): everything kept is told again, for a new owner."""


def message(kind: str, **parts: Any) -> dict[str, Any]:
    """A message between store replicas."""
    return {"type": "st", "k": kind, **parts}


class Outgoing:
    """All cursors of one host."""

    def __init__(
        self,
        log: RedoLog,
        send: Send,
        config: ReplicaConfig,
        *,
        wanted: Wanted | None,
        heads: Callable[[], Vector],
        times_ms: Callable[[], tuple[int, int]],
        now: Callable[[], float],
    ) -> None:
        self._log = log
        self._send = send
        self._config = config
        self.wanted = wanted
        """None: every update goes to everybody."""
        self._times_ms = times_ms
        self._heads = heads
        """Own actor -> what is on this disk of it."""
        self._now = now
        self.peers: dict[str, Peer] = {}
        self._counts = {"pushes": 0, "pushed_bytes": 0, "rewinds": 0, "gaps": 0}

    def peer(self, host: str) -> Peer:
        found = self.peers.get(host)
        if found is None:
            found = self.peers[host] = Peer(host)
        return found

    def on_hello(self, host: str, has: Vector) -> None:
        """The peer says what it has: begin there."""
        peer = self.peer(host)
        peer.greeted = True
        peer.acked = dict(has)
        self.rewind(peer)

    def on_down(self, host: str) -> None:
        peer = self.peers.get(host)
        if peer is not None:
            peer.greeted = False
            peer.unacked.clear()
            peer.unacked_bytes = 0

    def rewind(self, peer: Peer) -> None:
        """Push again from what the peer has."""
        self._counts["rewinds"] += 1
        peer.unacked.clear()
        peer.unacked_bytes = 0
        peer.last_news = self._now()
        peer.sent = 0
        peer.hold_until = 0.0
        for record in self._log.own:
            if record.upto > peer.acked.get(record.actor, 0):
                break
            peer.sent = record.position

    def on_ack(self, host: str, actor: int, upto: int) -> bool:
        """The peer's disk has own updates up to `upto`; True when that is news."""
        peer = self.peer(host)
        peer.last_news = self._now()
        news = upto > peer.acked.get(actor, 0)
        if news:
            peer.acked[actor] = upto
        while peer.unacked:
            _, of, last, size_bytes = peer.unacked[0]
            if last > peer.acked.get(of, 0):
                break
            peer.unacked.popleft()
            peer.unacked_bytes -= size_bytes
        return news

    def pump(self, synced_position: int) -> None:
        """Push to every peer what it lacks, as far as its window allows."""
        for peer in self.peers.values():
            if peer.greeted and self._log.own:
                self._pump(peer, synced_position)

    def look_for_gaps(self) -> None:
        """Tell peers that lack what is not in the log any more and that no push would show."""
        kept = {record.actor for record in self._log.own}
        for actor, head in self._heads().items():
            for peer in self.peers.values():
                lacks = peer.greeted and peer.acked.get(actor, 0) < head
                if lacks and actor not in kept and self._now() >= peer.hold_until:
                    self._tell_gap(peer, actor)

    def _pump(self, peer: Peer, synced_position: int) -> None:
        now = self._now()
        if now < peer.hold_until:
            return
        if peer.unacked and now - peer.last_news > self._config.silence_s:
            self.rewind(peer)
        while self._log.own[-1].position > peer.sent:
            if peer.unacked_bytes >= self._config.push_window_bytes:
                return
            records, bodies = self._next(peer, synced_position)
            if not records or not self._send(peer.host, self._push(bodies), True):
                return
            if not peer.unacked:
                peer.last_news = now
            for record, body in zip(records, bodies, strict=True):
                peer.unacked.append((record.position, record.actor, record.upto, len(body)))
                peer.unacked_bytes += len(body)
                self._counts["pushed_bytes"] += len(body)
            peer.sent = records[-1].position
            self._counts["pushes"] += 1

    def _push(self, bodies: list[bytes], **parts: Any) -> dict[str, Any]:
        """A push says this host's time, so that a wrong clock is noticed before a stamp is
        refused."""
        return message("push", b=bodies, w=self._times_ms(), **parts)

    def _next(self, peer: Peer, synced_position: int) -> tuple[list[OwnRecord], list[bytes]]:
        """The records of the next push, and their bodies."""
        records: list[OwnRecord] = []
        bodies: list[bytes] = []
        size_bytes = 0
        for record in islice(self._log.own, self._first_after(peer.sent), None):
            if record.position > synced_position:
                break
            if self._has(peer, record.actor, records) < record.prev:
                self._tell_gap(peer, record.actor)
                break
            body = self.body_for(peer.host, record)
            if records and size_bytes + len(body) > self._config.push_bytes_max:
                break
            records.append(record)
            bodies.append(body)
            size_bytes += len(body)
        return records, bodies

    def _has(self, peer: Peer, actor: int, records: list[OwnRecord]) -> int:
        """Up to where the peer has the actor's updates once it got what is on its way."""
        for record in reversed(records):
            if record.actor == actor:
                return record.upto
        for _, of, upto, _ in reversed(peer.unacked):
            if of == actor:
                return upto
        return peer.acked.get(actor, 0)

    def _tell_gap(self, peer: Peer, actor: int) -> None:
        """What it lacks is not in the log any more: it must compare whole states."""
        now, head = self._now(), self._heads().get(actor, 0)
        if not peer.unacked and self._send(peer.host, message("gap", a=actor, h=head), False):
            self._counts["gaps"] += 1
            peer.hold_until = now + self._config.clock_retry_s

    def _first_after(self, position: int) -> int:
        """Where in the deque of own records the first one behind `position` stands."""
        own = self._log.own
        if not own or not position or own[0].position > position:
            return 0
        at = len(own)
        while at and own[at - 1].position > position:
            at -= 1
        return at

    def body_for(self, host: str, record: OwnRecord) -> bytes:
        """The record's bytes, without the updates that do not concern the peer."""
        body = self._log.body(record.position)
        if body is None:
            raise CorruptStorage(f"own log record {record.position} is gone")
        if self.wanted is None:
            return body
        batch = batches.decode_record(body)
        if not isinstance(batch, batches.Batch):
            raise CorruptStorage(f"own log record {record.position} is no batch")
        rows = [update for update in batch.updates if self.wanted(host, update)]
        if len(rows) == len(batch.updates):
            return body
        return batches.restricted(batch, record.prev, rows)

    # --- telling everything again -----------------------------------------------------------------

    def start_rescan(self, host: str, epoch: int) -> None:
        """A new owner asks for everything that is kept, whatever it acknowledged before. Asked
        again while it is being told, the first request goes on."""
        peer, own = self.peer(host), self._log.own
        if peer.rescan is None or peer.rescan[0] != epoch:
            first, last = (own[0].position, own[-1].position) if own else (1, 0)
            peer.rescan = (epoch, first, last)

    def pump_rescans(self, synced_position: int) -> bool:
        """One portion to every peer that asked; True while there is more to tell."""
        more = False
        for peer in self.peers.values():
            if peer.rescan is not None and peer.greeted:
                more |= self._pump_rescan(peer, peer.rescan, synced_position)
        return more

    def _pump_rescan(self, peer: Peer, rescan: tuple[int, int, int], synced: int) -> bool:
        epoch, position, last = rescan
        bodies: list[bytes] = []
        size_bytes = 0
        for record in islice(self._log.own, self._first_after(position - 1), None):
            if record.position > last or size_bytes >= self._config.push_bytes_max:
                break
            if record.position > synced:
                return True
            bodies.append(self.body_for(peer.host, record))
            size_bytes += len(bodies[-1])
            position = record.position + 1
        if bodies and not self._send(peer.host, self._push(bodies, again=True), True):
            return True
        if bodies:
            peer.rescan = (epoch, position, last)
            return True
        if self._send(peer.host, message("rescanned", epoch=epoch), True):
            peer.rescan = None
        return peer.rescan is not None

    def refusing(self) -> tuple[int, int]:
        """How many peers refuse this host's clock, and of how many."""
        now = self._now()
        linked = [peer for peer in self.peers.values() if peer.greeted]
        return sum(peer.refuses_until > now for peer in linked), len(linked)

    def forget_refusals(self, hosts: Iterable[str]) -> bool:
        """What these peers said of this host's clock no longer holds. Whether any had said it."""
        refused = [peer for host in hosts if (peer := self.peer(host)).refuses_until]
        for peer in refused:
            peer.refuses_until = 0.0
        return bool(refused)

    def walls_agree(self) -> bool:
        """Whether the wall clocks of most hosts that are linked are near this host's."""
        told = [peer.wall for peer in self.peers.values() if peer.greeted]
        now, (_, own_ms) = self._now(), self._times_ms()
        near = 0
        for wall in told:
            if wall is not None:
                ahead_ms = wall[0] + (now - wall[1]) * 1000 - own_ms
                near += abs(ahead_ms) <= self._config.drift_max_ms
        return near * 2 > len(told)

    # --- who has what -----------------------------------------------------------------------------

    def lacking(self, host: str) -> int:
        """How many bytes of own records the peer lacks."""
        peer = self.peers.get(host)
        acked = {} if peer is None else peer.acked
        return sum(r.size_bytes for r in self._log.own if r.upto > acked.get(r.actor, 0))

    def acked_position(self, hosts: list[str]) -> int:
        """The log position up to which every one of `hosts` has every own record."""
        position = 1 << 62
        for host in hosts:
            peer = self.peers.get(host)
            acked = {} if peer is None else peer.acked
            for record in self._log.own:
                if record.upto > acked.get(record.actor, 0):
                    position = min(position, record.position - 1)
                    break
        return position

    def holding(self, actor: int, seq: int) -> list[str]:
        """The peers whose disks have the own update."""
        return [p.host for p in self.peers.values() if p.acked.get(actor, 0) >= seq]

    def statistics(self) -> dict[str, object]:
        return {
            **self._counts,
            "peers": {
                peer.host: {"acked": dict(peer.acked), "unacked_bytes": peer.unacked_bytes}
                for peer in self.peers.values()
            },
        }
