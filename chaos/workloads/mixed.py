"""Mixed levels on one key: strong and eventual writes, strong and local reads.

The law of this file, which is the table of mixing levels in the top README: what is strong is
linearizable among itself, whatever else is written; every other read shows a value that somebody
wrote; and after the heal every host shows the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload, part
from quorate.consistency.check import models
from quorate.consistency.check.history import History, Key, Operation
from quorate.consistency.check.values import show
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

STORE = "mixed"
KEYS = 24


class MixedWorkload(Workload):
    """Each level a quarter."""

    name: ClassVar[str] = "mixed"
    promise: ClassVar[str] = "strong stays linearizable; others show what was written, then agree"

    async def invoke(self, client: Client) -> None:
        store, key = client.host.store(STORE), f"m/{client.rng.randrange(KEYS)}"
        strong, read = client.rng.random() < 0.5, client.rng.random() < 0.5
        if read and strong:
            async with client.op("read", key, level="linearizable") as op:
                op.ok(await store.get(key, level="linearizable", timeout=CALL_S))
        elif read:
            async with client.op("read", key, level="local") as op:
                op.ok(await store.get(key, level="local", timeout=CALL_S))
        else:
            value, level = client.unique(), "strong" if strong else "eventual"
            async with client.op("write", key, value, level=level) as op:
                if strong:
                    await store.put(key, value, consistency="strong", timeout=CALL_S)
                else:
                    await store.put(key, value, consistency="eventual", timeout=CALL_S)
                op.ok()

    async def final_reads(self, client: Client) -> None:
        for number in range(KEYS):
            async with client.op("final", f"m/{number}", level="local") as op:
                found = await client.host.store(STORE).get(
                    f"m/{number}", level="local", timeout=CALL_S
                )
                op.ok(found)

    def check(self, history: History) -> list[Verdict]:
        strong = part(history, lambda op: op.level in ("strong", "linearizable"))
        return [models.check("register", strong), check_shown(history)]


def check_shown(history: History) -> Verdict:
    """Judge local reads (`read`, `final`) of keys that were written at any level: a value that was
    asked for before it was shown; no value gone; and in the end one for all."""
    found: list[Anomaly] = []
    writes: dict[tuple[Key, object], Operation] = {}
    acknowledged: dict[Key, Operation] = {}
    finals: dict[Key, Operation] = {}
    for op in history.operations:
        if op.f == "write":
            writes[op.key, op.value] = op
            if op.outcome == "ok":
                acknowledged.setdefault(op.key, op)
    reads = [op for op in history.operations if op.f != "write" and op.outcome == "ok"]
    for op in reads:
        write = writes.get((op.key, op.result))
        if op.result is not None and (write is None or write.invoked > op.ended):
            text = f"{op.key!r}: {op.where} shows {show(op.result)}, which nobody had written"
            found.append(Anomaly("phantom-value", text, (op,)))
        if op.f != "final":
            continue
        lost = acknowledged.get(op.key)
        if op.result is None and lost is not None:
            text = f"{op.key!r}: {lost.where} was acknowledged, and {op.where} shows nothing"
            found.append(Anomaly("lost-update", text, (lost, op)))
        first = finals.setdefault(op.key, op)
        if first.result != op.result:
            text = (
                f"{op.key!r}: {first.host} shows {show(first.result)}, {op.host} {show(op.result)}"
            )
            found.append(Anomaly("diverged", text, (first, op)))
    doubts = [] if finals else ["no final reads"]
    return judged("shown", len(reads), found, history=history, unknown=doubts)
