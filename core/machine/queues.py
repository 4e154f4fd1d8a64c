"""Locks and elections: one holder with a token, and a line of those who wait, first come first.

The law of this file: the token (an election's term) is the revision of the grant. Revisions only
grow and a lock is granted at most once per revision, so its tokens only grow and are never reused,
even after the lock's record was deleted. A waiter whose lease ends leaves the line in the same
command (T42), so whoever is granted is alive as far as the group knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from quorate.core import codec
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import QUEUE_WAITERS_MAX
from quorate.core.machine.records import Claimant
from quorate.core.machine.results import LEASE_EXPIRED, LEASE_FULL, NOT_HOLDER, QUEUE_FULL, Result


class Queue(NamedTuple):
    """One lock or election. It has a holder as long as it exists."""

    token: int
    holder: Claimant
    waiters: list[Claimant]

    def place_of(self, lease: int, owner: bytes) -> int:
        """1 for the first in line, 0 for who is not in it."""
        for place, waiter in enumerate(self.waiters, 1):
            if waiter.lease == lease and waiter.owner == owner:
                return place
        return 0

    def is_held_by(self, lease: int, owner: bytes) -> bool:
        return self.holder.lease == lease and self.holder.owner == owner


def _decode(data: bytes) -> Queue:
    token, holder, waiters = codec.loads(data)
    return Queue(token, Claimant(*holder), [Claimant(*waiter) for waiter in waiters])


class Queues:
    """All locks, or all elections. `kind` opens the names of their events; `thing` is their
    attachment kind.
    """

    __slots__ = ("_attachments", "_fx", "_kind", "_table", "_thing", "count")

    def __init__(
        self, fx: Effects, attachments: Attachments, table: str, kind: str, thing: int, count: int
    ) -> None:
        self._fx = fx
        self._attachments = attachments
        self._table = table
        self._kind = kind
        self._thing = thing
        self.count = count

    # --- commands ---------------------------------------------------------------------------------

    def acquire(self, command: list[Any]) -> Result:
        """[revision, token, place]: granted (token > 0, place 0), in line (0, place >= 1), or
        neither (0, -1)
        """
        _, _, name, lease, owner, value, wait = command
        fx = self._fx
        room = self._attachments.room(lease)
        if room is None:
            return LEASE_EXPIRED
        queue = self.get(name)
        if queue is not None:
            if queue.is_held_by(lease, owner):
                return [fx.revision, queue.token, 0]
            place = queue.place_of(lease, owner)
            if place or not wait:
                return [fx.revision, 0, place or -1]
            if len(queue.waiters) >= QUEUE_WAITERS_MAX:
                return QUEUE_FULL
        if room < 1:
            return LEASE_FULL
        revision = fx.next_revision()
        claimant = Claimant(lease, owner, value)
        self._attachments.attach(lease, self._thing, name.encode())
        if queue is None:
            self.count += 1
            self._grant(name, claimant, [])
            return [revision, revision, 0]
        queue.waiters.append(claimant)
        self._put(name, queue)
        fx.event(f"{self._kind}.queued", name, value, queue.token, lease, owner)
        return [revision, 0, len(queue.waiters)]

    def release(self, command: list[Any]) -> Result:
        """[revision, 1 if held, 0 if it only left the line]"""
        _, _, name, lease, owner, token = command
        queue = self.get(name)
        if queue is None:
            return NOT_HOLDER
        if queue.is_held_by(lease, owner) and token in (0, queue.token):
            revision = self._fx.next_revision()
            self._pass_on(name, queue)
            self._detach(lease, name)
            return [revision, 1]
        place = queue.place_of(lease, owner)
        if not place or token:
            return NOT_HOLDER
        revision = self._fx.next_revision()
        del queue.waiters[place - 1]
        self._put(name, queue)
        self._detach(lease, name)
        self._fx.event(f"{self._kind}.left", name, None, queue.token, lease, owner)
        return [revision, 0]

    def proclaim(self, command: list[Any]) -> Result:
        """[revision, term]"""
        _, _, name, term, value = command
        queue = self.get(name)
        if queue is None or queue.token != term:
            return NOT_HOLDER
        revision = self._fx.next_revision()
        holder = queue.holder._replace(value=value)
        self._put(name, queue._replace(holder=holder))
        self._fx.event(f"{self._kind}.proclaimed", name, value, term, holder.lease, holder.owner)
        return [revision, term]

    # --- shared -----------------------------------------------------------------------------------

    def on_lease_gone(self, lease: int, key: bytes) -> None:
        """Whoever stood here on that lease is gone: from the line first, then from the lock."""
        name = key.decode()
        queue = self.get(name)
        if queue is None:
            return
        stay = [waiter for waiter in queue.waiters if waiter.lease != lease]
        for waiter in queue.waiters:
            if waiter.lease == lease:
                left = f"{self._kind}.left"
                self._fx.event(left, name, None, queue.token, lease, waiter.owner)
        queue = queue._replace(waiters=stay)
        if queue.holder.lease == lease:
            self._pass_on(name, queue)
        else:
            self._put(name, queue)

    def _pass_on(self, name: str, queue: Queue) -> None:
        """The holder is gone: the first in line is next."""
        holder = queue.holder
        released = f"{self._kind}.released"
        self._fx.event(released, name, None, queue.token, holder.lease, holder.owner)
        if queue.waiters:
            self._grant(name, queue.waiters[0], queue.waiters[1:])
        else:
            self._fx.delete(self._table, name.encode())
            self.count -= 1

    def _grant(self, name: str, claimant: Claimant, waiters: list[Claimant]) -> None:
        token = self._fx.revision
        self._put(name, Queue(token, claimant, waiters))
        granted = f"{self._kind}.granted"
        self._fx.event(granted, name, claimant.value, token, claimant.lease, claimant.owner)

    def _detach(self, lease: int, name: str) -> None:
        """Unless another owner on the same lease still stands here."""
        queue = self.get(name)
        if queue is None or all(
            claimant.lease != lease for claimant in (queue.holder, *queue.waiters)
        ):
            self._attachments.detach(lease, self._thing, name.encode())

    def _put(self, name: str, queue: Queue) -> None:
        self._fx.put(self._table, name.encode(), codec.dumps(queue))

    # --- reads ------------------------------------------------------------------------------------

    def get(self, name: str) -> Queue | None:
        data = self._fx.get(self._table, name.encode())
        return None if data is None else _decode(data)

    def scan(self, start: bytes, stop: bytes | None, limit: int) -> Iterator[tuple[str, Queue]]:
        """Those with start <= name < stop, in order."""
        for key, data in self._fx.scan(self._table, start, stop, limit=limit):
            yield key.decode(), _decode(data)
