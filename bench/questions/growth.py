"""What does an operation cost when there is more of everything: hosts, keys, names, agents?

The law of this file: a cost is processor time of all hosts together for one operation, load
generator included, since that can be compared between sizes where a rate moves with the machine.
One group is filled step by step and asked at each size, once what it was filled with is on all
disks; reads first, since writes leave something to do behind. Bytes are what the processes have
more than before, divided by the items, of the fullest host and of all; small sizes say nothing of
bytes and are not given any. A step that would not fit the memory is not taken and is named.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import psutil

from quorate.bench.figures import median, spread_percent
from quorate.bench.load import Load, summary_of
from quorate.bench.questions.base import Context
from quorate.bench.systems.growth_group import GrowthGroup

VALUE_BYTES = 100
IN_FLIGHT = 64
"""Of the loads at each size: enough to fill the host that is asked."""
FILL_IN_FLIGHT = 256
"""On each host."""
WRITES_IN_FLIGHT = 256
BYTES_FROM_ITEMS = 10_000
ROOM_RATIO = 1.5
"""A step is taken if so many times what it needs is free."""
SETTLE_WITHIN_S = 120.0


class Thing(NamedTuple):
    """What there is many of, and what is asked of it: (operation, in flight; 0: in bursts)."""

    name: str
    uses: tuple[tuple[str, int], ...]


THINGS = (
    Thing("keys", (("linearizable read", IN_FLIGHT), ("strong write", IN_FLIGHT))),
    Thing("store", (("local read", 0), ("eventual write", IN_FLIGHT))),
    Thing("names", (("look-up of a name", 0), ("registration", IN_FLIGHT))),
    Thing("agents", (("look-up of an agent", 0), ("ask", IN_FLIGHT))),
)


async def ask(context: Context) -> None:
    """Hosts first, then each thing in a group of its own."""
    found: dict[str, Any] = {"hosts": [], "rows": [], "not_taken": []}
    context.found["growth"] = found
    for voters in context.plan.growth_voters:
        await _hosts(context, found, voters)
    for thing in THINGS:
        async with context.growth_group() as group:
            await grow(context, group, thing, found)


# --- hosts ----------------------------------------------------------------------------------------


async def _hosts(context: Context, found: dict[str, Any], voters: int) -> None:
    """A group of so many that vote; the group of three takes learners as well."""
    learners = context.plan.growth_learners if voters == 3 else ()
    async with context.growth_group(tuple("abcdefghi"[:voters])) as group:
        await group.prepare(agents=False)
        for more in (0, *learners):
            while len(group.learners) < more:
                await group.add_learner()
            await writes_of(context, group, found)


async def writes_of(context: Context, group: GrowthGroup, found: dict[str, Any]) -> None:
    """Strong writes on the leader of this group: one after the other, and many."""
    leader = await group.leader()
    one = await _measured(context, group, leader, "strong write", 1, BYTES_FROM_ITEMS)
    many = await _measured(
        context, group, leader, "strong write", WRITES_IN_FLIGHT, BYTES_FROM_ITEMS
    )
    row = {
        "voters": len(group.hosts),
        "learners": len(group.learners),
        "one_p50_us": one["p50_us"],
        "one_p99_us": one["p99_us"],
        **{key: many[key] for key in ("ops_per_s", "spread_percent", "cpu_us_per_op")},
        "errors": one["errors"] + many["errors"],
        "error": one["error"] or many["error"],
    }
    found["hosts"].append(row)
    context.say(
        f"growth: {row['voters']} voters, {row['learners']} learners: "
        f"{row['one_p50_us'] / 1000:.2f} ms, {row['ops_per_s']:,.0f}/s"
    )


# --- items ----------------------------------------------------------------------------------------


async def grow(context: Context, group: GrowthGroup, thing: Thing, found: dict[str, Any]) -> None:
    """Fill the group step by step; a row for each operation at each size."""
    await group.prepare(agents=thing.name == "agents")
    before, have, each_bytes = group.memory_bytes(), 0, 0.0
    for size in context.plan.growth_sizes:
        needed = each_bytes * (size - have) * ROOM_RATIO
        free = psutil.virtual_memory().available
        if needed > free:
            text = (
                f"{size:,} {thing.name}: about {needed / ROOM_RATIO / 1e9:.1f} GB more, and "
                f"{free / 1e9:.1f} GB are free"
            )
            found["not_taken"].append(text)
            context.say(f"growth: not taken: {text}")
            return
        seconds = await group.fill(
            thing.name, have, size - have, in_flight=FILL_IN_FLIGHT, value_bytes=VALUE_BYTES
        )
        per_s, have = (size - have) / seconds, size
        await _settled(group, thing)
        more = _more(before, group.memory_bytes(), size)
        if size >= BYTES_FROM_ITEMS:
            each_bytes = max(0.0, more["bytes_all"])
        host = await group.leader()
        for op, in_flight in thing.uses:
            row = await _measured(context, group, host, op, in_flight, size)
            found["rows"].append({"thing": thing.name, "filled_per_s": per_s, **row, **more})
            context.say(
                f"growth: {size:,} {thing.name}: {op}: {row['cpu_us_per_op']:.2f} us of processor, "
                f"{row['ops_per_s']:,.0f}/s"
            )


async def _settled(group: GrowthGroup, thing: Thing) -> None:
    """Until all hosts have it, and no agent is in memory that nobody asks."""
    for host in group.hosts:
        await group.wait_caught_up(host, SETTLE_WITHIN_S)
    if thing.name == "store":
        await group.even()
        await group.flush_stores(SETTLE_WITHIN_S)
    if thing.name == "agents":
        await group.passive(SETTLE_WITHIN_S)


def _more(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]], items: int
) -> dict[str, float]:
    """Bytes for each item: resident, and of it the process's own; nan for few items."""
    more: dict[str, float] = {}
    for kind, name in (("rss", ""), ("anonymous", "_anonymous")):
        each = [(after[host][kind] - before[host][kind]) / items for host in before]
        few = items < BYTES_FROM_ITEMS
        more[f"bytes_host_max{name}"] = math.nan if few else max(each)
        more[f"bytes_all{name}"] = math.nan if few else sum(each)
    return more


async def _measured(
    context: Context, group: GrowthGroup, host: str, op: str, in_flight: int, count: int
) -> dict[str, Any]:
    """`repetitions` short loads of one operation as one row; latencies in microseconds."""
    window = context.plan.brief
    share = window["seconds"] / sum(window.values())
    loads: list[Load] = []
    costs: list[float] = []
    for _ in range(context.plan.repetitions):
        load, used_s = await group.use(
            host, op=op, count=count, value_bytes=VALUE_BYTES, in_flight=in_flight, **window
        )
        loads.append(load)
        costs.append(used_s * share * 1e6 / load.ops if load.ops else math.nan)
    found = summary_of(loads)
    return {
        "op": op,
        "items": count,
        "in_flight": in_flight,
        "cpu_us_per_op": median(costs),
        "cpu_us_per_op_each": costs,
        "spread_percent": spread_percent(found["ops_per_s_each"]),
        **found,
    }
