"""How long does a call take at a load that does not wait for it? The open loop beside the closed.

The law of this file: the rates are shares of what the same call did in a closed loop with 1 024 in
flight (reads from memory: in bursts) in this run: those of `levels` if that was asked, else
measured here. The calls come from all hosts. A latency is from when the call was due (see `paced`);
what was due and never began is missed.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.histogram import merged
from quorate.bench.load import Load, together
from quorate.bench.questions.base import Context
from quorate.bench.questions.levels import MANY
from quorate.bench.questions.probes import CALLS, Call, at_all, closed, probe_group
from quorate.bench.systems.probe_group import ProbeGroup


async def ask(context: Context) -> None:
    """Every call at every rate, `repetitions` times."""
    stretches: dict[tuple[Call, int], list[dict[str, Any]]] = {}
    most_per_s: dict[Call, float] = {}
    for _ in range(context.plan.repetitions):
        async with probe_group(context) as group:
            for call in CALLS:
                if call not in most_per_s:
                    most_per_s[call] = await _most_per_s(context, group, call)
                    await group.even()
                for percent in context.plan.paced_percents:
                    per_s = most_per_s[call] * percent / 100
                    stretch = await _one(context, group, call, per_s)
                    stretches.setdefault((call, percent), []).append(stretch)
                    await group.even()
                    context.found["paced"] = {
                        "rows": [
                            row(one.name, share, most_per_s[one], each)
                            for (one, share), each in stretches.items()
                        ]
                    }
                context.say(f"paced: {call.name} of {most_per_s[call]:,.0f}/s are done")


async def _most_per_s(context: Context, group: ProbeGroup, call: Call) -> float:
    for row in context.found.get("levels", {}).get("rows", ()):
        if (row["system"], row["case"]) == ("quorate", call.name):
            return float(row["ops_per_s"])
    return (await closed(context, group, call, MANY, group.hosts)).ops_per_s


async def _one(context: Context, group: ProbeGroup, call: Call, per_s: float) -> dict[str, Any]:
    window = context.plan.brief
    answers = await at_all(
        group,
        "pace",
        window_s=sum(window.values()),
        op=call.op,
        level=call.level,
        in_a_row=call.at_once,
        per_s=per_s / len(group.hosts),
        **window,
    )
    return {
        "load": together([Load.from_json(answer) for answer in answers]),
        "missed": sum(answer["missed"] for answer in answers),
        "late": sum(answer["late"] for answer in answers),
    }


def row(
    call: str, percent: int, most_per_s: float, stretches: list[dict[str, Any]]
) -> dict[str, Any]:
    """One line of the result; latencies in microseconds."""
    loads: list[Load] = [stretch["load"] for stretch in stretches]
    latency = merged(load.latency for load in loads)
    return {
        "call": call,
        "percent": percent,
        "wanted_per_s": most_per_s * percent / 100,
        "ops_per_s": sum(load.ops for load in loads) / sum(load.window_s for load in loads),
        **{f"p{p}_us".replace(".", "_"): latency.percentile(p) / 1000 for p in (50, 99, 99.9)},
        "max_us": latency.max_ns / 1000,
        "missed": sum(stretch["missed"] for stretch in stretches),
        "late": sum(stretch["late"] for stretch in stretches),
        "errors": sum(load.errors for load in loads),
        "error": next((load.error for load in loads if load.error), ""),
    }
