"""The durable feed of conflicts of one host: what met here, who won, what lost.

The law of this file: a conflict is written once however often the log is replayed, because its
position is made of the dots that met; nothing that lost is forgotten before the feed's limit; the
oldest goes first.
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


class ConflictFeed:
    """Positions are bytes: store number, the time in ms, the conflict's fingerprint."""

    def __init__(self, disk: StateStore, limit: int) -> None:
        self._disk = disk
        self._limit = limit
        self._counts: dict[int, int] = {}
        self.written = 0
        self.dropped = 0

    def add(self, shelf: StoreShelf, conflict: Conflict) -> bool:
        """Write it; False when it is known already."""
        position = shelf.prefix + _position(conflict)
        if self._disk.get(CONFLICTS, position) is not None:
            return False
        body = codec.dumps(
            [
                conflict.key,
                conflict.resolver,
                conflict.at_ms,
                None if conflict.winner is None else _row(conflict.winner),
                [_row(loser) for loser in conflict.losers[:LOSERS_MAX]],
                conflict.reason,
            ]
        )
        self._disk.put(CONFLICTS, position, body)
        self.written += 1
        self._bound(shelf)
        return True

    def _bound(self, shelf: StoreShelf) -> None:
        count = self._counts.get(shelf.number)
        if count is None:
            count = len(self._disk.scan(CONFLICTS, shelf.prefix, _after(shelf.prefix))) - 1
        count += 1
        if count > self._limit:
            oldest = self._disk.scan(CONFLICTS, shelf.prefix, _after(shelf.prefix), limit=1)
            for position, _ in oldest:
                self._disk.delete(CONFLICTS, position)
                self.dropped += 1
                count -= 1
        self._counts[shelf.number] = count

    def after(self, shelf: StoreShelf, position: bytes, limit: int) -> list[tuple[bytes, Conflict]]:
        """Conflicts behind `position` (b"": from the oldest), at most `limit`."""
        start = shelf.prefix + position + b"\0" if position else shelf.prefix
        rows = self._disk.scan(CONFLICTS, start, _after(shelf.prefix), limit=limit)
        name = shelf.definition.name
        return [(key[2:], _conflict(name, codec.loads(body))) for key, body in rows]


def _after(prefix: bytes) -> bytes:
    return (int.from_bytes(prefix, "big") + 1).to_bytes(2, "big")


def _position(conflict: Conflict) -> bytes:
    """The stamp's time first, so that the feed is in order; then who met whom."""
    dots = [(e.actor, e.seq) for e in conflict.losers]
    if conflict.winner is not None:
        dots.insert(0, (conflict.winner.actor, conflict.winner.seq))
    mark = fingerprint([conflict.key, conflict.reason, dots])
    return (conflict.at_ms & (1 << 48) - 1).to_bytes(6, "big") + mark


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
