"""What does each level of consistency cost, and what would py-lmdb alone do on the same disk?

The law of this file: every case runs on three host processes at the same time, each with its share;
repetitions are interleaved with those of py-lmdb alone (three processes as well). A figure of local
updates counts only what was acknowledged as durable, and the row says how far behind the other
hosts were when the load ended (`behind_s`): a rate that the others cannot follow is none.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

from quorate.bench.child import Child, end_all
from quorate.bench.figures import median
from quorate.bench.load import Load, summary_of, together
from quorate.bench.questions.base import Context
from quorate.bench.systems.base import HOSTS, LOAD_GRACE_S
from quorate.bench.systems.store_group import StoreGroup

KEYS = 10_000
VALUE_BYTES = 100
MANY = 1024
PER_COMMIT = MANY // len(HOSTS)


class Case(NamedTuple):
    """One row. `in_flight` 0: bursts of calls that are answered from memory."""

    name: str
    op: str
    level: str
    in_flight: int
    hosts: tuple[str, ...] = HOSTS


ENDS = (
    Case("local reads", "get", "default", 0),
    Case("local reads, level named", "get", "local", 0),
    Case("session reads", "get", "session", 0),
    Case("linearizable reads", "get", "linearizable", MANY),
    Case("eventual writes", "put", "eventual", MANY),
    Case("eventual writes, contended", "put", "contended", MANY),
    Case("session writes", "put", "session", MANY),
    Case("CRDT increments", "put", "crdt", MANY),
    Case("strong writes", "put", "strong", MANY),
    Case("one client, local read", "get", "default", 0, ("a",)),
    Case("one client, session read", "get", "session", 0, ("a",)),
    Case("one client, linearizable read", "get", "linearizable", 1, ("a",)),
    Case("one client, eventual write", "put", "eventual", 1, ("a",)),
    Case("one client, session write", "put", "session", 1, ("a",)),
    Case("one client, CRDT increment", "put", "crdt", 1, ("a",)),
    Case("one client, strong write", "put", "strong", 1, ("a",)),
)

LADDER = (8, 64)
"""In flight, over all hosts, between one client and `MANY`."""
CASES = (
    *ENDS,
    *(
        Case(f"{case.name}, {in_flight} in flight", case.op, case.level, in_flight)
        for case in ENDS
        if case.in_flight == MANY and case.level != "contended"
        for in_flight in LADDER
    ),
)


class Alone(NamedTuple):
    """What py-lmdb alone is asked, beside which of our cases."""

    name: str
    beside: str
    op: str
    per_commit: int


ALONE = (
    Alone("read transaction and get", "local reads", "get", 1),
    Alone(f"commit of {PER_COMMIT} puts, synced", "eventual writes", "put", PER_COMMIT),
    Alone("commit of 1 put, synced", "one client, eventual write", "put", 1),
    Alone(
        f"commit of {PER_COMMIT} read-add-puts, synced", "CRDT increments", "increment", PER_COMMIT
    ),
)


async def ask(context: Context) -> None:
    """Every case, `repetitions` times."""
    loads: dict[tuple[str, str], list[Load]] = {}
    more: dict[str, dict[str, list[float]]] = {}
    for _ in range(context.plan.repetitions):
        async with context.store_group() as group:
            await group.open(KEYS, VALUE_BYTES)
            cost = await group.all("generator", seconds=min(0.3, context.plan.seconds))
            for case in CASES:
                load, extra = await _one(context, group, case)
                loads.setdefault(("quorate", case.name), []).append(load)
                for name, value in extra.items():
                    more.setdefault(case.name, {}).setdefault(name, []).append(value)
                context.say(f"levels: {case.name}: {load.ops_per_s:,.0f}/s")
                _publish(context, loads, more, median(cost))
        async with context.fresh_folder("lmdb-alone") as folder:
            for alone in ALONE:
                load = await _alone(context, folder, alone)
                loads.setdefault(("py-lmdb", alone.name), []).append(load)
                context.say(f"levels: py-lmdb alone, {alone.name}: {load.ops_per_s:,.0f}/s")
                _publish(context, loads, more, median(cost))


async def _one(context: Context, group: StoreGroup, case: Case) -> tuple[Load, dict[str, float]]:
    plan = context.plan
    window = {"seconds": plan.seconds, "warmup_s": plan.warmup_s}
    if case.in_flight in LADDER:
        window = plan.brief
    work = {"op": case.op, "level": case.level, "in_flight": case.in_flight, **window}
    before = group.cpu()
    load = await group.load_levels(work, case.hosts)
    used_s = group.cpu() - before
    share = window["seconds"] / sum(window.values())
    extra = {"cpu_us_per_op": used_s * share * 1e6 / load.ops if load.ops else float("nan")}
    if case.op == "put" and case.level != "strong":
        extra["behind_s"] = await group.even()
    return load, extra


async def _alone(context: Context, folder: Path, alone: Alone) -> Load:
    """py-lmdb in as many processes as there are hosts."""
    children: list[Child] = []
    try:
        for host in HOSTS:
            settings = {"data": str(folder / f"{alone.op}-{alone.per_commit}-{host}")}
            command = [sys.executable, "-m", "quorate.bench.peers.lmdb_alone", json.dumps(settings)]
            stderr = folder / f"{host}.stderr"
            children.append(await Child.start(f"lmdb {host}", command, stderr=stderr))
        plan = context.plan
        one_client = alone.beside.startswith("one client")
        rows = await asyncio.gather(
            *(
                child.order(
                    "load",
                    timeout_s=plan.warmup_s + plan.seconds + LOAD_GRACE_S,
                    op=alone.op,
                    per_commit=alone.per_commit,
                    keys=KEYS,
                    value_bytes=VALUE_BYTES,
                    warmup_s=plan.warmup_s,
                    seconds=plan.seconds,
                )
                for child in (children[:1] if one_client else children)
            )
        )
        return together([Load.from_json(row) for row in rows])
    finally:
        await end_all(children)


def _publish(
    context: Context,
    loads: dict[tuple[str, str], list[Load]],
    more: dict[str, dict[str, list[float]]],
    generator_ns: float,
) -> None:
    beside = {alone.name: alone.beside for alone in ALONE}
    context.found["levels"] = {
        "generator_ns": generator_ns,
        "rows": [
            {
                **row(system, name, found),
                **({"beside": beside[name]} if system == "py-lmdb" else {}),
                **({k: median(v) for k, v in more[name].items()} if name in more else {}),
            }
            for (system, name), found in loads.items()
        ],
    }


def row(system: str, name: str, loads: list[Load]) -> dict[str, Any]:
    """One line of the result; latencies in microseconds."""
    return {"system": system, "case": name, **summary_of(loads)}
