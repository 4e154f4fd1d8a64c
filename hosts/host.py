"""A host: one member of a cluster, in one process, with everything it needs.

The law of this file: it builds the parts, hands them to each other, and takes them down in the
reverse order, once and within a bounded time. What a part does is written in the part. A host that
meets a broken law or a failing disk takes itself out of service and says why; it never repairs.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from quorate.core.clock import SystemClock, fresh_random
from quorate.core.errors import (
    ConfigError,
    InvariantBroken,
    NotCommitted,
    QuorateError,
    Stopped,
    Timeout,
    UsageError,
)
from quorate.core.group.claims import Claims
from quorate.core.group.digest_exchange import DIGEST, DigestExchange
from quorate.core.group.elections import Election
from quorate.core.group.group import Group
from quorate.core.group.kv import KV
from quorate.core.group.lease_keeper import LeaseKeeper
from quorate.core.group.leases import Leases
from quorate.core.group.locks import Lock
from quorate.core.group.pending import ProposerLimits
from quorate.core.group.registry import Registry
from quorate.core.group.signal import Advance
from quorate.core.machine.machine import Machine
from quorate.core.raft.config import RaftConfig
from quorate.core.raft.driver import RaftDriver
from quorate.core.raft.members import Configuration, Member
from quorate.core.raft.replicated import MachineState
from quorate.core.wire.auth import Auth, MutualTls, NoAuth, SharedSecret
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.mesh import Mesh
from quorate.hosts.config import Settings, check_host_id, make_settings
from quorate.hosts.folder import DataFolder, known_host
from quorate.hosts.members import TRANSFER, Members
from quorate.hosts.status import status_of
from quorate.hosts.wiring import PeerBook, RaftNet, RaftNews

State = Literal["new", "starting", "running", "stopping", "stopped", "failed"]
SWITCH_INTERVAL_S = 0.0005
HAND_OVER_TIMEOUT_S = 1.0
READY_RETRY_S = 0.05


class Host:
    """One host. Use it with `async with`, or call `start` and `stop`.

    `data` is its folder; everything else is in `quorate.hosts.config.Settings`. Raises
    `ConfigError` at once; `start` raises `ConfigError` (an address that cannot be used),
    `WrongDataFolder`, `CorruptStorage`, `StorageFailed`."""

    def __init__(self, host_id: str, *, data: str | Path, **settings: Any) -> None:
        self.id = check_host_id(host_id)
        self.data = Path(data)
        self.settings: Settings = make_settings(settings)
        peers = self.settings.peers
        if peers and host_id not in peers and not self.settings.join:
            raise ConfigError(
                f"peers does not name this host {host_id!r} (it names {', '.join(sorted(peers))}); "
                "add it, or set join=True to join a running cluster"
            )
        if "listen" not in settings and host_id in peers:
            self._listen = peers[host_id]
        else:
            self._listen = self.settings.listen
        self.state: State = "new"
        self.failure: QuorateError | None = None
        self.configuration = Configuration()
        self.admin_address: str | None = None
        self._admin: Any = None
        self._stopped: asyncio.Future[QuorateError | None] | None = None

    @classmethod
    def open(cls, data: str | Path, *, host_id: str | None = None, **settings: Any) -> Host:
        """A host from its data folder alone: a new folder becomes a group of one, which can grow
        later.

        The id is the one the folder knows, otherwise `host_id`, otherwise the folder's name.
        """
        path = Path(data)
        return cls(host_id or known_host(path) or path.name.lower(), data=path, **settings)

    # --- starting --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the folder, listen, and take part. Returns when listening; see `ready`."""
        if self.state != "new":
            raise UsageError(f"host {self.id!r} is {self.state}: make a new Host to start again")
        self.state = "starting"
        if self.settings.tune_interpreter:
            sys.setswitchinterval(SWITCH_INTERVAL_S)
        loop = self._loop = asyncio.get_running_loop()
        self._stopped = loop.create_future()
        self._changes = Advance(loop.create_future)
        self._folder = DataFolder(self.data, self.id, self.settings, loop)
        try:
            self._build(loop)
            await self.mesh.start()
            self._join_the_group()
            if self.settings.admin is not None:
                await self._start_admin()
        except BaseException:
            await self.stop()
            raise
        if self.state == "starting":
            self.state = "running"

    def _build(self, loop: asyncio.AbstractEventLoop) -> None:
        settings, clock, rng = self.settings, SystemClock(), fresh_random()
        self.replicated: MachineState = self._folder.state
        self.mesh = Mesh(
            host_id=self.id,
            cluster_id=settings.cluster,
            listen=self._listen,
            peers={p: a for p, a in settings.peers.items() if p != self.id},
            on_message=self._on_message,
            on_peer_up=lambda peer: self._on_peer(peer, up=True),
            on_peer_down=lambda peer: self._on_peer(peer, up=False),
            on_fatal=self.on_fatal,
            clock=clock,
            auth=self._auth(),
            dial_overrides=settings.dial,
        )
        self.group = Group(
            host_id=self.id,
            owner=self.replicated,
            send=self.mesh.send,
            clock=clock,
            scheduler=loop,
            rng=rng,
            make_future=loop.create_future,
            limits=ProposerLimits(
                inflight_ops_max=settings.inflight_ops_max,
                waiting_ops_max=settings.waiting_ops_max,
                leader_wait_s=settings.leader_wait_s,
            ),
            timeout_s=settings.timeout_s,
        )
        self._keeper = LeaseKeeper(self.group)
        self.leases = Leases(self.group, session_ttl_s=settings.session_lease_s)
        self._claims = Claims(self.group, self.leases)
        self.kv = KV(self.group)
        self.registry = Registry(self.group, self.leases)
        self.members = Members(self)
        self._digests = DigestExchange(
            self.group,
            send=self.mesh.send,
            members=lambda: (
                [m.id for m in self.configuration.members if m.id != self.id],
                self.configuration.voters,
            ),
            on_out=self.on_fatal,
            interval_s=settings.digest_interval_s,
            grace_s=settings.digest_grace_s,
        )
        self._book = PeerBook(self.id, self.mesh, loop.call_later)
        self._news = RaftNews(self)

    def _join_the_group(self) -> None:
        """The mesh listens: the own address is known, so the first configuration can be written."""
        settings, journal = self.settings, self._folder.journal
        if self._folder.is_new and not settings.join:
            peers = dict(settings.peers) or {self.id: self.address}
            journal.bootstrap(Configuration.of([Member(p, a) for p, a in peers.items()]))
        self.driver = RaftDriver(
            host_id=self.id,
            journal=journal,
            state=self.replicated,
            net=RaftNet(self.mesh),
            clock=self.group.clock,
            scheduler=self._loop,
            rng=self.group.rng,
            hooks=self._news,
            config=RaftConfig(
                heartbeat_s=settings.heartbeat_s,
                election_min_s=settings.election_min_s,
                election_max_s=settings.election_max_s,
            ),
        )
        self.group.bind(self.driver)
        self.driver.start()
        self._digests.start()

    async def _start_admin(self) -> None:
        from quorate.hosts.admin import start_admin  # aiohttp is loaded only where it is used

        assert self.settings.admin is not None
        token = self.settings.admin_token
        self._admin = await start_admin(self, self.settings.admin, token)
        self.admin_address = self._admin.address

    def _auth(self) -> Auth:
        if self.settings.tls is not None:
            tls = self.settings.tls
            return MutualTls(cert=tls.certificate, key=tls.key, ca=tls.authority)
        if self.settings.secret is not None:
            return SharedSecret(self.settings.secret.encode())
        return NoAuth()

    # --- news of the parts -----------------------------------------------------------------------

    def on_applied(self, index: int, term: int, results: list[tuple[int, int, Any]]) -> None:
        self.group.on_applied(index, term, results)
        changes = self.machine.lease_changes
        if changes:
            self._keeper.on_applied(changes)
            self.leases.on_gone([lease for lease, ttl_ms, _ in changes if ttl_ms == 0])
        self._digests.on_applied(index)

    def on_leader(self, leader: str | None, term: int) -> None:
        self.group.on_leader(leader, term)
        self._keeper.on_leader()
        self.leases.on_leader()
        self._changes.notify()

    def on_configuration(self, configuration: Configuration) -> None:
        self.configuration = configuration
        if configuration.members:
            self._book.follow(configuration)
        self._look_at_quorum()
        self._changes.notify()

    def on_snapshot_installed(self) -> None:
        self._digests.on_snapshot_installed()
        self.group.on_snapshot_installed()
        self.leases.on_snapshot_installed()

    def on_fatal(self, error: BaseException) -> None:
        """Out of service, for good: nothing is sent, persisted or applied from here on."""
        if self.state in ("failed", "stopped"):
            return
        self.failure = _as_quorate(error, self.id)
        self.state = "failed"
        self._quiet(self.failure)
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(self.failure)
        self._changes.notify()

    def _quiet(self, failure: QuorateError | None) -> None:
        """Stop everything that acts by itself."""
        if hasattr(self, "group"):
            if failure is not None:
                self.group.break_off(failure)
            self.group.stop()
            self._digests.stop()
            self._keeper.stop()
        if hasattr(self, "driver"):
            self.driver.stop()

    def _on_message(self, peer: str, message: dict[str, Any]) -> None:
        if self.state not in ("starting", "running", "stopping") or not hasattr(self, "driver"):
            return
        if self.group.requests.on_message(peer, message):
            return
        if message.get("type") == DIGEST:
            if not self._digests.on_message(peer, message):
                raise ProtocolError(f"host {peer!r} sent a malformed digest report")
            return
        self._news.malformed = None
        self.driver.on_message(peer, message)
        if self._news.malformed is not None:
            raise ProtocolError(f"host {peer!r}: {self._news.malformed}")

    def _on_peer(self, peer: str, *, up: bool) -> None:
        if hasattr(self, "driver"):
            self.driver.on_peer(peer, up=up)
        if not up:
            self.group.on_peer_down(peer)
        self._look_at_quorum()

    def _look_at_quorum(self) -> None:
        voters = self.configuration.voters
        reached = sum(voter == self.id or self.mesh.is_up(voter) for voter in voters)
        self.group.on_quorum(reached >= self.configuration.quorum)

    # --- what is here ----------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """Where peers dial in, with the real port."""
        return self.mesh.address or self._listen

    @property
    def machine(self) -> Machine:
        """The replicated state as this host has it, for local reads."""
        return self.replicated.machine

    @property
    def leader(self) -> str | None:
        """Who leads, as far as this host knows."""
        return self.group.leader

    def check(self) -> None:
        """Raise what keeps this host from serving, if anything does."""
        if self.failure is not None:
            raise self.failure
        if self.state not in ("starting", "running"):
            raise Stopped(f"host {self.id!r} is {self.state}")

    async def ready(self, timeout: float = 10.0) -> None:
        """Return once this host can serve: it knows a leader and has applied a fresh read point.

        Raises `Timeout` (or the last reason), or what stopped the host.
        """
        until = self._loop.time() + timeout
        error: QuorateError = Timeout(f"host {self.id!r} is not ready after {timeout:g} s")
        while (left := until - self._loop.time()) > 0:
            self.check()
            try:
                await self.group.reads.wait_read_point(left)
                return
            except NotCommitted as unavailable:
                error = unavailable
            await asyncio.sleep(min(READY_RETRY_S, max(0.0, until - self._loop.time())))
        self.check()
        raise error

    async def wait_member(self, host_id: str, role: str, timeout_s: float) -> Member:
        """Wait until the configuration here has `host_id` in this role. Raises `Timeout`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, timeout_s)):
                while True:
                    self.check()
                    member = self.configuration.get(host_id)
                    if member is not None and member.role == role:
                        return member
                    await self._changes.wait()
        raise Timeout(f"host {host_id!r} has not become a {role} yet; it will when it caught up")

    async def wait_leader(self, timeout: float = 10.0) -> str:
        """Wait until this host knows a leader. Raises `Timeout`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.group.leader is None:
                    self.check()
                    await self._changes.wait()
                return self.group.leader
        raise Timeout(f"host {self.id!r} knows no leader after {timeout:g} s")

    def status(self) -> dict[str, Any]:
        """What this host knows of itself and the group; plain values, without asking anybody."""
        return status_of(self)

    def statistics(self) -> dict[str, Any]:
        """Counters of every part."""
        return {
            "raft": self.driver.statistics(),
            "group": self.group.statistics(),
            "leases": self.leases.statistics(),
            "lease_keeper": self._keeper.statistics(),
            "claims": self._claims.statistics(),
            "digests": self._digests.statistics(),
            "wire": self.mesh.statistics(),
        }

    # --- what users hold -------------------------------------------------------------------------

    def lock(
        self,
        name: str,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        wait: bool = True,
    ) -> Lock:
        """A lock, to be taken with `async with`; the body is cancelled when the lock is lost.

        `ttl`: an own lease of so many seconds; None: this host's session lease. `timeout`: how
        long to stand in line in seconds; None: the host's default. `wait=False`: raise `Refused`
        if it is held."""
        return Lock(self._claims, name, ttl=ttl, timeout=self.group.seconds(timeout), wait=wait)

    def election(self, name: str) -> Election:
        """An election: `campaign`, `leader`, `observe`."""
        return Election(self._claims, name)

    # --- the group -------------------------------------------------------------------------------

    async def transfer_leadership(
        self, to: str | None = None, *, timeout: float | None = None
    ) -> str:
        """Hand the leadership to `to` (None: whoever is furthest); returns who leads then."""
        before = self.group.leader
        seconds = self.group.seconds(timeout)
        until = self._loop.time() + seconds
        await self.members.ask_leader(TRANSFER, [to], seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                while (leader := self.group.leader) is None or (
                    leader != to if to is not None else leader == before
                ):
                    self.check()
                    await self._changes.wait()
                return leader
        raise Timeout("the leadership was handed over, but no new leader is known here yet")

    async def snapshot(self, *, timeout: float | None = None) -> dict[str, Any]:
        """Make a snapshot of this host's state: {id, index, term, size_bytes, sha256}."""
        self.check()
        async with asyncio.timeout(60.0 if timeout is None else timeout):
            await self._done(self.replicated.flush)
            await self._done(
                lambda done: self.replicated.export(
                    lambda index: self._folder.journal.configuration_at(index)[1], done
                )
            )
        latest = self.replicated.latest()
        if latest is None:
            raise InvariantBroken("a snapshot was made and is not there")
        return {
            "id": latest.id,
            "index": latest.index,
            "term": latest.term,
            "size_bytes": latest.size,
            "sha256": latest.sha256,
        }

    def _done(self, start: Any) -> asyncio.Future[None]:
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: Exception | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

        start(done)
        return future

    # --- stopping --------------------------------------------------------------------------------

    async def wait_stopped(self) -> QuorateError | None:
        """Return when the host stopped: the error that stopped it, or None if it was told to."""
        if self._stopped is None:
            raise UsageError(f"host {self.id!r} was not started")
        return await asyncio.shield(self._stopped)

    async def stop(self) -> None:
        """Hand the leadership over, end all calls, flush, close; within `stop_timeout_s`. Safe to
        call twice."""
        if self.state in ("stopping", "stopped", "new"):
            return
        graceful = self.state == "running"
        failure, self.state = self.failure, "stopping"
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.stop_timeout_s):
                await self._wind_down(graceful)
        await self._close(flush=graceful)
        self.state = "stopped" if failure is None else "failed"

    async def _wind_down(self, graceful: bool) -> None:
        if self._admin is not None:
            with suppress(Exception):  # whatever the admin server does, the host stops
                await self._admin.close()
            self._admin = None
        if not graceful:
            return
        await self._claims.stop()
        if self.group.leads and len(self.configuration.voters) > 1:
            with suppress(QuorateError, TimeoutError):
                async with asyncio.timeout(HAND_OVER_TIMEOUT_S):
                    await self._done(lambda done: self.driver.transfer(None, done))

    async def kill(self) -> None:
        """Stop as a crash would: nothing is handed over, nothing is flushed. For tests."""
        if self.state in ("stopped", "new"):
            return
        self.state = "stopping"
        if self._admin is not None:
            await self._admin.close()
        await self._close(flush=False)
        self.state = "stopped"

    async def _close(self, *, flush: bool) -> None:
        if hasattr(self, "leases"):
            await self.leases.stop()
        self._quiet(None)
        if hasattr(self, "mesh"):
            await self.mesh.close()
        self._folder.close(flush=flush)
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)
        self._changes.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<Host {self.id!r} {self.state}>"


def _as_quorate(error: BaseException, host_id: str) -> QuorateError:
    if isinstance(error, QuorateError):
        return error
    broken = InvariantBroken(f"host {host_id!r} stopped itself: {type(error).__name__}: {error}")
    broken.__cause__ = error
    return broken
