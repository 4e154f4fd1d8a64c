"""Moving one agent: from standing still here to taking messages there.

The law of this file: the group's binding is the one moment at which an agent changes its host.
Before it the source has everything and may go on; after it the target has everything it needs.
Whoever dies in between changes nothing of that: the binding says where the agent is, and its strong
state is in the group. Whether an unanswered binding happened is found out before anything is done.

    source                                    group            target
    cover: what was written is there  ------------------------>  waits for its replica
    quiesce, checkpoint
    prepare(checkpoint, session)      ------------------------>  keeps it, not running
    bind(epoch)                       ------->  new epoch ---->  runs, restored
    hand on the mailbox, in order     ------------------------>  takes it behind
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from quorate.core import codec
from quorate.core.errors import (
    AgentNotFound,
    Fenced,
    LimitExceeded,
    NotCommitted,
    NotFound,
    OutcomeUnknown,
    QuorateError,
    Refused,
    Timeout,
    UsageError,
)
from quorate.core.group.requests import Reply, answer
from quorate.hosts.agents.classes import CHOICES
from quorate.hosts.agents.directory import Location
from quorate.hosts.agents.lifecycle import Happening, Status
from quorate.hosts.agents.moving.receiver import COVER, FORGET, PREPARE, Receiver

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.engine import AgentEngine
    from quorate.hosts.agents.roster import HostRow

MOVE: Final = "agent.move"

STEPS: Final = (
    "asked",
    "covered",
    "quiesced",
    "checkpointed",
    "prepared",
    "binding",
    "bound",
    "handed_on",
)
"""The steps of a move at its source, in order; `on_step` is called at each."""

QUIESCE_TIMEOUT_S: Final = 10.0
CALL_TIMEOUT_S: Final = 5.0
CHECKPOINT_BYTES_MAX: Final = 8 * 1024 * 1024
AGAIN_S: Final = 0.05
COMING_S: Final = 2.0
"""How long a move waits for what a host that can be reached has not told yet: hosts tell the group
that they run agents, and which, a moment after they start."""


class Mover:
    """One per host. `on_step(name, step)`: for tests, which make something fail there."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._moving: dict[str, str] = {}
        """Agents that stand still because they move: name -> where to."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self.on_step: Callable[[str, str], None] = _nothing
        self._counts = dict.fromkeys(("moved", "stayed"), 0)
        self.pauses_s: list[float] = []
        """How long the last moves from here stood still, until the binding."""
        self._receiver = Receiver(engine)
        engine.group.requests.handle(MOVE, self._on_move)

    def is_moving(self, name: str) -> bool:
        """Whether the agent stands still here because it moves."""
        return name in self._moving

    # --- the order --------------------------------------------------------------------------------

    async def move(
        self, name: str, to: str, strategy: str | None = None, timeout: float | None = None
    ) -> Location:
        """Move an agent to the host `to`, from whatever host. Returns its new place.

        Raises `AgentNotFound`, `UsageError` (an unknown strategy), `NotFound` (no such host runs
        agents), `Refused` (that host cannot run it), `Timeout` (a turn took too long), and
        `Unavailable`; the agent then goes on where it is. A host that has just started is given
        `COMING_S` to tell what it runs."""
        engine = self._engine
        if strategy is not None and strategy not in CHOICES["migration"]:
            raise UsageError(f"strategy={strategy!r}: use one of {', '.join(CHOICES['migration'])}")
        until = engine.now() + engine.group.seconds(timeout)
        while True:
            record = engine.directory.look(name)
            if record is None:
                await engine.group.read_point("linearizable", max(0.0, until - engine.now()))
                record = engine.directory.look(name)
            if record is None:
                raise AgentNotFound(f"no agent {name!r} lives")
            await self._target(record, to, until)
            if record.host == to and engine.directory.runs(record):
                return Location(to, record.epoch, "active")
            left_s = until - engine.now()
            if left_s <= 0:
                raise Timeout(f"agent {name!r} was not moved to {to!r} in time; it is where it was")
            if engine.placed_here(record):
                return await self._by(until, name, self._from_here(record, to, strategy, until))
            if not engine.directory.runs(record):
                await engine.directory.wait(name, min(until, engine.now() + 0.2))
                continue
            answer: Any = await engine.group.requests.ask(
                record.host, MOVE, [name, to, strategy, int(left_s * 1000)], left_s
            )
            if answer is not None:
                return Location(str(answer[0]), int(answer[1]), "active")
            await engine.directory.wait(name, min(until, engine.now() + AGAIN_S))

    async def _by(self, until: float, name: str, work: Coroutine[Any, Any, Location]) -> Location:
        """The caller's part of a move ends by its deadline; finding out what became of an
        unanswered binding goes on."""
        task = self._engine.world.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        done, _ = await asyncio.wait([task], timeout=max(0.0, until - self._engine.now()))
        if not done:
            raise OutcomeUnknown(f"agent {name!r}: whether it moved is still being found out")
        return task.result()

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more

    def _on_move(self, peer: str, args: list[Any], reply: Reply) -> None:
        name, to, strategy, left_ms = args
        until = self._engine.now() + int(left_ms) / 1000

        async def work() -> Any:
            record = self._engine.directory.look(str(name))
            if record is None or not self._engine.placed_here(record):
                return None
            place = await self._from_here(record, str(to), strategy, until)
            return [place.host, place.epoch]

        self._answer(work(), reply)

    def _answer(self, work: Awaitable[Any], reply: Reply) -> None:
        task = self._engine.world.loop.create_task(answer(work, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the source -------------------------------------------------------------------------------

    async def _from_here(
        self, record: AgentRecord, to: str, strategy: str | None, until: float
    ) -> Location:
        engine, name = self._engine, record.name
        row = await self._target(record, to, until)
        if name in self._moving:
            raise Refused(f"agent {name!r} moves already, to {self._moving[name]!r}")
        activation = engine.here.get(name)
        if activation is not None and activation.status is Status.STARTING:
            await asyncio.wait([activation.brought_up], timeout=max(0.0, until - engine.now()))
            activation = engine.here.get(name)
            if activation is not None and activation.status is Status.STARTING:
                raise Timeout(f"agent {name!r} was still coming up when it was to move")
        cls = engine.classes.find(record.kind).cls
        how = strategy or cls.migration
        self._step(name, "asked")
        self._moving[name] = to
        began = 0.0
        try:
            if how != "cold_start" and activation is not None:
                token = await activation.state.token()
                await self._ask(to, COVER, [token], until)
            self._step(name, "covered")
            began = engine.now()
            await self._stand_still(activation, until)
            self._step(name, "quiesced")
            checkpoint = await self._checkpoint(activation, how)
            self._step(name, "checkpointed")
            await self._ask(to, PREPARE, [name, record.life, record.kind, checkpoint], until)
            self._step(name, "prepared")
            bound = await self._bind(record, row, until)
        except BaseException as error:
            await self._stay(record, activation, to)
            if isinstance(error, OutcomeUnknown):
                raise NotCommitted(f"agent {name!r} was not moved: {error}") from error
            raise
        self._step(name, "bound")
        self._leave(record, bound)
        self._step(name, "handed_on")
        self.pauses_s.append(engine.now() - began)
        del self.pauses_s[:-1000]
        return Location(bound.host, bound.epoch, "active")

    def _step(self, name: str, step: str) -> None:
        self.on_step(name, step)

    async def _target(self, record: AgentRecord, to: str, until: float) -> HostRow:
        """The host `to`, which can run the agent. Raises `NotFound`, `Refused`."""
        engine = self._engine
        version = engine.parts.version_of(record)
        patience = min(until, engine.now() + COMING_S)
        while True:
            row = engine.roster.get(to)
            if row is not None and row.classes.get(record.kind, 0) >= version:
                return row
            comes = to == engine.host_id or engine.world.is_up(to)
            if not comes or engine.now() >= patience:
                break
            await engine.directory.wait(record.name, min(patience, engine.now() + AGAIN_S))
            engine.look_at_roster()
        if row is None:
            raise NotFound(
                f"no host {to!r} runs agents now; there are {', '.join(engine.roster.rows)}"
            )
        raise Refused(
            f"host {to!r} cannot run {record.kind!r} version {version}: it has "
            f"{row.classes.get(record.kind, 'none')}"
        )

    async def _ask(self, to: str, method: str, args: list[Any], until: float) -> Any:
        left_s = until - self._engine.now()
        if left_s <= 0:
            raise Timeout("the move was not done in time")
        return await self._engine.group.requests.ask(to, method, args, left_s)

    async def _stand_still(self, activation: Activation | None, until: float) -> None:
        if activation is None:
            return
        left_s = min(QUIESCE_TIMEOUT_S, until - self._engine.now())
        if not await activation.quiesce(max(0.0, left_s)):
            raise Timeout(f"agent {activation.name!r}: a turn ran too long to move it")
        if activation.status is Status.ACTIVE:
            activation.become(Happening.LEAVES)
        elif activation.status is not Status.MIGRATING:
            raise Fenced(f"agent {activation.name!r} is {activation.status.value}")

    async def _checkpoint(self, activation: Activation | None, how: str) -> list[Any]:
        """[whether there is one, the object's own, its local layer, its session]"""
        if activation is None:
            return [False, b"", b"", b""]
        token = await activation.state.token()
        if how == "cold_start":
            return [False, b"", b"", token]
        value: Any = None
        if "on_checkpoint" in activation.cls.overrides:
            value = await activation.agent.on_checkpoint()
        data = codec.encode_value(value)
        local = codec.encode_value(activation.state.export_local())
        if len(data) + len(local) > CHECKPOINT_BYTES_MAX:
            raise LimitExceeded(
                f"agent {activation.name!r}: its checkpoint has {len(data) + len(local)} bytes, "
                f"{CHECKPOINT_BYTES_MAX} at most: keep large things in self.state"
            )
        return [True, data, local, token]

    async def _bind(self, record: AgentRecord, row: HostRow, until: float) -> AgentRecord:
        """The one moment. Raises what certainly kept it from happening."""
        engine = self._engine
        self._step(record.name, "binding")
        try:
            left_s = max(0.05, until - engine.now())
            return await engine.bindings.bind(
                record.name, record.epoch, row.id, row.lease, "move", timeout=left_s
            )
        except OutcomeUnknown as error:
            return await self._find_out(record, row, error)

    async def _find_out(
        self, record: AgentRecord, row: HostRow, error: OutcomeUnknown
    ) -> AgentRecord:
        """Whether the binding happened. Binding the agent to this host once more settles it: either
        that is refused, or what is still on its way will be."""
        engine = self._engine
        while engine.tenancy.lease == record.lease and not engine.stopped:
            try:
                await engine.bindings.bind(
                    record.name,
                    record.epoch,
                    record.host,
                    record.lease,
                    "move",
                    timeout=CALL_TIMEOUT_S,
                )
            except Refused:  # the epoch is another one: it did happen, or the agent died
                await asyncio.sleep(0)
                now = engine.directory.look(record.name)
                if now is not None and now.host == row.id:
                    return now
                raise NotCommitted(f"agent {record.name!r} is bound elsewhere by now") from error
            except QuorateError:
                await asyncio.sleep(AGAIN_S)
                continue
            raise NotCommitted(f"agent {record.name!r} was not moved: {error}") from error
        raise error

    async def _stay(self, record: AgentRecord, activation: Activation | None, to: str) -> None:
        """The move was given up; the agent goes on here, unless it is not this host's any more."""
        engine, name = self._engine, record.name
        self._counts["stayed"] += 1
        self._moving.pop(name, None)
        if activation is not None and engine.here.get(name) is activation:
            if activation.status is Status.MIGRATING:
                activation.become(Happening.STAYS)
            activation.resume()
        engine.incoming.stays(name)
        self._answer_forget(to, name, record.life)

    def _answer_forget(self, to: str, name: str, life: int) -> None:
        async def tell() -> None:
            try:
                await self._engine.group.requests.ask(to, FORGET, [name, life], CALL_TIMEOUT_S)
            except QuorateError:
                return  # it is forgotten when the agent is bound elsewhere

        task = self._engine.world.loop.create_task(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_rebound(self, activation: Activation, record: AgentRecord) -> None:
        """A later binding of an agent that is here was applied."""
        moves = activation.status is Status.MIGRATING and activation.life == record.life
        if moves and self._moving.get(activation.name) == record.host:
            self._leave(activation.record, record)
        else:
            self._moving.pop(activation.name, None)
            self._engine.residents.lose(activation)

    def _leave(self, former: AgentRecord, record: AgentRecord) -> None:
        """It is bound to its new host: what was not begun goes there, in order."""
        engine, name = self._engine, former.name
        if self._moving.pop(name, None) is None:
            return
        self._counts["moved"] += 1
        engine.on_left(name, former.epoch, record.epoch)
        activation = engine.residents.take_away(name)
        waiting = [] if activation is None else activation.drop(Happening.MOVED)
        engine.incoming.hand_on(name, record.host, record.epoch, waiting)

    # --- the end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        self._receiver.stop()
        for task in self._tasks:
            task.cancel()

    async def wait_stopped(self) -> None:
        await self._receiver.wait_stopped()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "moving": len(self._moving),
            "received_total": self._receiver.received,
            **{f"{name}_total": count for name, count in self._counts.items()},
        }


def _nothing(name: str, step: str) -> None:
    return None
