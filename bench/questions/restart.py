"""How long does a host take to start on a long log?

The law of this file: the log is written straight into the journal, one 100-byte put per entry, in a
group of one. The first start finds an empty state and applies every entry, the worst there is; the
second comes after kill -9 and finds what the first left: a state a few milliseconds old and the
trailing entries. The clock runs from starting the process to a linearizable read point.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from quorate.bench.child import Child
from quorate.bench.questions.base import Context
from quorate.bench.systems import RaftGroup
from quorate.core.wire.ports import free_addresses

WRITE_WITHIN_S = 600.0
START_WITHIN_S = 300.0
SETTLE_S = 2.0


async def ask(context: Context) -> None:
    """Write the log, start twice."""
    async with context.fresh_folder("restart") as folder:
        address = free_addresses(1)[0]
        await _write_log(folder, address, context.plan.log_entries)
        context.say(f"restart: a log of {context.plan.log_entries:,} entries is written")
        replay_s, revision = await _start(folder, address)
        if revision < context.plan.log_entries - 1:
            raise ValueError(f"only {revision} of the log's writes were applied")
        context.say(f"restart, applying all entries: {replay_s:.2f} s")
        found = {"entries": context.plan.log_entries, "revision": revision}
        context.found["restart"] = {**found, "replay_s": replay_s}
        again_s, _ = await _start(folder, address)
        context.say(f"restart after kill -9: {again_s:.2f} s")
        context.found["restart"] = {**found, "replay_s": replay_s, "restart_s": again_s}


async def _write_log(folder: Path, address: str, entries: int) -> None:
    settings = {"data": str(folder / "a"), "address": address, "entries": entries}
    child = await Child.start(
        "log writer",
        [sys.executable, "-m", "quorate.bench.log_writer", json.dumps(settings)],
        stderr=folder / "writer.stderr",
        timeout_s=WRITE_WITHIN_S,
    )
    await child.end(gently_s=10.0)


async def _start(folder: Path, address: str) -> tuple[float, int]:
    """Seconds from the process's start until it serves, and its revision; then kill it."""
    group = RaftGroup(("a",))
    group.folder, group.peers = folder, {"a": address}
    began = time.monotonic_ns()
    try:
        child = await group.start_host("a")
        answer = await child.order("ready", within_s=START_WITHIN_S, timeout_s=START_WITHIN_S + 5)
        status = await group.status("a")
        await asyncio.sleep(SETTLE_S)
    finally:
        await group.stop()
    return (answer["at_ns"] - began) / 1e9, int(status["revision"])
