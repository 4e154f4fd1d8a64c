"""How many turns a second does an agent do that each write its state?

The law of this file: a turn is one ask that puts 100 bytes; it is answered when they are as durable
as the case says. The callers are on all three hosts and ask the agents of their own host, as they
do where sessions stick to a host. Several agents per caller: turns of one agent do not overlap.
"""

from __future__ import annotations

from typing import NamedTuple

from quorate.bench.load import Load
from quorate.bench.questions.agents_calls import cpu_us, rows
from quorate.bench.questions.base import Context

AGENTS_PER_HOST = 1000


class Case(NamedTuple):
    """One row; asked of the systems whose agents have `op`."""

    name: str
    op: str
    callers: int


CASES = (
    Case("strong turns, one caller", "strong", 1),
    Case("strong turns, 200 callers", "strong", 200),
    Case("strong turns, 1 024 callers", "strong", 1024),
    Case("eventual turns, 1 024 callers", "eventual", 1024),
    Case("stored turns, one caller", "stored", 1),
    Case("stored turns, 200 callers", "stored", 200),
    Case("stored turns, 1 024 callers", "stored", 1024),
)
"""strong: quorate's is synced by a majority, casty's is in memory of a majority. stored: casty's
with its store."""


async def ask(context: Context) -> None:
    """Every case, `repetitions` times."""
    loads: dict[tuple[str, str], list[Load]] = {}
    cpu: dict[tuple[str, str], list[float]] = {}
    plan = context.plan
    window = {"warmup_s": plan.warmup_s, "seconds": plan.seconds}
    for _ in range(plan.repetitions):
        for kind in context.patient_with(context.agent_systems):
            cases = [case for case in CASES if case.op in kind.ops]
            if not cases:
                continue
            async with context.unless_lost(kind), context.running_agents(kind) as system:
                made = await system.make("echo", AGENTS_PER_HOST)
                stores = "stored" in kind.ops
                stored = await system.make("stored", AGENTS_PER_HOST) if stores else made
                for case in cases:
                    names = stored if case.op == "stored" else made
                    names = {host: names[host] for host in list(names)[: case.callers]}
                    before = await system.cpu()
                    load = await system.load_agents(case.op, names, case.callers, window)
                    used_s = await system.cpu() - before
                    loads.setdefault((kind.name, case.name), []).append(load)
                    cpu.setdefault((kind.name, case.name), []).append(cpu_us(used_s, load, window))
                    context.say(f"agents {kind.name}: {case.name}: {load.ops_per_s:,.0f}/s")
                    context.found["agents_state"] = rows(context.agent_systems, CASES, loads, cpu)
