# pyright: basic, reportMissingImports=false
"""One casty node in a process of its own, with the load inside, as our own hosts carry theirs.

The law of this file: casty with its defaults, on uvloop as ours (it is faster there); the load
generator is the same code. An actor is placed by casty's ring, so "on this host" means keys that it
places here; where an actor is asks `ActorSystem.placement`.

Run by the harness, in casty's own Python: `casty_worker.py '{"id", "listen", "peers", "store"}'`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from casty import ActorSystem, Cluster
from casty.stores import SQL

from quorate.bench.agent_orders import AgentOrders, Call
from quorate.bench.lines import Order, obey
from quorate.bench.peers import casty_actors as actors

JOIN_POLL_S = 0.05
ASK_TIMEOUT_S = 10.0


class CastyOrders(AgentOrders):
    """The orders of a node."""

    def __init__(self, system: Any, settings: dict[str, Any]) -> None:
        self.system = system
        self.host_of = {address: host for host, address in settings["peers"].items()}
        self.hosts = len(settings["peers"])
        self.left = asyncio.Event()

    def handlers(self) -> dict[str, Any]:
        more = {"ready": self.ready, "drain": self.drain}
        return {**self.agent_handlers(), **more}

    async def ready(self, order: Order) -> dict[str, Any]:
        """Until all members see each other."""
        async with asyncio.timeout(order["within_s"]):
            while self._alive() < self.hosts:  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(JOIN_POLL_S)
        return {}

    def _alive(self) -> int:
        return sum(member.status == "alive" for member in self.system.members)

    async def drain(self, order: Order) -> dict[str, Any]:
        """Leave the cluster in order: what casty has instead of a drain."""
        await self.system.__aexit__(None, None, None)
        self.left.set()
        return {}

    def _kind(self, name: str) -> Any:
        return getattr(actors, name.partition("/")[0].partition("-")[0])

    def call(self, name: str, op: str) -> Call:
        ask = self.system.ref(self._kind(name), name).ask
        if op == "ask":
            return lambda n: ask(actors.Ask(n))
        if op == "bump":

            async def bump(_: int) -> list[Any]:
                address, count = await ask(actors.Bump())
                return [self.host_of[address], count]

            return bump
        value = os.urandom(actors.VALUE_BYTES)
        return lambda n: ask(actors.Put(n, value))

    async def make(self, order: Order) -> list[str]:
        kind, names, n = self._kind(order["prefix"]), [], 0
        while len(names) < order["count"]:
            name = f"{order['prefix']}/{n}"
            where = await self.system.placement(kind, name)
            if where.owner == self.system.node:
                names.append(name)
            n += 1
        op = "bump" if kind is actors.counter else "ask"
        for start in range(0, len(names), 100):
            await asyncio.gather(*(self.call(name, op)(0) for name in names[start : start + 100]))
        return names

    async def start_named(self, name: str) -> object:
        return await self.system.ref(actors.sleeper, name).ask(actors.Ask(0))

    async def active(self) -> int:
        return sum(row.active for row in self.system.stats().actors.values())

    async def find(self, name: str) -> str:
        where = await self.system.placement(self._kind(name), name)
        return "" if where.owner is None else self.host_of.get(where.owner.address, "")


async def serve(settings: dict[str, Any]) -> None:
    """One node, until the harness says stop or goes away."""
    seeds = tuple(settings["peers"].values())
    async with contextlib.AsyncExitStack() as stack:
        more: dict[str, Any] = {}
        if settings["store"]:
            more["store"] = await stack.enter_async_context(SQL(settings["store"]))
        cluster = Cluster(bind=settings["listen"], seeds=seeds)
        timeout = timedelta(seconds=ASK_TIMEOUT_S)
        system = ActorSystem(cluster=cluster, ask_timeout=timeout, **more)
        await system.__aenter__()
        orders = CastyOrders(system, settings)
        try:
            await obey(orders.handlers(), {"version": version("casty"), "python": sys.version})
        finally:
            if not orders.left.is_set():
                await system.__aexit__(RuntimeError, RuntimeError("the run is over"), None)


if __name__ == "__main__":
    try:
        import uvloop

        run: Any = uvloop.run
    except ImportError:
        run = asyncio.run
    run(serve(json.loads(sys.argv[1])))
