"""What a turn's state costs, beside a store's put: `python -m tests.agents.measure_state [hosts]`.

The law of this file: it measures and judges nothing. Hosts in one process on this machine's loop;
so many agents at once, each turn after the last; processor time of the whole process, all hosts
together."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from quorate import Cluster
from tests.agents_state.world import Agent, Place, until

AT_ONCE = 500
SECONDS = 3.0
Work = Callable[[int], Awaitable[Any]]


async def rate(name: str, work: Work) -> None:
    """`work(n)` by so many at once; prints calls a second and processor time of a call."""
    for number in range(AT_ONCE):
        await work(number)
    done, end = 0, time.perf_counter() + SECONDS

    async def one(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await work(number)
            done += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one(number) for number in range(AT_ONCE)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{name:42} {done / took:10,.0f}/s {cpu / done * 1e6:8.1f} us each", flush=True)


def turn_of(agent: Agent, body: Callable[[Any], Awaitable[Any]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        async with agent.turn():
            await body(agent.state)

    return run


async def measure(hosts: int) -> None:
    async with Cluster.local(hosts) as cluster:
        leader = await cluster.leader()
        place = Place(leader)
        await place.keeper.ready(place.plane.clock.monotonic() + 10)
        store = leader.store("measured")
        await store.put("warm", 1)
        await until(place, lambda: place.plane.placement is not None and place.keeper.core.whole)
        agents = [await place.open(await place.start(f"agent:{n}")) for n in range(AT_ONCE)]

        async def nothing(state: Any) -> None:
            return None

        async def eventual(state: Any) -> None:
            await state.put("k", 1)

        async def strong(state: Any) -> None:
            await state.put("k", 1, consistency="strong")

        async def counter(state: Any) -> None:
            await state.pn_counter("c").increment()

        async def mixed(state: Any) -> None:
            await state.put("s", 1, consistency="strong")
            await state.put("e", 1)

        async def read(state: Any) -> None:
            await state.get("k")

        async def three(state: Any) -> None:
            for key in ("x", "y", "z"):
                await state.put(key, 1)

        print(f"{hosts} hosts in one process, {AT_ONCE} at once")
        await rate("store.put, eventual", lambda n: store.put(f"k{n}", 1))
        await rate("store increment", lambda n: store.pn_counter(f"c{n}").increment())
        await rate("store.put, strong", lambda n: store.put(f"s{n}", 1, consistency="strong"))
        for name, body in (
            ("turn without writes", nothing),
            ("turn that reads a key", read),
            ("turn, one eventual put", eventual),
            ("turn, three eventual puts", three),
            ("turn, one increment", counter),
            ("turn, one strong put", strong),
            ("turn in both planes", mixed),
        ):
            turns = [turn_of(agent, body) for agent in agents]
            await rate(name, lambda n, turns=turns: turns[n]())


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
