"""Where agents are: look-ups from this host's memory.

The law of this file: what is shown is the group's state as it is applied here, a moment old at
most, and never something that was known to be over. A cached record is dropped with the entry that
changes it. Whoever waits for a name is woken by the change itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from quorate.core.group.group import Group
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.roster import Roster

CACHED_RECORDS_MAX: Final = 262_144
ENDED_RECORDS_MAX: Final = 1024

Change = tuple[str, AgentRecord | None, str]
"""(name, its record now, why)"""
Listener = Callable[[str, AgentRecord | None, str], None]


class Location(NamedTuple):
    """Where an agent is."""

    host: str
    """Empty while it waits for a place."""
    epoch: int
    status: str
    """starting, active, passive, migrating, stopping, failed (told by its host), or recovering: its
    host is gone and it is being brought up elsewhere."""


class Directory:
    """The bindings as they are applied on this host."""

    def __init__(self, group: Group, roster: Roster, loop: asyncio.AbstractEventLoop) -> None:
        self._group = group
        self._roster = roster
        self._loop = loop
        self._cache: dict[str, AgentRecord] = {}
        self._ended: dict[str, AgentRecord] = {}
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._listeners: list[Listener] = []
        self._hits = self._misses = 0

    # --- look-ups ---------------------------------------------------------------------------------

    def look(self, name: str) -> AgentRecord | None:
        """The record of a living agent, or None: from memory, at once."""
        found = self._cache.get(name)
        if found is not None:
            return found
        return self._load(name)

    def _load(self, name: str) -> AgentRecord | None:
        self._misses += 1
        found = self._group.machine.agent(name)
        if found is not None:
            if len(self._cache) >= CACHED_RECORDS_MAX:
                for old in list(self._cache)[: CACHED_RECORDS_MAX // 16]:
                    del self._cache[old]
            self._cache[name] = found
        return found

    def cached(self, name: str) -> AgentRecord | None:
        """The record if it lies in the cache."""
        return self._cache.get(name)

    def peek(self, name: str) -> AgentRecord | None:
        """As `look`, without keeping what it found."""
        return self._cache.get(name) or self._group.machine.agent(name)

    def runs(self, record: AgentRecord) -> bool:
        """Whether the host of the binding may be running the agent: its lease lives."""
        return record.lease != 0 and self._roster.is_alive(record.lease)

    # --- news -------------------------------------------------------------------------------------

    def on_changes(self, changes: Iterable[Change]) -> None:
        """What an applied entry did."""
        cache = self._cache
        for name, record, why in changes:
            if name in cache:
                if record is None:
                    self._keep_ended(cache.pop(name))
                else:
                    cache[name] = record
            for listener in self._listeners:
                listener(name, record, why)
            if name in self._waiters:
                self._wake(name)

    def _keep_ended(self, record: AgentRecord) -> None:
        self._ended.pop(record.name, None)
        self._ended[record.name] = record
        if len(self._ended) > ENDED_RECORDS_MAX:
            del self._ended[next(iter(self._ended))]

    def ended(self, name: str) -> AgentRecord | None:
        """The last record of an agent that was looked at here and died lately: where it ran."""
        return self._ended.get(name)

    def on_everything_changed(self) -> None:
        """A snapshot took the place of the state, or hosts came and went: look again."""
        self._cache.clear()
        self.wake_all()

    def wake_all(self) -> None:
        """Everybody who waits looks again."""
        for name in list(self._waiters):
            self._wake(name)

    def _wake(self, name: str) -> None:
        for waiter in self._waiters.pop(name, ()):
            if not waiter.done():
                waiter.set_result(None)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have `listener(name, record, why)` called at every change; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def wait(self, name: str, until: float) -> bool:
        """Return at the next change of the name, or of the hosts; False when the time `until`
        (monotonic) passed first."""
        left_s = until - self._group.clock.monotonic()
        if left_s <= 0:
            return False
        waiter = self._loop.create_future()
        waiters = self._waiters.setdefault(name, [])
        waiters.append(waiter)
        timer = self._loop.call_later(left_s, _expire, waiter)
        try:
            return await waiter is None
        finally:
            timer.cancel()
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters and self._waiters.get(name) is waiters:
                del self._waiters[name]

    def statistics(self) -> dict[str, object]:
        return {
            "cached": len(self._cache),
            "misses_total": self._misses,
            "waiting": sum(map(len, self._waiters.values())),
        }


def _expire(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_result(False)
