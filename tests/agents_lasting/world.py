"""Agents on a make-believe group in virtual time: real bindings, real turns, no messages.

What stands in for the engine brings an agent up when it is asked for, runs its turns with the real
`Activation`, and commits what they write with the real fenced command. Hosts believe in their lease
for as long as the story says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from quorate.core import codec
from quorate.core.errors import AgentNotFound, Fenced, Moved, QuorateError, StartFailed
from quorate.core.group.bindings import Bindings
from quorate.core.machine import commands
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.activation import Activation
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.classes import Classes
from quorate.hosts.agents.failures import as_agent_error
from quorate.hosts.agents.health.backups import Backups
from quorate.hosts.agents.health.monitor import Health
from quorate.hosts.agents.health.restarts import Restarts
from quorate.hosts.agents.lasting.place import Place
from quorate.hosts.agents.lasting.reminders import Reminders
from quorate.hosts.agents.lasting.timers import Timers
from quorate.hosts.agents.lifecycle import Happening
from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.spec import spec_of
from quorate.hosts.agents.turns import Turn, current_turn
from quorate.hosts.agents.world import AgentSettings
from tests.group.mini import MiniGroup, MiniHost
from tests.group.virtual import run_virtual

NAMESPACE = "s:test"
LEASE_S = 60.0


class FakeBuffer:
    """A turn's writes, all strong."""

    def __init__(self, engine: MiniEngine, activation: Activation) -> None:
        self._engine = engine
        self._activation = activation
        self.writes: dict[str, bytes] = {}

    async def commit(self, until: float, marks: list[list[Any]]) -> None:
        engine = self._engine
        if engine.before_commit is not None:
            await engine.before_commit(self._activation.name)
        writes = [[NAMESPACE, key, data, 1] for key, data in self.writes.items()]
        left_s = max(0.01, until - engine.now())
        await engine.bindings.commit(
            self._activation.name, self._activation.epoch, writes, marks, timeout=left_s
        )

    def rollback(self) -> None:
        self.writes.clear()


class FakeState:
    """`self.state`: strong keys of the agent, and nothing else."""

    def __init__(self, engine: MiniEngine, activation: Activation) -> None:
        self._engine = engine
        self._activation = activation

    def begin(self, turn: Turn) -> FakeBuffer:
        return FakeBuffer(self._engine, self._activation)

    def close(self) -> None:
        return None

    def export_local(self) -> dict[str, Any]:
        return {}

    @property
    def used_bytes(self) -> int:
        return self._engine.used_bytes.get(self._activation.name, 0)

    def get(self, key: str) -> Any:
        return _read(self._engine.group.machine.kv_get(self._full(key), NAMESPACE))

    def _full(self, key: str) -> str:
        return f"{self._activation.name}/{key}"

    def put(self, key: str, value: Any) -> None:
        turn = current_turn.get()
        assert turn is not None
        if turn.buffer is None:
            turn.buffer = self.begin(turn)  # type: ignore[assignment]
        turn.buffer.writes[self._full(key)] = codec.encode_value(value)  # type: ignore[union-attr]


class FakeTenancy:
    """Believes what the story says."""

    def __init__(self) -> None:
        self.lease = 0
        self.believes = True

    def valid(self) -> bool:
        return self.lease != 0 and self.believes


class MiniEngine:
    """In place of the engine of one host."""

    def __init__(self, world: World, host: MiniHost, reminders: type[Reminders]) -> None:
        self.host = host
        self.group = host.group
        self.host_id = host.name
        self.now = host.group.clock.monotonic
        self.problems: list[str] = []
        loop: Any = world.mini.loop
        self.world = SimpleNamespace(
            group=host.group,
            loop=loop,
            host_id=host.name,
            settings=AgentSettings(),
            on_problem=self.problems.append,
        )
        self.tenancy = FakeTenancy()
        self.bindings = Bindings(host.group)
        self.classes = Classes()
        self.here: dict[str, Activation] = {}
        self.running: dict[Activation, None] = {}
        self.face = None
        self.used_bytes: dict[str, int] = {}
        """How much an agent's state is said to be."""
        self.brought_up: list[str] = []
        self.broken: list[QuorateError] = []
        """What keeps agents from coming up."""
        self.before_commit: Callable[[str], Awaitable[None]] | None = None
        me: Any = self
        self.place = Place(
            lambda: self.tenancy.lease, self.tenancy.valid, self.placed_here, self.bring_up
        )
        restarts = Restarts(
            me.world,
            self.bindings,
            self.place,
            let_go=lambda activation: self.let_go(activation.name),
            vouch=lambda *_: None,
        )
        self.parts = SimpleNamespace(
            reminders=reminders(me.world, self.place),
            timers=Timers(me.world),
            restarts=restarts,
            health=Health(me.world, self.here, restarts, Backups(me.world)),
        )
        self.listeners: list[Callable[[list[Any], list[Any]], None]] = [
            lambda changes, downs: self.parts.reminders.on_applied(changes)
        ]

    # --- what activations ask for -----------------------------------------------------------------

    async def open_state(self, activation: Activation) -> Any:
        return FakeState(self, activation)

    def on_start_failed(self, activation: Activation, error: BaseException) -> None:
        """As the residents have it."""
        cause = as_agent_error(error)
        self.broken.append(cause)
        self.let_go(activation.name)
        self.parts.restarts.on_broke(activation, cause)

    def on_brought_up(self, activation: Activation) -> None:
        self.brought_up.append(activation.name)
        self.parts.restarts.on_brought_up(activation)

    async def wait_valid(self, until: float, activation: Activation) -> bool:
        return self.tenancy.valid() and activation.alive

    def on_tell_failed(self, name: str, message: Message, error: object) -> None:
        return None

    # --- what the parts ask for -------------------------------------------------------------------

    def placed_here(self, record: AgentRecord) -> bool:
        return record.host == self.host_id and record.lease == self.tenancy.lease != 0

    def bring_up(self, name: str) -> Activation:
        record = self.group.machine.agent(name)
        if record is None:
            raise AgentNotFound(name)
        found = self.here.get(name)
        if found is not None and found.epoch == record.epoch:
            return found
        if not self.placed_here(record):
            raise Moved(name, host=record.host, epoch=record.epoch)
        if not self.tenancy.valid():
            raise Fenced(name)
        if record.status == "failed":
            raise StartFailed(name)
        self.parts.restarts.check(name)
        me: Any = self
        made = Activation(me, record, self.classes.find(record.kind), spec_of(record.spec))
        self.here[name] = made
        made.start()
        return made

    # --- news -------------------------------------------------------------------------------------

    def on_entry(self) -> None:
        machine = self.group.machine
        changes = machine.agent_changes
        for name, record, _ in changes:
            activation = self.here.get(name)
            if activation is None:
                continue
            if record is None or record.epoch != activation.epoch:
                self.let_go(name)
            else:
                activation.take(record)
        for listener in self.listeners:
            listener(list(changes), list(machine.agent_downs))

    def let_go(self, name: str) -> None:
        """As a passivation, a move or a loss does."""
        activation = self.here.pop(name, None)
        if activation is not None:
            self.parts.timers.on_gone(activation)
            self.parts.health.on_gone(activation)
            for message in activation.drop(Happening.LOST):
                message.fail(Fenced(f"agent {name!r} left this host"))

    async def stop(self) -> None:
        for part in vars(self.parts).values():
            if hasattr(part, "stop"):
                part.stop()
        await self.parts.restarts.wait_stopped()
        for activation in list(self.here.values()):
            self.let_go(activation.name)
            await activation.wait_ended()


