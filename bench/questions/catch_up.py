"""Does a follower that is 1 GB behind catch up without disturbing the group?

The law of this file: the follower is killed, the others write that many bytes, it is started again;
the term before and after tells the elections in between, and there must be none. Writes go on, one
at a time, while it catches up, and their latency is recorded.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from typing import Any

from quorate.bench.load import Load
from quorate.bench.questions.base import Context
from quorate.bench.systems import RaftGroup
from quorate.bench.systems.base import Work

VALUE_BYTES = 50_000
FILL_WITHIN_S = 1200.0
CATCH_UP_WITHIN_S = 600.0
DISK_FACTOR = 12
"""Log, state and snapshots of three hosts, with room for LMDB's free pages."""


async def ask(context: Context) -> None:
    """Kill, write, start, watch."""
    wanted_bytes = context.plan.behind_bytes
    free_bytes = shutil.disk_usage(context.folder).free
    if free_bytes < DISK_FACTOR * wanted_bytes:
        raise OSError(
            f"{free_bytes / 1e9:.1f} GB are free, {DISK_FACTOR * wanted_bytes / 1e9:.1f} GB are "
            "needed: name another folder with --data"
        )
    async with context.group() as group:
        context.found["catch_up"] = await _one(context, group, wanted_bytes)


async def _one(context: Context, group: RaftGroup, wanted_bytes: int) -> dict[str, Any]:
    leader = await group.leader()
    follower = next(host for host in group.hosts if host != leader)
    await group.kill(follower)
    fill = await group.children[leader].order(
        "fill",
        first=0,
        count=max(1, wanted_bytes // VALUE_BYTES),
        value_bytes=VALUE_BYTES,
        timeout_s=FILL_WITHIN_S,
    )
    leader = await group.leader()
    term = (await group.status(leader))["term"]
    context.say(f"catch_up: {wanted_bytes / 1e6:,.0f} MB written in {fill['seconds']:.1f} s")
    began = time.monotonic()
    traffic = asyncio.create_task(_traffic(group, leader))
    try:
        await group.start_host(follower)
        await group.wait_caught_up(follower, CATCH_UP_WITHIN_S)
        caught_up_s = time.monotonic() - began
    finally:
        traffic.cancel()
        loads = await asyncio.gather(traffic, return_exceptions=True)
    after = (await group.status(await group.leader()))["term"]
    context.say(f"catch_up: {caught_up_s:.1f} s, {after - term} elections")
    latency = loads[0] if isinstance(loads[0], Load) else Load()
    return {
        "behind_bytes": wanted_bytes,
        "write_s": fill["seconds"],
        "caught_up_s": caught_up_s,
        "elections": after - term,
        "meanwhile_p50_us": latency.latency.percentile(50) / 1000,
        "meanwhile_max_us": latency.latency.max_ns / 1000,
        "meanwhile_errors": latency.errors,
    }


async def _traffic(group: RaftGroup, leader: str) -> Load:
    """One write at a time, in stretches of a second, until cancelled; returns all of them."""
    whole = Load()
    try:
        while True:
            row = await group.children[leader].order(
                "load", timeout_s=60.0, **Work("put", 1, "leader", 1.0, 0.0).fields(1)
            )
            part = Load.from_json(row)
            whole.ops += part.ops
            whole.errors += part.errors
            whole.latency = whole.latency.merge(part.latency)
    except asyncio.CancelledError:
        return whole
