"""How old is what is read, at each level of reads, while another host writes at a fixed rate?

The law of this file: one key, written by one host and read by the two others; each version is
written after the one before it was acknowledged, from before the first read until after the last
one. What counts as stale is said in `ages`. A read
that the level refuses is counted, and is not in the histograms.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from quorate.bench.ages import Ages, Read, Written, ages
from quorate.bench.figures import median
from quorate.bench.questions.base import Context
from quorate.bench.questions.probes import probe_group
from quorate.bench.systems.base import LOAD_GRACE_S
from quorate.bench.systems.probe_group import ProbeGroup

READS_PER_S = 500.0
"""On each of the two reading hosts."""
BOUND_MS = 100


class Case(NamedTuple):
    """Written at one level, read at another one."""

    written: str
    read: str


CASES = (
    Case("eventual", "local"),
    Case("eventual", "bounded"),
    Case("eventual", "session"),
    Case("crdt", "local"),
    Case("strong", "local"),
    Case("strong", "linearizable"),
)


class Seen(NamedTuple):
    """One stretch of one case."""

    ages: Ages
    refused: dict[str, int]
    written_per_s: float


async def ask(context: Context) -> None:
    """Every case, `repetitions` times; histograms are joined."""
    found: dict[Case, list[Seen]] = {}
    for repetition in range(context.plan.repetitions):
        async with probe_group(context) as group:
            for case in CASES:
                found.setdefault(case, []).append(
                    await _one(context, group, case, f"versions/{repetition}/{case.read}")
                )
                context.found["staleness"] = {
                    "writes_per_s": context.plan.versions_per_s,
                    "reads_per_s": READS_PER_S,
                    "bound_ms": BOUND_MS,
                    "rows": [row(each, seen) for each, seen in found.items()],
                }
                stale = 100 * found[case][-1].ages.stale_share
                context.say(
                    f"staleness: {case.written} writes, {case.read} reads: {stale:.1f} % stale"
                )


async def _one(context: Context, group: ProbeGroup, case: Case, key: str) -> Seen:
    key = f"{key}/{case.written}"
    timeout_s = context.plan.seconds + 2 * LOAD_GRACE_S
    writer, *readers = group.hosts
    child = group.children[writer]
    fields = {"key": key, "level": case.written, "per_s": context.plan.versions_per_s}
    writing = asyncio.create_task(child.order("write_versions", timeout_s=timeout_s, **fields))
    try:
        await asyncio.sleep(0)  # the order is out before the next one
        await child.order("versions_begun")
        answers = await group.all(
            "read_versions",
            readers,
            timeout_s=timeout_s,
            key=key,
            level=case.read,
            crdt=case.written == "crdt",
            per_s=READS_PER_S,
            seconds=context.plan.seconds,
            bound_ms=BOUND_MS,
        )
        await child.order("stop_versions")
        rows = await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    written = [Written(*row) for row in rows["rows"]]
    refused: dict[str, int] = {}
    for answer in answers:
        for kind, count in answer["errors"].items():
            refused[kind] = refused.get(kind, 0) + count
    reads = [Read(*row) for answer in answers for row in answer["rows"]]
    took_s = (written[-1].acknowledged_ns - written[0].called_ns) / 1e9
    return Seen(ages(written, reads), refused, len(written) / took_s)


def row(case: Case, seen: list[Seen]) -> dict[str, Any]:
    """One line of the result; the whole histograms are in it."""
    whole = Ages()
    for one in seen:
        whole = whole.merge(one.ages)
    kinds = sorted({kind for one in seen for kind in one.refused})
    return {
        "written": case.written,
        "read": case.read,
        "reads": whole.versions.total(),
        "refused": {kind: sum(one.refused.get(kind, 0) for one in seen) for kind in kinds},
        "written_per_s": median([one.written_per_s for one in seen]),
        "age_p50_ms": whole.age.percentile(50) / 1e6,
        "age_p99_ms": whole.age.percentile(99) / 1e6,
        "stale_percent": 100 * whole.stale_share,
        "stale_p50_ms": whole.stale.percentile(50) / 1e6,
        "stale_p99_ms": whole.stale.percentile(99) / 1e6,
        "stale_max_ms": whole.stale.max_ns / 1e6,
        "versions_p50": whole.versions_percentile(50),
        "versions_p99": whole.versions_percentile(99),
        "versions_max": max(whole.versions, default=0),
        "histograms": whole.to_json(),
    }
