"""One quorate host in a process of its own, filled with many of a thing and asked for some of them.

The law of this file: it obeys the orders of the harness (see `lines`) through the public API with
the host's defaults. What is asked goes through all items in an order that jumps (`item`), so that a
size is felt where it would be. A thing that is not there is an error and not a fast answer. One
order goes around the API: `flush_stores` has the replica do now what it would do within seconds.

Run by the harness: `python -m quorate.bench.growth_worker '{"id", "data", "listen", "peers"}'`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import quorate
from quorate.bench import agent_classes as classes
from quorate.bench.agent_orders import SETTLE_POLL_S
from quorate.bench.agent_worker import AgentWorker
from quorate.bench.bursts import bursts
from quorate.bench.lines import Order
from quorate.bench.load import closed_loop
from quorate.bench.store_worker import StoreWorker
from quorate.bench.worker import run_worker

CALL_TIMEOUT_S = 20.0
FILL_TIMEOUT_S = 60.0
REFUSED_PAUSE_S = 0.05
STORE = "growth"
JUMP = 7919
"""A prime: jumping by it meets every item of a power of ten once."""
ASKED = 200
"""Agents that are asked, in memory all the time, beside however many sleep."""
BURST_ITEMS = 4096
CHECKED = 8

Call = Callable[[int], Awaitable[object]]


def item(number: int, count: int) -> int:
    """The item that the call of this number is for."""
    return number * JUMP % count


class GrowthWorker(StoreWorker, AgentWorker):
    """The orders of a host that is filled."""

    def handlers(self) -> dict[str, Callable[[Order], Awaitable[Any]]]:
        names = ("prepare", "put_in", "passive", "flush_stores", "use", "add_learner")
        return {**super().handlers(), **{name: getattr(self, name) for name in names}}

    async def prepare(self, order: Order) -> Any:
        """Define the store, and start the agents that are asked."""
        self.grown = self.host.store(STORE)
        await self.grown.put("first", 0)
        if order["agents"]:
            names = await self.make({"prefix": "echo", "count": ASKED})
            self.asked = [self.call(name, "ask") for name in names]
        return {}

    async def add_learner(self, order: Order) -> Any:
        """Let a host that waits to be added learn; returns when it is a member."""
        await self.host.members.add(
            order["learner"], order["address"], role="learner", timeout=FILL_TIMEOUT_S
        )
        return {}

    # --- filling ----------------------------------------------------------------------------------

    async def put_in(self, order: Order) -> dict[str, float]:
        """Make the items `first` to `first` + `count` - 1 of `thing`; `seconds` it took."""
        make = self._making(order["thing"], os.urandom(order["value_bytes"]))
        numbers = iter(range(order["first"], order["first"] + order["count"]))

        async def some() -> None:
            for n in numbers:
                while True:
                    try:
                        await make(n)
                        break
                    except quorate.Unavailable:  # a queue or the disk is behind: later
                        await asyncio.sleep(REFUSED_PAUSE_S)

        began = time.monotonic_ns()
        await asyncio.gather(*(some() for _ in range(order["in_flight"])))
        return {"seconds": (time.monotonic_ns() - began) / 1e9}

    async def passive(self, order: Order) -> dict[str, int]:
        """Wait until no more agents are in memory here than those that are asked."""
        until = time.monotonic() + order["within_s"]
        while True:
            left = await self.active()
            if left <= ASKED or time.monotonic() > until:
                return {"active": left}
            await asyncio.sleep(SETTLE_POLL_S)

    async def flush_stores(self, order: Order) -> None:
        """Have the states of the keys on this disk; otherwise that takes some seconds more."""
        flushed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.host.stores.replica.flush(flushed.set_result)
        await flushed

    def _making(self, thing: str, value: bytes) -> Call:
        kv, store, registry, agents = self.host.kv, self.grown, self.host.registry, self.agents
        within = FILL_TIMEOUT_S
        calls: dict[str, Call] = {
            "keys": lambda n: kv.put(key(n), value, timeout=within),
            "store": lambda n: store.put(key(n), value),
            "names": lambda n: registry.register(
                key(n), value, lease=0, on_conflict="use_existing", timeout=within
            ),
            "agents": lambda n: agents.start(classes.Sleeper, name=sleeper(n), timeout=within),
        }
        return calls[thing]

    # --- use --------------------------------------------------------------------------------------

    async def use(self, order: Order) -> dict[str, Any]:
        """`op` over `count` items: look-ups in memory in bursts, the rest in a closed loop with
        `in_flight`."""
        count: int = order["count"]
        window = {"warmup_s": order["warmup_s"], "seconds": order["seconds"]}
        call = self._using(order["op"], count, os.urandom(order["value_bytes"]))
        if order["in_flight"] == 0:
            numbers = range(BURST_ITEMS)
            for number in numbers[:CHECKED]:
                if await call(number) is None:
                    raise LookupError(f"{order['op']}: item {item(number, count)} is not there")
            return (await bursts(call, numbers, **window)).to_json()
        return (await closed_loop(call, in_flight=order["in_flight"], **window)).to_json()

    def _using(self, op: str, count: int, value: bytes) -> Call:
        kv, store, registry, agents = self.host.kv, self.grown, self.host.registry, self.agents
        within = CALL_TIMEOUT_S

        async def linearizable(n: int) -> object:
            found = await kv.get(key(item(n, count)), timeout=within)
            if found is None:
                raise LookupError("no such key")
            return found

        async def look(n: int) -> object:
            return agents.look(sleeper(item(n, count)))

        calls: dict[str, Call] = {
            "strong write": lambda n: kv.put(key(item(n, count)), value, timeout=within),
            "linearizable read": linearizable,
            "eventual write": lambda n: store.put(key(item(n, count)), value),
            "local read": lambda n: store.get(key(item(n, count))),
            "registration": lambda n: registry.register(
                key(item(n, count)), value, lease=0, on_conflict="replace", timeout=within
            ),
            "look-up of a name": lambda n: registry.whereis(key(item(n, count))),
            "look-up of an agent": look,
            "ask": lambda n: self.asked[n % ASKED](n),
        }
        return calls[op]


def key(number: int) -> str:
    return f"key/{number:07d}"


def sleeper(number: int) -> str:
    return f"sleeper/{number:07d}"


if __name__ == "__main__":
    run_worker(GrowthWorker)
