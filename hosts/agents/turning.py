"""How one turn of an agent is run: the method, the commit, the answer.

The law of this file: a turn's changes are committed together after its method has returned, or not
at all; the answer leaves after that. Shared turns overlap with whatever comes and change nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from quorate.core.codec import Malformed
from quorate.core.errors import (
    CorruptStorage,
    Fenced,
    OutcomeUnknown,
    Partitioned,
    QuorateError,
    Timeout,
)
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.classes import AgentClass, Method
from quorate.hosts.agents.envelope import decode_call, isolated_answer
from quorate.hosts.agents.failures import as_agent_error
from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.turns import Turn, current_turn

if TYPE_CHECKING:
    from quorate.hosts.agents.engine import AgentEngine
    from quorate.hosts.agents.health.meter import Meter
    from quorate.hosts.agents.state.facade import AgentState

COMMIT_TIMEOUT_S: Final = 5.0


class TurnRunner:
    """The half of an activation that runs turns."""

    __slots__ = (
        "_interrupting",
        "_pump",
        "_still",
        "agent",
        "busy_s",
        "cls",
        "commits",
        "degraded",
        "engine",
        "epoch",
        "last_active",
        "me",
        "meter",
        "name",
        "read_only",
        "shared_turns",
        "state",
        "turn",
        "turns",
    )

    engine: AgentEngine
    name: str
    epoch: int
    cls: AgentClass
    agent: Agent
    state: AgentState
    degraded: bool
    read_only: bool

    @property
    def holds(self) -> bool:
        """Whether this activation may believe to be the present one."""
        raise NotImplementedError

    def __init__(self) -> None:
        self.me: Any = self
        self.turn: Turn | None = None
        """The exclusive turn that runs now."""
        self.shared_turns: dict[Turn, asyncio.Task[None]] = {}
        self.turns = 0
        self.commits = 0
        """How many of them changed something."""
        self.busy_s = 0.0
        """How long they took; waiting counts."""
        self.meter: Meter | None = None
        """Measures how much of the loop's time they use, where that is worth knowing."""
        self.last_active = 0.0
        self._still: asyncio.Future[None] | None = None
        self._interrupting: tuple[Turn, QuorateError] | None = None
        self._pump: asyncio.Task[None] | None = None

    async def _exclusive(
        self, message: Message, method: Method | None, marks: list[list[Any]] | None = None
    ) -> None:
        now = self.engine.now
        turn = self.turn = Turn(self.me, message, now(), shared=False)
        limit_s = self.cls.cls.turn_timeout_s
        if limit_s is not None:
            turn.until = turn.started_at + limit_s
        if marks:
            turn.marks = marks
        running = self.engine.running
        running[self.me] = None
        current_turn.set(turn)
        work, meter = self._run(turn, message, method), self.meter
        try:
            ok, value = True, await (work if meter is None else meter.drive(work))
        except asyncio.CancelledError:
            running.pop(self.me, None)
            interrupted = self._interrupting
            if interrupted is None or interrupted[0] is not turn:
                self._roll_back(turn)
                self._end(message, False, self._cut_short(turn))
                raise
            self._interrupting = None
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            ok, value = False, interrupted[1]
        except Exception as error:
            ok, value = False, as_agent_error(error)
        if not ok:
            self._roll_back(turn)
        turn.close()
        self.turn = None
        running.pop(self.me, None)
        current_turn.set(None)
        self.turns += 1
        at = self.last_active = now()
        self.busy_s += at - turn.started_at
        self._end(message, ok, value)
        if self._still is not None:
            self._look_still()

    async def _run(self, turn: Turn, message: Message, method: Method | None) -> Any:
        """The method, then the commit. Returns the answer."""
        if method is None:
            assert message.work is not None
            value: Any = await message.work(self.agent)
        else:
            if message.body is not None:
                message.args, message.kwargs = decode_call(message.body)
                message.body = None
            value = method.function(self.agent, *message.args, **message.kwargs)
            if method.waits:
                value = await value
        if message.kind == "ask":
            what = f"agent {self.name!r}, {message.method}"
            value = isolated_answer(value, what) if message.origin is None else value
        if turn.buffer is not None or turn.marks:
            await self._commit(turn)
        elif not self.holds:  # nobody is told what another activation may have made old
            raise Fenced(f"agent {self.name!r}: this host cannot be sure any more that it runs it")
        return value

    async def _commit(self, turn: Turn) -> None:
        engine = self.engine
        if self.read_only:
            raise Partitioned(
                f"agent {self.name!r} only answers while its host {engine.host_id!r} reaches no "
                "majority; nothing of the turn was kept"
            )
        until = engine.now() + COMMIT_TIMEOUT_S
        if turn.message.deadline:
            until = max(until, turn.message.deadline)
        if not self.holds and not await engine.wait_valid(until, self.me):
            raise Fenced(
                f"agent {self.name!r}, epoch {self.epoch}: this host cannot be sure any more that "
                "it runs the agent; nothing of the turn was kept"
            )
        if turn.buffer is None:
            turn.buffer = self.state.begin(turn)
        turn.committing = True
        await turn.buffer.commit(until, turn.marks)
        turn.committing = False
        self.commits += 1

    def _roll_back(self, turn: Turn) -> None:
        if turn.buffer is not None:
            turn.buffer.rollback()

    def _begin_shared(self, message: Message, method: Method) -> None:
        turn = Turn(self.me, message, self.engine.now(), shared=True)
        work = self._shared(turn, message, method)
        name = f"agent {self.name} {message.method}"
        self.shared_turns[turn] = self.engine.world.loop.create_task(work, name=name)

    async def _shared(self, turn: Turn, message: Message, method: Method) -> None:
        current_turn.set(turn)
        work, meter = self._run(turn, message, method), self.meter
        try:
            value = await (work if meter is None else meter.drive(work))
            self._end(message, True, value)
        except asyncio.CancelledError:
            self._end(message, False, self._cut_short(turn))
            raise
        except Exception as error:
            self._end(message, False, as_agent_error(error))
        finally:
            turn.close()
            self.shared_turns.pop(turn, None)
            self.last_active = self.engine.now()
            if self._still is not None:
                self._look_still()

    def _end(self, message: Message, ok: bool, value: object) -> None:
        if self.degraded:
            message.degraded = True
        if not ok:
            if message.kind == "tell":
                self.engine.on_tell_failed(self.name, message, value)
            if isinstance(value, CorruptStorage | Malformed):
                self.engine.parts.health.on_error(self.me, value)
        message.end(ok, value)

    def _cut_short(self, turn: Turn) -> QuorateError:
        """What the caller of a turn is told that was ended from outside."""
        if turn.committing:
            return OutcomeUnknown(
                f"agent {self.name!r} left this host while the turn was being committed"
            )
        return Fenced(f"agent {self.name!r} left this host before the turn had ended")

    def interrupt(self, turn: Turn, why: str) -> None:
        """End the turn that runs, and roll it back; its caller is told."""
        if self.turn is not turn or self._pump is None or turn.closed:
            return
        text = f"agent {self.name!r}, {turn.message.method}: {why}"
        error = OutcomeUnknown(text) if turn.committing else Timeout(f"{text}; rolled back")
        self._interrupting = (turn, error)
        self._pump.cancel()

    # --- standing still ---------------------------------------------------------------------------

    async def wait_still(self, timeout_s: float) -> bool:
        """True once no turn runs; False when that takes longer."""
        if self.turn is None and not self.shared_turns:
            return True
        if self._still is None:
            self._still = self.engine.world.loop.create_future()
        still = self._still
        timer = self.engine.world.loop.call_later(timeout_s, _give_up, still)
        try:
            await still
        finally:
            timer.cancel()
        return self.turn is None and not self.shared_turns

    def _look_still(self) -> None:
        still = self._still
        if still is not None and self.turn is None and not self.shared_turns:
            self._still = None
            if not still.done():
                still.set_result(None)


def _give_up(still: asyncio.Future[None]) -> None:
    if not still.done():
        still.set_result(None)
