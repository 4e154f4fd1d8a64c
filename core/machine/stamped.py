"""Records that carry a stamp: how strong writes take their place among those made without a group.

The law of this file: a record is CBOR `[stamp, value or None]`; None is a tombstone, so that who
reads the record later knows when the value went. Along the writes of one key stamps only grow,
whatever the proposers' clocks said: the stamp that is kept is the handed-in one or the present one
+ 1. The value's bytes are never looked into.
"""

from __future__ import annotations

from typing import Any, cast

from quorate.core import codec
from quorate.core.machine.effects import Effects
from quorate.core.machine.kv import HEADER_BYTES, KvSpace
from quorate.core.machine.records import KvRecord
from quorate.core.machine.results import Result, failed
from quorate.core.machine.store import KV


def read_stamped(data: bytes) -> tuple[int, bytes | None]:
    """(stamp, value) of a record's bytes; (0, None) for bytes that another command wrote."""
    try:
        record: object = codec.loads(data)
    except codec.Malformed:
        return 0, None
    if type(record) is not list or len(cast("list[object]", record)) != 2:
        return 0, None
    stamp, value = cast("list[object]", record)
    if type(stamp) is not int or stamp < 0 or not (value is None or type(value) is bytes):
        return 0, None
    return stamp, value


class Stamped:
    """The stamped writes of a key-value space."""

    __slots__ = ("_fx", "_kv")

    def __init__(self, fx: Effects, kv: KvSpace) -> None:
        self._fx = fx
        self._kv = kv

    def put(self, command: list[Any]) -> Result:
        """[revision, version, stamp], or compare_failed with [version, mod_revision] of the present
        record; 0 is the version of a key that was never written.
        """
        _, _, ns, key, value, stamp, expected = command
        present = self._kv.record(ns, key)
        if expected >= 0 and expected != (0 if present is None else present.version):
            return failed("compare_failed", _version_of(present))
        if present is not None:
            stamp = max(stamp, read_stamped(present.value)[0] + 1)
        revision = self._fx.next_revision()
        version = self._kv.write(revision, ns, key, codec.dumps([stamp, value]), 0)
        return [revision, version, stamp]

    def write(
        self, revision: int, ns: str, key: str, value: bytes | None, stamp: int
    ) -> tuple[int, int]:
        """Without a condition; (version, stamp)."""
        stored = f"{ns}\0{key}".encode()
        data = self._fx.get(KV, stored)
        if data is not None:
            stamp = max(stamp, read_stamped(data[HEADER_BYTES:])[0] + 1)
        written = codec.dumps([stamp, value])
        return self._kv.write_over(data, stored, revision, ns, key, written, 0), stamp


def _version_of(present: KvRecord | None) -> list[int]:
    return [0, 0] if present is None else [present.version, present.mod_revision]
