"""Logs on three hosts: the strong strand on a make-believe group, the others on stores whose
updates travel when the story says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.consistency.events.event import Event
from quorate.consistency.events.log import EventLog
from quorate.consistency.events.port import Kept
from quorate.core.errors import OutcomeUnknown, QuorateError
from quorate.core.group.group import Group
from tests.group.mini import MiniGroup, MiniHost
from tests.group.virtual import run_virtual


class Port:
    """One host's store: a dictionary, and updates on their way to the others."""

    def __init__(self, world: World, host: MiniHost, actor: int) -> None:
        self.world = world
        self.host = host.name
        self.actor = actor
        self.store = "orders"
        self.group: Group = host.group
        self.whole = self.plain = True
        self.fail: QuorateError | None = None
        self.lose_answer = False
        self.reads = 0
        self._stamp = 0
        self._values: dict[str, tuple[int, int, Any]] = {}
        self._sets: dict[str, set[str]] = {}
        self._listeners: list[Callable[[str, str], None]] = []

    def stamp(self, floor: int) -> int:
        self._stamp = max(self._stamp, floor, self.world.now_ms << 16) + 1
        return self._stamp

    def is_whole(self) -> bool:
        return self.whole

    def is_plain(self) -> bool:
        return self.plain

    async def cover(self, level: Any, session: Any, timeout: float | None) -> None:
        await asyncio.sleep(0)

    def peek(self, key: str) -> Any:
        self.reads += 1
        row = self._values.get(key)
        return None if row is None else row[2]

    async def fetch(self, key: str, level: Any, session: Any, timeout: float | None) -> Any:
        await asyncio.sleep(0)
        return self.peek(key)

    def put_now(self, key: str, value: Any, session: Any, timeout: float | None) -> Awaitable[Kept]:
        if self.fail is not None:
            raise self.fail
        self.world.send(self, ("put", key, (self.stamp(0), self.actor, value)))
        return self._durable()

    async def _durable(self) -> Kept:
        await asyncio.sleep(0)
        return Kept(True, (self.host,), None)

    async def put(self, key: str, value: Any, options: dict[str, Any]) -> Kept:
        await asyncio.sleep(0)
        kept = self.put_now(key, value, None, None)
        if self.lose_answer and "\0e\0" in key:
            self.lose_answer = False
            await kept
            raise OutcomeUnknown("the answer was lost")
        return await kept

    async def strands(self, key: str) -> list[str]:
        return list(self._sets.get(key, ()))

    async def add_strand(self, key: str, strand: str) -> None:
        self.world.send(self, ("add", key, strand))

    def on_change(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def take(self, update: tuple[str, str, Any]) -> None:
        kind, key, value = update
        if kind == "add":
            self._sets.setdefault(key, set()).add(value)
        elif self._values.get(key, (0, 0, None))[:2] < value[:2]:
            self._values[key] = value
            self._stamp = max(self._stamp, value[0])
        for listener in list(self._listeners):
            listener(self.store, key)

    def break_snapshots(self) -> None:
        """Somebody's cosmic ray."""
        for key, (stamp, actor, _) in list(self._values.items()):
            if "\0s\0" in key:
                self._values[key] = (stamp, actor, [1, "nonsense"])

    @property
    def snapshot_keys(self) -> list[str]:
        return [key for key in self._values if "\0s\0" in key]


class World:
    """Hosts a, b and c; what one writes reaches another when both are on the same side."""

    def __init__(self, mini: MiniGroup) -> None:
        self.mini = mini
        self.now_ms = 1_700_000_000_000
        self.apart: set[str] = set()
        self._waiting: list[tuple[Port, Port, tuple[str, str, Any]]] = []
        self.ports = {
            name: Port(self, host, number)
            for number, (name, host) in enumerate(mini.hosts.items(), 1)
        }
        self._logs: list[EventLog] = []

    def open(self, name: str = "order:7", **options: Any) -> tuple[EventLog, EventLog, EventLog]:
        a, b, c = (self.log(host, name, **options) for host in "abc")
        return a, b, c

    def log(self, host: str, name: str = "order:7", **options: Any) -> EventLog:
        log = EventLog(self.ports[host], name, **options)
        self._logs.append(log)
        return log

    def send(self, source: Port, update: tuple[str, str, Any]) -> None:
        source.take(update)
        for port in self.ports.values():
            if port is not source:
                self._waiting.append((source, port, update))
        self.deliver()

    def deliver(self) -> None:
        waiting, self._waiting = self._waiting, []
        for source, port, update in waiting:
            if (source.host in self.apart) == (port.host in self.apart):
                port.take(update)
            else:
                self._waiting.append((source, port, update))

    def cut(self, *hosts: str) -> None:
        self.apart = set(hosts)

    def heal(self) -> None:
        self.apart = set()
        self.deliver()

    def pass_ms(self, ms: int) -> None:
        self.now_ms += ms

    async def settle(self) -> None:
        await self.mini.pass_time(0.05)

    async def close(self) -> None:
        for log in self._logs:
            await log.close()


def told(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with MiniGroup("abc") as mini:
            world = World(mini)
            try:
                await story(world)
            finally:
                await world.close()
                left = [t for t in asyncio.all_tasks() if t.get_name().startswith("story ")]
                for task in left:
                    task.cancel()
                await asyncio.gather(*left, return_exceptions=True)

    run_virtual(tell())


def begin(work: Any) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work, name="story task")


def values(events: list[Event]) -> list[Any]:
    return [event.value for event in events]


def total(state: Any, event: Event) -> Any:
    """A fold: the sum, and everything in its order."""
    return {"sum": state["sum"] + event.value, "order": [*state["order"], event.value]}


EMPTY: dict[str, Any] = {"sum": 0, "order": []}
