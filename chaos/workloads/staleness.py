"""Bounded staleness: a read is not older than it says, or it is an error.

The law of this file: every key has one writer, who writes 1, 2, 3, ...; so what a read has seen is
its value. A read at T shows what was acknowledged before T - bound - clock error (one clock here).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.models import Options
from quorate.consistency.check.verdict import Verdict
from quorate.consistency.store.levels import bounded

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

STORE = "staleness"
BOUNDS_MS = (100, 300, 1000)
CLOCK_ERROR_MS = 5.0
SHELF = "staleness keys"
KEYS_KNOWN_MAX = 60


class StalenessWorkload(Workload):
    """Writes of one's own key, bounded reads of anybody's."""

    name: ClassVar[str] = "staleness"
    promise: ClassVar[str] = "a bounded read is not older than its bound, or an error"

    async def invoke(self, client: Client) -> None:
        store = client.host.store(STORE)
        if client.rng.random() < 0.4:
            key, number = f"st/{client.id}", client.number()
            async with client.op("write", key, number, session=client.id, level="eventual") as op:
                await store.put(key, number, timeout=CALL_S)
                op.ok()
            if number == 1:
                await client.resource.give(SHELF, key)
            return
        known: list[str] = client.here.setdefault("known", [])
        found = await client.resource.take(SHELF)
        if found is not None:
            known.append(found)
            await client.resource.give(SHELF, found)
            del known[:-KEYS_KNOWN_MAX]
        if not known:
            return
        key, ms = client.rng.choice(known), client.rng.choice(BOUNDS_MS)
        async with client.op("read", key, {"ms": ms}, level="bounded") as op:
            op.ok(await store.get(key, level=bounded(ms=ms), timeout=CALL_S))

    def check(self, history: History) -> Verdict:
        return models.check("staleness", history, Options(clock_error_ms=CLOCK_ERROR_MS))
