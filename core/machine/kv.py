"""Keys and values: put, delete, delete_prefix, compare-and-set, and the reads.

The law of this file: a key is stored as `namespace NUL key`, a record as a fixed header (create and
last revision, version, lease) before the value's bytes, which are never looked into. Every command
checks all it needs first and writes then.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Any, Final

from quorate.core.machine import attachments as attached
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.compares import holds
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import SCAN_PAGE_RECORDS
from quorate.core.machine.records import KvRecord
from quorate.core.machine.results import LEASE_EXPIRED, LEASE_FULL, Result, failed
from quorate.core.machine.store import KV, prefix_stop

_HEADER: Final = Struct(">QQQQ")
HEADER_BYTES: Final = _HEADER.size
_pack = _HEADER.pack
_unpack_from = _HEADER.unpack_from


def stored_key(ns: str, key: str) -> bytes:
    return f"{ns}\0{key}".encode()


def record_of(key: str, data: bytes) -> KvRecord:
    create, mod, version, lease = _unpack_from(data)
    return KvRecord(key, data[HEADER_BYTES:], create, mod, version, lease)


class KvSpace:
    """The key-value space. `count`: keys in all namespaces."""

    __slots__ = ("_attachments", "_fx", "_get", "_put", "count")

    def __init__(self, fx: Effects, attachments: Attachments, count: int) -> None:
        self._fx = fx
        self._get = fx.get
        self._put = fx.put
        self._attachments = attachments
        self.count = count

    # --- commands ---------------------------------------------------------------------------------

    def put(self, command: list[Any]) -> Result:
        """[revision, version]"""
        _, _, ns, key, value, lease = command
        fx = self._fx
        if lease:
            refused = self.lease_refusal(lease)
            if refused is not None:
                return refused
        fx.revision = revision = fx.revision + 1
        return [revision, self.write(revision, ns, key, value, lease)]

    def delete(self, command: list[Any]) -> Result:
        """[revision, previous version]; nothing to delete is a success with version 0 and no new
        revision.
        """
        _, _, ns, key, expected = command
        fx = self._fx
        stored = stored_key(ns, key)
        data = fx.get(KV, stored)
        if expected >= 0:
            version, mod = (0, 0) if data is None else _unpack_from(data)[2:0:-1]
            if version != expected:
                return failed("compare_failed", [version, mod])
        if data is None:
            return [fx.revision, 0]
        return [fx.next_revision(), self.erase(ns, key, stored, data)]

    def delete_prefix(self, command: list[Any]) -> Result:
        """[revision, number deleted, whether more are left]"""
        _, _, ns, prefix, keys_max = command
        fx = self._fx
        start = stored_key(ns, prefix)
        stop = prefix_stop(start)
        skip = len(ns.encode()) + 1
        deleted = 0
        while True:
            page = fx.scan(KV, start, stop, limit=SCAN_PAGE_RECORDS)
            if page and not deleted:
                fx.revision += 1
            for stored, data in page:
                if deleted == keys_max:
                    return [fx.revision, deleted, True]
                self.erase(ns, stored[skip:].decode(), stored, data)
                deleted += 1
            if len(page) < SCAN_PAGE_RECORDS:
                return [fx.revision, deleted, False]

    def compare_and_set(self, command: list[Any]) -> Result:
        """[revision, version], or compare_failed with [version, mod_revision] of the
        present record
        """
        _, _, ns, key, value, lease, target, operator, operand = command
        fx = self._fx
        record = self.record(ns, key)
        if not holds(record, target, operator, operand):
            present = [0, 0] if record is None else [record.version, record.mod_revision]
            return failed("compare_failed", present)
        if lease:
            refused = self.lease_refusal(lease)
            if refused is not None:
                return refused
        revision = fx.next_revision()
        return [revision, self.write(revision, ns, key, value, lease)]

    # --- shared with transactions and leases ------------------------------------------------------

    def lease_refusal(self, lease: int, more: int = 1) -> Result | None:
        """Why nothing can be hung on the lease."""
        room = self._attachments.room(lease)
        if room is None:
            return LEASE_EXPIRED
        return None if room >= more else LEASE_FULL

    def write(self, revision: int, ns: str, key: str, value: bytes, lease: int) -> int:
        """Writes the key and returns its new version. The lease was checked."""
        stored = f"{ns}\0{key}".encode()
        return self.write_over(self._get(KV, stored), stored, revision, ns, key, value, lease)

    def write_over(
        self,
        data: bytes | None,
        stored: bytes,
        revision: int,
        ns: str,
        key: str,
        value: bytes,
        lease: int,
    ) -> int:
        """As `write`, for who has read the present record's bytes already."""
        if data is None:
            create = revision
            version = 1
            self.count += 1
            if lease:
                self._attachments.attach(lease, attached.KEY, stored)
        else:
            create, _, version, old_lease = _unpack_from(data)
            version += 1
            if old_lease != lease:
                self._attachments.move(old_lease, lease, attached.KEY, stored)
        self._put(KV, stored, _pack(create, revision, version, lease) + value)
        self._fx.events += (revision, "kv.put", ns, key, value, version, lease, b"")
        return version

    def erase(self, ns: str, key: str, stored: bytes, data: bytes) -> int:
        """Deletes a key that exists and returns the version it had."""
        _, _, version, lease = _unpack_from(data)
        if lease:
            self._attachments.detach(lease, attached.KEY, stored)
        fx = self._fx
        fx.delete(KV, stored)
        self.count -= 1
        fx.events += (fx.revision, "kv.delete", ns, key, None, version, lease, b"")
        return version

    def on_lease_gone(self, lease: int, stored: bytes) -> None:
        """The lease ended; what hung on it is off the lease's list already."""
        data = self._get(KV, stored)
        if data is not None and _unpack_from(data)[3] == lease:
            ns, _, key = stored.decode().partition("\0")
            fx = self._fx
            fx.delete(KV, stored)
            self.count -= 1
            version = _unpack_from(data)[2]
            fx.events += (fx.revision, "kv.delete", ns, key, None, version, lease, b"")

    def pages(self, ns: str, start: str, stop: str | None) -> Iterator[list[KvRecord]]:
        """A range in pages that fit in memory, however large its values are."""
        while True:
            page = self.range(ns, start, stop, SCAN_PAGE_RECORDS)
            yield page
            if len(page) < SCAN_PAGE_RECORDS:
                return
            start = page[-1].key + "\0"

    # --- reads ------------------------------------------------------------------------------------

    def record(self, ns: str, key: str) -> KvRecord | None:
        data = self._get(KV, f"{ns}\0{key}".encode())
        if data is None:
            return None
        create, mod, version, lease = _unpack_from(data)
        return KvRecord(key, data[HEADER_BYTES:], create, mod, version, lease)

    def range(
        self, ns: str, start: str, stop: str | None, limit: int, *, reverse: bool = False
    ) -> list[KvRecord]:
        """Records of a namespace with start <= key < stop (None: to its end)."""
        low = stored_key(ns, start)
        high = ns.encode() + b"\1" if stop is None else stored_key(ns, stop)
        skip = len(ns.encode()) + 1
        found = self._fx.scan(KV, low, high, reverse=reverse, limit=limit)
        return [record_of(stored[skip:].decode(), data) for stored, data in found]

    def range_prefix(
        self, ns: str, prefix: str, start: str, limit: int, *, reverse: bool = False
    ) -> list[KvRecord]:
        """Records of a namespace that begin with `prefix` and are not below `start`."""
        base = stored_key(ns, prefix)
        skip = len(ns.encode()) + 1
        low = max(base, stored_key(ns, start))
        found = self._fx.scan(KV, low, prefix_stop(base), reverse=reverse, limit=limit)
        return [record_of(stored[skip:].decode(), data) for stored, data in found]
