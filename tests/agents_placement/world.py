"""Hosts that place agents, on a make-believe group in virtual time: real records, real bindings,
and nobody who runs the agents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any

from quorate.core.errors import NotCommitted
from quorate.core.group.bindings import Bindings
from quorate.core.machine import commands
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.placement.placing import Placing
from quorate.hosts.agents.placement.probe import Reading
from quorate.hosts.agents.roster import NAMESPACE, PREFIX, HostRow, Roster, row_value
from quorate.hosts.agents.spec import Spec
from tests.group.mini import HOP_S, MiniGroup, MiniHost
from tests.group.virtual import run_virtual

LEASE_S = 600.0
IDLE = Reading(0.0, 0.0, 0.2, 8000.0, 100.0, 4)


class Site:
    """One host: a roster and the parts of placement."""

    def __init__(self, world: World, host: MiniHost) -> None:
        self.host = host
        self.id = host.name
        self.group = host.group
        self.bindings = Bindings(host.group)
        self.roster = Roster(host.group)
        self.reading = IDLE
        self.lease = 0
        self.row: HostRow | None = None
        self.moved: list[tuple[str, str]] = []
        loop: Any = world.mini.loop
        engine: Any = SimpleNamespace(
            world=SimpleNamespace(
                host_id=self.id,
                loop=loop,
                send=lambda peer, message, lane: world.send(self.id, peer, message),
                is_up=lambda peer: not (host.cut or world.mini.hosts[peer].cut),
                rtt_s=lambda peer: 0.0,
                members=lambda: tuple(world.mini.hosts),
            ),
            group=host.group,
            roster=self.roster,
            bindings=self.bindings,
            classes=SimpleNamespace(get=lambda kind: None),
            parts=SimpleNamespace(mover=SimpleNamespace(move=world.move)),
        )
        self.placing = Placing(engine, lambda: self.reading)

    def on_entry(self) -> None:
        """As the engine does after each entry that was applied."""
        machine = self.group.machine
        gone = [lease for lease, ttl_ms, _ in machine.lease_changes if ttl_ms == 0]
        if gone:
            self.roster.on_leases_gone(gone)
            self.placing.on_leases_gone()
        if machine.agent_changes:
            self.placing.on_applied(list(machine.agent_changes))
        if self.roster.look():
            self.placing.on_roster()

    async def join(self, **what: Any) -> None:
        """Run agents from now on, under a new lease."""
        lease = await self.host.leases.grant(LEASE_S)
        self.lease = lease.id
        await self.tell(**what)

    async def tell(self, **what: Any) -> None:
        """Say something else of itself."""
        before = self.row or HostRow(self.id, self.lease, 1, {}, {}, {"shop": 1}, draining=False)
        self.row = before._replace(lease=self.lease, **what)
        command = commands.put(
            PREFIX + self.id, row_value(self.row), lease=self.lease, ns=NAMESPACE
        )
        await self.group.propose(command, 64, 5)


class World:
    """Hosts a, b, c (or others); a leads first."""

    def __init__(self, mini: MiniGroup) -> None:
        self.mini = mini
        self.sites = {name: Site(self, host) for name, host in mini.hosts.items()}
        for site in self.sites.values():
            _tell(site)
        self.said: list[dict[str, Any]] = []
        self.refuses: set[str] = set()
        """Agents that cannot be moved now."""

    @property
    def leader(self) -> Site:
        assert self.mini.leader is not None
        return self.sites[self.mini.leader]

    def start(self) -> None:
        for site in self.sites.values():
            site.placing.start()

    async def join(self, *hosts: str, **what: Any) -> None:
        for name in hosts or tuple(self.sites):
            await self.sites[name].join(**what)
        await self.settle()

    def send(self, origin: str, peer: str, message: dict[str, Any]) -> bool:
        def deliver() -> None:
            if not (self.mini.hosts[origin].cut or self.mini.hosts[peer].cut):
                self.sites[peer].placing.on_message(origin, message)

        self.said.append(message)
        self.mini.loop.call_later(HOP_S, deliver)
        return not self.mini.hosts[origin].cut

    async def move(self, name: str, to: str) -> None:
        """As the mover does: the present host binds it elsewhere."""
        record = self.leader.group.machine.agent(name)
        assert record is not None
        if name in self.refuses:
            raise NotCommitted(f"{name} has a turn that does not end")
        source = self.sites[record.host]
        source.moved.append((name, to))
        lease = self.sites[to].lease
        await source.bindings.bind(name, record.epoch, to, lease, "move", timeout=5)

    # --- what stories do --------------------------------------------------------------------------

    async def begin(
        self, names: Sequence[str], *, at: str = "a", within: float = 0.0, **needs: Any
    ) -> None:
        """Start agents, as `host.agents.start` does, from the host `at`; all at once."""
        site = self.sites[at]

        async def one(name: str) -> None:
            given = {"resources": None, "hints": None, "needs": None, **needs}
            demand = site.placing.demand("shop", 1, **given)
            until = site.group.clock.wall() + within if within else 0.0
            spec = Spec(demand=demand, place_until=until)
            if within:
                found = site.placing.ground.find(name, site.placing.read(spec))
            else:
                found = site.placing.choose(name, spec)
            place: dict[str, Any] = {}
            if found is not None:
                place = {"host": found.id, "lease": found.lease, "status": "placed"}
            await site.bindings.start(name, "shop", spec.encoded(), **place)

        for work in [self.mini.loop.create_task(one(name)) for name in names]:
            await work
        await self.settle()

    async def end(self, host: str) -> None:
        """The host is gone: cut off, and its lease is over."""
        lease = self.sites[host].lease
        self.mini.cut(host)
        if host == self.mini.leader:
            self.lead(next(name for name, one in self.mini.hosts.items() if not one.cut))
        for site in self.sites.values():
            if not site.host.cut:
                site.placing.on_peer(host, up=False)
        await self.leader.group.propose(commands.lease_revoke(lease), 16, 5)

    def lead(self, name: str) -> None:
        self.mini.lead(name)
        for site in self.sites.values():
            site.placing.on_leader()

    async def settle(self) -> None:
        await self.mini.pass_time(0.05)

    async def pass_time(self, seconds: float) -> None:
        """With the beat that an engine has."""
        until = self.mini.loop.time() + seconds
        while (left_s := until - self.mini.loop.time()) > 1e-6:
            await self.mini.pass_time(min(0.2, left_s))
            for site in self.sites.values():
                if not site.host.cut:
                    site.placing.on_beat()

    # --- what stories look at ---------------------------------------------------------------------

    def agents(self) -> list[AgentRecord]:
        return self.leader.group.machine.agents(limit=100_000)

    def record(self, name: str) -> AgentRecord | None:
        return self.leader.group.machine.agent(name)

    def numbers(self) -> dict[str, int]:
        """Host (or "" for none) -> how many agents run there: its lease lives."""
        machine = self.leader.group.machine
        found = dict.fromkeys(self.sites, 0)
        for record in self.agents():
            runs = record.lease != 0 and machine.lease(record.lease) is not None
            host = record.host if runs else ""
            found[host] = found.get(host, 0) + 1
        return {host: number for host, number in found.items() if number}

    async def stop(self) -> None:
        for site in self.sites.values():
            site.placing.stop()
            await site.placing.wait_stopped()


def _tell(site: Site) -> None:
    """Have the site hear of each entry that its host applied."""
    compared = site.host.digests.on_applied

    def on_applied(index: int) -> None:
        compared(index)
        site.on_entry()

    site.host.digests.on_applied = on_applied  # type: ignore[method-assign]


def told(story: Callable[[World], Awaitable[None]], hosts: str = "abc") -> None:
    """Tell a story in virtual time; nothing may be left running."""

    async def tell() -> None:
        async with MiniGroup(hosts) as mini:
            world = World(mini)
            world.start()
            try:
                await story(world)
            finally:
                await world.stop()

    run_virtual(tell())
