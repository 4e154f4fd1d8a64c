"""Real hosts in one process, and agents of which only the state is real: a holder for the
activation, a turn for the turn. Bindings, leases and commits are the group's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from quorate import Cluster, Host
from quorate.core.errors import InvariantBroken
from quorate.core.group.bindings import Bindings
from quorate.core.machine import commands
from quorate.core.machine.records import AgentRecord
from quorate.core.wire.ports import free_addresses
from quorate.hosts.agents.state.facade import AgentState
from quorate.hosts.agents.state.keeper import Keeper
from quorate.hosts.agents.turns import current_turn

FAST = {"heartbeat_s": 0.05, "election_min_s": 0.25, "election_max_s": 0.5}
STORY_S = 30.0
MIB = 1 << 20


class Holder:
    """An activation, as far as its state looks at it."""

    def __init__(self, record: AgentRecord) -> None:
        self.record = record
        self.name, self.life, self.epoch = record.name, record.life, record.epoch
        self.holds = True
        self.degraded = False

    def take(self, record: AgentRecord) -> None:
        self.record, self.epoch = record, record.epoch


class Turn:
    """A turn, as far as the state looks at it."""

    def __init__(self, holder: Holder, *, shared: bool = False, level: str | None = None) -> None:
        self.activation = holder
        self.shared = shared
        self.level = level
        self.closed = False
        self.buffer: Any = None
        self.marks: list[list[Any]] = []


class Place:
    """One host with its keeper and a lease to run agents under."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.engine: Any = host.runtime.agents
        self.engine.parts.placing.look = lambda *_: None  # these are no agents that anybody can run
        self.keeper: Keeper = self.engine.parts.keeper
        self.bindings = Bindings(host.group)
        self.lease = 0

    @property
    def plane(self) -> Any:
        return self.keeper.desk.plane

    async def hold(self, ttl: float = 60.0) -> int:
        """A lease of its own; the engine's is for real agents."""
        self.lease = (await self.host.leases.grant(ttl)).id
        return self.lease

    async def start(self, name: str) -> AgentRecord:
        if not self.lease:
            await self.hold()
        record, _ = await self.bindings.start(
            name, "tests.Kind", host=self.host.id, lease=self.lease, status="placed"
        )
        return record

    async def take(self, record: AgentRecord, mode: Any = "move") -> AgentRecord:
        """Bind it here."""
        if not self.lease:
            await self.hold()
        return await self.bindings.bind(record.name, record.epoch, self.host.id, self.lease, mode)

    async def open(
        self,
        record: AgentRecord,
        *,
        consistency: str = "eventual",
        keep_state: bool = False,
        bytes_max: int = 64 * MIB,
        degraded: bool = False,
    ) -> Agent:
        holder = Holder(record)
        holder.degraded = degraded
        state = await AgentState.open(
            self.keeper,
            holder,  # type: ignore[arg-type]
            keep_state=keep_state,
            consistency=consistency,
            bytes_max=bytes_max,
        )
        return Agent(self, holder, state)


class Agent:
    """A holder and its state, with turns."""

    def __init__(self, place: Place, holder: Holder, state: AgentState) -> None:
        self.place = place
        self.holder = holder
        self.state = state

    @property
    def opened(self) -> Any:
        return self.state._opened  # pyright: ignore[reportPrivateUsage]

    @property
    def ledger(self) -> Any:
        return self.opened.ledger

    @asynccontextmanager
    async def turn(
        self, *, shared: bool = False, level: str | None = None, marks: Any = (), left: float = 10.0
    ) -> AsyncIterator[Turn]:
        """One turn: committed at the end, rolled back if the body or the commit raises."""
        turn = Turn(self.holder, shared=shared, level=level)
        turn.marks = [list(mark) for mark in marks]
        token = current_turn.set(turn)  # type: ignore[arg-type]
        try:
            yield turn
            if turn.marks and turn.buffer is None:
                turn.buffer = self.state.begin(turn)
            if turn.buffer is not None:
                until = self.place.plane.clock.monotonic() + left
                await turn.buffer.commit(until, turn.marks)
        except BaseException:
            if turn.buffer is not None:
                turn.buffer.rollback()
            raise
        finally:
            turn.closed = True
            current_turn.reset(token)

    async def put(self, key: str, value: Any, **options: Any) -> Any:
        """A turn of one write; its receipt."""
        async with self.turn() as turn:
            await self.state.put(key, value, **options)
        return turn.buffer.receipt

    def fail_at(self, step: str, error: BaseException | None = None) -> None:
        """Have the next commit end at this step, as a crash would: what was done is done."""

        def at(reached: str) -> None:
            if reached == step:
                raise error or InvariantBroken(f"planted: died at {step}")

        self.opened.committer.on_step = at

    def go_on(self) -> None:
        self.opened.committer.on_step = lambda step: None


class World:
    """A running cluster and the loop it lives on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: Cluster) -> None:
        self.loop = loop
        self.cluster = cluster
        self._names = 0
        self._places: dict[str, Place] = {}

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(story, STORY_S))

    def place(self, host_id: str) -> Place:
        if host_id not in self._places:
            self._places[host_id] = Place(self.cluster.hosts[host_id])
        return self._places[host_id]

    def name(self) -> str:
        self._names += 1
        return f"agent:{self._names}"

    async def agent(self, host_id: str = "a", **options: Any) -> Agent:
        place = self.place(host_id)
        return await place.open(await place.start(self.name()), **options)


async def end_lease(by: Place, of: Place) -> None:
    """The lease under which a host ran agents is over, the group says."""
    await by.host.group.propose(commands.lease_revoke(of.lease), 16, 10.0)


def cut(host: Host, others: Iterable[Host]) -> None:
    """Both directions: nobody listens where they dial now."""
    nowhere = free_addresses(1)[0]
    for other in others:
        host.mesh.set_override(other.id, nowhere)
        other.mesh.set_override(host.id, nowhere)


def heal(host: Host, others: Iterable[Host]) -> None:
    for other in others:
        host.mesh.set_override(other.id, None)
        other.mesh.set_override(host.id, None)


async def until(place: Place, look: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait until `look()` is true on a host: asked again whenever something moved there."""
    plane = place.plane
    end = plane.clock.monotonic() + timeout_s
    while not (found := look()):
        now = plane.clock.monotonic()
        assert now < end, "it never came"
        await plane.news.wait(min(end, now + 0.05))
    return found


def run_story(story: Coroutine[Any, Any, Any]) -> Any:
    """Run a story that has its own hosts; nothing may be left over."""

    async def bounded() -> Any:
        result = await asyncio.wait_for(story, STORY_S)
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks left over: {left}"
        return result

    return asyncio.run(bounded())
