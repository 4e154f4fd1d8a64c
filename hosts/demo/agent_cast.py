"""The agents of the demonstration and of the live tests.

The law of this file: an agent tells nobody but its caller what it did; only what it does to the
resource outside goes past the cluster, straight to the process that started this one, with the
agent's token.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

from quorate.hosts.agents.agent import Agent, shared
from quorate.hosts.demo import lines
from quorate.hosts.demo.level_worker import tell

_effects = itertools.count(1)


def act(name: str, token: int, number: int, what: str) -> None:
    """An act at the resource outside."""
    tell(lines.encode("effect", name=name, token=token, n=number, what=what, t=time.monotonic()))


class Shop(Agent):
    """Sells, counts it strongly, and ships: an effect outside of the cluster."""

    kind = "demo.Shop"

    async def sell(self, count: int = 1) -> list[int]:
        """The new total, and the epoch of the agent that counted it."""
        sold = await self.state.get("sold", default=0) + count
        await self.state.put("sold", sold, consistency="strong")
        return [sold, self.epoch]

    @shared
    async def total(self) -> int:
        return int(await self.state.get("sold", default=0))

    async def ship(self, hold_s: float) -> int:
        """One act that takes a while; its token."""
        token, number = self.fence.check(), next(_effects)
        act(self.name, token, number, "begin")
        await asyncio.sleep(hold_s)
        act(self.name, self.fence.check(), number, "end")
        return token


class Herald(Shop):
    """Acts on its own for a while, and trusts its token instead of checking it: what it does when
    it is not the present one any more must be refused by those it does it to."""

    kind = "demo.Herald"
    turn_timeout_s = None

    async def proclaim(self, listener: str, times: int, pause_s: float) -> list[int]:
        """`times` over: an act outside, a message to the listener; then a sale."""
        proxy = self.agents.get(listener)
        for number in range(times):
            token, effect = self.fence.token, next(_effects)
            act(self.name, token, effect, "begin")
            await asyncio.sleep(pause_s)
            act(self.name, token, effect, "end")
            proxy.tell.note(number)
        return await self.sell()


class Scribe(Agent):
    """Keeps in memory what it was told, and takes it along when it moves."""

    kind = "demo.Scribe"

    def __init__(self) -> None:
        self.lines: list[list[Any]] = []

    async def write(self, sender: str, number: int) -> int:
        self.lines.append([sender, number])
        return len(self.lines)

    async def note(self, number: int) -> None:
        """From an agent: its name, its epoch, and the number."""
        caller = self.caller
        if caller is not None:
            self.lines.append([caller.name, caller.epoch, number])

    @shared
    async def read(self) -> list[list[Any]]:
        return self.lines

    async def on_checkpoint(self) -> Any:
        return self.lines

    async def on_restore(self, value: Any) -> None:
        self.lines = value


class Chain(Agent):
    """Owns shops, and ends when it is told to."""

    kind = "demo.Chain"

    async def close(self) -> None:
        await self.stop("closed down")


ALL = (Shop, Herald, Scribe, Chain)
BY_NAME = {cls.__name__: cls for cls in ALL}
