"""A set and a counter on the group's keys.

The law of this file: acknowledged within final within attempted, each once. Elements are keys of
their own and are read as a range; a counter is read, and written if nobody came in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload, part
from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Verdict
from quorate.core.errors import Refused

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

SETS = 12
COUNTERS = 6
ELEMENTS_MAX = 10_000
TRIES_MAX = 5


class SetsWorkload(Workload):
    """Adds and reads of sets, increments and reads of counters."""

    name: ClassVar[str] = "sets"
    promise: ClassVar[str] = "acknowledged within final within attempted, each element once"

    async def invoke(self, client: Client) -> None:
        dice = client.rng.random()
        if dice < 0.6:
            await self._set(client, f"set/{client.rng.randrange(SETS)}", read=dice < 0.1)
        else:
            await self._counter(client, f"sum/{client.rng.randrange(COUNTERS)}", read=dice > 0.85)

    async def _set(self, client: Client, key: str, *, read: bool) -> None:
        kv = client.host.kv
        if read:
            async with client.op("read", key, level="strong") as op:
                records = await kv.range(f"{key}/", limit=ELEMENTS_MAX, timeout=CALL_S)
                op.ok([record.key.removeprefix(f"{key}/") for record in records])
            return
        element = client.unique().replace("/", "-")
        async with client.op("add", key, element, level="strong") as op:
            receipt = await kv.put(f"{key}/{element}", 1, timeout=CALL_S)
            op.ok(witness=(receipt.term, receipt.index))

    async def _counter(self, client: Client, key: str, *, read: bool) -> None:
        kv = client.host.kv
        if read:
            async with client.op("read", key, level="strong") as op:
                op.ok(await kv.get(key, default=0, timeout=CALL_S))
            return
        async with client.op("increment", key, 1, level="strong") as op:
            for _ in range(TRIES_MAX):
                record = await kv.get_record(key, timeout=CALL_S)
                value, version = (0, 0) if record is None else (record.value, record.version)
                try:
                    await kv.cas(key, value + 1, version=version, timeout=CALL_S)
                except Refused:
                    continue
                op.ok()
                break
            else:
                op.fail("somebody was always faster")

    async def final_reads(self, client: Client) -> None:
        kv = client.host.kv
        for number in range(SETS):
            key = f"set/{number}"
            async with client.op("final", key, level="strong") as op:
                records = await kv.range(f"{key}/", limit=ELEMENTS_MAX, timeout=CALL_S)
                op.ok([record.key.removeprefix(f"{key}/") for record in records])
        for number in range(COUNTERS):
            key = f"sum/{number}"
            async with client.op("final", key, level="strong") as op:
                op.ok(await kv.get(key, default=0, timeout=CALL_S))

    def check(self, history: History) -> list[Verdict]:
        return [
            models.check("set", part(history, lambda op: str(op.key).startswith("set/"))),
            models.check("counter", part(history, lambda op: str(op.key).startswith("sum/"))),
        ]
