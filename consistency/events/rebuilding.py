"""Rebuilding a state: the best snapshot that may be used, the events behind it, new snapshots.

The law of this file: the answer is what folding every event from the start would give; snapshots
only make it faster, and one that cannot be read or kept costs time and nothing else.
"""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import Any

from quorate.consistency.events import folds
from quorate.consistency.events.event import STRONG, Event, Keys, Version
from quorate.consistency.events.folds import FoldFunction, Pace, Snapshot, Target
from quorate.consistency.events.port import LogPort
from quorate.consistency.events.reading import How, Reading
from quorate.core import codec
from quorate.core.errors import QuorateError


class Rebuilding:
    """The rebuilds of one log on one host."""

    def __init__(self, port: LogPort, keys: Keys, reading: Reading, every_events: int) -> None:
        self._port = port
        self._keys = keys
        self._reading = reading
        self._every = every_events
        names = ("folded", "snapshots_used", "snapshots_made", "snapshots_not_kept")
        self.counts = dict.fromkeys(names, 0)

    async def rebuild(
        self,
        fold: FoldFunction,
        initial: Any,
        target: Target,
        how: How,
        *,
        name: str | None,
        fold_version: int,
    ) -> Any:
        """See `EventLog.rebuild`."""
        start = codec.encode_value(initial)
        view = STRONG if how.strong else "all"
        fold_id = folds.fold_id(fold, start, name=name, version=fold_version, view=view)
        kept = await self._snapshots(fold_id, how)
        base = await self._best(kept, target, how)
        version: Version = {} if base is None else dict(base.version)
        state = codec.decode_value(start if base is None else base.state)
        self.counts["snapshots_used"] += base is not None
        pace, last, made = Pace(self._every), None, list[Snapshot]()
        async with aclosing(self._reading.walk(dict(version), target, how)) as walk:
            async for event, counts in walk:
                if counts:
                    state = fold(state, event)
                version[event.strand], last = event.number, event
                self.counts["folded"] += 1
                if pace.folded():
                    made += self._snapshot(version, event, state)
                    last = None
        if last is not None and pace.since_start >= self._every:
            made += self._snapshot(version, last, state)
        await self._keep(fold_id, kept, made[-folds.SLOTS :])
        return state

    def _snapshot(self, version: Version, last: Event, state: Any) -> list[Snapshot]:
        data = folds.encoded_state(state)
        self.counts["snapshots_not_kept"] += data is None
        return [] if data is None else [Snapshot(dict(version), last.order, data)]

    async def _snapshots(self, fold_id: str, how: How) -> list[Snapshot | None]:
        rows: list[Any] = []
        for slot in range(folds.SLOTS):
            key = self._keys.snapshot(fold_id, slot)
            rows.append(await self._port.fetch(key, "local", None, how.timeout))
        return [folds.from_row(row) for row in rows]

    async def _best(self, kept: list[Snapshot | None], target: Target, how: How) -> Snapshot | None:
        """The longest snapshot that may be used and whose last events are here."""
        known = sorted((one for one in kept if one is not None), key=lambda one: -one.events)
        for one in known:
            if not await self._has(one.version, how):
                continue
            if folds.usable(one, target, await self._reading.following(one.version, how)):
                return one
        return None

    async def _has(self, version: Version, how: How) -> bool:
        """Another host may have made the snapshot, of events that are not here yet."""
        for strand, number in version.items():
            if await self._reading.get(strand, number, how) is None:
                return False
        return True

    async def _keep(self, fold_id: str, kept: list[Snapshot | None], made: list[Snapshot]) -> None:
        for one in made:
            slot = folds.slot_for(kept, one.events)
            kept[slot] = one
            key = self._keys.snapshot(fold_id, slot)
            with suppress(QuorateError):  # a cache: the next rebuild takes longer
                await self._port.put(key, folds.to_row(one), {"consistency": "eventual"})
                self.counts["snapshots_made"] += 1
