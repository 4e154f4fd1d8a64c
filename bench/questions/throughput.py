"""How many writes and linearizable reads per second, and how long does one take?

The law of this file: repetitions are interleaved between the systems, each starts in an empty
folder, and only one system runs at a time. Latency histograms of repetitions are merged for the
published percentiles; each repetition's own are kept to show the spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from quorate.bench.child import ChildFailed
from quorate.bench.histogram import Histogram, merged
from quorate.bench.load import Load, summary_of
from quorate.bench.questions.base import Context
from quorate.bench.systems import System
from quorate.bench.systems.base import Where, Work

Op = Literal["put", "get"]
FILL_IN_FLIGHT = 512


def works(op: Op, context: Context) -> list[Work]:
    """On the leader with each number in flight; one also elsewhere, the most also spread over all
    hosts."""
    plan = context.plan
    places: list[tuple[int, Where]] = [(n, "leader") for n in plan.in_flight]
    if 1 in plan.in_flight:
        places.insert(1, (1, "elsewhere"))
    if max(plan.in_flight) >= 3:
        places.append((max(plan.in_flight), "spread"))
    return [Work(op, n, where, plan.seconds, plan.warmup_s) for n, where in places]


async def writes(context: Context) -> None:
    """Writes of 100 bytes."""
    await _ask(context, "writes", "put", context.systems)


async def reads(context: Context) -> None:
    """Linearizable reads of keys that were written before."""
    await _ask(context, "reads", "get", context.distinct)


async def _ask(context: Context, question: str, op: Op, systems: Sequence[type[System]]) -> None:
    loads: dict[tuple[str, str], list[Load]] = {}
    works_of_op = works(op, context)
    for repetition in range(context.plan.repetitions):
        for kind in systems:
            if kind not in context.systems:
                continue  # it did not start before
            async with context.unless_lost(kind), context.running(kind) as system:
                if op == "get":
                    await write_keys(system, works_of_op[0])
                for work in filter(system.offers, works_of_op):
                    load = await system.load(work)
                    loads.setdefault((kind.name, work.name), []).append(load)
                    context.say(
                        f"{question} {repetition + 1}/{context.plan.repetitions} {kind.name}: "
                        f"{work.name}: {load.ops_per_s:,.0f}/s"
                    )
                    context.found[question] = [
                        row(system.name, each, loads[system.name, each.name])
                        for system in systems
                        for each in works_of_op
                        if (system.name, each.name) in loads
                    ]


async def write_keys(system: System, work: Work) -> None:
    """Give every key a value: loads of writes, each twice as long, until one wrote them all."""
    for seconds in (2.0, 4.0, 8.0, 16.0):
        put = Work("put", FILL_IN_FLIGHT, "leader", seconds, 0.0, work.keys, work.value_bytes)
        if (await system.load(put)).ops >= work.keys:
            return
    raise ChildFailed(f"{system.name} did not write {work.keys} keys in {seconds:g} s")


def row(system: str, work: Work, loads: list[Load]) -> dict[str, Any]:
    """One line of the result: latencies in microseconds, per-repetition values as lists."""
    each: list[Histogram] = [load.latency for load in loads]
    return {
        "system": system,
        "op": work.op,
        "in_flight": work.in_flight,
        "where": work.where,
        **summary_of(loads),
        "p50_us_each": [one.percentile(50) / 1000 for one in each],
        "p99_us_each": [one.percentile(99) / 1000 for one in each],
        "latency": merged(each).to_json(),
    }
