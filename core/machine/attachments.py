"""What hangs on which lease: the list a dying lease works through.

The law of this file: a row `lease, kind, key` exists exactly while the thing of that kind and key
belongs to the lease, and the lease's record counts its rows. Rows order by kind and key, so a lease
dies in the same order everywhere. Whoever attaches has asked for `room` first.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import AGENT_FENCES_KEPT, LEASE_ATTACHMENTS_MAX
from quorate.core.machine.records import LeaseRecord
from quorate.core.machine.store import ATTACHED, LEASES

KEY: Final = 1
LOCK: Final = 2
ELECTION: Final = 3
NAME: Final = 4
AGENT_OWNER: Final = 5
"""An agent that the lease owns."""
_KINDS: Final = {
    KEY: "key",
    LOCK: "lock",
    ELECTION: "election",
    NAME: "name",
    AGENT_OWNER: "agent",
}

_LEASE: Final = Struct(">QQQ")
_ROW: Final = Struct(">QB")
_PRESENT: Final = b"\x01"


def lease_key(lease: int) -> bytes:
    return lease.to_bytes(8, "big")


class Attachments:
    """Lease records and their rows."""

    __slots__ = ("_fx", "_granted")

    def __init__(self, fx: Effects) -> None:
        self._fx = fx
        self._granted: dict[int, int] = {}
        """Generations of living leases that were asked for: spares a look into the store."""

    def lease(self, lease: int) -> LeaseRecord | None:
        data = self._fx.get(LEASES, lease.to_bytes(8, "big"))
        if data is None:
            return None
        ttl_ms, generation, attached = _LEASE.unpack(data)
        return LeaseRecord(lease, ttl_ms, generation, attached)

    def granted_before(self, lease: int, revision: int) -> bool:
        """Whether the lease lives, and lived at that revision too."""
        granted = self._granted.get(lease)
        if granted is None:
            record = self.lease(lease)
            if record is None:
                return False
            if len(self._granted) >= AGENT_FENCES_KEPT:
                self._granted.clear()
            granted = self._granted[lease] = record.generation
        return granted < revision

    def put_lease(self, record: LeaseRecord) -> None:
        packed = _LEASE.pack(record.ttl_ms, record.generation, record.attached)
        self._fx.put(LEASES, lease_key(record.id), packed)

    def leases(self, after: int, limit: int | None) -> list[LeaseRecord]:
        """Leases with a higher id than `after`, in order."""
        rows = self._fx.scan(LEASES, lease_key(after + 1), None, limit=limit)
        return [LeaseRecord(int.from_bytes(key, "big"), *_LEASE.unpack(data)) for key, data in rows]

    def room(self, lease: int) -> int | None:
        """How much more can hang on the lease; None if there is no such lease."""
        record = self.lease(lease)
        return None if record is None else LEASE_ATTACHMENTS_MAX - record.attached

    def attach(self, lease: int, kind: int, key: bytes) -> None:
        row = _ROW.pack(lease, kind) + key
        if self._fx.get(ATTACHED, row) is None:
            self._fx.put(ATTACHED, row, _PRESENT)
            self._count(lease, 1)

    def detach(self, lease: int, kind: int, key: bytes) -> None:
        row = _ROW.pack(lease, kind) + key
        if self._fx.get(ATTACHED, row) is not None:
            self._fx.delete(ATTACHED, row)
            self._count(lease, -1)

    def move(self, old_lease: int, lease: int, kind: int, key: bytes) -> None:
        """From one lease (0: none) to another."""
        if old_lease:
            self.detach(old_lease, kind, key)
        if lease:
            self.attach(lease, kind, key)

    def attached(self, lease: int, limit: int) -> list[tuple[str, str]]:
        """(kind, key) of what hangs on the lease."""
        rows = self._fx.scan(ATTACHED, lease_key(lease), lease_key(lease + 1), limit=limit)
        return [(_KINDS[row[8]], row[9:].decode()) for row, _ in rows]

    def attached_of(self, lease: int, kind: int, after: bytes, limit: int) -> list[bytes]:
        """The keys of one kind above `after` that hang on the lease, in order."""
        start = _ROW.pack(lease, kind)
        low = start + after + b"\0" if after else start
        rows = self._fx.scan(ATTACHED, low, _ROW.pack(lease, kind + 1), limit=limit)
        return [row[9:] for row, _ in rows]

    def take_all(self, lease: int) -> list[tuple[int, bytes]]:
        """Removes the lease and its rows; returns (kind, key) of each, in order."""
        start = lease_key(lease)
        rows = self._fx.scan(ATTACHED, start, lease_key(lease + 1))
        for row, _ in rows:
            self._fx.delete(ATTACHED, row)
        self._fx.delete(LEASES, start)
        self._granted.pop(lease, None)
        return [(row[8], row[9:]) for row, _ in rows]

    def _count(self, lease: int, change: int) -> None:
        record = self.lease(lease)
        if record is not None:
            self.put_lease(record._replace(attached=record.attached + change))
