"""A world of hosts that hold the lease of agents and do nothing else: the product's tenancy and
lease keeper over the simulated group, links, pauses and clocks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from quorate.chaos.agents.host import AgentHost
from quorate.chaos.agents.log import GroupLog
from quorate.chaos.agents.nemesis import AgentNemesis
from quorate.chaos.agents.network import AgentNetwork
from quorate.chaos.agents.options import AgentOptions, draw
from quorate.chaos.agents.parts import AgentParts
from quorate.chaos.agents.views import Entry, GroupView
from quorate.chaos.agents.watch import AgentWatch
from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.calls import Calls
from quorate.chaos.stores.settings import MEMBERS, RING
from quorate.consistency.ring.placement import Ring
from quorate.hosts.agents.tenancy import Tenancy
from quorate.hosts.agents.world import AgentWorld

TROUBLE_S = 6.0
CALM_S = 4.0


class Holder:
    """In place of the agents: the lease alone."""

    tenancy_class = Tenancy

    def __init__(self, world: AgentWorld) -> None:
        self._group = world.group
        self.tenancy = self.tenancy_class(world, dict)
        self.start = self.tenancy.start
        self.on_snapshot_installed = self.tenancy.on_snapshot_installed

    def on_applied(self) -> None:
        gone = [lease for lease, ttl_ms, _ in self._group.machine.lease_changes if not ttl_ms]
        if gone:
            self.tenancy.on_gone(gone)

    def on_leader(self, leader: str | None) -> None:
        self.tenancy.on_leader()

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        return None

    def on_peer(self, peer: str, *, up: bool) -> None:
        return None

    async def stop(self, *, graceful: bool) -> None:
        await self.tenancy.give_up(1.0)
        self.tenancy.stop()


@dataclass
class Told:
    """What one run was."""

    findings: list[str]
    ended: int
    """Leases that ended."""
    faults: dict[str, int]
    hash: str
    held: list[str]
    """The hosts that hold a lease at the end."""


class Holders:
    """One run."""

    def __init__(self, options: AgentOptions, engine: Callable[[AgentWorld], Any] = Holder) -> None:
        self.options, self.over, self.ended = options, False, 0
        self.queue = EventQueue()
        self.transcript = Transcript(lambda: self.queue.now)
        self.watch = AgentWatch(Calls(), self.transcript, lambda: self.queue.now, self._stop)
        self.network = AgentNetwork(
            self.queue,
            random.Random(f"network {options.seed}"),
            self.transcript,
            weather=options.weather,
        )
        rng = random.Random(f"log {options.seed}")
        self.log = GroupLog(self.queue, rng, options.voters, self._reach, self.transcript)
        self.log.on_first = self._on_first
        parts = AgentParts(make_engine=engine)
        self.hosts: dict[str, AgentHost] = {}
        for host_id in options.hosts:
            host = self.hosts[host_id] = AgentHost(
                host_id,
                queue=self.queue,
                network=self.network,
                oracle=self.log,
                transcript=self.transcript,
                watch=self.watch,
                options=options,
                parts=parts,
            )
            host.news = self

    def _stop(self) -> None:
        self.over = True

    def on_host_started(self, host: AgentHost) -> None:
        return None

    def on_host_killed(self, host: AgentHost) -> None:
        return None

    def _reach(self, one: str, other: str) -> bool:
        source, target = self.hosts[one].life, self.hosts[other].life
        if source is None or target is None or source.paused or target.paused:
            return False
        link = self.network.links[(one, other)]
        return link.up and not link.fault.blocked

    def _on_first(self, index: int, entry: Entry, view: GroupView, applied: Any) -> None:
        for lease, ttl_ms, _ in view.machine.lease_changes:
            if not ttl_ms:
                self.ended += 1
                self.watch.on_lease_ended(lease, self.hosts)

    def run(self) -> Told:
        self.log.bootstrap(MEMBERS, sorted(self.options.hosts))
        self.log.bootstrap(RING, Ring.of(1, self.options.hosts).to_plain())
        for host in self.hosts.values():
            host.start()
        nemesis = AgentNemesis(
            options=self.options,
            queue=self.queue,
            network=self.network,
            hosts=list(self.hosts.values()),
            log=self.log,
            transcript=self.transcript,
        )
        self.queue.run_until(1.0)
        nemesis.start()
        self.queue.run_until(1.0 + TROUBLE_S, lambda: self.over)
        nemesis.calm()
        self.queue.run_until(1.0 + TROUBLE_S + CALM_S, lambda: self.over)
        held = [
            host.id
            for host in self.hosts.values()
            if host.life is not None and host.engine.tenancy.state == "held"
        ]
        findings = list(self.watch.findings)
        return Told(findings, self.ended, nemesis.counts, self.transcript.hash, held)


def run(seed: int, engine: Callable[[AgentWorld], Any] = Holder, **changes: Any) -> Told:
    """The run of a seed, with some of its options replaced."""
    return Holders(replace(draw(seed, TROUBLE_S), **changes), engine).run()
