"""Whose an agent is, and who hears of its death: what the engine calls.

The law of this file: who owns, is linked to and watches whom is kept by the group, which also
decides what a death brings with it; here is what this host adds: owners that are no agents, news
brought to agents that live here, and programs that wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quorate.core.errors import UsageError
from quorate.core.group.bindings import Bindings
from quorate.hosts.agents.kin import reasons
from quorate.hosts.agents.kin.downs import Downs
from quorate.hosts.agents.kin.exits import Exits, Monitor
from quorate.hosts.agents.kin.owner_leases import OwnerLeases
from quorate.hosts.agents.kin.owners import leases_in, name_of, owners_of
from quorate.hosts.agents.lasting.place import Place

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentDown, AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.world import AgentWorld


class Kin:
    """One per host."""

    def __init__(self, world: AgentWorld, bindings: Bindings, place: Place) -> None:
        self._bindings = bindings
        self._place = place
        self.leases = OwnerLeases(world)
        self.downs = Downs(world, place)
        self.exits = Exits(world)
        self.downs.explain = self.exits.explain = self.explain

    # --- owners -----------------------------------------------------------------------------------

    async def owners_of(self, owner: Any, until: float) -> tuple[str, ...]:
        """What `owner=` means to the group; see `owners.py`."""
        return await owners_of(owner, self.leases, until)

    def on_started(self, record: AgentRecord, owner: Any) -> None:
        """An agent was started from here. Its owner may have ended in between: then the end of its
        lease is behind the start in the log, and ends the agent."""

    def explain(self, reason: str) -> str:
        """A reason that the group gave, with the sessions and tasks in it called by their names."""
        return reasons.explained(reason, self.leases.text_of)

    # --- what agents do ---------------------------------------------------------------------------

    async def link(self, activation: Activation, name: Any, *, on: bool) -> None:
        """Each of the two ends with the other, from now on (not with the turn's commit). Raises
        `AgentNotFound`, `Fenced`, `Unavailable`."""
        other = self._other(activation, name, "link()")
        await self._bindings.link(activation.name, other, on)

    async def monitor(self, activation: Activation, name: Any, *, on: bool) -> None:
        """Have `on_down` called once when `name` dies. As `link`, at once."""
        other = self._other(activation, name, "monitor()")
        await self._bindings.monitor(activation.name, other, on)

    def _other(self, activation: Activation, name: Any, what: str) -> str:
        if activation.anonymous:
            raise UsageError(f"{what} is for agents with a name")
        other = name_of(name, what)
        if other == activation.name:
            raise UsageError(f"{what}: agent {other!r} cannot be tied to itself")
        activation.fence.check()
        return other

    def watch_exit(self, name: Any) -> Monitor:
        """`await host.agents.monitor(name)`; see `exits.py`."""
        return self.exits.watch(name_of(name, "monitor()"))

    # --- news -------------------------------------------------------------------------------------

    def on_applied(self, changes: Sequence[Change], downs: Sequence[AgentDown]) -> None:
        """What an entry of the group did to agents."""
        if changes:
            for _, record, _ in changes:
                if record is not None and record.owners and self._place.placed_here(record):
                    self.leases.learn(leases_in(record.owners))
            self.exits.on_applied(changes)
        self.downs.on_applied(changes, downs)

    def on_leases_gone(self, gone: list[int]) -> None:
        self.leases.on_leases_gone(gone)

    def on_held(self) -> None:
        """The host may act (again)."""
        self.downs.on_held()

    def on_leader(self) -> None:
        self.leases.on_leader()

    def on_snapshot_installed(self) -> None:
        self.leases.on_snapshot_installed()
        self.downs.on_snapshot_installed()
        self.exits.on_snapshot_installed()

    # --- the end ----------------------------------------------------------------------------------

    async def leave(self, timeout_s: float) -> None:
        """The host leaves in good order: what its sessions and tasks own ends now."""
        await self.leases.leave(timeout_s)

    def stop(self) -> None:
        """Act no more. Safe to call twice."""
        self.downs.stop()
        self.exits.stop()
        self.leases.stop()

    async def wait_stopped(self) -> None:
        await self.leases.wait_stopped()

    def statistics(self) -> dict[str, Any]:
        return {
            "owners": self.leases.statistics(),
            "downs": self.downs.statistics(),
            "monitors": len(self.exits),
        }
