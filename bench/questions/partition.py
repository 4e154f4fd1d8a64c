"""Who can still work while one host of three is cut off, how fast, and what are the others told?

The law of this file: the links are cut silently, as `heal` cuts them, and the calls begin with the
cut, so what it takes to notice is in the figures. Every level is called on every host at the same
slow pace, with a deadline. The leader and a follower are cut off in turn; after each cut the links
heal and all hosts are waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quorate.bench.questions.base import Context
from quorate.bench.questions.probes import at_all, probe_group
from quorate.bench.trials import Trial, together

CALLS_PER_S = 20.0
"""Of each kind, on each host."""
WITHIN_S = 2.0
"""The deadline of each call."""
BOUND_MS = 500
Trials = dict[tuple[str, str, str], list[Trial]]
"""(who is cut off, side, call) -> what came of it at each host and in each cut."""


async def ask(context: Context) -> None:
    """Cut, call, heal, again and again."""
    plan = context.plan
    trials: Trials = {}
    async with probe_group(context, relayed=True) as group:
        assert group.links is not None
        for n in range(plan.cuts):
            leader = await group.leader()
            others = [host for host in group.hosts if host != leader]
            cut, alone = ("leader", leader) if n % 2 == 0 else ("follower", others[0])
            group.links.cut({alone})
            answers = await at_all(
                group,
                "trials",
                window_s=plan.cut_s + WITHIN_S,
                seconds=plan.cut_s,
                per_s=CALLS_PER_S,
                within_s=WITHIN_S,
                bound_ms=BOUND_MS,
            )
            group.links.heal()
            for host, answer in zip(group.hosts, answers, strict=True):
                side = "minority" if host == alone else "majority"
                for call, row in answer.items():
                    trials.setdefault((cut, side, call), []).append(Trial.from_json(row))
            await group.wait_ready()
            await group.even()
            context.found["partition"] = {
                "cuts": n + 1,
                "cut_s": plan.cut_s,
                "deadline_s": WITHIN_S,
                "bound_ms": BOUND_MS,
                "per_s": CALLS_PER_S,
                "rows": rows(trials),
            }
            context.say(f"partition: cut {n + 1}, of the {cut}, is over")


def rows(trials: Mapping[tuple[str, str, str], list[Trial]]) -> list[dict[str, Any]]:
    """The lines of the result, in milliseconds; the errors of each kind apart."""
    found: list[dict[str, Any]] = []
    for (cut, side, call), each in trials.items():
        one = together(each)
        found.append(
            {
                "cut": cut,
                "side": side,
                "call": call,
                "calls": one.calls,
                "answered_percent": 100 * one.share,
                "p50_ms": one.answered.percentile(50) / 1e6,
                "p99_ms": one.answered.percentile(99) / 1e6,
                "max_ms": one.answered.max_ns / 1e6 if one.answered.count else float("nan"),
                "errors": [
                    {
                        "kind": kind,
                        "count": until.count,
                        "p50_ms": until.percentile(50) / 1e6,
                        "max_ms": until.max_ns / 1e6,
                    }
                    for kind, until in one.errors.items()
                ],
            }
        )
    return found
