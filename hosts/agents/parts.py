"""What the engine has beside messages and turns: placing, state, time, kin, health, moves.

The law of this file: it builds these parts and passes news on to those that want it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from quorate.core.clock import SystemClock
from quorate.hosts.agents.agents import Agents
from quorate.hosts.agents.anonymous import Anonymous, NoState
from quorate.hosts.agents.apart.apart import Apart
from quorate.hosts.agents.circles import TYPE as PROBE
from quorate.hosts.agents.circles import Circles
from quorate.hosts.agents.health.backups import Backups
from quorate.hosts.agents.health.monitor import Health
from quorate.hosts.agents.health.restarts import Restarts
from quorate.hosts.agents.health.watchdog import Blocked, Watchdog
from quorate.hosts.agents.kin.kin import Kin
from quorate.hosts.agents.lasting.place import Place
from quorate.hosts.agents.lasting.reminders import Reminders
from quorate.hosts.agents.lasting.timers import Timers
from quorate.hosts.agents.moving.mover import Mover
from quorate.hosts.agents.names import home_of
from quorate.hosts.agents.placement.placing import Placing, nothing_measured
from quorate.hosts.agents.spec import spec_of
from quorate.hosts.agents.state.facade import AgentState
from quorate.hosts.agents.state.keeper import Keeper

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentDown, AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.engine import AgentEngine

REASONS_KEPT: Final = 10_000
TOGETHER_CALLS_MAX: Final = 64


class Parts:
    """Built with the engine."""

    def __init__(self, engine: AgentEngine) -> None:
        world = engine.world
        self._engine = engine
        self._reasons: OrderedDict[str, str] = OrderedDict()
        self.placing = Placing(engine, world.probe or nothing_measured)
        self.keeper = Keeper(world, engine.bindings)
        self.apart = Apart(engine)
        self.mover = Mover(engine)
        self.circles = Circles(engine)
        self.anonymous = Anonymous(engine)
        place = Place(
            lease=lambda: engine.tenancy.lease,
            valid=engine.tenancy.valid,
            placed_here=engine.placed_here,
            bring_up=lambda name: engine.activation_for(name, 0),
        )
        self.timers = Timers(world)
        self.reminders = Reminders(world, place)
        self.kin = Kin(world, engine.bindings, place)
        self.restarts = Restarts(
            world,
            engine.bindings,
            place,
            let_go=engine.residents.lose,
            vouch=engine.on_left,
        )
        self.backups = Backups(world)
        self.health = Health(world, engine.here, self.restarts, self.backups)
        self.watchdog: Watchdog | None = None
        self.face = Agents(engine)

    # --- news -------------------------------------------------------------------------------------

    def start(self) -> None:
        self.placing.start()
        world = self._engine.world
        if isinstance(world.group.clock, SystemClock):  # not in virtual time
            self.watchdog = Watchdog.of(world.loop, world.group.clock.monotonic)
            self.watchdog.listen(self._on_blocked)

    def _on_blocked(self, blocked: Blocked) -> None:
        self._engine.world.on_problem(str(blocked))

    def on_beat(self, now: float) -> None:
        """A few times a second."""
        self.apart.look()
        self.circles.look(now)
        self.placing.on_beat()
        self.keeper.on_beat(now)
        self.health.on_beat(now)

    def on_applied(self, changes: Sequence[Change], downs: Sequence[AgentDown]) -> None:
        """What an entry of the group did to agents."""
        if changes:
            self._remember(changes)
            self.placing.on_applied(changes)
            self.reminders.on_applied(changes)
        self.kin.on_applied(changes, downs)

    def on_leases_gone(self, gone: list[int]) -> None:
        self.placing.on_leases_gone()
        self.kin.on_leases_gone(gone)

    def on_joined(self) -> None:
        """This host may act for its agents (again)."""
        self.apart.on_held()
        self.reminders.on_held()
        self.kin.on_held()

    def on_roster(self) -> None:
        self.placing.on_roster()

    def on_snapshot_installed(self) -> None:
        self.placing.on_snapshot_installed()
        self.reminders.on_snapshot_installed()
        self.kin.on_snapshot_installed()

    def on_leader(self, leader: str | None) -> None:
        self.placing.on_leader()
        self.kin.on_leader()

    def on_peer(self, peer: str, *, up: bool) -> None:
        self.placing.on_peer(peer, up=up)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """A message that is no batch of envelopes."""
        if message["type"] == PROBE:
            self.circles.on_message(peer, message)
        else:
            self.placing.on_message(peer, message)

    def on_brought_up(self, activation: Activation) -> None:
        """It takes messages."""
        self.restarts.on_brought_up(activation)

    def on_gone(self, activation: Activation) -> None:
        """It is in this host's memory no more."""
        self.timers.on_gone(activation)
        self.health.on_gone(activation)

    def on_ended(self, activation: Activation) -> None:
        """Its life is over, and nothing of it runs here any more."""
        self.keeper.on_died(
            activation.name, activation.life, keep_state=activation.cls.cls.keep_state
        )

    def on_died_passive(self, record: AgentRecord) -> None:
        """An agent of this host died while it was not in memory."""
        cls = self._engine.classes.get(record.kind)
        if cls is not None:
            self.keeper.on_died(record.name, record.life, keep_state=cls.cls.keep_state)

    async def cover(self, token: bytes, until: float) -> None:
        """Wait until this host has everything of a session of an agent's state."""
        await self.keeper.cover(token, until)

    def reports(self) -> list[Any]:
        """What failovers and heals had to lose or to reconcile."""
        return [*self.keeper.reports(), *self.apart.kept, *self.backups.reports]

    # --- the end ----------------------------------------------------------------------------------

    async def leave(self, timeout_s: float) -> None:
        """The host leaves in good order."""
        await self.kin.leave(timeout_s)

    def stop(self) -> None:
        for part in (self.reminders, self.timers, self.kin, self.restarts, self.placing):
            part.stop()
        if self.watchdog is not None:
            self.watchdog.unlisten(self._on_blocked)
        self.keeper.stop()
        self.mover.stop()
        self.anonymous.stop()

    async def wait_stopped(self) -> None:
        await self.mover.wait_stopped()
        await self.placing.wait_stopped()
        await self.restarts.wait_stopped()
        await self.kin.wait_stopped()
        await self.keeper.wait_stopped()

    def statistics(self) -> dict[str, Any]:
        return {
            "moves": self.mover.statistics(),
            "apart": self.apart.statistics(),
            "state": self.keeper.statistics(),
            "placing": self.placing.statistics(),
            "reminders": self.reminders.statistics(),
            "timers": self.timers.statistics(),
            "kin": self.kin.statistics(),
            "health": self.health.statistics(),
            "watchdog": {} if self.watchdog is None else self.watchdog.statistics(),
            **self.restarts.statistics(),
            **self.circles.statistics(),
        }

    # --- why things ended -------------------------------------------------------------------------

    def _remember(self, changes: Iterable[Change]) -> None:
        for name, record, why in changes:
            if record is None:
                self._reasons[name] = why.partition(" ")[2]
                self._reasons.move_to_end(name)
        while len(self._reasons) > REASONS_KEPT:
            self._reasons.popitem(last=False)

    def why_ended(self, name: str, life: int) -> str:
        """Why the last life of this name ended; empty if that is not remembered."""
        return self.kin.explain(self._reasons.get(name, ""))

    def version_of(self, record: AgentRecord) -> int:
        """The version of the class that the agent was started with."""
        return spec_of(record.spec).version

    async def open_state(self, activation: Activation) -> AgentState:
        if home_of(activation.name) is not None:
            return cast(Any, NoState())
        cls = activation.cls.cls
        opened = await self.keeper.open(
            activation,
            keep_state=cls.keep_state,
            consistency=cls.consistency,
            bytes_max=cls.state_bytes_max,
        )
        return AgentState(opened)

    async def gather(self, work: Iterable[Any]) -> list[Any]:
        """Await all, some at a time; the first error is raised when all have ended."""
        limit = asyncio.Semaphore(TOGETHER_CALLS_MAX)

        async def one(awaitable: Any) -> Any:
            async with limit:
                return await awaitable

        results = await asyncio.gather(*(one(each) for each in work), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results
