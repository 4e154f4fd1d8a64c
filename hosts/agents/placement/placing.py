"""Placement as the engine has it: the parts of this folder, built once per host and told the news.

The law of this file: it ties them to one engine and decides nothing. Every host chooses for what is
started on it and tells its load; the leader alone places again what lost its place, and balances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from quorate.hosts.agents.placement.balancer import Balancer
from quorate.hosts.agents.placement.demand import Demand, demand
from quorate.hosts.agents.placement.ground import Ground
from quorate.hosts.agents.placement.ledger import Ledger
from quorate.hosts.agents.placement.load import LoadMeter
from quorate.hosts.agents.placement.placer import Placer
from quorate.hosts.agents.placement.probe import Probe, Reading

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.engine import AgentEngine
    from quorate.hosts.agents.placement.views import HostView
    from quorate.hosts.agents.spec import Spec

SWEEP_BEATS: Final = 25


def nothing_measured() -> Reading:
    """For where there is no machine to look at: the simulator."""
    return Reading(0.0, 0.0, 0.0, 0.0, 0.0, 1)


class Placing:
    """`probe`: measures this machine; in the simulator nothing is measured."""

    def __init__(self, engine: AgentEngine, probe: Probe = nothing_measured) -> None:
        world, group, roster = engine.world, engine.group, engine.roster
        clock, scheduler = group.clock, group.scheduler
        self._engine = engine
        self._beats = 0
        self.meter = LoadMeter(
            world.host_id,
            clock=clock,
            scheduler=scheduler,
            send=world.send,
            members=world.members,
            probe=probe,
            on_news=self._on_load,
        )
        self.ledger = Ledger(lambda: group.machine, clock=clock, scheduler=scheduler)
        self.ground = Ground(
            world.host_id,
            machine=lambda: group.machine,
            rows=lambda: roster.rows,
            version=lambda: roster.changes,
            ledger=self.ledger,
            meter=self.meter,
            is_up=world.is_up,
            rtt_s=world.rtt_s,
            clock=clock,
        )
        self.placer = Placer(
            group,
            engine.bindings,
            self.ground,
            world.loop,
            members=world.members,
            rows=lambda: roster.rows,
            is_up=world.is_up,
        )
        self.balancer = Balancer(
            group,
            self.ground,
            world.loop,
            move=lambda name, to: engine.parts.mover.move(name, to),
            is_quiet=lambda: self.placer.idle,
        )

    # --- life and news ----------------------------------------------------------------------------

    def start(self) -> None:
        self.meter.start()
        self.ledger.start()
        self.balancer.start()
        self.placer.on_leader()

    def stop(self) -> None:
        for part in (self.meter, self.ledger, self.placer, self.balancer):
            part.stop()

    async def wait_stopped(self) -> None:
        await self.placer.wait_stopped()
        await self.balancer.wait_stopped()

    def on_beat(self) -> None:
        """A few times a second."""
        self._beats += 1
        self.placer.on_leader()
        if self._beats % SWEEP_BEATS == 0:
            self.ledger.sweep()
            self.placer.on_time()

    def on_applied(self, changes: Sequence[Change]) -> None:
        self.ledger.on_changes(changes)
        self.placer.on_changes(changes)

    def on_leases_gone(self) -> None:
        self.placer.look()

    def on_roster(self) -> None:
        self.placer.look()

    def on_snapshot_installed(self) -> None:
        self.ledger.start()
        self.placer.look()

    def on_leader(self) -> None:
        self.placer.on_leader()

    def on_peer(self, peer: str, *, up: bool) -> None:
        self.ground.on_peer()
        self.placer.on_peer(peer, up=up)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """Another host tells its load. Raises `ProtocolError`."""
        self.meter.on_message(peer, message)

    def _on_load(self) -> None:
        self.ground.on_load()

    # --- what starts ask --------------------------------------------------------------------------

    def demand(
        self,
        kind: str,
        version: int,
        resources: Mapping[str, float] | None,
        hints: Mapping[str, Any] | None,
        needs: Mapping[str, str] | None,
    ) -> dict[str, Any]:
        """What `start` was told, checked, as it travels in the spec. Raises `UsageError`."""
        known = self._engine.classes.get(kind)
        memory_mb = None if known is None else known.cls.memory_mb
        made = demand(
            kind, version, memory_mb=memory_mb, resources=resources, hints=hints, needs=needs
        )
        return made.to_plain()

    def read(self, spec: Spec) -> Demand:
        """What a spec says that the agent needs."""
        return Demand.from_plain(spec.demand)

    def choose(self, name: str, spec: Spec) -> HostView:
        """The host for a start; it counts from now on. Raises `ClusterAtCapacity`."""
        return self.ground.choose(name, self.read(spec))

    def choose_for(self, record: AgentRecord) -> HostView:
        """Another host for an agent that has one. Raises `ClusterAtCapacity`."""
        return self.ground.choose_for(record)

    def placed(self, host: str, demand: Mapping[str, Any]) -> None:
        """Nothing to do: a choice counts when it is made, and its record when it is applied."""

    def look(self) -> None:
        """Look for agents without a place, if this host leads."""
        self.placer.look()

    def hosts(self) -> list[dict[str, Any]]:
        return self.ground.hosts()

    def statistics(self) -> dict[str, Any]:
        return {
            "load": self.meter.statistics(),
            "choices_total": self.ground.choices,
            "ledger": self.ledger.statistics(),
            "placer": self.placer.statistics(),
            "balancer": self.balancer.statistics(),
        }
