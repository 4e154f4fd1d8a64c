"""Caches on a make-believe group in virtual time, and computations that can be held up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.consistency.layers.cached import Cache
from quorate.consistency.layers.caches import Caches
from tests.group.mini import MiniGroup
from tests.group.virtual import run_virtual


class World:
    """Three hosts, each with the caches of its own."""

    def __init__(self, mini: MiniGroup) -> None:
        self.mini = mini
        self.caches = {name: Caches(h.group, h.leases) for name, h in mini.hosts.items()}

    def open(self, name: str = "prices", **options: Any) -> tuple[Cache, Cache, Cache]:
        """The cache of this name on a, b and c."""
        options = {"jitter_ratio": 0.0, "ttl": 60.0, **options}
        a, b, c = (caches.open(name, **options) for caches in self.caches.values())
        return a, b, c

    async def settle(self) -> None:
        """Let everything that is on its way arrive."""
        await self.mini.pass_time(0.05)

    async def stop(self) -> None:
        for caches in self.caches.values():
            await caches.stop()


class Work:
    """A computation: counts its runs and how many run at once; waits while `held`."""

    def __init__(self, *values: Any) -> None:
        self.values = list(values) or ["value"]
        self.runs = self.running = self.most_running = self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self.error: Exception | None = None

    def hold(self) -> Work:
        self.gate.clear()
        return self

    async def __call__(self) -> Any:
        number = self.runs
        self.runs += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.began.set()
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return self.values[min(number, len(self.values) - 1)]


async def leave_nothing(world: World) -> None:
    """Stop, and end what a story that broke off left running."""
    left = [task for task in asyncio.all_tasks() if task.get_name().startswith("story ")]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await world.stop()


def told(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with MiniGroup("abc") as mini:
            world = World(mini)
            try:
                await story(world)
            finally:
                await leave_nothing(world)

    run_virtual(tell())


def begin(work: Any) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work, name=f"story {work!r:.40}")
