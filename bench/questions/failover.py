"""After kill -9 of the leader, how long until a survivor acknowledges a write?

The law of this file: the clock runs from just before the kill to the acknowledgement of a write
that began after it, on either survivor, without any hint to the survivors. The killed host is
started again and has caught up before the next kill.
"""

from __future__ import annotations

import asyncio
import time

from quorate.bench.figures import summary
from quorate.bench.questions.base import Context
from quorate.bench.systems import RaftGroup

WITHIN_S = 15.0
CATCH_UP_S = 30.0
PHASE_S = 0.3
"""A kill comes at a random moment of so long a stretch, so as not to follow the heartbeats."""


async def ask(context: Context) -> None:
    """Kill the leader again and again."""
    times_ms: list[float] = []
    async with context.group() as group:
        for _ in range(context.plan.kills):
            times_ms.append(await _one(group, context.rng.random() * PHASE_S))
            context.say(f"failover {len(times_ms)}/{context.plan.kills}: {times_ms[-1]:.0f} ms")
            context.found["failover"] = {"kills": len(times_ms), "ms": summary(times_ms)}


async def _one(group: RaftGroup, pause_s: float) -> float:
    leader = await group.leader()
    survivors = [host for host in group.hosts if host != leader]
    for host in survivors:
        await group.wait_caught_up(host, CATCH_UP_S)
    await asyncio.sleep(pause_s)
    began = time.monotonic_ns()
    group.children[leader].kill_nowait()
    answers = await asyncio.gather(
        *(
            group.children[host].order("first_write", within_s=WITHIN_S, timeout_s=WITHIN_S + 5)
            for host in survivors
        )
    )
    await group.kill(leader)
    await group.start_host(leader)
    await group.wait_caught_up(leader, CATCH_UP_S)
    return (min(answer["at_ns"] for answer in answers) - began) / 1e6
