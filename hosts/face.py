"""What a program reaches through a host: its parts, and its stores.

The law of this file: the face only; how a host lives and dies is in `host.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from quorate.consistency.layers.cached import Cache
from quorate.consistency.replica.definitions import SIBLINGS_MAX
from quorate.consistency.store.session import Session
from quorate.consistency.store.store import Store
from quorate.core.errors import UsageError
from quorate.core.group.elections import Election
from quorate.core.group.group import Group
from quorate.core.group.kv import KV
from quorate.core.group.leases import Leases
from quorate.core.group.locks import Lock
from quorate.core.group.registry import Registry
from quorate.core.machine.machine import Machine
from quorate.core.raft.driver import RaftDriver
from quorate.core.raft.members import Configuration
from quorate.core.raft.replicated import MachineState
from quorate.core.wire.mesh import Mesh
from quorate.hosts.agents.agents import Agents
from quorate.hosts.config import Settings
from quorate.hosts.members import Members
from quorate.hosts.partition import Partition
from quorate.hosts.runtime import Runtime
from quorate.hosts.stores import Stores

LEAVE_TIMEOUT_S = 60.0


class HostFace:
    """The parts of a started host."""

    id: str
    settings: Settings
    members: Members
    _runtime: Runtime | None
    _listen: str

    # --- the parts -------------------------------------------------------------------------------

    @property
    def runtime(self) -> Runtime:
        """The parts of a started host. Raises `UsageError` before `start`."""
        if self._runtime is None:
            raise UsageError(f"host {self.id!r} was not started: use `async with` or `start()`")
        return self._runtime

    @property
    def kv(self) -> KV:
        """Keys and values."""
        return self.runtime.kv

    @property
    def registry(self) -> Registry:
        """Names."""
        return self.runtime.registry

    @property
    def leases(self) -> Leases:
        """Leases of this host."""
        return self.runtime.leases

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
        seconds = self.group.seconds(timeout)
        return Lock(self.runtime.claims, name, ttl=ttl, timeout=seconds, wait=wait)

    def election(self, name: str) -> Election:
        """An election: `campaign`, `leader`, `observe`."""
        return Election(self.runtime.claims, name)

    @property
    def group(self) -> Group:
        return self.runtime.group

    @property
    def mesh(self) -> Mesh:
        return self.runtime.mesh

    @property
    def driver(self) -> RaftDriver:
        driver = self.runtime.driver
        if driver is None:
            raise UsageError(f"host {self.id!r} is still starting")
        return driver

    @property
    def machine(self) -> Machine:
        """The replicated state as this host has it, for local reads."""
        return self.runtime.folder.state.machine

    @property
    def replicated(self) -> MachineState:
        """The machine with its store and its snapshots."""
        return self.runtime.folder.state

    @property
    def configuration(self) -> Configuration:
        """The members, as this host knows them."""
        return Configuration() if self._runtime is None else self._runtime.configuration

    @property
    def address(self) -> str:
        """Where peers dial in, with the real port."""
        runtime = self._runtime
        return (None if runtime is None else runtime.mesh.address) or self._listen

    @property
    def leader(self) -> str | None:
        """Who leads, as far as this host knows."""
        return None if self._runtime is None else self._runtime.group.leader

    @property
    def agents(self) -> Agents:
        """Named agents: start, find, call, move and stop them, wherever they live."""
        return self.runtime.agents.face

    def cache(self, name: str, **options: Any) -> Cache:
        """A cache of the cluster: one computation per key, and nothing old behind an invalidation.
        `options` are those of `quorate.consistency.layers.options.CacheOptions`, with `ttl=`,
        `stale=` and `error_ttl=` in seconds. Raises `ConfigError` when it is open with others."""
        return self.runtime.beside.caches.open(name, **options)

    @property
    def partition(self) -> Partition:
        """Whom this host reaches, what changed, and what each heal had to reconcile."""
        return self.runtime.beside.partition

    # --- stores -----------------------------------------------------------------------------------

    @property
    def stores(self) -> Stores:
        """What of this host has to do with stores."""
        return self.runtime.stores

    def store(
        self,
        name: str,
        *,
        replicas: int | None = None,
        resolver: str | None = None,
        merge: Callable[[list[Any]], Any] | None = None,
        merge_samples: list[Any] | None = None,
        siblings_max: int = SIBLINGS_MAX,
        on_partition: str = "continue",
        consistency: str = "eventual",
        durable: bool = True,
    ) -> Store:
        """A store of the cluster, made when first named.

        `replicas` (3) and `resolver` (`lww`, `siblings`, or `merge` with the function `merge`) are
        decided once, by whoever names the store first; left out, they are what was decided. The
        others are what the calls of this `Store` do unless they say otherwise: `consistency`
        (strong, session, eventual), `on_partition` (pause, continue, degraded), `durable`.
        `merge_samples`: values on which `merge` is tried before it is taken. `siblings_max`: a
        key with more concurrent values raises `TooManySiblings`.

        Raises `ConfigError` (also from later calls, when the group contradicts), `UsageError`."""
        return self.stores.desk.store(
            name,
            replicas=replicas,
            resolver=resolver,
            merge=merge,
            merge_samples=merge_samples,
            siblings_max=siblings_max,
            on_partition=on_partition,
            consistency=consistency,
            durable=durable,
        )

    def session(self, token: bytes | None = None) -> Session:
        """A session: `async with host.session() as s:`; with a `token`, one that goes on with
        another's past. Raises `ForgedToken`."""
        return self.stores.desk.session(token)

    async def leave(self, *, timeout: float | None = None) -> None:
        """Hand all keys over to the other hosts, then leave the group; stop the host afterwards.
        In between this host refuses updates of stores, since nobody would get them from it.

        `timeout` in seconds, 60 by default. Raises `Timeout`, `MembershipRefused`, `Unavailable`:
        nothing was given up then, and the host goes on (if it was removed all the same, which
        `Unavailable` with the outcome "unknown" leaves open, it learns that and refuses calls)."""
        seconds = LEAVE_TIMEOUT_S if timeout is None else timeout
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        await self.stores.drain(seconds)
        try:
            await self.members.remove(self.id, timeout=max(0.1, until - loop.time()))
        except BaseException:
            self.stores.stay()
            raise