class World:
    """Hosts a, b and c, each with a lease to run agents under."""

    def __init__(self, mini: MiniGroup, reminders: type[Reminders] = Reminders) -> None:
        self.mini = mini
        self.engines = {
            name: MiniEngine(self, host, reminders) for name, host in mini.hosts.items()
        }
        for name, host in mini.hosts.items():
            _tell(host, self.engines[name].on_entry)
        self.a, self.b, self.c = self.engines.values()

    async def join(self) -> None:
        for engine in self.engines.values():
            lease = await engine.host.leases.grant(LEASE_S)
            engine.tenancy.lease = lease.id

    async def start(
        self,
        cls: type[Agent],
        name: str = "x",
        at: str = "a",
        **options: Any,
    ) -> AgentRecord:
        """An agent, placed and started."""
        for engine in self.engines.values():
            engine.classes.register(cls)
        kind = self.a.classes.of(cls).kind
        engine = self.engines[at]
        record, _ = await engine.bindings.start(
            name, kind, host=at, lease=engine.tenancy.lease, status="placed", **options
        )
        await self.settle()
        return record

    async def turn(
        self, name: str, work: Callable[[Any], Awaitable[object]], at: str = "a"
    ) -> None:
        """Run `work(agent)` as a turn; what it raises is raised."""
        ended = self.mini.loop.create_future()

        def done(error: BaseException | None) -> None:
            if error is None:
                ended.set_result(None)
            else:
                ended.set_exception(error)

        self.engines[at].bring_up(name).post(work, label="story", done=done)
        await ended

    async def take_over(self, name: str, to: str) -> AgentRecord:
        """The lease of its host ended, as the group has it, and `to` has the agent now; whether its
        former host has heard of it is the story's."""
        engine = self.engines[to]
        record = engine.group.machine.agent(name)
        assert record is not None
        await engine.group.propose(commands.lease_revoke(record.lease), 16, 1)
        bound = await engine.bindings.bind(
            name, record.epoch, to, engine.tenancy.lease, "take", timeout=1
        )
        await self.settle()
        return bound

    async def settle(self) -> None:
        """Let everything that is on its way arrive."""
        await self.mini.pass_time(0.05)

    async def pass_time(self, seconds: float) -> None:
        await self.mini.pass_time(seconds)

    def value(self, name: str, key: str, at: str = "a") -> Any:
        """What the group has of an agent's state, as this host knows it."""
        return _read(self.engines[at].group.machine.kv_get(f"{name}/{key}", NAMESPACE))

    async def stop(self) -> None:
        for engine in self.engines.values():
            await engine.stop()


def _read(row: Any) -> Any:
    """The value of a stamped record."""
    return None if row is None else codec.decode_value(codec.loads(row.value)[1])


def _tell(host: MiniHost, listener: Callable[[], None]) -> None:
    """Have `listener` called after each entry that the host applied."""
    compared = host.digests.on_applied

    def on_applied(index: int) -> None:
        compared(index)
        listener()

    host.digests.on_applied = on_applied  # type: ignore[method-assign]


def told(story: Callable[[World], Awaitable[None]], reminders: type[Reminders] = Reminders) -> None:
    """Tell a story in virtual time; nothing may be left running."""

    async def tell() -> None:
        async with MiniGroup("abc") as mini:
            world = World(mini, reminders)
            await world.join()
            try:
                await story(world)
            finally:
                await world.stop()

    run_virtual(tell())


async def outcome(work: Awaitable[Any]) -> QuorateError | None:
    """What it raised."""
    try:
        await work
    except QuorateError as error:
        return error
    return None
