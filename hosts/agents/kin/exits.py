"""Deaths, as programs of this host wait for them.

The law of this file: whoever watches an agent sees exactly one exit of exactly one life: the one
that lived when the watch began, or "not_found" if none did, as the group says. Nothing is missed
between the beginning and the wait.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Generator, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from quorate.core.errors import QuorateError, Stopped
from quorate.hosts.agents.names import check_name

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.world import AgentWorld

NOT_FOUND: Final = "not_found"
MISSED: Final = "it ended while this host was far behind; the reason was not kept"


class Exit(NamedTuple):
    """The end of a life."""

    name: str
    life: int
    """0: there was none."""
    reason: str


class Monitor:
    """`reason = await monitor`, or `async for exit in monitor` (once). It begins when it is
    made."""

    def __init__(self, exits: Exits, name: str, life: int) -> None:
        self._exits = exits
        self.name = name
        self.life = life
        """The life that is watched; 0 while none is known."""
        self._future: asyncio.Future[Exit] = exits.create_future()
        self._looking: asyncio.Task[None] | None = None
        self._given = False

    @property
    def done(self) -> bool:
        """Whether the exit is known."""
        return self._future.done()

    async def wait(self) -> Exit:
        """The exit. Raises `Unavailable` when the group cannot say whether the agent lives."""
        if not self.life and not self._future.done():
            await self._exits.find(self)
        return await asyncio.shield(self._future)

    def __await__(self) -> Generator[Any, None, str]:
        return self._reason().__await__()

    async def _reason(self) -> str:
        return (await self.wait()).reason

    def __aiter__(self) -> AsyncIterator[Exit]:
        return self

    async def __anext__(self) -> Exit:
        if self._given:
            raise StopAsyncIteration
        found = await self.wait()
        self._given = True
        return found

    def end(self, reason: str) -> None:
        """It died."""
        if not self._future.done():
            self._future.set_result(Exit(self.name, self.life, reason))

    def fail(self, error: QuorateError) -> None:
        if not self._future.done():
            self._future.set_exception(error)
            self._future.exception()  # perhaps nobody waits

    def __repr__(self) -> str:
        return f"<Monitor of {self.name!r}, life {self.life}{', over' if self.done else ''}>"


class Exits:
    """The monitors of one host."""

    def __init__(self, world: AgentWorld) -> None:
        self._group = world.group
        self.create_future = world.loop.create_future
        self._by_name: dict[str, weakref.WeakValueDictionary[int, Monitor]] = {}
        self._number = 0
        self._stopped = False

    def explain(self, reason: str) -> str:
        return reason

    def watch(self, name: str) -> Monitor:
        """Watch the life that is known here now, or look for one at the first wait. Raises
        `UsageError`."""
        record = self._group.machine.agent(check_name(name))
        made = Monitor(self, name, 0 if record is None else record.life)
        if self._stopped:
            made.fail(Stopped("the host stopped"))
        else:
            self._number += 1
            self._by_name.setdefault(name, weakref.WeakValueDictionary())[self._number] = made
        return made

    async def find(self, monitor: Monitor) -> None:
        """Nobody of this name was known here: ask the group."""
        await self._group.read_point("linearizable", self._group.timeout_s)
        if monitor.life or monitor.done:
            return
        record = self._group.machine.agent(monitor.name)
        if record is not None:
            monitor.life = record.life
        else:
            monitor.end(NOT_FOUND)

    # --- news -------------------------------------------------------------------------------------

    def on_applied(self, changes: Iterable[Change]) -> None:
        """What an entry of the group did to bindings."""
        for name, record, why in changes:
            if name in self._by_name:
                self._tell(name, record, why.partition(" ")[2])

    def _tell(self, name: str, record: AgentRecord | None, reason: str) -> None:
        monitors = self._by_name[name]
        for number, monitor in list(monitors.items()):
            if record is not None and not monitor.life:
                monitor.life = record.life
            elif record is None and monitor.life:
                monitor.end(self.explain(reason))
                del monitors[number]
        if not monitors:
            del self._by_name[name]

    def on_snapshot_installed(self) -> None:
        """Entries were skipped: whoever lives no more died in them."""
        for name, monitors in list(self._by_name.items()):
            record = self._group.machine.agent(name)
            for number, monitor in list(monitors.items()):
                if monitor.life and (record is None or record.life != monitor.life):
                    monitor.end(MISSED)
                    del monitors[number]
            if not monitors:
                del self._by_name[name]

    def stop(self) -> None:
        """Nothing will be known here any more. Safe to call twice."""
        self._stopped = True
        for monitors in self._by_name.values():
            for monitor in list(monitors.values()):
                monitor.fail(Stopped("the host stopped"))
        self._by_name.clear()

    def __len__(self) -> int:
        return sum(len(monitors) for monitors in self._by_name.values())
