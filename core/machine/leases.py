"""Leases: granted, revoked, expired. What hangs on a lease dies with it, in one command and one
revision.

The law of this file: no time is known here. The leader's clock (`lease_clock.py`) proposes an
expiry for a lease, its generation and its own term; it takes effect only on exactly that grant, and
only in an entry of that term: the same command sent again to a later leader is void. Parts that
hang things on leases register what is to be done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.records import LeaseRecord
from quorate.core.machine.results import (
    LEASE_EXISTS,
    LEASE_EXPIRED,
    STALE_GENERATION,
    STALE_TERM,
    Result,
)

OnGone = Callable[[int, bytes], None]
"""(lease, key of the thing)"""


class Leases:
    """`on_gone`: by attachment kind, what to do with a thing whose lease ended. `count`: leases
    alive.
    """

    __slots__ = ("_attachments", "_fx", "_on_gone", "count")

    def __init__(
        self, fx: Effects, attachments: Attachments, on_gone: dict[int, OnGone], count: int
    ) -> None:
        self._fx = fx
        self._attachments = attachments
        self._on_gone = on_gone
        self.count = count

    def grant(self, command: list[Any]) -> Result:
        """[revision, lease, ttl_ms, generation]"""
        _, _, ttl_ms, lease = command
        fx = self._fx
        if lease and self._attachments.lease(lease) is not None:
            return LEASE_EXISTS
        revision = fx.next_revision()
        if not lease:
            lease = revision
            while self._attachments.lease(lease) is not None:
                lease += 1
        self._attachments.put_lease(LeaseRecord(lease, ttl_ms, revision, 0))
        self.count += 1
        fx.lease_changes.append((lease, ttl_ms, revision))
        fx.event("lease.granted", str(lease), b"", revision, lease)
        return [revision, lease, ttl_ms, revision]

    def revoke(self, command: list[Any]) -> Result:
        """[revision, how many things died with it]"""
        _, _, lease = command
        record = self._attachments.lease(lease)
        if record is None:
            return LEASE_EXPIRED
        return self._end(record, "lease.revoked")

    def expire(self, command: list[Any]) -> Result:
        """[revision, how many things died with it]"""
        _, _, lease, generation, term = command
        if term not in (0, self._fx.term):
            return STALE_TERM
        record = self._attachments.lease(lease)
        if record is None:
            return LEASE_EXPIRED
        if record.generation != generation:
            return STALE_GENERATION
        return self._end(record, "lease.expired")

    def _end(self, record: LeaseRecord, kind: str) -> Result:
        fx = self._fx
        revision = fx.next_revision()
        things = self._attachments.take_all(record.id)
        self.count -= 1
        fx.lease_changes.append((record.id, 0, record.generation))
        fx.event(kind, str(record.id), None, record.generation, record.id)
        for thing, key in things:
            self._on_gone[thing](record.id, key)
        return [revision, len(things)]
