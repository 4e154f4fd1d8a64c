"""Watches: every change in order, from a revision on, never silently dropped.

The law of this file: a watch owns nothing but a cursor. It pulls pages from the local history and
waits on the host-wide signal when it has seen all, so a slow reader costs no memory and a leader
change is not noticed. History that is gone is an error (`Compacted`), never a gap.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from quorate.core import codec
from quorate.core.errors import Stopped, UsageError
from quorate.core.group.group import Group
from quorate.core.machine import records
from quorate.core.machine.watches import Space, WatchFilter

PAGE_EVENTS = 256


class Event(NamedTuple):
    """One change."""

    revision: int
    kind: str
    """Of keys: put, delete. Of names: registered, updated, removed. Of agents: started, moved,
    updated, stopped, and some more. Otherwise as the machine names it."""
    key: str
    value: Any
    """Decoded; None for what vanished. Of an agent its host."""
    version: int
    """Of a key its version, of a name its epoch, of a lock its token, of an election its term,
    of an agent its epoch."""
    lease: int
    namespace: str
    meta: Any


class Watch:
    """An async iterator of `Event`. Stop by leaving the loop; there is nothing to close.

    `cursor` is the revision to resume from in another watch: everything before it was delivered.
    Events of one revision come together, so one that was read half is delivered whole again.
    Raises `Compacted`, `Stopped`."""

    def __init__(
        self,
        group: Group,
        prefix: str = "",
        *,
        namespace: str | None = None,
        space: Space = "kv",
        from_revision: int | None = None,
    ) -> None:
        if from_revision is not None and from_revision < 0:
            raise UsageError(f"from_revision must be 0 or more, not {from_revision!r}")
        self._group = group
        self._filter = WatchFilter(space, namespace if space == "kv" else None, prefix=prefix)
        self._skip = len(space) + 1
        self._next = group.machine.revision + 1 if from_revision is None else from_revision
        self._page: list[records.Event] = []
        self._at = 0

    @property
    def cursor(self) -> int:
        """The revision to go on from."""
        return self._page[self._at].revision if self._at < len(self._page) else self._next

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Event:
        while self._at >= len(self._page):
            await self._fill()
        event = self._page[self._at]
        self._at += 1
        return self._decoded(event)

    async def _fill(self) -> None:
        """The next page that has something for us; waits for it."""
        group = self._group
        if group.broken is not None:
            raise group.broken
        found, following = group.machine.read_events(self._next, PAGE_EVENTS)
        matches = self._filter.matches
        self._page, self._at = [event for event in found if matches(event)], 0
        self._next = following
        if found:
            if not self._page:
                await asyncio.sleep(0)  # a long history of other keys must not hold the loop
            return
        if group.stopped:
            raise Stopped("the host is stopped or stopping")
        await group.advance.wait()

    def _decoded(self, event: records.Event) -> Event:
        return Event(
            event.revision,
            event.kind[self._skip :],
            event.key,
            codec.decode_value(event.value) if event.value else None,
            event.version,
            event.lease,
            event.ns,
            _meta(event.kind, event.info),
        )


def _meta(kind: str, info: bytes) -> Any:
    """Of a name its metadata, of an agent the reason it stopped or the other one's name."""
    if not info:
        return None
    return codec.decode_value(info) if kind[0] == "n" else info.decode() if kind[0] == "a" else None
