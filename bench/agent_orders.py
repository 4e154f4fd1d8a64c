"""Orders that every process with agents understands, ours or a peer's: loads, watches, look-ups.

The law of this file: nothing but the standard library and the load generator, so that it runs in
the Python of a peer too, and every system is measured by the same code. What a call to an agent is
says a subclass: `call(name, op)`, made once per agent, gives what is called with a number.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.bench.bursts import bursts, cost_ns
from quorate.bench.histogram import Histogram
from quorate.bench.lines import Order
from quorate.bench.load import Load, closed_loop
from quorate.bench.watch import Watch

Call = Callable[[int], Awaitable[Any]]
Handlers = dict[str, Callable[[Order], Awaitable[Any]]]
SETTLE_POLL_S = 0.2
TIMED_SHARE = 64
"""Of so many look-ups one is timed: the clock costs more than a look-up."""


class AgentOrders(ABC):
    """What a process of an agent system does for the harness."""

    _watch: Watch | None = None

    def agent_handlers(self) -> Handlers:
        names = (
            *("make", "agent_load", "spawn", "settle", "look_up"),
            *("watch", "hurry", "watched", "unwatch", "where", "generator"),
        )
        return {name: getattr(self, name) for name in names}

    # --- what a system says of itself -------------------------------------------------------------

    @abstractmethod
    def call(self, name: str, op: str) -> Call:
        """What asks the agent `name` once: `op` ask answers the number it was given; strong,
        eventual and stored write 100 bytes of state first; bump counts in the strongest state there
        is and answers `[the host it runs on, the count]`."""

    @abstractmethod
    async def make(self, order: Order) -> list[str]:
        """Start `count` agents called `prefix`/n on this host; answers their names when each has
        answered once."""

    @abstractmethod
    async def start_named(self, name: str) -> object:
        """Start one agent under a name, wherever the system places it."""

    @abstractmethod
    async def active(self) -> int:
        """How many agents are in memory here."""

    def look_up_once(self, names: list[str]) -> Callable[[str], object] | None:
        """What looks a name up in this process's memory without waiting; None if it must wait."""
        del names
        return None

    @abstractmethod
    async def find(self, name: str) -> str:
        """The host that a name is at, from what this process knows."""

    # --- loads ------------------------------------------------------------------------------------

    async def agent_load(self, order: Order) -> dict[str, Any]:
        """A closed loop of `op` on `names` with `in_flight` callers."""
        calls = [self.call(name, order["op"]) for name in order["names"]]
        count = len(calls)

        def mixed(n: int) -> Awaitable[Any]:
            return calls[n % count](n)

        load = await closed_loop(
            calls[0] if count == 1 else mixed,
            in_flight=order["in_flight"],
            warmup_s=order["warmup_s"],
            seconds=order["seconds"],
        )
        return load.to_json()

    async def spawn(self, order: Order) -> dict[str, float]:
        """Start `count` named agents from `first` on, `in_flight` at a time; with `wakes` ask each
        once instead."""
        numbers = iter(range(order["first"], order["first"] + order["count"]))
        wakes: bool = order["wakes"]

        async def one() -> None:
            for n in numbers:
                name = f"{order['prefix']}/{n:06d}"
                if wakes:
                    await self.call(name, "ask")(n)
                else:
                    await self.start_named(name)

        began = time.monotonic_ns()
        await asyncio.gather(*(one() for _ in range(order["in_flight"])))
        return {"seconds": (time.monotonic_ns() - began) / 1e9}

    async def settle(self, order: Order) -> dict[str, int]:
        """Wait until no agent is in memory here, or as few as there will be."""
        until = time.monotonic() + order["within_s"]
        while True:
            left = await self.active()
            if not left or time.monotonic() > until:
                return {"active": left}
            await asyncio.sleep(SETTLE_POLL_S)

    async def look_up(self, order: Order) -> dict[str, Any]:
        """Look `names` up over and over: one caller."""
        names: list[str] = [f"{order['prefix']}/{n:06d}" for n in range(order["count"])]
        once = self.look_up_once(names)
        window = {"warmup_s": order["warmup_s"], "seconds": order["seconds"]}
        if once is None:
            return (await bursts(self.find, names, **window)).to_json()
        return (await _look_ups(once, names, **window)).to_json()

    async def generator(self, order: Order) -> float:
        """What the generator of look-ups costs for each, in nanoseconds."""
        return await cost_ns(order["seconds"])

    async def where(self, order: Order) -> dict[str, int]:
        """How many of `names` are at which host."""
        found: dict[str, int] = {}
        for name in order["names"]:
            host = await self.find(name)
            found[host] = found.get(host, 0) + 1
        return found

    # --- watching ---------------------------------------------------------------------------------

    async def watch(self, order: Order) -> dict[str, Any]:
        """From now on ask every agent of `names` every `interval_s`, until `unwatch`."""
        calls = {name: self.call(name, order["op"]) for name in order["names"]}
        self._watch = Watch(calls, order["interval_s"], order["ask_timeout_s"])
        await self._watch.start(order["within_s"])
        return {}

    def _present_watch(self) -> Watch:
        if self._watch is None:
            raise LookupError("nothing is watched")
        return self._watch

    async def hurry(self, order: Order) -> dict[str, Any]:
        """Ask all agents at once and without a pause until each has answered from another host than
        `left`; answers when each did, in ns of the system's monotonic clock."""
        return await self._present_watch().elsewhere(order["left"], order["within_s"])

    async def watched(self, order: Order) -> dict[str, Any]:
        """What was seen so far: answers, failures, counts that went back."""
        return self._present_watch().seen()

    async def unwatch(self, order: Order) -> dict[str, Any]:
        """Watch no longer; answers as `watched`."""
        watch, self._watch = self._present_watch(), None
        return await watch.stop()


async def _look_ups(
    once: Callable[[str], object], names: list[str], *, warmup_s: float, seconds: float
) -> Load:
    """Calls that never wait, in slices; one of each slice is timed."""
    clock = time.perf_counter_ns
    begin = clock() + int(warmup_s * 1e9)
    end, counted_from = begin + int(seconds * 1e9), begin
    slices = [names[n : n + TIMED_SHARE] for n in range(0, len(names), TIMED_SHARE)]
    samples: list[int] = []
    ops = 0
    while True:
        for part in slices:
            started = clock()
            if started >= end:
                return Load(ops, 0, (started - counted_from) / 1e9, Histogram.of(samples))
            if started < begin:
                ops, counted_from = 0, begin
                samples.clear()
            once(part[0])
            samples.append(clock() - started)
            for name in part[1:]:
                once(name)
            ops += len(part)
        await asyncio.sleep(0)
