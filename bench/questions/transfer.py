"""When leadership is handed over, how long is the group without it?

The law of this file: the clock runs from the order to the first acknowledged write of a later term,
made from the host that handed over. The time of the call itself is recorded beside it.
"""

from __future__ import annotations

import asyncio
import time

from quorate.bench.figures import summary
from quorate.bench.questions.base import Context
from quorate.bench.systems import RaftGroup

WITHIN_S = 10.0
CATCH_UP_S = 30.0


async def ask(context: Context) -> None:
    """Hand the leadership round."""
    until_write_ms: list[float] = []
    call_ms: list[float] = []
    async with context.group() as group:
        for n in range(context.plan.transfers):
            write, call = await _one(group, n)
            until_write_ms.append(write)
            call_ms.append(call)
            context.say(f"transfer {n + 1}/{context.plan.transfers}: {write:.0f} ms")
            context.found["transfer"] = {
                "transfers": n + 1,
                "until_write_ms": summary(until_write_ms),
                "call_ms": summary(call_ms),
            }


async def _one(group: RaftGroup, n: int) -> tuple[float, float]:
    leader = await group.leader()
    others = [host for host in group.hosts if host != leader]
    to = others[n % len(others)]
    await group.wait_caught_up(to, CATCH_UP_S)
    term = (await group.status(leader))["term"]
    child = group.children[leader]
    began = time.monotonic_ns()
    write, call = await asyncio.gather(
        child.order("first_write", within_s=WITHIN_S, above_term=term, timeout_s=WITHIN_S + 5),
        child.order("transfer", to=to, timeout_s=WITHIN_S + 5),
    )
    return (write["at_ns"] - began) / 1e6, call["call_ns"] / 1e6
