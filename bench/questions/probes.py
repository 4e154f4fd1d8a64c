"""What the questions about single calls share: their group, and which call is which.

The law of this file: a call is named as in `levels`, so that the rows of different questions can be
laid beside each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from quorate.bench.load import Load
from quorate.bench.machine import disk
from quorate.bench.questions.base import SYNC_PROBE_S, Context
from quorate.bench.systems.base import LOAD_GRACE_S
from quorate.bench.systems.probe_group import ProbeGroup

KEYS = 3_000
VALUE_BYTES = 100


class Call(NamedTuple):
    """`at_once`: it is answered from memory."""

    name: str
    op: str
    level: str
    at_once: bool = False


CALLS = (
    Call("strong writes", "put", "strong"),
    Call("session writes", "put", "session"),
    Call("eventual writes", "put", "eventual"),
    Call("CRDT increments", "put", "crdt"),
    Call("linearizable reads", "get", "linearizable"),
    Call("session reads", "get", "session", at_once=True),
    Call("local reads", "get", "default", at_once=True),
)
BY_NAME = {call.name: call for call in CALLS}


@asynccontextmanager
async def probe_group(
    context: Context, *, relayed: bool = False, delayed: bool = False
) -> AsyncGenerator[ProbeGroup]:
    """Our own hosts with orders for single calls, their links to be cut or delayed; the stores
    are open and hold `KEYS` keys."""
    async with context.fresh_folder("probes") as folder:
        context.sync_us.append(disk(folder, SYNC_PROBE_S)["fdatasync_4k_p50_us"])
        group = ProbeGroup(relayed=relayed, delayed=delayed)
        try:
            await group.start(folder)
            await group.open(KEYS, VALUE_BYTES)
            yield group
        finally:
            await group.stop()


async def closed(
    context: Context,
    group: ProbeGroup,
    call: Call,
    in_flight: int,
    hosts: tuple[str, ...],
) -> Load:
    """A short closed loop of it at these hosts together."""
    work: dict[str, Any] = {"op": call.op, "level": call.level, **context.plan.brief}
    return await group.load_levels({**work, "in_flight": 0 if call.at_once else in_flight}, hosts)


async def at_all(group: ProbeGroup, do: str, *, window_s: float, **fields: Any) -> list[Any]:
    """An order that takes `window_s` to all hosts at once."""
    timeout_s = window_s + LOAD_GRACE_S
    return await asyncio.gather(
        *(group.children[host].order(do, timeout_s=timeout_s, **fields) for host in group.hosts)
    )
