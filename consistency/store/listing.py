"""Which keys a store has: of both planes, here and at the hosts that own what this one does not.

The law of this file: a list is what the asked hosts have now; it is at no single moment, and a key
that is written meanwhile may be missing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from quorate.consistency.ring.placement import lives_together
from quorate.consistency.store.core import Core
from quorate.consistency.store.forward import KEYS, Forward
from quorate.core.errors import Unavailable, UsageError

KEYS_LIMIT_MAX_KEYS = 10_000
PAGE_KEYS = 512


class Listing:
    """The keys of one store."""

    def __init__(self, core: Core, forward: Forward) -> None:
        self._core = core
        self._forward = forward

    async def keys(self, prefix: str, after: str, limit: int, until: float) -> list[str]:
        """See `Store.keys`. Raises `UsageError`."""
        if type(limit) is not int or not 1 <= limit <= KEYS_LIMIT_MAX_KEYS:
            raise UsageError(f"limit must be 1 to {KEYS_LIMIT_MAX_KEYS}, not {limit!r}")
        core, plane = self._core, self._core.plane
        found = set(self.here(prefix, after, limit))
        if not core.whole:
            for peer in plane.nearest(plane.replica.others()):
                try:
                    rows = await self._forward.ask(
                        peer, KEYS, [core.name, prefix, after, limit], plane.left(until)
                    )
                except Unavailable:
                    continue
                found.update(row for row in rows if isinstance(row, str))
        return heapq.nsmallest(limit, found)

    def here(self, prefix: str, after: str, limit: int) -> list[str]:
        """Of this host alone."""
        core = self._core
        local = self._local(prefix, after)
        strong = core.plane.strong
        also: Iterable[str] = ()
        if strong.has_any(core.name):
            also = strong.keys(core.name, prefix, after, limit)
        alive = {key for key in local if core.view(key).exists}
        return heapq.nsmallest(limit, alive | {key for key in also if core.view(key).exists})

    def _local(self, prefix: str, after: str) -> Iterator[str]:
        """Of the local plane, tombstones included; in no order unless the keys live together."""
        name, replica = self._core.name, self._core.plane.replica
        if not lives_together(name) or "/" not in prefix:
            for key in replica.keys(name):
                if key > after and key.startswith(prefix):
                    yield key
            return
        while page := replica.keys_under(name, prefix, after, PAGE_KEYS):
            yield from page
            if len(page) < PAGE_KEYS:
                return
            after = page[-1]
