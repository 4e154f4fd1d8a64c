"""How long does it take to ask an agent, here and on another host, and how many asks a second are
answered?

The law of this file: repetitions are interleaved between the systems, each in an empty folder. A
caller waits for its answer before it asks again. *Local*: the agent is on the caller's host;
*remote*: on another one, every host asking the agents of the two others.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from quorate.bench.figures import median
from quorate.bench.load import Load, summary_of
from quorate.bench.questions.base import Context
from quorate.bench.systems.agent_system import AgentSystem

CALLERS = 200


class Case(NamedTuple):
    """One row. `agents` 0: all that there are."""

    name: str
    where: str
    callers: int
    agents: int = 0
    everywhere: bool = False
    """Callers on all hosts, not on the first alone."""


CASES = (
    Case("local ask, one caller", "local", 1),
    Case("local ask, 200 callers, many agents", "local", CALLERS),
    Case("local ask, 200 callers, one agent", "local", CALLERS, 1),
    Case("remote ask, one caller", "remote", 1),
    Case("remote ask, 200 callers on one host", "remote", CALLERS),
    Case("remote ask, 200 callers on all hosts", "remote", CALLERS, 0, everywhere=True),
)


async def ask(context: Context) -> None:
    """Every case, `repetitions` times."""
    loads: dict[tuple[str, str], list[Load]] = {}
    cpu: dict[tuple[str, str], list[float]] = {}
    plan = context.plan
    window = {"warmup_s": plan.warmup_s, "seconds": plan.seconds}
    for _ in range(plan.repetitions):
        for kind in context.patient_with(context.agent_systems):
            async with context.unless_lost(kind), context.running_agents(kind) as system:
                made = await system.make("echo")
                for case in CASES:
                    names = names_of(case, made)
                    before = await system.cpu()
                    load = await system.load_agents("ask", names, case.callers, window)
                    used_s = await system.cpu() - before
                    loads.setdefault((kind.name, case.name), []).append(load)
                    cpu.setdefault((kind.name, case.name), []).append(cpu_us(used_s, load, window))
                    context.say(f"agents {kind.name}: {case.name}: {load.ops_per_s:,.0f}/s")
                    context.found["agents_calls"] = rows(context.agent_systems, CASES, loads, cpu)


def names_of(case: Case, made: dict[str, list[str]]) -> dict[str, list[str]]:
    """Host of the callers -> the agents they ask."""
    callers = list(made) if case.everywhere else list(made)[:1]
    names: dict[str, list[str]] = {}
    for host in callers:
        hosts = [host] if case.where == "local" else [other for other in made if other != host]
        columns = zip(*(made[each] for each in hosts), strict=True)
        mixed = [name for column in columns for name in column]
        names[host] = mixed[: case.agents or None]
    return names


def cpu_us(used_s: float, load: Load, window: dict[str, float]) -> float:
    """Processor time of all hosts for one operation, the warm-up's share taken off."""
    share = window["seconds"] / (window["seconds"] + window["warmup_s"])
    return used_s * share * 1e6 / load.ops if load.ops else math.nan


def rows(
    systems: list[type[AgentSystem]],
    cases: Any,
    loads: dict[tuple[str, str], list[Load]],
    cpu: dict[tuple[str, str], list[float]],
) -> list[dict[str, Any]]:
    """The lines of the result, each case with all systems that have it."""
    keys = [(kind.name, case.name) for case in cases for kind in systems]
    return [
        {**row(system, case, loads[system, case]), "cpu_us_per_op": median(cpu[system, case])}
        for system, case in keys
        if (system, case) in loads
    ]


def row(system: str, case: str, loads: list[Load]) -> dict[str, Any]:
    """One line of the result; latencies in microseconds."""
    return {"system": system, "case": case, **summary_of(loads)}
