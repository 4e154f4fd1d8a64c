"""Queues: messages to agents without waiting for the answers, each handled once and in order.

The law of this file: per sender and queue, what was acknowledged is in the queue exactly once, what
certainly was not sent is not in it, and what is in it stands in the order in which it was sent.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check.history import History, Key, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged
from quorate.hosts.agents.agent import Agent, shared

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

QUEUES = 8
BURST = 4
PAGE_ROWS = 500


class Queue(Agent):
    """Keeps every message, in the order in which it was handled."""

    kind = "chaos.Queue"

    async def push(self, sender: str, number: int) -> int:
        length = int(await self.state.get("length", default=0)) + 1
        await self.state.put("length", length, consistency="strong")
        await self.state.put(f"row/{length:06d}", [sender, number], consistency="strong")
        return length

    @shared
    async def page(self, first: int, last: int) -> list[Any]:
        return [await self.state.get(f"row/{at:06d}") for at in range(first, last + 1)]

    @shared
    async def length(self) -> int:
        return int(await self.state.get("length", default=0))


class QueueWorkload(Workload):
    """Bursts of messages to one queue, answered or not."""

    name: ClassVar[str] = "queue"
    promise: ClassVar[str] = "each message once, acknowledged ones kept, in order per sender"
    agents: ClassVar[tuple[type[Agent], ...]] = (Queue,)
    rate_per_client: ClassVar[float] = 4.0

    async def setup(self, client: Client) -> None:
        for number in range(QUEUES):
            await client.host.agents.start(Queue, f"queue/{number}", timeout=2 * CALL_S)

    async def invoke(self, client: Client) -> None:
        name = f"queue/{client.rng.randrange(QUEUES)}"
        proxy = client.host.agents.get(name).options(timeout=CALL_S)

        async def one(number: int, pending: Any, beside: Client) -> None:
            async with beside.op("push", name, [client.id, number]) as op:
                sent = pending()
                started.set_result(None)
                op.ok(await sent)

        burst: list[asyncio.Task[None]] = []
        for _ in range(BURST):
            number = client.number()
            started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            send = _sender(proxy, client.id, number)
            burst.append(asyncio.ensure_future(one(number, send, client.alone("push"))))
            await asyncio.wait([started, burst[-1]], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*burst)

    async def final_reads(self, client: Client) -> None:
        if client.host.id != client.peers[0]:
            return
        for number in range(QUEUES):
            name = f"queue/{number}"
            proxy = client.host.agents.get(name).options(timeout=4 * CALL_S)
            async with client.op("final", name) as op:
                rows: list[Any] = []
                length = await proxy.length()
                for first in range(1, length + 1, PAGE_ROWS):
                    rows += await proxy.page(first, min(length, first + PAGE_ROWS - 1))
                op.ok(rows)

    def check(self, history: History) -> Verdict:
        return check_queues(history)


def _sender(proxy: Any, sender: str, number: int) -> Any:
    return lambda: proxy.ask.push(sender, number)


def check_queues(history: History) -> Verdict:
    """Judge `push` (value: [sender, number]; key: the queue) and `final` (answer: the rows)."""
    pushes: dict[Key, dict[tuple[str, int], Operation]] = {}
    found: list[Anomaly] = []
    finals: dict[Key, Operation] = {}
    for op in history.operations:
        if op.f == "push":
            pushes.setdefault(op.key, {})[str(op.value[0]), int(op.value[1])] = op
        elif op.f == "final" and op.outcome == "ok":
            finals[op.key] = op
    for key, final in finals.items():
        found += _wrong(key, final, pushes.get(key, {}))
    doubts = [f"{key!r} was not read in the end" for key in pushes if key not in finals]
    return judged("queue", len(history.operations), found, history=history, unknown=doubts)


def _wrong(key: Key, final: Operation, pushes: dict[tuple[str, int], Operation]) -> list[Anomaly]:
    found: list[Anomaly] = []
    last: dict[str, tuple[int, Operation | None]] = {}
    seen: set[tuple[str, int]] = set()
    for row in final.result:
        if row is None:
            found.append(Anomaly("lost-message", f"{key!r} has a row of nothing", (final,)))
            continue
        name = (str(row[0]), int(row[1]))
        push = pushes.get(name)
        if push is None or push.outcome == "fail":
            text = f"{key!r} has {list(name)}, which certainly was not sent"
            found.append(Anomaly("phantom-message", text, (final,)))
        if name in seen:
            text = f"{key!r} has {list(name)} twice"
            found.append(Anomaly("handled-twice", text, tuple(filter(None, (push, final)))))
        seen.add(name)
        before, earlier = last.get(name[0], (0, None))
        if name[1] < before:
            text = f"{key!r} handled {before} of {name[0]} before {name[1]}"
            ops = tuple(op for op in (push, earlier, final) if op is not None)
            found.append(Anomaly("out-of-order", text, ops))
        last[name[0]] = (name[1], push)
    for name, push in pushes.items():
        if push.outcome == "ok" and name not in seen:
            text = f"{key!r} lacks {list(name)}, acknowledged at {push.where}"
            found.append(Anomaly("lost-message", text, (push, final)))
    return found
