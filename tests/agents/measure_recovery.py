"""How long it takes to have the state of many agents in another place:
`python -m tests.agents.measure_recovery [agents] [keys of each]`.

The law of this file: it measures and judges nothing. Three hosts in one process; one dies, another
one binds and opens all of its agents."""

from __future__ import annotations

import asyncio
import sys
import time

from quorate import Cluster
from tests.agents_state.world import Agent, Place, end_lease, until


async def measure(agents: int, keys: int) -> None:
    async with Cluster.local(3) as cluster:
        places = {host_id: Place(host) for host_id, host in cluster.hosts.items()}
        for place in places.values():
            await place.keeper.ready(place.plane.clock.monotonic() + 10)
            await until(
                place, lambda p=place: p.plane.placement is not None and p.keeper.core.whole
            )
        leader = (await cluster.leader()).id
        source, target = (places[one] for one in places if one != leader)
        await source.hold()

        async def fill(number: int) -> Agent:
            agent = await source.open(await source.start(f"agent:{number}"))
            async with agent.turn():
                for key in range(keys):
                    await agent.state.put(f"k{key}", b"x" * 100, wait_for=2)
                await agent.state.pn_counter("c").increment()
            return agent

        filled = await asyncio.gather(*(fill(number) for number in range(agents)))
        await cluster.kill(source.host.id)
        await target.hold()
        await end_lease(target, source)
        began = time.perf_counter()
        records = await asyncio.gather(*(target.take(a.holder.record, "take") for a in filled))
        bound = time.perf_counter()
        opened = await asyncio.gather(*(target.open(record) for record in records))
        done = time.perf_counter()
        assert all([await one.state.get("k0") == b"x" * 100 for one in opened])
        print(
            f"{agents} agents of {keys} keys: bound in {bound - began:.3f} s, opened in "
            f"{done - bound:.3f} s ({(done - bound) / agents * 1e6:.0f} us each)",
            target.keeper.recovery.statistics(),
        )


if __name__ == "__main__":
    asyncio.run(measure(int((*sys.argv, 1000)[1]), int((*sys.argv, 0, 3)[2] or 3)))
