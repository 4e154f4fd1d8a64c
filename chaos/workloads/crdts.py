"""CRDTs: a set with removals, counters, a sequence, registers; every host updates all of them.

The law of this file: an acknowledged update survives, what was removed by someone who knew it stays
away, and after the heal every host shows the same without being asked twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Verdict

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

STORE = "crdts"
KEYS = 8
"""Of each kind."""


class CrdtsWorkload(Workload):
    """Adds and removes, increments and decrements, appends, writes; and reads in between."""

    name: ClassVar[str] = "crdts"
    promise: ClassVar[str] = "acknowledged updates survive, removed stays removed, replicas agree"

    async def invoke(self, client: Client) -> None:
        dice, number = client.rng.random(), client.rng.randrange(KEYS)
        if dice < 0.45:
            await self._tags(client, f"tags/{number}")
        elif dice < 0.7:
            await self._likes(client, f"likes/{number}")
        elif dice < 0.85:
            await self._lines(client, f"lines/{number}")
        else:
            await self._value(client, f"value/{number}")

    async def _tags(self, client: Client, key: str) -> None:
        tags, dice = client.host.store(STORE).or_set(key), client.rng.random()
        if dice < 0.5:
            element = client.unique()
            async with client.op("add", key, element, level="crdt") as op:
                receipt = await tags.add(element, timeout=CALL_S)
                op.ok(dot=receipt.dot)
        elif dice < 0.8 or not client.here.get(key):
            async with client.op("read", key, level="local") as op:
                found = sorted(await tags.value(timeout=CALL_S) or ())
                op.ok(found)
                client.here[key] = found[-20:]
        else:
            element = client.rng.choice(client.here[key])
            async with client.op("remove", key, element, level="crdt") as op:
                await tags.remove(element, timeout=CALL_S)
                op.ok()

    async def _likes(self, client: Client, key: str) -> None:
        likes, by = client.host.store(STORE).pn_counter(key), client.rng.randint(1, 9)
        up = client.rng.random() < 0.6
        async with client.op("increment" if up else "decrement", key, by, level="crdt") as op:
            await (likes.increment if up else likes.decrement)(by, timeout=CALL_S)
            op.ok()

    async def _lines(self, client: Client, key: str) -> None:
        item = client.unique()
        async with client.op("append", key, item, level="crdt") as op:
            await client.host.store(STORE).sequence(key).append(item, timeout=CALL_S)
            op.ok()

    async def _value(self, client: Client, key: str) -> None:
        value = client.unique()
        async with client.op("write", key, value, level="eventual") as op:
            await client.host.store(STORE).put(key, value, timeout=CALL_S)
            op.ok()

    async def final_reads(self, client: Client) -> None:
        store = client.host.store(STORE)
        for number in range(KEYS):
            for key, read in (
                (f"tags/{number}", store.or_set(f"tags/{number}").value),
                (f"likes/{number}", store.pn_counter(f"likes/{number}").value),
                (f"lines/{number}", store.sequence(f"lines/{number}").value),
            ):
                async with client.op("final", key, level="local") as op:
                    op.ok(plain(await read(level="local", timeout=CALL_S)))
            key = f"value/{number}"
            async with client.op("final", key, level="local") as op:
                op.ok(await store.get(key, level="local", timeout=CALL_S))

    def check(self, history: History) -> Verdict:
        return models.check("crdt", history)


def plain(value: Any) -> Any:
    """Sets as sorted lists, for JSON."""
    return sorted(cast("set[Any]", value)) if isinstance(value, set | frozenset) else value
