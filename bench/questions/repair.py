"""Two hosts hold a million keys of which a thousand differ: what does it take to make them equal?

The law of this file: both hosts are given the same states by the way an exchange hands states over
(joined, logged, synced, flushed), half of the differing ones newer here and half newer there; that
is not measured. Measured is one exchange of digests between the two processes over the wire: the
time until it is complete and durable on both sides, and every byte that the two sent to each other
meanwhile, heartbeats of the group included.
"""

from __future__ import annotations

from typing import Any

from quorate.bench.child import ChildFailed
from quorate.bench.questions.base import Context
from quorate.bench.systems.store_group import StoreGroup

WRITER = 7
TEXT = "." * 80
LOAD_WITHIN_S = 1800.0


async def ask(context: Context) -> None:
    """Load, make different, repair."""
    keys, differing = context.plan.repair_keys, context.plan.repair_differing
    async with context.store_group(("a", "b")) as group:
        await group.open(0, len(TEXT))
        fields: dict[str, Any] = {"actor": WRITER, "text": TEXT, "timeout_s": LOAD_WITHIN_S}
        await group.all("load_states", first=0, count=keys, step=1, generation=0, **fields)
        await group.same_content()
        context.say(f"repair: {keys:,} keys are on both hosts")
        step = max(1, keys // differing)
        each: dict[str, Any] = {
            "count": differing // 2,
            "step": 2 * step,
            "generation": 1,
            **fields,
        }
        await group.children["a"].order("load_states", first=0, **each)
        await group.children["b"].order("load_states", first=step, **each)
        row = await _repair(group)
        context.found["repair"] = {"keys": keys, "differing": differing, **row}
        context.say(f"repair: {row['took_s']:.2f} s, {row['bytes_sent'] / 1e3:,.0f} kB")


async def _repair(group: StoreGroup) -> dict[str, float]:
    before = await group.all("wire")
    report = await group.children["a"].order("repair", peer="b", timeout_s=120.0)
    after = await group.all("wire")
    await group.same_content()
    if not report["complete"]:
        raise ChildFailed(f"the exchange was not complete: {report['why']}")
    sent = [row["sent"] - old["sent"] for row, old in zip(after, before, strict=True)]
    return {
        "took_s": report["took_s"],
        "bytes_sent": sum(sent),
        "bytes_asking": sent[0],
        "bytes_asked": sent[1],
        "keys_sent": report["keys_sent"],
        "keys_received": report["keys_received"],
        "buckets_differing": report["buckets_differing"],
        "rounds": report["rounds"],
    }
