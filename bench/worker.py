"""One quorate host in a process of its own, with the load inside: what a service that embeds
quorate does.

The law of this file: it runs `quorate.Host` with its defaults and obeys the orders of the harness
(see `lines`). A latency is that of the public API's own call, in the host's own event loop.

Run by the harness: `python -m quorate.bench.worker '{"id", "data", "listen", "peers"}'`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import quorate
from quorate.bench.lines import Order, obey
from quorate.bench.load import closed_loop
from quorate.hosts.cli.loop import run as run_loop

CALL_TIMEOUT_S = 10.0
PROBE_INTERVAL_S = 0.005
FILL_IN_FLIGHT = 16


class Worker:
    """The orders a host understands."""

    def __init__(self, host: quorate.Host) -> None:
        self.host = host

    def handlers(self) -> dict[str, Callable[[Order], Awaitable[Any]]]:
        names = ("load", "status", "ready", "first_write", "transfer", "fill", "profile")
        return {name: getattr(self, name) for name in names}

    async def ready(self, order: Order) -> Any:
        """Wait until the host serves; answers the moment on the system's monotonic clock."""
        await self.host.ready(order["within_s"])
        return {"at_ns": time.monotonic_ns()}

    async def status(self, order: Order) -> dict[str, Any]:
        status = self.host.status()
        keys = (
            "role",
            "leader",
            "term",
            "commit_index",
            "applied_index",
            "last_index",
            "revision",
            "failure",
        )
        return {key: status.get(key) for key in keys}

    async def load(self, order: Order) -> dict[str, Any]:
        """A closed loop of `put` or of linearizable `get`."""
        kv = self.host.kv
        keys = [f"bench/{n:06d}" for n in range(order["keys"])]
        count = len(keys)
        if order["op"] == "put":
            value = os.urandom(order["value_bytes"])

            def operation(n: int) -> Awaitable[object]:
                return kv.put(keys[n % count], value, timeout=CALL_TIMEOUT_S)
        else:

            def operation(n: int) -> Awaitable[object]:
                return kv.get(keys[n % count], timeout=CALL_TIMEOUT_S)

        load = await closed_loop(
            operation,
            in_flight=order["in_flight"],
            warmup_s=order["warmup_s"],
            seconds=order["seconds"],
        )
        return load.to_json()

    async def first_write(self, order: Order) -> dict[str, Any]:
        """Begin a write every few milliseconds; answers when the first of them is acknowledged.

        `at_ns` is on the system's monotonic clock, comparable between processes; `call_ns` is how
        long that write itself took. With `above_term`, only a write of a later term counts.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[dict[str, Any]] = loop.create_future()
        above = order.get("above_term", 0)

        async def probe(n: int) -> None:
            began = time.monotonic_ns()
            with contextlib.suppress(quorate.QuorateError):
                receipt = await self.host.kv.put(f"probe/{n % 64}", n, timeout=order["within_s"])
                now = time.monotonic_ns()
                if receipt.term > above and not done.done():
                    done.set_result({"at_ns": now, "call_ns": now - began, "term": receipt.term})

        probes: set[asyncio.Task[None]] = set()
        until, n = loop.time() + order["within_s"], 0
        while not done.done() and loop.time() < until:
            probes.add(task := loop.create_task(probe(n)))
            task.add_done_callback(probes.discard)
            n += 1
            await asyncio.wait([done], timeout=PROBE_INTERVAL_S)
        for task in list(probes):
            task.cancel()
        if not done.done():
            raise TimeoutError(f"no write was acknowledged in {order['timeout_s']} s")
        return done.result()

    async def transfer(self, order: Order) -> dict[str, Any]:
        """Hand leadership over; answers how long the call took."""
        began = time.monotonic_ns()
        await self.host.transfer_leadership(order["to"])
        return {"call_ns": time.monotonic_ns() - began}

    async def fill(self, order: Order) -> dict[str, Any]:
        """Write `count` values of `value_bytes`, each under its own key, from `first` on."""
        numbers = iter(range(order["first"], order["first"] + order["count"]))
        value = os.urandom(order["value_bytes"])
        in_flight = order.get("in_flight", FILL_IN_FLIGHT)

        async def write() -> None:
            for n in numbers:
                while True:
                    try:
                        await self.host.kv.put(f"fill/{n:09d}", value, timeout=30.0)
                        break
                    except quorate.Unavailable:  # the disk or a queue is behind: later
                        await asyncio.sleep(0.05)

        began = time.monotonic_ns()
        await asyncio.gather(*(write() for _ in range(in_flight)))
        return {"seconds": (time.monotonic_ns() - began) / 1e9}

    async def profile(self, order: Order) -> Any:
        """Counters of every part, for whoever looks into a figure."""
        return json.loads(json.dumps(self.host.statistics(), default=str))


async def serve(settings: dict[str, Any], kind: type[Worker]) -> None:
    """One host, until the harness says stop or goes away."""
    began = time.monotonic_ns()
    host = quorate.Host(settings.pop("id"), data=settings.pop("data"), **settings)
    async with host:
        hello = {"began_ns": began, "listening_ns": time.monotonic_ns(), "address": host.address}
        await obey(kind(host).handlers(), hello)


def run_worker(kind: type[Worker]) -> None:
    """The process: its settings are its one argument."""
    run_loop(serve(json.loads(sys.argv[1]), kind))


if __name__ == "__main__":
    run_worker(Worker)
