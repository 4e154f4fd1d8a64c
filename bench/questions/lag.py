"""How long until another host sees an update, at half the load that is asked for?

The law of this file: the writes come at a fixed rate from all hosts, whether or not the hosts keep
up. A lag is measured from just before the writer's call until the value can be read at another
host, on the machine's one monotonic clock; so the writer's own disk is in it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from quorate.bench.histogram import merged
from quorate.bench.load import Load, together
from quorate.bench.questions.base import Context
from quorate.bench.questions.levels import KEYS, VALUE_BYTES
from quorate.bench.systems.base import LOAD_GRACE_S

PROBE_EVERY = 20


async def ask(context: Context) -> None:
    """One stretch per repetition; the histograms are joined."""
    seen: list[Load] = []
    written: list[Load] = []
    missed = late = 0
    plan = context.plan
    for _ in range(plan.repetitions):
        async with context.store_group() as group:
            await group.open(KEYS, VALUE_BYTES)
            await group.all("lag_watch", warmup_s=plan.warmup_s)
            rows = await asyncio.gather(
                *(
                    group.children[host].order(
                        "lag_load",
                        timeout_s=plan.warmup_s + plan.seconds + LOAD_GRACE_S,
                        per_s=plan.lag_per_s / len(group.hosts),
                        probe_every=PROBE_EVERY,
                        warmup_s=plan.warmup_s,
                        seconds=plan.seconds,
                    )
                    for host in group.hosts
                )
            )
            written.append(together([Load.from_json(row) for row in rows]))
            missed += sum(row["missed"] for row in rows)
            late += sum(row["late"] for row in rows)
            behind_s = await group.even()
            seen += [Load.from_json(row) for row in await group.all("lags")]
            lag = merged(load.latency for load in seen)
            acknowledged = merged(load.latency for load in written)
            found: dict[str, Any] = {
                "per_s": plan.lag_per_s,
                "acknowledged_per_s": (sum(load.ops for load in written) - late)
                / sum(load.window_s for load in written),
                "missed": missed,
                "errors": sum(load.errors for load in written),
                "probes": sum(load.ops for load in seen),
                "behind_s": behind_s,
            }
            for percent in (50, 99):
                found[f"lag_p{percent}_ms"] = lag.percentile(percent) / 1e6
                found[f"write_p{percent}_ms"] = acknowledged.percentile(percent) / 1e6
            context.found["lag"] = found
            context.say(
                f"lag at {plan.lag_per_s:,}/s: p50 {found['lag_p50_ms']:.1f} ms, "
                f"p99 {found['lag_p99_ms']:.1f} ms"
            )
