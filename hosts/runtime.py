"""A host at work: the parts, what they tell each other, and the order in which they go down.

The law of this file: it builds the parts and hands news from one to the other. What a part does is
written in the part. It starts once and closes once; a host that starts again makes a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from quorate.core.clock import Clock, Scheduler, SystemClock, fresh_random
from quorate.core.errors import QuorateError
from quorate.core.group.claims import Claims
from quorate.core.group.digest_exchange import DIGEST, DigestExchange
from quorate.core.group.group import Group
from quorate.core.group.kv import KV
from quorate.core.group.lease_keeper import LeaseKeeper
from quorate.core.group.leases import Leases
from quorate.core.group.pending import ProposerLimits
from quorate.core.group.registry import Registry
from quorate.core.group.signal import Advance
from quorate.core.raft.config import RaftConfig
from quorate.core.raft.driver import RaftDriver
from quorate.core.raft.members import Configuration, Member
from quorate.core.wire.auth import Auth, MutualTls, NoAuth, SharedSecret
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.mesh import Mesh
from quorate.hosts.agents.engine import MESSAGES as AGENT_MESSAGES
from quorate.hosts.agents.engine import AgentEngine
from quorate.hosts.agents.placement.probe import SystemProbe
from quorate.hosts.agents.world import AgentSettings, AgentWorld
from quorate.hosts.beside import Beside
from quorate.hosts.config import Settings
from quorate.hosts.folder import DataFolder
from quorate.hosts.stores import STORE, Stores
from quorate.hosts.wiring import PeerBook, RaftNet, RaftNews

OnFatal = Callable[[BaseException], None]


class Runtime:
    """What runs between `start` and `close` of a host. `on_fatal(error)`: the host must leave
    service.

    The constructor opens the data folder: raises `WrongDataFolder`, `CorruptStorage`,
    `StorageFailed`, `ConfigError`."""

    def __init__(
        self,
        host_id: str,
        settings: Settings,
        listen: str,
        *,
        folder: DataFolder,
        loop: asyncio.AbstractEventLoop,
        on_fatal: OnFatal,
        clock: Clock | None = None,
    ) -> None:
        self.host_id = host_id
        self.settings = settings
        self.folder = folder
        self.configuration = Configuration()
        self.changes = Advance(loop.create_future)
        """Notified when the leader or the members change."""
        self.driver: RaftDriver | None = None
        self._on_fatal = on_fatal
        self.loop = self._loop = loop
        self._clock, self._rng = clock or SystemClock(), fresh_random()
        self._quiet = False
        self.mesh = self._make_mesh(listen)
        self.group = self._make_group()
        self.keeper = LeaseKeeper(self.group)
        self.leases = Leases(self.group, session_ttl_s=settings.session_lease_s)
        self.claims = Claims(self.group, self.leases)
        self.kv = KV(self.group)
        self.registry = Registry(self.group, self.leases)
        self.digests = DigestExchange(
            self.group,
            send=self.mesh.send,
            members=self._members_to_compare,
            on_out=on_fatal,
            interval_s=settings.digest_interval_s,
            grace_s=settings.digest_grace_s,
        )
        self._book = PeerBook(host_id, self.mesh, settings.peers, loop.call_later)
        me: Any = self
        self._news = RaftNews(me)
        self.stores = Stores(me)
        self.beside = Beside(me)
        self.agents = AgentEngine(self._make_agent_world())

    @property
    def clock(self) -> Clock:
        return self._clock

    # --- building --------------------------------------------------------------------------------

    def _make_mesh(self, listen: str) -> Mesh:
        settings = self.settings
        return Mesh(
            host_id=self.host_id,
            cluster_id=settings.cluster,
            listen=listen,
            peers={p: a for p, a in settings.peers.items() if p != self.host_id},
            on_message=self._on_message,
            on_peer_up=lambda peer: self._on_peer(peer, up=True),
            on_peer_down=lambda peer: self._on_peer(peer, up=False),
            on_fatal=self._on_fatal,
            clock=self._clock,
            auth=auth_of(settings),
            dial_overrides=settings.dial,
        )

    def _make_group(self) -> Group:
        settings, loop = self.settings, self._loop
        limits = ProposerLimits(
            inflight_ops_max=settings.inflight_ops_max,
            waiting_ops_max=settings.waiting_ops_max,
            leader_wait_s=settings.leader_wait_s,
        )
        return Group(
            host_id=self.host_id,
            owner=self.folder.state,
            send=self.mesh.send,
            clock=self._clock,
            scheduler=cast(Scheduler, loop),
            rng=self._rng,
            make_future=loop.create_future,
            limits=limits,
            timeout_s=settings.timeout_s,
            is_removed=lambda: self.driver is not None and self.driver.engine.removed,
            storage_full=lambda: self.driver is not None and self.driver.engine.storage_full,
        )

    def _make_agent_world(self) -> AgentWorld:
        settings = self.settings
        return AgentWorld(
            host_id=self.host_id,
            cluster=settings.cluster,
            group=self.group,
            loop=self._loop,
            send=self.mesh.send,
            is_up=self.mesh.is_up,
            rtt_s=self.mesh.rtt,
            members=lambda: tuple(member.id for member in self.configuration.members),
            desk=lambda: self.stores.desk,
            cut_off=self.stores.cut_off,
            on_problem=self.stores.on_problem,
            cache=self.beside.caches.open,
            probe=SystemProbe(),
            settings=AgentSettings(
                lease_s=settings.agent_lease_s,
                timeout_s=settings.timeout_s,
                labels=dict(settings.labels),
                capacity=dict(settings.capacity),
                drain_timeout_s=settings.drain_timeout_s,
            ),
        )

    async def start(self) -> None:
        """Listen, then take part. Raises `ConfigError` for an address that cannot be used."""
        await self.mesh.start()
        settings, journal = self.settings, self.folder.journal
        if self.folder.is_new and not settings.join:
            peers = dict(settings.peers) or {self.host_id: self.mesh.address or settings.listen}
            journal.bootstrap(Configuration.of([Member(p, a) for p, a in peers.items()]))
        self.driver = RaftDriver(
            host_id=self.host_id,
            journal=journal,
            state=self.folder.state,
            net=RaftNet(self.mesh),
            clock=self._clock,
            scheduler=cast(Scheduler, self._loop),
            rng=self._rng,
            hooks=self._news,
            config=RaftConfig(
                heartbeat_s=settings.heartbeat_s,
                election_min_s=settings.election_min_s,
                election_max_s=settings.election_max_s,
            ),
        )
        self.group.bind(self.driver)
        self.driver.start()
        for peer in self.mesh.peers:
            if self.mesh.is_up(peer):
                self.driver.on_peer(peer, up=True)
        self.digests.start()
        self.stores.start()
        self.beside.start()
        self.agents.start()
        for path in settings.agents:
            self.agents.face.register(path)

    # --- news of the parts -----------------------------------------------------------------------

    def on_applied(self, index: int, term: int, results: list[tuple[int, int, Any]]) -> None:
        self.group.on_applied(index, term, results)
        changes = self.folder.state.machine.lease_changes
        if changes:
            self.keeper.on_applied(changes)
            self.leases.on_gone([lease for lease, ttl_ms, _ in changes if ttl_ms == 0])
        self.agents.on_applied()
        self.digests.on_applied(index)
        self.stores.on_applied()

    def on_leader(self, leader: str | None, term: int) -> None:
        self.group.on_leader(leader, term)
        self.keeper.on_leader()
        self.leases.on_leader()
        self.stores.on_leader(leader)
        self.agents.on_leader(leader)
        self.changes.notify()

    def on_configuration(self, configuration: Configuration) -> None:
        self.configuration = configuration
        if configuration.members:
            self._book.follow(configuration)
        self._look_at_quorum()
        self.stores.on_configuration(configuration)
        self.changes.notify()

    def on_snapshot_installed(self) -> None:
        self.digests.on_snapshot_installed()
        self.group.on_snapshot_installed()
        self.leases.on_snapshot_installed()
        self.stores.on_applied()
        self.agents.on_snapshot_installed()

    def on_fatal(self, error: BaseException) -> None:
        self._on_fatal(error)

    def _on_message(self, peer: str, message: dict[str, Any]) -> None:
        if self._quiet or self.driver is None or self.group.requests.on_message(peer, message):
            return
        if message.get("type") == STORE:
            self.stores.on_message(peer, message)
            return
        if message.get("type") in AGENT_MESSAGES:
            self.agents.on_message(peer, message)
            return
        if message.get("type") == DIGEST:
            if not self.digests.on_message(peer, message):
                raise ProtocolError(f"host {peer!r} sent a malformed digest report")
            return
        self._news.malformed = None
        self.driver.on_message(peer, message)
        if self._news.malformed is not None:
            raise ProtocolError(f"host {peer!r}: {self._news.malformed}")

    def _on_peer(self, peer: str, *, up: bool) -> None:
        if self.driver is not None:
            self.driver.on_peer(peer, up=up)
        if not up:
            self.group.on_peer_down(peer)
        self._look_at_quorum()
        self.stores.on_peer(peer, up=up)
        self.agents.on_peer(peer, up=up)

    def _look_at_quorum(self) -> None:
        voters = self.configuration.voters
        reached = sum(voter == self.host_id or self.mesh.is_up(voter) for voter in voters)
        self.group.on_quorum(reached >= self.configuration.quorum)

    def _members_to_compare(self) -> tuple[list[str], tuple[str, ...]]:
        others = [m.id for m in self.configuration.members if m.id != self.host_id]
        return others, self.configuration.voters

    # --- going down ------------------------------------------------------------------------------

    def be_quiet(self, failure: QuorateError | None) -> None:
        """Stop everything that acts by itself; with a failure, calls raise it from now on. Safe to
        call twice."""
        self._quiet = True
        self.agents.be_quiet(failure)
        self.stores.be_quiet(failure)
        self.beside.be_quiet()
        if failure is not None:
            self.group.break_off(failure)
        self.group.stop()
        self.digests.stop()
        self.keeper.stop()
        self._book.stop()
        if self.driver is not None:
            self.driver.stop()
        self.changes.notify()

    async def close(self, *, flush: bool) -> None:
        """Stop everything and close the folder; `flush`: make the state durable first."""
        await self.agents.stop(graceful=flush)
        await self.beside.close(graceful=flush)
        await self.leases.stop()
        await self.stores.close(flush=flush)
        self.be_quiet(None)
        await self.mesh.close()
        self.folder.close(flush=flush)
        self.changes.stop()

    def statistics(self) -> dict[str, Any]:
        """Counters of every part."""
        return {
            "raft": {} if self.driver is None else self.driver.statistics(),
            "group": self.group.statistics(),
            "leases": self.leases.statistics(),
            "lease_keeper": self.keeper.statistics(),
            "claims": self.claims.statistics(),
            "digests": self.digests.statistics(),
            "wire": self.mesh.statistics(),
            "stores": self.stores.statistics(),
            "agents": self.agents.statistics(),
            **self.beside.statistics(),
        }


def auth_of(settings: Settings) -> Auth:
    """How the hosts prove who they are."""
    if settings.tls is not None:
        tls = settings.tls
        return MutualTls(cert=tls.certificate, key=tls.key, ca=tls.authority)
    if settings.secret is not None:
        return SharedSecret(settings.secret.encode())
    return NoAuth()


def is_wildcard(address: str) -> bool:
    """Nobody can dial it: it means "all addresses of this machine"."""
    return address.rpartition(":")[0].strip("[]") in ("", "0.0.0.0", "::")
