"""Agents that are asked over and over while their hosts die and drain.

The law of this file: each agent is asked by one task, one call at a time, so what it has
acknowledged is known; a count that goes back or repeats is a lost update, an exception is a failed
call, and the first answer from each host is kept with its time. Standard library only: peers run
it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

RETRY_AFTER_S = 0.1
"""A call that failed is made again after so long: a thousand callers must not be a busy loop."""
FAILURES_TOLD_MAX = 3
TEXT_CHARS_MAX = 200


class Watched:
    """What is known of one agent."""

    __slots__ = ("acknowledged", "answers", "failures", "first", "host", "lost")

    def __init__(self) -> None:
        self.host = ""
        """Where its last answer came from."""
        self.first: dict[str, int] = {}
        """Host -> when the first answer came from there, in ns of the monotonic clock."""
        self.acknowledged = -1
        self.answers = 0
        self.failures = 0
        self.lost = 0


class Watch:
    """`calls`: agent -> what asks it and answers `[host, count]`."""

    def __init__(
        self,
        calls: dict[str, Callable[[int], Awaitable[Any]]],
        interval_s: float,
        timeout_s: float,
    ) -> None:
        self._calls = calls
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self.agents = {name: Watched() for name in calls}
        self._tasks: list[asyncio.Task[None]] = []
        self._left = ""
        """The host that agents are to leave; "" while nobody is in a hurry."""
        self._hurry = asyncio.Event()
        self._waiting: set[str] = set()
        self._all_back = asyncio.Event()
        self._texts: dict[str, int] = {}

    async def start(self, within_s: float) -> None:
        """Ask each once, then go on. Raises `TimeoutError`."""
        async with asyncio.timeout(within_s):
            for name, call in self._calls.items():
                self._note(name, await call(0))
        step_s = self._interval_s / max(1, len(self._calls))
        self._tasks = [
            asyncio.create_task(self._ask(name, call, n * step_s))
            for n, (name, call) in enumerate(self._calls.items())
        ]

    async def stop(self) -> dict[str, Any]:
        """End all tasks; returns what was seen."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.seen()

    def seen(self) -> dict[str, Any]:
        """Sums over all agents."""
        rows = self.agents.values()
        hosts: dict[str, int] = {}
        for row in rows:
            hosts[row.host] = hosts.get(row.host, 0) + 1
        return {
            "answers": sum(row.answers for row in rows),
            "failures": sum(row.failures for row in rows),
            "lost": sum(row.lost for row in rows),
            "hosts": hosts,
            "errors": sorted(self._texts.items(), key=lambda one: -one[1])[:FAILURES_TOLD_MAX],
        }

    async def elsewhere(self, left: str, within_s: float) -> dict[str, Any]:
        """See the order `hurry`: `{"at_ns": [...], "missing": how many never answered}`."""
        self._left = left
        self._waiting = {name for name, row in self.agents.items() if row.host == left}
        self._all_back.clear()
        if self._waiting:
            self._hurry.set()
            try:
                async with asyncio.timeout(within_s):
                    await self._all_back.wait()
            except TimeoutError:
                pass
        self._hurry.clear()
        self._left = ""
        missing, self._waiting = len(self._waiting), set()
        elsewhere = [
            min((at for host, at in row.first.items() if host != left), default=0)
            for row in self.agents.values()
        ]
        return {"at_ns": [at for at in elsewhere if at], "missing": missing}

    async def _ask(self, name: str, call: Callable[[int], Awaitable[Any]], delay_s: float) -> None:
        row, number = self.agents[name], 0
        await self._pause(name, delay_s)
        while True:
            number += 1
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await call(number)
            except Exception as error:
                row.failures += 1
                text = f"{type(error).__name__}: {error}".replace(name, "...")[:TEXT_CHARS_MAX]
                self._texts[text] = self._texts.get(text, 0) + 1
                await asyncio.sleep(RETRY_AFTER_S)
                continue
            self._note(name, answer)
            await self._pause(name, self._interval_s)

    async def _pause(self, name: str, seconds: float) -> None:
        """The pause between two calls; none while the agent is awaited elsewhere."""
        if name in self._waiting:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        if name not in self._waiting:
            await asyncio.sleep(seconds)

    def _note(self, name: str, answer: Any) -> None:
        row = self.agents[name]
        host, count = answer
        row.answers += 1
        row.host = host
        row.first.setdefault(host, time.monotonic_ns())
        if count <= row.acknowledged:
            row.lost += 1
        row.acknowledged = count
        if host != self._left and name in self._waiting:
            self._waiting.discard(name)
            if not self._waiting:
                self._all_back.set()
