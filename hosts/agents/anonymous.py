"""Agents without a name: on this host, in memory, for as long as a request takes.

The law of this file: an agent without a name is in no directory and has no state but its object's
memory; it ends with the turn, or the task, that made it. Everything else is as with named ones:
turns, mailbox, proxies that work from any host while it lives.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from quorate.core.errors import Refused, UsageError
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.activation import Activation
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.lifecycle import Happening
from quorate.hosts.agents.names import anonymous
from quorate.hosts.agents.proxy import AgentProxy
from quorate.hosts.agents.spec import Spec
from quorate.hosts.agents.turns import current_turn

if TYPE_CHECKING:
    from quorate.hosts.agents.engine import AgentEngine

ANONYMOUS_AGENTS_MAX = 100_000


class NoState:
    """The state of an agent without a name: there is none."""

    def __getattr__(self, name: str) -> Any:
        raise UsageError(
            f"self.state.{name}: an agent without a name has no state; start it under a name"
        )

    def begin(self, turn: Any) -> Any:
        raise UsageError("an agent without a name has no state to commit")

    def close(self) -> None:
        return None

    def statistics(self) -> dict[str, object]:
        return {}


class Anonymous:
    """One per host."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._number = engine.group.rng.getrandbits(32) << 16
        self._alive: dict[str, Activation] = {}

    async def spawn(self, cls: type[Agent], args: dict[str, Any]) -> AgentProxy:
        """See `Agents.spawn`. Raises `StartFailed`, `Refused`."""
        engine = self._engine
        found = engine.classes.of(cls)
        if len(self._alive) >= ANONYMOUS_AGENTS_MAX:
            raise Refused(f"{ANONYMOUS_AGENTS_MAX} agents without a name live here already")
        self._number += 1
        name = anonymous(engine.host_id, self._number)
        starts = "starting" if "on_start" in found.overrides else "placed"
        record = AgentRecord(
            name, 0, 0, engine.host_id, 0, starts, found.kind, b"", b"", (), "stop", 0, 0
        )
        activation = Activation(engine, record, found, Spec(args=args))
        activation.anonymous = True
        self._alive[name] = engine.here[name] = activation
        self._tie(name)
        activation.start()
        try:
            await activation.brought_up
        except BaseException:
            self.end(name)
            raise
        return AgentProxy(engine.calls, name, None)

    def _tie(self, name: str) -> None:
        """It ends with the turn of an agent, or with the task of a program."""
        turn = current_turn.get()
        if turn is not None:
            turn.on_closed.append(lambda: self.end(name))
            return
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(lambda _: self.end(name))

    def end(self, name: str) -> None:
        """End it; what it had not begun fails."""
        activation = self._alive.pop(name, None)
        if activation is None:
            return
        engine = self._engine
        engine.residents.take_away(name)
        for message in activation.drop(Happening.LOST):
            message.fail(Refused(f"agent {name!r} has ended"))

    def __len__(self) -> int:
        return len(self._alive)

    def stop(self) -> None:
        for name in list(self._alive):
            self.end(name)
