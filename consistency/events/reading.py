"""Reading a log in its order: the strands, merged, from any version on.

The law of this file: of each strand an unbroken run from its beginning is shown, never what lies
behind a gap; the runs are merged by (stamp, strand, number). An event whose id names another place
is a copy that lost, and is left out. A page costs one look-up per event and a logarithm of the
number of strands; where a page begins is found by halving.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Mapping
from typing import Any, NamedTuple

from quorate.consistency.events.event import STRONG, Event, Keys, Version, from_row
from quorate.consistency.events.folds import Target
from quorate.consistency.events.port import LogPort
from quorate.consistency.events.strong import StrongStrand


class How(NamedTuple):
    """At which level a read is made."""

    level: Any
    session: Any
    timeout: float | None

    @property
    def strong(self) -> bool:
        return self.level == "linearizable"


class Reading:
    """Reads one log on one host."""

    def __init__(self, port: LogPort, keys: Keys, strong: StrongStrand) -> None:
        self._port = port
        self._keys = keys
        self._strong = strong

    async def strands(self, how: How) -> list[str]:
        """The strands there are, after waiting for what the level asks."""
        if how.strong:
            await self._port.group.read_point("linearizable", how.timeout)
            return [STRONG]
        await self._port.cover(how.level, how.session, how.timeout)
        return [STRONG, *sorted(await self._port.strands(self._keys.strands))]

    async def get(self, strand: str, number: int, how: How) -> Event | None:
        """One event; None if it is not here (yet)."""
        if strand == STRONG:
            return self._strong.get(number)
        key = self._keys.event(strand, number)
        if self._port.is_whole():
            row = self._port.peek(key)
        else:
            row = await self._port.fetch(key, how.level, how.session, how.timeout)
        return from_row(self._keys.log, strand, number, row)

    async def walk(
        self, after: Mapping[str, int], target: Target, how: How
    ) -> AsyncGenerator[tuple[Event, bool]]:
        """(event, whether it counts) behind `after` and within `target`, in order. One that does
        not count is a copy: it moves the version on and is not shown."""
        heap: list[tuple[tuple[int, str, int], Event]] = []
        for strand in await self.strands(how):
            first = await self.get(strand, after.get(strand, 0) + 1, how)
            if first is not None and target.takes(first):
                heapq.heappush(heap, (first.order, first))
        while heap:
            _, event = heapq.heappop(heap)
            following = await self.get(event.strand, event.number + 1, how)
            if following is not None and target.takes(following):
                heapq.heappush(heap, (following.order, following))
            yield event, await self._counts(event, how)

    async def _counts(self, event: Event, how: How) -> bool:
        if event.event_id is None or event.strand == STRONG:
            return True
        key = self._keys.event_id(event.event_id)
        place = await self._port.fetch(key, "local", None, how.timeout)
        return not isinstance(place, list) or place == [event.strand, event.number]

    async def following(self, version: Version, how: How) -> dict[str, tuple[int, str, int]]:
        """Per strand, the order of the first event behind `version`."""
        found: dict[str, tuple[int, str, int]] = {}
        for strand in await self.strands(how):
            event = await self.get(strand, version.get(strand, 0) + 1, how)
            if event is not None:
                found[strand] = event.order
        return found

    async def before_stamp(self, stamp: int, how: How) -> Version:
        """The version of everything older than `stamp`."""
        version: Version = {}
        for strand in await self.strands(how):
            number = await self._last_before(strand, stamp, how)
            if number:
                version[strand] = number
        return version

    async def _last_before(self, strand: str, stamp: int, how: How) -> int:
        async def is_older(number: int) -> bool:
            event = await self.get(strand, number, how)
            return event is not None and event.stamp < stamp

        low, high = 0, 1
        while await is_older(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            if await is_older(middle):
                low = middle
            else:
                high = middle
        return low
