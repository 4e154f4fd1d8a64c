"""The feed of a store's conflicts, followed.

The law of this file: a reader owns nothing but a position, which it may keep and go on from; what
it has read stays in the feed until the feed's own limit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.states import RegisterEntry
from quorate.consistency.store.core import Core
from quorate.consistency.store.waits import NEVER
from quorate.core import codec
from quorate.core.errors import Stopped

PAGE_CONFLICTS = 100


class ConflictEntry(NamedTuple):
    """Concurrent updates met on this host."""

    position: bytes
    """To go on from: `store.conflicts(after=position)`."""
    store: str
    key: str
    resolver: str
    at_ms: int
    """When the newest of them was made, milliseconds since 1970."""
    winner: Any
    """What a reader sees now; None where the values are kept apart, or it was deleted."""
    losers: list[Any]
    """What was overwritten (or is kept beside the winner)."""
    reason: str
    """concurrent, siblings, or type (the key was used as two types)."""


class Conflicts:
    """An async iterator of `ConflictEntry`. Stop by leaving the loop."""

    def __init__(self, core: Core, after: bytes, *, follow: bool) -> None:
        self._core = core
        self._follow = follow
        self.position = after
        """Behind the last one that was given."""
        self._page: list[tuple[bytes, Conflict]] = []

    def __aiter__(self) -> Conflicts:
        return self

    async def __anext__(self) -> ConflictEntry:
        plane = self._core.plane
        while not self._page:
            plane.check()
            self._page = plane.replica.conflicts(self._core.name, self.position, PAGE_CONFLICTS)
            if self._page:
                break
            if not self._follow:
                raise StopAsyncIteration
            if not await plane.conflict_news.wait(NEVER):
                raise Stopped("the host is stopped or stopping")
        self.position, conflict = self._page.pop(0)
        return shown(self.position, conflict)


def shown(position: bytes, conflict: Conflict) -> ConflictEntry:
    return ConflictEntry(
        position,
        conflict.store,
        conflict.key,
        conflict.resolver,
        conflict.at_ms,
        None if conflict.winner is None else _value(conflict.winner),
        [_value(loser) for loser in conflict.losers],
        conflict.reason,
    )


def _value(entry: RegisterEntry) -> Any:
    """Decoded; None for a tombstone; the bytes where they are no value (another type's state)."""
    if entry.value is None:
        return None
    try:
        return codec.decode_value(entry.value)
    except codec.Malformed:
        return entry.value
