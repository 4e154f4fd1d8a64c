"""Which keys an agent has: of both planes, with what the turn wrote laid over them.

The law of this file: on a host that owns the agent's keys nobody is asked; elsewhere an owner is.
The system's own keys are not shown.
"""

from __future__ import annotations

import heapq
from typing import Any, Final

from quorate.consistency.store.listing import KEYS_LIMIT_MAX_KEYS, Listing
from quorate.core.errors import UsageError
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.ledger import Ledger

MORE_KEYS: Final = 64
"""Asked for beside what is wanted: some are the system's own."""


class StateListing:
    """Of one activation."""

    __slots__ = ("_ledger", "_listing")

    def __init__(self, ledger: Ledger, listing: Listing) -> None:
        self._ledger = ledger
        self._listing = listing

    async def keys(
        self, prefix: str, after: str, limit: int, buffer: TurnBuffer | None, until: float
    ) -> list[str]:
        """See `AgentState.keys`. Raises `UsageError`."""
        if type(limit) is not int or not 1 <= limit <= KEYS_LIMIT_MAX_KEYS:
            raise UsageError(f"limit must be 1 to {KEYS_LIMIT_MAX_KEYS}, not {limit!r}")
        keys = self._ledger.keys
        wrote = self._written(buffer, keys.prefix + prefix, keys.prefix + after)
        gone = {key for key, alive in wrote.items() if not alive}
        found = {keys.own(key) for key, alive in wrote.items() if alive}
        low = keys.prefix + after if after else ""
        while True:
            asked = min(KEYS_LIMIT_MAX_KEYS, limit + len(gone) + MORE_KEYS)
            page = await self._page(keys.prefix + prefix, low, asked, until)
            found.update(
                keys.own(key) for key in page if key not in gone and not keys.is_hidden(key)
            )
            if len(page) < asked or self._enough(found, page[-1], limit):
                return heapq.nsmallest(limit, found)
            low = page[-1]

    def _enough(self, found: set[str], last: str, limit: int) -> bool:
        """Whether no key behind `last` can be among the first `limit`."""
        own = self._ledger.keys.own(last)
        return sum(key <= own for key in found) >= limit

    async def _page(self, prefix: str, after: str, limit: int, until: float) -> list[str]:
        if self._ledger.is_home or self._ledger.holder.degraded:
            return self._listing.here(prefix, after, limit)
        return await self._listing.keys(prefix, after, limit, until)

    def _written(self, buffer: TurnBuffer | None, prefix: str, after: str) -> dict[str, bool]:
        """Key -> whether it exists, of what the turn wrote."""
        if buffer is None:
            return {}
        rows: dict[str, Any] = {**buffer.strong, **buffer.puts}
        alive = {key: value is not None for key, value in rows.items()}
        for key, draft in buffer.drafts.items():
            if draft.copy is not None:
                alive[key] = not draft.copy.is_empty()
            else:
                alive[key] = draft.ops[-1][0] not in ("reset", "clear")
        return {
            key: exists
            for key, exists in alive.items()
            if key.startswith(prefix) and key > after and not self._ledger.keys.is_hidden(key)
        }
