"""How many bytes does one operation cost, on the disks and on the network?

The law of this file: a fixed number of operations, from all hosts, and what all hosts together
wrote and sent from before the first until everything is everywhere and the disks are quiet. The
group's own heartbeats are in it; what a second without load costs stands beside it.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from quorate.bench.figures import median
from quorate.bench.questions.base import Context
from quorate.bench.questions.levels import MANY
from quorate.bench.questions.probes import BY_NAME, Call, at_all, probe_group
from quorate.bench.systems.probe_group import ProbeGroup
from quorate.bench.usage import folder_bytes, written_bytes

WITHIN_S = 120.0
QUIET_S = 0.1
QUIET_STEPS_MAX = 40
CALLS = (
    *("strong writes", "session writes", "eventual writes", "CRDT increments"),
    "linearizable reads",
)
FEW_OPS_RATIO = 10
"""One at a time takes longer: so many times fewer."""


class Bytes(NamedTuple):
    """Of all hosts together, so far."""

    disk_written: float
    """As the system counts what a process sends to the disk (/proc/PID/io); nan: it does not."""
    folder: float
    """What the data takes."""
    network: float
    """Sent to other hosts, frames and all."""


async def ask(context: Context) -> None:
    """Each call with one and with many in flight, `repetitions` times."""
    found: dict[tuple[str, int], list[Bytes]] = {}
    idle: list[Bytes] = []
    for _ in range(context.plan.repetitions):
        async with probe_group(context) as group:
            await _quiet(group)
            before = await count(group)
            await asyncio.sleep(context.plan.seconds)
            idle.append(per(before, await count(group), context.plan.seconds))
            for name in CALLS:
                for in_flight in (1, MANY):
                    each = await _one(context, group, BY_NAME[name], in_flight)
                    found.setdefault((name, in_flight), []).append(each)
                    context.found["bytes"] = result(found, idle, context.plan.counted_ops)
                context.say(f"bytes: {name}: {each.network:,.0f} sent with {MANY:,} in flight")


async def _one(context: Context, group: ProbeGroup, call: Call, in_flight: int) -> Bytes:
    ops = max(3, context.plan.counted_ops // (FEW_OPS_RATIO if in_flight == 1 else 1))
    before = await count(group)
    order: dict[str, Any] = {"op": call.op, "level": call.level}
    if in_flight == 1:
        others = [host for host in group.hosts if host != await group.leader()]
        child = group.children[others[0]]
        await child.order("counted", timeout_s=WITHIN_S, count=ops, in_flight=1, **order)
    else:
        share = {"count": ops // len(group.hosts), "in_flight": in_flight // len(group.hosts)}
        ops = share["count"] * len(group.hosts)
        await at_all(group, "counted", window_s=WITHIN_S, **share, **order)
    await group.even()
    await _quiet(group)
    return per(before, await count(group), ops)


async def _quiet(group: ProbeGroup) -> None:
    """Until the disks have what was only in memory, and nothing more comes, or for a few
    seconds."""
    await group.all("flush")
    last = -1.0
    for _ in range(QUIET_STEPS_MAX):
        now = sum(written_bytes(pid) for pid in group.pids().values())
        if now == last:
            return
        last = now
        await asyncio.sleep(QUIET_S)


async def count(group: ProbeGroup) -> Bytes:
    """What the hosts have written and sent until now."""
    sent = sum(row["sent"] for row in await group.all("wire"))
    written = sum(written_bytes(pid) for pid in group.pids().values())
    return Bytes(written, await asyncio.to_thread(folder_bytes, group.folder), sent)


def per(before: Bytes, after: Bytes, count_: float) -> Bytes:
    """The difference, for each of so many operations (or seconds)."""
    return Bytes(*((new - old) / count_ for old, new in zip(before, after, strict=True)))


def result(
    found: dict[tuple[str, int], list[Bytes]], idle: list[Bytes], counted_ops: int
) -> dict[str, Any]:
    """The medians of the repetitions."""
    return {
        "counted_ops": counted_ops,
        "idle_per_s": _medians(idle),
        "rows": [
            {"call": name, "in_flight": in_flight, **_medians(each)}
            for (name, in_flight), each in found.items()
        ],
    }


def _medians(each: list[Bytes]) -> dict[str, float]:
    return {
        f"{field}_bytes": median([getattr(one, field) for one in each]) for field in Bytes._fields
    }
