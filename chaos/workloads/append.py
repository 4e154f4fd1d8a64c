"""Append lists: transactions over several keys of the group, strictly serializable.

The law of this file: a transaction reads its lists, and writes them back in one `txn` that compares
the version of everything it read or changes; what loses against another one certainly did not
happen. Elements are unique, so a list shows its own history (Kingsbury & Alvaro, Elle, 2020).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Verdict
from quorate.core.group.txn import If, Then, get, put, version

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

KEYS = 10
ROUND_CALLS = 25
"""Of one client on its keys before it goes on to the next ones: lists stay short."""
TOUCHED_KEYS_MAX = 3


class AppendWorkload(Workload):
    """One to three lists at a time, each read or appended to."""

    name: ClassVar[str] = "append"
    promise: ClassVar[str] = "transactions over several lists are strictly serializable"
    rate_per_client: ClassVar[float] = 18.0

    async def invoke(self, client: Client) -> None:
        rng, number = client.rng, client.number()
        first = number // ROUND_CALLS * KEYS
        touched = rng.sample(range(first, first + KEYS), rng.randint(1, TOUCHED_KEYS_MAX))
        steps: list[list[Any]] = []
        for at in touched:
            if rng.random() < 0.5:
                steps.append(["append", f"l/{at}", f"{client.id}#{number}.{len(steps)}"])
            else:
                steps.append(["r", f"l/{at}", None])
        async with client.op("txn", None, steps) as op:
            answer = await self._txn(client, steps)
            if answer is None:
                op.fail("another transaction came in between")
            else:
                op.ok(answer[0], witness=answer[1])

    async def _txn(
        self, client: Client, steps: list[list[Any]]
    ) -> tuple[list[list[Any]], tuple[int, int]] | None:
        """(what the reads saw, where it stands); None: it lost against another one."""
        kv = client.host.kv
        appends = [step for step in steps if step[0] == "append"]
        compares: list[Any] = []
        effects: list[Any] = []
        for _, key, element in appends:
            record = await kv.get_record(key, timeout=CALL_S)
            present: list[Any] = [] if record is None else list(record.value)
            compares.append(version(key) == (0 if record is None else record.version))
            effects.append(put(key, [*present, element]))
        gets = [get(step[1]) for step in steps if step[0] == "r"]
        parts = [If(*compares)] if compares else []
        done = await kv.txn(*parts, Then(*gets, *effects), timeout=CALL_S)
        if not done.succeeded:
            return None
        seen = iter(done.results)
        answer: list[list[Any]] = []
        for what, key, element in steps:
            if what == "r":
                found = next(seen)
                answer.append(["r", key, [] if found is None else found.value])
            else:
                answer.append([what, key, element])
        return answer, (done.receipt.term, done.receipt.index)

    def check(self, history: History) -> Verdict:
        return models.check("append", history)
