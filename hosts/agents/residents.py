"""The agents that are in this host's memory: brought up for a binding, ended when it is over.

The law of this file: an activation is here only for a binding to this host under its present lease;
the applied change of the binding is what ends it. What it had not begun goes back to where it came
from, untouched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from quorate.core.errors import (
    AgentNotFound,
    Fenced,
    Moved,
    QuorateError,
    StartFailed,
    Timeout,
    UsageError,
)
from quorate.hosts.agents.activation import Activation
from quorate.hosts.agents.failures import as_agent_error
from quorate.hosts.agents.lifecycle import Happening, Status
from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.names import home_of
from quorate.hosts.agents.spec import spec_of

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.engine import AgentEngine

ON_STOP_TIMEOUT_S: Final = 5.0
CALL_TIMEOUT_S: Final = 5.0
REASON_CHARS_MAX: Final = 300
SLICES: Final = 10
SLICE_AGENTS_MIN: Final = 256
"""At a beat so many agents are looked at, or a tenth of them."""


class Residents:
    """One per host."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self.here: dict[str, Activation] = {}
        self._ending: set[asyncio.Task[Any]] = set()
        self._to_look_at: list[Activation] = []
        self._slice_agents = 0
        self._checkpoints: dict[tuple[str, int], Any] = {}
        """(name, life) -> what is to be restored when the binding comes here."""
        self._failed_starts: dict[str, int] = {}
        """Agents whose start failed, and the epoch: their life is about to be ended."""
        self._counts = dict.fromkeys(
            ("brought_up", "start_failed", "stopped", "lost", "passivated", "restarted"), 0
        )

    # --- bringing up ------------------------------------------------------------------------------

    def activation_for(self, target: str, epoch: int) -> Activation:
        """The activation that takes messages for `target` here, brought up if need be. `epoch`: of
        the binding that the sender knows.

        Raises `Moved` (not here, as far as is known), `Fenced` (the host cannot be sure now),
        `AgentNotFound`, `StartFailed`, `UnknownClass`."""
        engine = self._engine
        found = self.here.get(target)
        record = found.record if found is not None else engine.directory.look(target)
        if record is None or epoch > record.epoch:
            if home_of(target) is not None or (
                record is None and engine.group.machine.revision >= epoch
            ):
                raise AgentNotFound(f"no agent {target!r} lives")
            raise Moved(f"host {engine.host_id!r} has not heard yet where agent {target!r} is")
        if found is not None:
            return found
        apart = engine.parts.apart.activation_for(record) if engine.world.cut_off() else None
        if apart is not None:
            return apart
        if record.host != engine.host_id or record.lease != engine.tenancy.lease:
            raise Moved(
                f"agent {target!r} is not on host {engine.host_id!r}",
                host=record.host,
                epoch=record.epoch,
            )
        if not engine.tenancy.valid():
            raise Fenced(f"host {engine.host_id!r} cannot be sure that it may run its agents")
        if record.status == "failed":
            raise StartFailed(f"agent {target!r} failed too often and was given up")
        if self._failed_starts.get(target) == record.epoch:
            raise StartFailed(f"agent {target!r} did not start, and its life is being ended")
        engine.parts.restarts.check(target)
        if engine.parts.mover.is_moving(target):  # a turn begun here would be cut off by the move
            raise Fenced(f"agent {target!r} moves now, and comes up where it goes to")
        return self.bring_up(record)

    def bring_up(self, record: AgentRecord, restored: Any = None) -> Activation:
        """A new activation for a binding to this host. Raises `UnknownClass`, `UsageError`."""
        engine = self._engine
        activation = Activation(
            engine, record, engine.classes.find(record.kind), spec_of(record.spec)
        )
        key = (record.name, record.life)
        kept = self._checkpoints.pop(key, None)
        activation.restored = restored if restored is not None else kept
        self.here[record.name] = activation
        self._counts["brought_up"] += 1
        activation.start()
        return activation

    def prepare(self, name: str, life: int, checkpoint: Any) -> None:
        """Keep what is to be restored when the agent's binding comes here."""
        self._checkpoints[name, life] = checkpoint

    def forget(self, name: str, life: int) -> None:
        """The move was given up."""
        self._checkpoints.pop((name, life), None)

    def on_start_failed(self, activation: Activation, error: BaseException) -> None:
        """Its hooks raised, its class or its state cannot be used."""
        self._counts["start_failed"] += 1
        engine = self._engine
        cause = as_agent_error(error)
        if isinstance(cause, Fenced) or activation.status is Status.GONE:
            self.lose(activation, Happening.LOST)
            return
        starting = activation.record.status == "starting"
        hook = "on_start" if starting else "coming up"
        failed = StartFailed(f"agent {activation.name!r}: {hook} failed: {cause}")
        failed.__cause__ = cause
        if not activation.brought_up.done():
            activation.brought_up.set_exception(failed)
            activation.brought_up.exception()
        activation.become(Happening.BROKE)
        self._remove(activation)
        for message in activation.drop(Happening.LOST):
            if message.kind == "tell":
                engine.on_dead(activation.name, message, str(failed))
            message.fail(failed)
        if starting:
            reason = f"on_start failed: {cause}"[:REASON_CHARS_MAX]
            self._spawn(self._stop_binding(activation, reason))
        else:
            engine.parts.restarts.on_broke(activation, cause)

    async def _stop_binding(self, activation: Activation, reason: str) -> None:
        """End a life whose start failed; tried until the lease would have ended anyway. Nobody
        begins it anew meanwhile: the end may come late, and would hit what had begun well."""
        engine, name = self._engine, activation.name
        self._failed_starts[name] = activation.epoch
        try:
            for _ in range(5):
                try:
                    await engine.bindings.stop(
                        name,
                        epoch=activation.epoch,
                        life=activation.life,
                        reason=reason,
                        timeout=CALL_TIMEOUT_S,
                    )
                    return
                except QuorateError as error:
                    if error.outcome == "not_applied" and not isinstance(error, Timeout):
                        return
        finally:
            if self._failed_starts.get(name) == activation.epoch:
                del self._failed_starts[name]

    # --- ending -----------------------------------------------------------------------------------

    def on_changes(self, changes: Iterable[Change]) -> None:
        """What an applied entry did to bindings."""
        engine = self._engine
        for name, record, why in changes:
            activation = self.here.get(name)
            if record is None:
                if activation is not None and home_of(name) is None:
                    self._on_died(activation, why.partition(" ")[2])
                continue
            mine = record.host == engine.host_id and record.lease == engine.tenancy.lease
            if activation is None:
                if mine and self._wanted(record):
                    self._bring_up_quietly(record)
            elif activation.life == record.life and (mine or activation.epoch == record.epoch):
                activation.take(record)
            elif activation.epoch < record.epoch:
                engine.parts.mover.on_rebound(activation, record)
                if mine and name not in self.here and self._wanted(record):
                    self._bring_up_quietly(record)

    def _wanted(self, record: AgentRecord) -> bool:
        """Whether it comes up without being asked."""
        if self._failed_starts.get(record.name) == record.epoch:
            return False
        if record.status == "starting" or (record.name, record.life) in self._checkpoints:
            return True
        cls = self._engine.classes.get(record.kind)
        return record.status == "placed" and cls is not None and cls.cls.eager

    def _bring_up_quietly(self, record: AgentRecord) -> None:
        try:
            self.bring_up(record)
        except UsageError as error:
            self._engine.world.on_problem(f"agent {record.name!r}: {error}")
            if record.status == "starting":
                self._spawn(self._refuse_start(record, str(error)))

    async def _refuse_start(self, record: AgentRecord, why: str) -> None:
        try:
            await self._engine.bindings.stop(
                record.name, epoch=record.epoch, life=record.life, reason=why[:REASON_CHARS_MAX]
            )
        except QuorateError as error:
            self._engine.world.on_problem(f"agent {record.name!r}: {error}")

    def _on_died(self, activation: Activation, reason: str) -> None:
        """Its life is over, the group says."""
        self._counts["stopped"] += 1
        self._remove(activation)
        if activation.status is not Status.STOPPING:
            activation.become(Happening.STOPS)
        waiting = activation.drop(None)
        for message in waiting:
            self._tell_dead(activation.name, message, reason)
        self._spawn(self._last_words(activation, reason))

    def _tell_dead(self, name: str, message: Message, reason: str) -> None:
        why = f"agent {name!r} died: {reason}"
        if message.kind == "tell":
            self._engine.on_dead(name, message, why)
            message.ended = True
        else:
            message.fail(AgentNotFound(why))

    async def _last_words(self, activation: Activation, reason: str) -> None:
        await activation.wait_ended()
        if "on_stop" in activation.cls.overrides:
            try:
                async with asyncio.timeout(ON_STOP_TIMEOUT_S):
                    await activation.agent.on_stop(reason)
            except Exception as error:
                self._engine.world.on_problem(
                    f"agent {activation.name!r}: on_stop raised {type(error).__name__}: {error}"
                )
        activation.become(Happening.STOPPED)
        self._engine.on_ended(activation)

    def stop_self(self, activation: Activation, reason: str) -> None:
        """It asked for its own end; the group decides, and the change ends it."""
        activation.become(Happening.STOPS)
        self._spawn(self._stop_binding(activation, reason))

    def lose(self, activation: Activation, happening: Happening = Happening.LOST) -> None:
        """It is not this host's any more: end it, and send on what it had not begun."""
        self._counts["lost"] += 1
        self._remove(activation)
        waiting = activation.drop(happening)
        self.send_back(activation.name, waiting)

    def send_back(self, name: str, messages: Iterable[Message]) -> None:
        """Not begun here: each goes to where the agent is."""
        for message in messages:
            if message.kind == "call":
                message.fail(Fenced(f"agent {name!r} left this host"))
            else:
                self._engine.bounce(name, message)

    def lose_all(self) -> None:
        """The lease is over."""
        for activation in list(self.here.values()):
            if home_of(activation.name) is None and not activation.degraded:
                self.lose(activation)

    def take_away(self, name: str) -> Activation | None:
        """It moved: the caller ends it."""
        activation = self.here.get(name)
        if activation is not None:
            self._remove(activation)
        return activation

    def _remove(self, activation: Activation) -> None:
        if self.here.get(activation.name) is activation:
            del self.here[activation.name]
            self._engine.parts.on_gone(activation)

    # --- passivation ------------------------------------------------------------------------------

    def look_for_idle(self, now: float) -> None:
        """Let go what nobody needs, a slice of them at a time."""
        if not self._to_look_at:
            self._to_look_at = list(self.here.values())
            self._slice_agents = max(SLICE_AGENTS_MIN, len(self._to_look_at) // SLICES)
        for _ in range(min(self._slice_agents, len(self._to_look_at))):
            activation = self._to_look_at.pop()
            idle_s = activation.cls.cls.idle_after_s
            if (
                idle_s is not None
                and now - activation.last_active >= idle_s
                and activation.idle
                and not activation.paused
                and activation.status is Status.ACTIVE
                and home_of(activation.name) is None
                and not self._engine.parts.timers.has(activation)
            ):
                self._spawn(self.passivate(activation))

    def look_for_late(self, now: float) -> None:
        """Interrupt turns that take too long."""
        for activation in list(self._engine.running):
            turn = activation.turn
            if turn is not None and turn.until and now > turn.until and not turn.closed:
                limit_s = activation.cls.cls.turn_timeout_s
                activation.interrupt(turn, f"the turn took longer than {limit_s:g} s")
                turn.until = 0.0

    async def passivate(self, activation: Activation) -> bool:
        """Take an idle agent out of memory; False if something came in between."""
        if not activation.idle or activation.status is not Status.ACTIVE:
            return False
        activation.last_active = self._engine.now()
        if "on_passivate" in activation.cls.overrides:
            done = self._engine.world.loop.create_future()
            activation.post(
                lambda agent: agent.on_passivate(),
                label="on_passivate",
                done=lambda error: None if done.done() else done.set_result(error),
            )
            if await done is not None:
                return False
        if not activation.idle or self.here.get(activation.name) is not activation:
            return False
        self._counts["passivated"] += 1
        self._remove(activation)
        self.send_back(activation.name, activation.drop(Happening.IDLE))
        return True

    # --- the end ----------------------------------------------------------------------------------

    def _spawn(self, work: Any) -> None:
        task = self._engine.world.loop.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End every activation without effects, and wait until nothing runs."""
        activations = list(self.here.values())
        for activation in activations:
            self._remove(activation)
            for message in activation.drop(Happening.LOST):
                if message.kind == "tell":
                    self._engine.on_dead(activation.name, message, "the host stopped")
                message.fail(Fenced(f"agent {activation.name!r}: its host stopped"))
        for task in self._ending:
            task.cancel()
        await asyncio.gather(*(a.wait_ended() for a in activations))
        await asyncio.gather(*self._ending, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "in_memory": len(self.here),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
