"""One quorate host in a process of its own, with agents and a load on them inside.

The law of this file: it obeys the orders of the harness (see `lines`) through `host.agents` with
its defaults, in the host's own event loop, as a service does that embeds quorate.

Run by the harness: `python -m quorate.bench.agent_worker '{"id", "data", "listen", "peers"}'`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import quorate
from quorate.bench import agent_classes as classes
from quorate.bench.agent_orders import AgentOrders, Call
from quorate.bench.lines import Order
from quorate.bench.watch import FAILURES_TOLD_MAX
from quorate.bench.worker import Worker, run_worker

START_TIMEOUT_S = 30.0
MAKE_AT_ONCE = 64
METHODS = {"ask": "ask_number", "strong": "strong", "eventual": "eventual"}


class AgentWorker(AgentOrders, Worker):
    """The orders a host with agents understands."""

    def __init__(self, host: quorate.Host) -> None:
        super().__init__(host)
        self.agents = host.agents
        for cls in classes.CLASSES:
            self.agents.register(cls)

    def handlers(self) -> dict[str, Callable[[Order], Awaitable[Any]]]:
        names = ("drain", "undrain", "fill_state", "moves", "stop_agents")
        mine = {name: getattr(self, name) for name in names}
        return {**super().handlers(), **self.agent_handlers(), **mine}

    async def ready(self, order: Order) -> Any:
        await self.host.ready(order["within_s"])
        await self.agents.ready(order["within_s"])
        return {"at_ns": time.monotonic_ns()}

    def _kind(self, name: str) -> type[quorate.Agent]:
        return classes.BY_PREFIX[name.partition("/")[0].partition("-")[0]]

    # --- what the orders of all systems need ------------------------------------------------------

    def call(self, name: str, op: str) -> Call:
        proxy = self.agents.get(name)
        if op == "bump":
            bump = proxy.bump
            return lambda _: bump()
        return getattr(proxy, METHODS[op])

    async def make(self, order: Order) -> list[str]:
        names = [f"{order['prefix']}/{self.host.id}/{n}" for n in range(order["count"])]
        hints, limit = {"host": self.host.id}, asyncio.Semaphore(MAKE_AT_ONCE)

        async def one(name: str) -> None:
            async with limit:
                kind = self._kind(name)
                await self.agents.start(kind, name=name, hints=hints, timeout=START_TIMEOUT_S)
                await self.call(name, "bump" if kind is classes.Counter else "ask")(0)

        await asyncio.gather(*map(one, names))
        return names

    async def start_named(self, name: str) -> object:
        return await self.agents.start(classes.Sleeper, name=name, timeout=START_TIMEOUT_S)

    async def active(self) -> int:
        return int(self.agents.statistics()["residents"]["in_memory"])

    def look_up_once(self, names: list[str]) -> Callable[[str], object] | None:
        return self.agents.look

    async def find(self, name: str) -> str:
        found = self.agents.look(name)
        return "" if found is None else found.host

    # --- what only we have ------------------------------------------------------------------------

    async def drain(self, order: Order) -> dict[str, Any]:
        """Move everything off this host."""
        return {"moved": await self.agents.drain(timeout=order["within_s"])}

    async def undrain(self, order: Order) -> dict[str, Any]:
        await self.agents.undrain()
        return {}

    async def stop_agents(self, order: Order) -> int:
        return await self.agents.stop_matching(order["text"], timeout=order["within_s"])

    async def fill_state(self, order: Order) -> int:
        """Give the agent `name` its megabyte, `where` "store" or "memory"."""
        proxy = self.agents.get(order["name"])
        fill, left = getattr(proxy, f"fill_{order['where']}"), order["size_bytes"]
        at_once = classes.TURN_BYTES if order["where"] == "store" else left
        while left > 0:
            await fill(min(at_once, left))
            left -= at_once
        return int(await proxy.held_bytes())

    async def moves(self, order: Order) -> dict[str, Any]:
        """Move `name` through the hosts `to` while one caller here asks it without a pause; for
        each move the longest ask that overlapped it, from call to answer, in ns. The asks of a move
        are those answered after it began, until one is answered that began behind it."""
        ask = self.agents.get(order["name"]).ask_number
        asks: list[tuple[int, int]] = []
        answered = asyncio.Event()
        failures: list[str] = []
        over = asyncio.Event()

        async def caller() -> None:
            number = 0
            while not over.is_set():
                began = time.monotonic_ns()
                try:
                    await ask(number := number + 1)
                except quorate.QuorateError as error:
                    failures.append(f"{type(error).__name__}: {error}")
                    await asyncio.sleep(0.001)
                    continue
                asks.append((began, time.monotonic_ns()))
                answered.set()

        task = asyncio.create_task(caller())
        pauses: list[int] = []
        calls: list[int] = []
        try:
            for to in order["to"]:
                await asyncio.sleep(order["rest_s"])
                asks.clear()
                began = time.monotonic_ns()
                await self.agents.move(order["name"], to, timeout=order["within_s"])
                moved = time.monotonic_ns()
                calls.append(moved - began)
                await asyncio.sleep(order["rest_s"])
                while not asks or asks[-1][0] < moved:
                    answered.clear()
                    await answered.wait()
                pauses.append(max(end - start for start, end in asks))
        finally:
            over.set()
            await task
        return {
            "pause_ns": pauses,
            "call_ns": calls,
            "failures": len(failures),
            "errors": sorted(set(failures))[:FAILURES_TOLD_MAX],
        }


if __name__ == "__main__":
    run_worker(AgentWorker)
