"""What does a host cost that has nothing to do?

The law of this file: three hosts that were just started and given a little traffic, then left
alone; processor time over the stretch, memory at its end; the worst of the three is the figure.
"""

from __future__ import annotations

import asyncio
from typing import Any

from quorate.bench.questions.base import Context
from quorate.bench.systems.base import Work
from quorate.bench.usage import cpu_s, memory_mb

SETTLE_S = 3.0


async def ask(context: Context) -> None:
    """Every system that runs here."""
    rows: list[dict[str, Any]] = []
    for kind in context.distinct:
        async with context.unless_lost(kind), context.running(kind) as system:
            await system.load(Work("put", 16, "leader", 0.5, 0.0))
            await asyncio.sleep(min(SETTLE_S, context.plan.idle_s))
            pids = system.pids()
            before = {host: cpu_s(pid) for host, pid in pids.items()}
            await asyncio.sleep(context.plan.idle_s)
            cpu = {
                host: 100 * (cpu_s(pid) - before[host]) / context.plan.idle_s
                for host, pid in pids.items()
            }
            memory = {host: memory_mb(pid) for host, pid in pids.items()}
            rows.append(
                {
                    "system": kind.name,
                    "leader": await system.leader(),
                    "seconds": context.plan.idle_s,
                    "cpu_percent": cpu,
                    "cpu_percent_max": max(cpu.values()),
                    "rss_mb": {host: row["rss"] for host, row in memory.items()},
                    "rss_mb_max": max(row["rss"] for row in memory.values()),
                    "anonymous_mb_max": max(row["anonymous"] for row in memory.values()),
                }
            )
            context.say(
                f"idle {kind.name}: {rows[-1]['cpu_percent_max']:.2f} % processor, "
                f"{rows[-1]['rss_mb_max']:.0f} MB"
            )
            context.found["idle"] = list(rows)
