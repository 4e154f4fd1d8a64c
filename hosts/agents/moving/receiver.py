"""The target of a move: what it gets before the agent is bound to it.

The law of this file: it keeps and waits, and runs nothing: the agent is brought up by the applied
binding. What is kept for a move that never comes is forgotten when the source says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from quorate.core import codec
from quorate.core.errors import NotCommitted, Refused
from quorate.core.group.requests import Reply, answer

if TYPE_CHECKING:
    from quorate.hosts.agents.engine import AgentEngine

PREPARE: Final = "agent.prepare"
COVER: Final = "agent.cover"
FORGET: Final = "agent.forget"
CALL_TIMEOUT_S: Final = 5.0


class Receiver:
    """One per host."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[Any]] = set()
        self.received = 0
        requests = engine.group.requests
        requests.handle(PREPARE, self._on_prepare)
        requests.handle(COVER, self._on_cover)
        requests.handle(FORGET, self._on_forget)

    def _answer(self, work: Awaitable[Any], reply: Reply) -> None:
        task = self._engine.world.loop.create_task(answer(work, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_cover(self, peer: str, args: list[Any], reply: Reply) -> None:
        (token,) = args
        self._answer(self._cover(bytes(token)), reply)

    async def _cover(self, token: bytes) -> bool:
        if token:
            await self._engine.parts.cover(token, self._engine.now() + CALL_TIMEOUT_S)
        return True

    def _on_prepare(self, peer: str, args: list[Any], reply: Reply) -> None:
        name, life, kind, checkpoint = args
        self._answer(self._prepare(str(name), int(life), str(kind), checkpoint), reply)

    async def _prepare(self, name: str, life: int, kind: str, checkpoint: list[Any]) -> bool:
        engine = self._engine
        there, data, local, token = checkpoint
        engine.classes.find(kind)
        if engine.tenancy.draining:
            raise Refused(f"host {engine.host_id!r} is being drained")
        if not engine.tenancy.valid():
            raise NotCommitted(f"host {engine.host_id!r} cannot run agents now")
        await self._cover(bytes(token))
        if there:
            value = (codec.decode_value(data), codec.decode_value(local))
            engine.residents.prepare(name, life, value)
        self.received += 1
        return True

    def _on_forget(self, peer: str, args: list[Any], reply: Reply) -> None:
        name, life = args
        self._engine.residents.forget(str(name), int(life))
        reply(True)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def wait_stopped(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
