"""After kill -9 of a host with many agents under load, when does each answer again? And does a
drain fail a call?

The law of this file: the agents of the victim are asked from the two other hosts, each agent by one
caller, twice a second; each ask counts in the strongest state there is, so that a lost update is
seen. From the kill on every agent is asked without a pause; its time is from just before the kill
to its first answer from another host. A drain is the same without a kill, timed until the order is
done.
"""

from __future__ import annotations

import time
from typing import Any

from quorate.bench.figures import summary
from quorate.bench.questions.base import Context
from quorate.bench.systems.agent_system import AgentSystem

INTERVAL_S = 0.5
BACK_WITHIN_S = 60.0
DRAIN_WITHIN_S = 60.0
MAKE_WITHIN_S = 120.0
STEADY_S = 2.0
ASK_TIMEOUT_S = 1.0
"""Of each ask: an answer that will never come must not be waited for longer than it takes."""


async def ask(context: Context) -> None:
    """Kills, then drains."""
    kills: list[dict[str, Any]] = []
    drains: list[dict[str, Any]] = []
    for kind in context.patient_with(context.agent_systems):
        async with context.unless_lost(kind), context.running_agents(kind) as system:
            rounds: list[dict[str, Any]] = []
            for number in range(context.plan.agent_kills):
                rounds.append(await _kill(context, system, number))
                kills = [row for row in kills if row["system"] != system.name]
                kills.append(_kills(system.name, rounds))
                context.found["agents_failover"] = {"kills": kills, "drains": drains}
            if not kind.drains:
                continue
            drained: list[dict[str, Any]] = []
            for number in range(context.plan.agent_drains):
                drained.append(await _drain(context, system, number))
                drains = [row for row in drains if row["system"] != system.name]
                drains.append(_drains(system.name, drained))
                context.found["agents_failover"] = {"kills": kills, "drains": drains}


async def _watch(
    context: Context, system: AgentSystem, victim: str, prefix: str
) -> tuple[str, ...]:
    """Make the agents and have them asked; the hosts that ask."""
    count = min(context.plan.watched_agents, system.watched_max_agents)
    names = await system.order(victim, "make", prefix=prefix, count=count, timeout_s=MAKE_WITHIN_S)
    watchers = tuple(host for host in system.hosts if host != victim)
    await system.each(
        "watch",
        {host: {"names": names[n :: len(watchers)]} for n, host in enumerate(watchers)},
        op="bump",
        interval_s=INTERVAL_S,
        timeout_s=MAKE_WITHIN_S,
        ask_timeout_s=ASK_TIMEOUT_S,
        within_s=MAKE_WITHIN_S - 5,
    )
    await system.rest(STEADY_S)
    return watchers


async def _kill(context: Context, system: AgentSystem, number: int) -> dict[str, Any]:
    victim = await system.victim(number)
    watchers = await _watch(context, system, victim, f"counter-{number}")
    began = time.monotonic_ns()
    await system.kill_host(victim)
    back = await system.all(
        "hurry", watchers, left=victim, within_s=BACK_WITHIN_S, timeout_s=BACK_WITHIN_S + 10
    )
    times = [(at - began) / 1e6 for one in back for at in one["at_ns"] if at > began]
    await system.rest(STEADY_S)
    seen = await system.all("unwatch", watchers)
    await system.forget(watchers[0], f"counter-{number}/")
    await system.renew_host(victim)
    row = {
        "times_ms": times,
        "missing": sum(one["missing"] for one in back),
        "lost": sum(one["lost"] for one in seen),
        "answers": sum(one["answers"] for one in seen),
        "failures": sum(one["failures"] for one in seen),
        "errors": [one["errors"] for one in seen],
    }
    shown = summary(times)
    context.say(
        f"agents {system.name}: kill {number + 1}: {len(times)} agents back after p50 "
        f"{shown['median']:.0f} ms, p99 {shown['p99']:.0f} ms; {row['missing']} not, "
        f"{row['lost']} lost updates"
    )
    return row


def _kills(name: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """All kills of one system as a line of the result."""
    times = summary([at for one in rounds for at in one["times_ms"]])
    del times["values"]
    return {
        "system": name,
        "kills": len(rounds),
        "agents": sum(len(one["times_ms"]) + one["missing"] for one in rounds),
        "back_ms": times,
        "p99_ms_each": [summary(one["times_ms"])["p99"] for one in rounds],
        **{key: sum(one[key] for one in rounds) for key in ("missing", "lost", "failures")},
        "answers": sum(one["answers"] for one in rounds),
        "errors": [one["errors"] for one in rounds],
    }


async def _drain(context: Context, system: AgentSystem, number: int) -> dict[str, Any]:
    victim = await system.victim(number)
    watchers = await _watch(context, system, victim, f"counter-drain-{number}")
    before = await system.all("watched", watchers)
    began = time.monotonic_ns()
    await system.order(victim, "drain", within_s=DRAIN_WITHIN_S, timeout_s=DRAIN_WITHIN_S + 10)
    took_s = (time.monotonic_ns() - began) / 1e9
    await system.rest(STEADY_S)
    seen = await system.all("unwatch", watchers)
    failed = sum(one["failures"] for one in seen) - sum(one["failures"] for one in before)
    await system.forget(watchers[0], f"counter-drain-{number}/")
    await system.renew_host(victim)
    row = {
        "took_s": took_s,
        "agents": sum(sum(one["hosts"].values()) for one in seen),
        "stayed": sum(one["hosts"].get(victim, 0) for one in seen),
        "failures": failed,
        "lost": sum(one["lost"] for one in seen),
        "errors": [one["errors"] for one in seen],
    }
    context.say(
        f"agents {system.name}: drain {number + 1}: {row['agents']} agents in {took_s:.2f} s, "
        f"{failed} failed calls"
    )
    return row


def _drains(name: str, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """All drains of one system as a line of the result."""
    return {
        "system": name,
        "drains": len(rounds),
        "seconds": summary([one["took_s"] for one in rounds]),
        "agents": sum(one["agents"] for one in rounds),
        **{key: sum(one[key] for one in rounds) for key in ("stayed", "failures", "lost")},
        "errors": [one["errors"] for one in rounds],
    }
