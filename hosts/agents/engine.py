"""The agents of one host: the parts, and what they tell each other.

The law of this file: it builds the parts and hands news from one to the other; what a part does is
written in the part. Everything is for the one event loop that owns the host; time, chance, links
and the group come from `world`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from quorate.core.clock import Timer
from quorate.core.errors import Fenced, QuorateError
from quorate.core.group.bindings import Bindings
from quorate.hosts.agents.calls import Calls
from quorate.hosts.agents.classes import Classes
from quorate.hosts.agents.dead_letters import DeadLetters
from quorate.hosts.agents.directory import Directory
from quorate.hosts.agents.incoming import Incoming, Peer
from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.outbox import Outbox
from quorate.hosts.agents.parts import Parts
from quorate.hosts.agents.residents import Residents
from quorate.hosts.agents.roster import Roster
from quorate.hosts.agents.tenancy import Tenancy
from quorate.hosts.agents.world import AgentWorld

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.state.facade import AgentState

MESSAGES: Final = frozenset(("agents", "agents.load", "agents.probe"))
"""The types of messages between hosts that belong to agents."""
BEAT_S: Final = 0.2
SWEEP_BEATS: Final = 25
LOOK_S: Final = 0.05


class AgentEngine:
    """`start` when the host listens, `stop` when it goes; between them the news."""

    def __init__(self, world: AgentWorld) -> None:
        me: Any = self
        self.world = world
        self.group = world.group
        self.host_id = world.host_id
        self.now = world.group.clock.monotonic
        self.classes = Classes()
        self.bindings = Bindings(world.group)
        self.roster = Roster(world.group)
        self.directory = Directory(world.group, self.roster, world.loop)
        self.tenancy = Tenancy(world, self.classes.versions)
        self.outbox = Outbox(world)
        self.dead_letters = DeadLetters(world.settings.dead_letters_max)
        self.residents = Residents(me)
        self.here = self.residents.here
        self.running: dict[Activation, None] = {}
        """Whose exclusive turn runs now."""
        self.calls = Calls(
            world,
            self.directory,
            self.tenancy,
            self.here,
            self.outbox,
            deliver_here=self._deliver_here,
            on_dead=self.on_dead,
            vouch=self._vouch,
            stand_in=lambda record: self.parts.apart.stand_in(record),
        )
        self.incoming = Incoming(me)
        self.parts = Parts(me)
        self.face = self.parts.face
        self._valid_waiters: list[asyncio.Future[None]] = []
        self._left: dict[tuple[str, int], int] = {}
        """(agent, epoch) that left this host in good order -> the epoch of its next place."""
        self._beat: Timer | None = None
        self._look: Timer | None = None
        self._beats = 0
        self._started = False
        self._stopped = False
        self.classes.listener = self._on_class
        self.tenancy.when_changed(self._on_tenancy)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take part. Returns at once."""
        if self._started or self._stopped:
            return
        self._started = True
        self.roster.look()
        self.parts.start()
        self._on_beat()

    def _on_class(self) -> None:
        """There is something to run: take part, or tell that there is more."""
        if self._stopped:
            return
        if self.tenancy.state == "joining" and not self.tenancy.lease:
            self.tenancy.start()
        else:
            self.tenancy.tell_soon()

    @property
    def started(self) -> bool:
        return self._started

    @property
    def stopped(self) -> bool:
        return self._stopped

    def _on_beat(self) -> None:
        if self._stopped:
            return
        self._beats += 1
        now = self.now()
        if not self.tenancy.valid():
            self.tenancy.on_leader()
        self.residents.look_for_late(now)
        self.residents.look_for_idle(now)
        if self._beats % SWEEP_BEATS == 0:
            self.calls.finder.sweep()
            self.incoming.sweep()
            while len(self._left) > 4096:
                del self._left[next(iter(self._left))]
        self.parts.on_beat(now)
        self.look_at_roster()
        self._beat = self.group.scheduler.call_later(BEAT_S, self._on_beat)

    # --- news of the host -------------------------------------------------------------------------

    def on_applied(self) -> None:
        """The group's state moved on here by one entry."""
        machine = self.group.machine
        leases = machine.lease_changes
        if leases:
            gone = [lease for lease, ttl_ms, _ in leases if ttl_ms == 0]
            if gone:
                self._on_leases_gone(gone)
            self._look_soon()
        changes = machine.agent_changes
        if changes:
            for _, record, _ in changes:
                if record is not None and record.lease and not self.directory.runs(record):
                    self.look_at_roster()
                    break
            self._clean_after(changes)
            self.directory.on_changes(changes)
            self.residents.on_changes(changes)
        downs = machine.agent_downs
        if changes or downs or leases:
            self.parts.on_applied(changes, downs)

    def _clean_after(self, changes: Sequence[Change]) -> None:
        """Agents of this host that died while they were not in memory; what is not known of here is
        found by the sweep of states."""
        for name, record, _ in changes:
            if record is None and name not in self.here:
                former = self.directory.cached(name)
                if former is not None and self.placed_here(former):
                    self.parts.on_died_passive(former)

    def _on_leases_gone(self, gone: list[int]) -> None:
        self.roster.on_leases_gone(gone)
        self.tenancy.on_gone(gone)
        self.directory.wake_all()
        self.parts.on_leases_gone(gone)

    def _look_soon(self) -> None:
        """Rows of hosts may have come."""
        if self._look is None and not self._stopped:
            self._look = self.group.scheduler.call_later(LOOK_S, self._on_look)

    def _on_look(self) -> None:
        self._look = None
        self.look_at_roster()

    def look_at_roster(self) -> None:
        """Read the rows of hosts now; who cares is told if they became other ones."""
        if self.roster.look():
            self.directory.wake_all()
            self.parts.on_roster()

    def on_snapshot_installed(self) -> None:
        """Entries were skipped: compare what is here with the new state."""
        self.directory.on_everything_changed()
        self.roster.look()
        self.tenancy.on_snapshot_installed()
        machine = self.group.machine
        changes = [(a.name, machine.agent(a.name), "stopped") for a in list(self.here.values())]
        self.residents.on_changes(changes)
        self.parts.on_snapshot_installed()

    def on_leader(self, leader: str | None) -> None:
        self.tenancy.on_leader()
        self.parts.on_leader(leader)

    def on_peer(self, peer: str, *, up: bool) -> None:
        if not up:
            self.calls.on_peer_down(peer)
        else:
            self.calls.finder.look_again()
        self.parts.on_peer(peer, up=up)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """A message for agents. Raises `ProtocolError` if it is malformed."""
        if self._stopped or not self._started:
            return
        if message["type"] == "agents":
            self.incoming.on_message(peer, message)
        else:
            self.parts.on_message(peer, message)

    def _on_tenancy(self, state: str) -> None:
        if state == "lost":
            self.residents.lose_all()
        elif state == "held":
            for activation in list(self.here.values()):
                activation.nudge()
            self.directory.wake_all()
            self.parts.on_joined()
        waiters, self._valid_waiters = self._valid_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait_valid(self, until: float, activation: Activation | None = None) -> bool:
        """Wait until the host may act for its agents; False when that takes too long, or the
        activation is over."""
        while not self.tenancy.valid():
            left_s = until - self.now()
            if left_s <= 0 or self._stopped or (activation and not activation.alive):
                return False
            waiter = self.world.loop.create_future()
            self._valid_waiters.append(waiter)
            timer = self.world.loop.call_later(left_s, _wake, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                if waiter in self._valid_waiters:
                    self._valid_waiters.remove(waiter)
        return activation is None or activation.alive

    # --- between the parts ------------------------------------------------------------------------

    def activation_for(self, target: str, epoch: int) -> Activation:
        return self.residents.activation_for(target, epoch)

    def _deliver_here(self, target: Any, message: Message) -> None:
        self.residents.activation_for(target, 0).accept(message)

    def is_over(self, name: str, epoch: int, origin: str) -> bool:
        """Whether this activation of a sender is known to be over."""
        record = self.directory.peek(name)
        return record is not None and record.epoch > epoch

    def _vouch(self, name: str, epoch: int) -> int:
        return self._left.get((name, epoch), epoch)

    def on_left(self, name: str, epoch: int, next_epoch: int) -> None:
        """The agent left in good order: what it had sent may still be heard."""
        self._left[name, epoch] = next_epoch

    def bounce(self, name: str, message: Message) -> None:
        """Not handled here: it goes to where the agent is, or back to who sent it."""
        origin = message.origin
        if message.ended:
            return
        if isinstance(origin, Peer):
            self.incoming.give_back(name, origin.host, message)
        else:
            self.calls.finder.came_back(name, message)

    def forward(self, name: str, host: str, epoch: int, message: Message) -> None:
        """Hand a message of the mailbox on to where the agent moved."""
        origin = message.origin
        if message.ended:
            return
        if message.kind == "call":
            message.fail(Fenced(f"agent {name!r} moved"))
        elif isinstance(origin, Peer):
            self.incoming.forward_message(name, host, epoch, origin.host, message)
        else:
            self.calls.finder.send_to(name, host, epoch, message)

    def on_dead(self, target: str, message: Message, why: str) -> None:
        """A message found nobody."""
        self.dead_letters.add(self.group.clock.wall(), target, message, why)

    def on_tell_failed(self, name: str, message: Message, error: object) -> None:
        """A tell was handled and raised: nobody waits for the error."""
        self.on_dead(name, message, f"{type(error).__name__}: {error}")

    async def open_state(self, activation: Activation) -> AgentState:
        return await self.parts.open_state(activation)

    def on_start_failed(self, activation: Activation, error: BaseException) -> None:
        self.residents.on_start_failed(activation, error)

    def on_brought_up(self, activation: Activation) -> None:
        self.parts.on_brought_up(activation)

    def on_stops_itself(self, activation: Activation, reason: str) -> None:
        self.residents.stop_self(activation, reason)

    def on_ended(self, activation: Activation) -> None:
        """Its life ended here."""
        self.parts.on_ended(activation)

    def placed_here(self, record: AgentRecord) -> bool:
        """Whether the binding is to this host, under its present lease."""
        return record.host == self.host_id and record.lease == self.tenancy.lease != 0

    # --- the end ----------------------------------------------------------------------------------

    async def leave(self, timeout_s: float) -> None:
        """Move the agents of this host to others, as far as there are others and time is left."""
        if self._stopped:
            return
        await self.parts.leave(1.0)
        others = any(
            not row.draining for row in self.roster.rows.values() if row.id != self.host_id
        )
        if not self.tenancy.lease or not others:
            return
        if not self.group.machine.agents_on_count(self.tenancy.lease):
            return
        try:
            await self.face.drain(timeout=timeout_s)
        except QuorateError as error:
            self.world.on_problem(f"not all agents could be moved: {error}")

    def be_quiet(self, failure: QuorateError | None) -> None:
        """Act no more. Safe to call twice."""
        self._stopped = True
        self.tenancy.stop()
        self.calls.stop(failure)
        for timer in (self._beat, self._look):
            if timer is not None:
                timer.cancel()
        self.parts.stop()

    async def stop(self, *, graceful: bool) -> None:
        """End everything; `graceful`: give the lease up, so that others may take over at once."""
        if graceful and self._started and not self._stopped:
            await self.residents.close()
            await self.tenancy.give_up(1.0)
        self.be_quiet(None)
        await self.residents.close()
        await self.calls.finder.wait_stopped()
        await self.tenancy.wait_stopped()
        await self.parts.wait_stopped()

    def statistics(self) -> dict[str, Any]:
        """Counters of every part."""
        return {
            "tenancy": self.tenancy.statistics(),
            "directory": self.directory.statistics(),
            "residents": self.residents.statistics(),
            "calls": self.calls.statistics(),
            "incoming": self.incoming.statistics(),
            "outbox": self.outbox.statistics(),
            "dead_letters_total": self.dead_letters.total,
            **self.parts.statistics(),
        }


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
