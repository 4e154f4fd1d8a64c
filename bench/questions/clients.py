"""What does a client outside pay, over HTTP, beside the same load inside the host?

The law of this file: one client process, whatever the system; our hosts are asked from inside and
from outside in the same processes, one after the other, always at the leader. Peers that are driven
from outside anyway stand beside it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from quorate.bench.load import Load
from quorate.bench.questions.base import Context
from quorate.bench.questions.throughput import row, write_keys
from quorate.bench.systems.base import Work
from quorate.bench.systems.http_group import HttpGroup
from quorate.bench.systems.raft_group import RaftGroup

IN_FLIGHT = (1, 8, 64)
KEYS = 2_000
OPS: tuple[Literal["put", "get"], ...] = ("put", "get")
INSIDE, OUTSIDE = "quorate, inside", "quorate, HTTP"

Drive = Callable[[Work], Awaitable[Load]]


def works(context: Context) -> list[Work]:
    """Writes and linearizable reads with each number in flight."""
    seconds, warmup_s = context.plan.brief["seconds"], context.plan.brief["warmup_s"]
    return [Work(op, n, "leader", seconds, warmup_s, KEYS) for op in OPS for n in IN_FLIGHT]


async def ask(context: Context) -> None:
    """Ours if it is asked at all, then the peers that are driven from outside."""
    loads: dict[tuple[str, str], list[Load]] = {}
    asked = works(context)
    for _ in range(context.plan.repetitions):
        for kind in context.systems:
            ours = kind is RaftGroup
            if not ours and not kind.outside:
                continue
            start = HttpGroup if ours else kind
            async with context.unless_lost(kind), context.running(start) as system:
                await write_keys(system, asked[0])
                drives: dict[str, Drive] = {kind.name: system.load}
                if isinstance(system, HttpGroup):
                    drives = {INSIDE: system.load, OUTSIDE: system.load_outside}
                for work in asked:
                    for name, drive in drives.items():
                        load = await drive(work)
                        loads.setdefault((name, work.name), []).append(load)
                        context.say(f"clients {name}: {work.name}: {load.ops_per_s:,.0f}/s")
                        _publish(context, asked, loads)


def _publish(context: Context, asked: list[Work], loads: dict[tuple[str, str], list[Load]]) -> None:
    names = list(dict.fromkeys(name for name, _ in loads))
    context.found["clients"] = [
        row(name, work, loads[name, work.name])
        for work in asked
        for name in names
        if (name, work.name) in loads
    ]
