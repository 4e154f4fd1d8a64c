"""Sessions: users who carry a token from host to host, on sets that only grow.

The law of this file: a session is used by one client at a time; between two uses its token lies
with the resource outside, where any client of any host may take it. What a read has seen is told by
the elements it returned and by nothing else: the store's own vectors are not asked.

Read your writes, monotonic reads, monotonic writes, writes follow reads (Terry et al. 1994).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from quorate.chaos.workloads.workload import CALL_S, Workload, part
from quorate.consistency.check import models
from quorate.consistency.check.history import History, Key, Operation
from quorate.consistency.check.verdict import Verdict

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

STORE = "sessions"
SHELF = "sessions"
KEYS = 40
NEIGHBOURS = 3
"""Keys that one session uses."""
TURN_CALLS = 8
"""Made with a session before it is left for others."""
LIFE_CALLS = 80


class SessionsWorkload(Workload):
    """Take a session, or begin one; read and add with it a few times; leave it for others."""

    name: ClassVar[str] = "sessions"
    promise: ClassVar[str] = "the four session guarantees, on every host; acknowledged adds survive"
    rate_per_client: ClassVar[float] = 2.0

    async def invoke(self, client: Client) -> None:
        found = await client.resource.take(SHELF)
        if found is None:
            first = client.rng.randrange(KEYS)
            found = dict[str, Any](name=client.unique(), token=None, calls=0, first=first)
        token = found["token"]
        session = client.host.session(None if token is None else bytes.fromhex(token))
        await session.ready(CALL_S)
        for _ in range(TURN_CALLS):
            key = f"s/{(found['first'] + client.rng.randrange(NEIGHBOURS)) % KEYS}"
            await self._once(client, session, str(found["name"]), key)
            await client.pause(0)
        found["calls"] += TURN_CALLS
        if found["calls"] < LIFE_CALLS:
            await client.resource.give(SHELF, {**found, "token": session.token.hex()})

    async def _once(self, client: Client, session: Any, name: str, key: str) -> None:
        tags = client.host.store(STORE).g_set(key)
        if client.rng.random() < 0.4:
            element = client.unique()
            async with client.op("add", key, element, session=name, level="session") as op:
                await tags.add(element, session=session, consistency="session", timeout=CALL_S)
                op.ok()
        else:
            async with client.op("read", key, session=name, level="session") as op:
                op.ok(sorted(await tags.value(session=session, level="session", timeout=CALL_S)))

    async def final_reads(self, client: Client) -> None:
        store = client.host.store(STORE)
        for number in range(KEYS):
            key = f"s/{number}"
            async with client.op("final", key, level="local") as op:
                found = await store.g_set(key).value(level="local", timeout=CALL_S)
                op.ok(sorted(found))

    def check(self, history: History) -> list[Verdict]:
        bound = part(history, lambda op: op.session is not None)
        kept = part(history, lambda op: op.f in ("add", "final"))
        return [models.check("session", told(bound)), models.check("crdt", kept)]


def told(history: History) -> History:
    """The same history with versions: an add is number n of its session on its key; a read has
    seen a session's adds up to the first acknowledged one that it lacks, and shows the highest."""
    adds: dict[Key, dict[str, list[Operation]]] = {}
    for op in history.operations:
        if op.f == "add" and op.outcome != "fail":
            adds.setdefault(op.key, {}).setdefault(str(op.session), []).append(op)
    numbers = {
        op.id: number
        for sessions in adds.values()
        for ops in sessions.values()
        for number, op in enumerate(ops, 1)
    }
    operations: list[Operation] = []
    for op in history.operations:
        if op.id in numbers:
            operations.append(replace(op, dot=(str(op.session), numbers[op.id])))
        elif op.f == "read" and op.outcome == "ok":
            seen, shown = _seen(op, adds.get(op.key, {}))
            operations.append(replace(op, versions=seen, shown=shown))
        else:
            operations.append(op)
    return history.only(operations)


def _seen(
    read: Operation, sessions: dict[str, list[Operation]]
) -> tuple[dict[int | str, int], dict[int | str, int]]:
    elements = set(cast("list[Any]", read.result or []))
    seen: dict[int | str, int] = {}
    shown: dict[int | str, int] = {}
    for session, ops in sessions.items():
        whole = True
        for number, op in enumerate(ops, 1):
            here = op.value in elements
            whole = whole and (here or op.outcome != "ok")
            if here:
                shown[session] = number
            if here and whole:
                seen[session] = number
    return seen, shown
