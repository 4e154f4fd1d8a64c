"""How long after a cut has healed do all hosts hold the same?

The law of this file: the links between the processes are cut for real, silently (relays that hold
back what is sent), one host against two, for longer than a link may be silent. Both sides write
all the while. Measured is from the moment the relays open until everything that was durable
anywhere before it is durable everywhere; then all hosts must hold the same, byte for byte.
"""

from __future__ import annotations

import asyncio
import time

from quorate.bench.figures import summary
from quorate.bench.questions.base import Context

KEYS = 2_000
VALUE_BYTES = 100
WRITES = 1_000
"""Of each host during the cut; the keys of two neighbours overlap by half."""


async def ask(context: Context) -> None:
    """Cut and heal, again and again; the minority is another host each time."""
    times_s: list[float] = []
    async with context.store_group(relayed=True) as group:
        assert group.links is not None
        await group.open(KEYS, VALUE_BYTES)
        for n in range(context.plan.heals):
            minority = group.hosts[n % len(group.hosts)]
            group.links.cut({minority})
            until = time.monotonic() + context.plan.cut_s
            await asyncio.gather(
                *(
                    group.children[host].order("values", first=at * WRITES // 2, count=WRITES)
                    for at, host in enumerate(group.hosts)
                )
            )
            await asyncio.sleep(max(0.0, until - time.monotonic()))
            before = await group.positions()
            healed_ns = time.monotonic_ns()
            group.links.heal()
            times_s.append(await group.even(healed_ns, before))
            await group.same_content()
            context.say(f"heal {n + 1}: the same everywhere after {times_s[-1]:.2f} s")
            context.found["heal"] = {
                "heals": len(times_s),
                "cut_s": context.plan.cut_s,
                "writes": WRITES * len(group.hosts),
                "s": summary(times_s),
            }
