"""The durable feed of conflicts of one host: what met here, who won, what lost.

The law of this file: positions are in order of arrival here, so that whoever follows the feed
misses nothing; a conflict is written once however often the log is replayed, because it is known
by the dots that met; nothing that lost is forgotten before the feed's limit; the oldest goes first.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.shelf import CONFLICTS, StoreShelf
from quorate.consistency.replica.states import RegisterEntry, entry_of
from quorate.core import codec
from quorate.core.storage.state_store import StateStore

LOSERS_MAX = 64


ROW, KNOWN = b"\0", b"\1"


class ConflictFeed:
    """Below a store's number: ROW + serial -> the conflict, KNOWN + fingerprint -> its serial."""

    def __init__(self, disk: StateStore, limit: int) -> None:
        self._disk = disk
        self._limit = limit
        self._bounds: dict[int, tuple[int, int]] = {}
        """Store number -> (first, last) serial."""
        self.written = 0
        self.dropped = 0

    def add(self, shelf: StoreShelf, conflict: Conflict) -> bool:
        """Write it; False when it is known already."""
        known = shelf.prefix + KNOWN + mark_of(conflict)
        if self._disk.get(CONFLICTS, known) is not None:
            return False
        first, last = self._bounds_of(shelf)
        position = (last + 1).to_bytes(8, "big")
        self._disk.put(CONFLICTS, shelf.prefix + ROW + position, _body(conflict))
        self._disk.put(CONFLICTS, known, position)
        self._bounds[shelf.number] = (first, last + 1)
        self.written += 1
        if last + 2 - first > self._limit:
            self._drop(shelf, first)
        return True

    def _bounds_of(self, shelf: StoreShelf) -> tuple[int, int]:
        found = self._bounds.get(shelf.number)
        if found is None:
            low, high = shelf.prefix + ROW, shelf.prefix + KNOWN
            first = self._disk.scan(CONFLICTS, low, high, limit=1)
            last = self._disk.scan(CONFLICTS, low, high, reverse=True, limit=1)
            found = (_serial(first[0][0]), _serial(last[0][0])) if first else (1, 0)
        return found

    def _drop(self, shelf: StoreShelf, serial: int) -> None:
        row_key = shelf.prefix + ROW + serial.to_bytes(8, "big")
        body = self._disk.get(CONFLICTS, row_key)
        if body is not None:
            gone = _conflict(shelf.definition.name, codec.loads(body))
            self._disk.delete(CONFLICTS, shelf.prefix + KNOWN + mark_of(gone))
            self._disk.delete(CONFLICTS, row_key)
        self._bounds[shelf.number] = (serial + 1, self._bounds[shelf.number][1])
        self.dropped += 1

    def after(self, shelf: StoreShelf, position: bytes, limit: int) -> list[tuple[bytes, Conflict]]:
        """Conflicts behind `position` (b"": from the oldest), at most `limit`."""
        start = shelf.prefix + ROW + (position + b"\0" if position else b"")
        rows = self._disk.scan(CONFLICTS, start, shelf.prefix + KNOWN, limit=limit)
        name = shelf.definition.name
        return [(key[3:], _conflict(name, codec.loads(body))) for key, body in rows]


def _serial(row_key: bytes) -> int:
    return int.from_bytes(row_key[3:], "big")


def mark_of(conflict: Conflict) -> bytes:
    """Who met whom, in 8 bytes."""
    dots = sorted((e.actor, e.seq) for e in conflict.losers)
    winner = conflict.winner
    return fingerprint([conflict.key, conflict.reason, dots, winner and [winner.actor, winner.seq]])


def _body(conflict: Conflict) -> bytes:
    return codec.dumps(
        [
            conflict.key,
            conflict.resolver,
            conflict.at_ms,
            None if conflict.winner is None else _row(conflict.winner),
            [_row(loser) for loser in conflict.losers[:LOSERS_MAX]],
            conflict.reason,
        ]
    )


def fingerprint(value: Any) -> bytes:
    """8 bytes that name a value."""
    return blake2b(codec.dumps(value), digest_size=8).digest()


def _row(entry: RegisterEntry) -> list[Any]:
    return [entry.actor, entry.seq, entry.stamp, entry.value, None]


def _conflict(store: str, parts: list[Any]) -> Conflict:
    key, resolver, at_ms, winner, losers, reason = parts
    return Conflict(
        store,
        key,
        resolver,
        at_ms,
        None if winner is None else entry_of(winner),
        [entry_of(row) for row in losers],
        reason,
    )
