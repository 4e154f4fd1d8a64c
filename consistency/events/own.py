"""The strand a host writes itself: durable here at once, everywhere else later.

The law of this file: a number is used up exactly when its event is in memory; what failed before
used none, what may have been written elsewhere is written again, the same, before anything else.
So a strand has no gap, whatever fails. After a start a strand is gone on with only where this host
has all of it; otherwise a new one is begun, for nobody may write the same number twice.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from quorate.consistency.events.event import Event, Keys, from_row, to_row
from quorate.consistency.events.port import Kept, LogPort
from quorate.core.errors import QuorateError

QUICK_OPTIONS = frozenset(("consistency", "timeout", "session"))


class Written(NamedTuple):
    """An event in this host's strand."""

    event: Event
    kept: Kept
    repeated: bool


class OwnStrand:
    """This host's strand of one log."""

    def __init__(self, port: LogPort, keys: Keys) -> None:
        self._port = port
        self._keys = keys
        self.name = ""
        self._next = 1
        self._last_stamp = 0
        self._doubtful: tuple[Event, dict[str, Any]] | None = None
        self._turn = asyncio.Lock()

    async def append(self, event: Event, options: dict[str, Any], port: LogPort) -> Written:
        """Append; `event` without strand, number and stamp. `options`: those of the store's
        updates; `port`: the store with the caller's defaults."""
        quick = port.is_plain() and self._is_quick(event, options)
        if self.name and not self._turn.locked() and quick:
            return await self._append_now(event, options)
        async with self._turn:
            if not self.name:
                await self._open()
            await self._settle()
            if event.event_id is not None:
                found = await self._find(event.event_id, options)
                if found is not None:
                    return Written(found, Kept(True, (found.host,), None), True)
            return await self._append_slowly(event, options, port)

    def _is_quick(self, event: Event, options: dict[str, Any]) -> bool:
        return (
            event.event_id is None
            and self._doubtful is None
            and options.keys() <= QUICK_OPTIONS
            and options.get("session") is None
            and self._port.is_whole()
        )

    async def _append_now(self, event: Event, options: dict[str, Any]) -> Written:
        """Nothing waits between taking the number and using it."""
        made = self._numbered(event)
        key = self._keys.event(made.strand, made.number)
        waiting = self._port.put_now(key, to_row(made), None, options.get("timeout"))
        self._used(made)
        return Written(made, await waiting, False)

    async def _append_slowly(self, event: Event, options: dict[str, Any], port: LogPort) -> Written:
        made = self._numbered(event)
        if made.event_id is not None:
            place = [made.strand, made.number]
            await port.put(self._keys.event_id(made.event_id), place, options)
        key = self._keys.event(made.strand, made.number)
        try:
            kept = await port.put(key, to_row(made), options)
        except QuorateError as error:
            if error.outcome != "not_applied":
                self._doubt(made, options)
            raise
        except asyncio.CancelledError:
            self._doubt(made, options)
            raise
        self._used(made)
        return Written(made, kept, False)

    def _doubt(self, made: Event, options: dict[str, Any]) -> None:
        again = {name: value for name, value in options.items() if name == "consistency"}
        self._doubtful = (made, again)

    async def _settle(self) -> None:
        """What may or may not have been written is written."""
        if self._doubtful is not None:
            made, options = self._doubtful
            await self._port.put(self._keys.event(made.strand, made.number), to_row(made), options)
            self._doubtful = None
            self._used(made)

    def _numbered(self, event: Event) -> Event:
        stamp = self._port.stamp(self._last_stamp)
        return event._replace(strand=self.name, number=self._next, stamp=stamp)

    def _used(self, made: Event) -> None:
        self._next, self._last_stamp = made.number + 1, made.stamp

    async def _find(self, event_id: str, options: dict[str, Any]) -> Event | None:
        """The event of this id, where this host knows of one."""
        session, timeout = options.get("session"), options.get("timeout")
        level = "local" if session is None else "session"
        place = await self._port.fetch(self._keys.event_id(event_id), level, session, timeout)
        try:
            strand, number = place
            row = await self._port.fetch(self._keys.event(strand, number), level, session, timeout)
        except (TypeError, ValueError):
            return None
        found = from_row(self._keys.log, strand, number, row)
        return found if found is not None and found.event_id == event_id else None

    # --- opening ----------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Find this host's strand, or begin one."""
        port = self._port
        mine = f"{port.actor:x}."
        known = [s for s in await port.strands(self._keys.strands) if s.startswith(mine)]
        if known and port.is_whole():
            name = max(known, key=lambda strand: int(strand.removeprefix(mine), 16))
            self._go_on(name)
            return
        name = f"{mine}{port.stamp(0):x}"
        await port.add_strand(self._keys.strands, name)
        self.name = name

    def _go_on(self, name: str) -> None:
        """Find the end of a strand that is all here: doubling, then halving."""
        low, high = 0, 1
        while self._port.peek(self._keys.event(name, high)) is not None:
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._port.peek(self._keys.event(name, middle)) is not None:
                low = middle
            else:
                high = middle
        last = from_row(
            self._keys.log, name, low, self._port.peek(self._keys.event(name, low)) if low else None
        )
        self.name, self._next = name, low + 1
        self._last_stamp = 0 if last is None else last.stamp
