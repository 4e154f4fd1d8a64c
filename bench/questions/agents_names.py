"""What do many named agents cost: to start, to keep while nobody needs them, to look up?

The law of this file: the agents are started from all hosts at once, each host its share, and placed
by the system; then each is asked once, so that it has been in memory. Memory is what a host's
process has more than before, once no agent is in memory any more, divided by all agents: every host
knows all names. One look-up is one name in one process.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.load import Load
from quorate.bench.questions.base import Context
from quorate.bench.systems.agent_system import AgentSystem
from quorate.bench.usage import MB

STARTS_IN_FLIGHT = 256
"""On each host."""
SPAWN_WITHIN_S = 900.0
PASSIVE_WITHIN_S = 60.0
KEPT_S = 2.0


async def ask(context: Context) -> None:
    """Once for every system."""
    found: list[dict[str, Any]] = []
    for kind in context.patient_with(context.agent_systems):
        async with context.unless_lost(kind), context.running_agents(kind) as system:
            found.append(await _one(context, system))
            context.found["agents_names"] = list(found)


async def _one(context: Context, system: AgentSystem) -> dict[str, Any]:
    count = min(context.plan.named_agents, system.named_max_agents)
    hosts = system.hosts
    await system.make("sleeper", 1)  # what is loaded once is not what an agent costs
    await system.all("settle", within_s=PASSIVE_WITHIN_S)
    before = {host: await system.memory(host) for host in hosts}
    started_s = await _spawn(system, count, wakes=False)
    answered_s = await _spawn(system, count, wakes=True)
    context.say(
        f"agents {system.name}: {count:,} named agents started in {started_s:.1f} s, each asked "
        f"once in {answered_s:.1f} s"
    )
    active = {host: await system.memory(host) for host in hosts}
    left = await system.all("settle", within_s=PASSIVE_WITHIN_S, timeout_s=PASSIVE_WITHIN_S + 30)
    after = {host: await system.memory(host) for host in hosts}
    row: dict[str, Any] = {
        "system": system.name,
        "agents": count,
        "started_s": started_s,
        "answered_s": answered_s,
        "still_active": sum(one["active"] for one in left),
        **_bytes(count, before, active, "started"),
        **_bytes(count, before, after, "passive"),
    }
    load = Load.from_json(await _look_up(context, system, count))
    context.say(
        f"agents {system.name}: {row['passive_bytes_host_max']:,.0f} bytes per passive agent on a "
        f"host, {load.ops_per_s:,.0f} look-ups/s"
    )
    look_up = {"per_s": load.ops_per_s, "p50_us": load.latency.percentile(50) / 1000}
    return {**row, "look_up": look_up}


async def _spawn(system: AgentSystem, count: int, *, wakes: bool) -> float:
    """Seconds until the last host has started its share, or has asked it."""
    hosts, began = system.hosts, 0
    work: list[dict[str, int]] = []
    for n in range(len(hosts)):
        share = count // len(hosts) + (n < count % len(hosts))
        work.append({"first": began, "count": share})
        began += share
    answers = await system.each(
        "spawn",
        dict(zip(hosts, work, strict=True)),
        prefix="sleeper",
        wakes=wakes,
        in_flight=STARTS_IN_FLIGHT,
        timeout_s=SPAWN_WITHIN_S,
    )
    return max(float(answer["seconds"]) for answer in answers)


def _bytes(
    count: int, before: dict[str, dict[str, float]], after: dict[str, dict[str, float]], what: str
) -> dict[str, float]:
    """Bytes per agent: of the host that has most, and of all hosts together."""
    found: dict[str, float] = {}
    for key, name in (("rss", ""), ("anonymous", "_anonymous")):
        more = [(after[host][key] - before[host][key]) * MB / count for host in before]
        found[f"{what}_bytes_host_max{name}"] = max(more)
        found[f"{what}_bytes_all{name}"] = sum(more)
    return found


async def _look_up(context: Context, system: AgentSystem, count: int) -> dict[str, Any]:
    return await system.order(
        system.hosts[0],
        "look_up",
        prefix="sleeper",
        count=count,
        warmup_s=min(KEPT_S, context.plan.warmup_s),
        seconds=context.plan.seconds,
    )
