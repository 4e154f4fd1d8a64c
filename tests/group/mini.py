"""A make-believe group: a log without a network, real machines on every host, virtual time.

A host can be cut off (it sends and hears nothing), the leader can move, entries can be skipped as
a snapshot would. Everything above the driver is the real code."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from quorate.bench.virtual_loop import LoopClock
from quorate.core.group.claims import Claims
from quorate.core.group.digest_exchange import DIGEST, DigestExchange
from quorate.core.group.elections import Election
from quorate.core.group.group import Group
from quorate.core.group.kv import KV
from quorate.core.group.lease_keeper import LeaseKeeper
from quorate.core.group.leases import Leases
from quorate.core.group.locks import Lock
from quorate.core.group.registry import Registry
from quorate.core.machine.dict_store import DictStore
from quorate.core.machine.machine import Machine
from quorate.core.raft.refusals import Refusal

HOP_S = 0.001


class MiniHost:
    """One host of the make-believe group; also its driver."""

    def __init__(self, mini: MiniGroup, name: str) -> None:
        self.mini = mini
        self.name = name
        self.cut = False
        self.drift = 1.0
        self.out: list[Exception] = []
        self.machine = Machine(DictStore(), events_keep_revisions=mini.events_keep_revisions)
        loop = mini.loop
        self.group = Group(
            host_id=name,
            owner=self,
            send=self._send,
            clock=LoopClock(loop),
            scheduler=loop,
            rng=random.Random(name),
            make_future=loop.create_future,
        )
        self.group.bind(self)
        self.keeper = LeaseKeeper(self.group)
        self.leases = Leases(self.group, session_ttl_s=5.0)
        self.claims = Claims(self.group, self.leases)
        self.kv = KV(self.group)
        self.registry = Registry(self.group, self.leases)
        self.digests = DigestExchange(
            self.group,
            send=self._send,
            members=lambda: ([h for h in mini.hosts if h != name], tuple(mini.hosts)),
            on_out=self.out.append,
        )

    def lock(self, name: str, *, ttl: float | None = None, timeout: float | None = None) -> Lock:
        return Lock(self.claims, name, ttl=ttl, timeout=timeout)

    def election(self, name: str) -> Election:
        return Election(self.claims, name)

    # --- as the driver ---------------------------------------------------------------------------

    def submit(self, batch: bytes, on_refused: Callable[[Any], None]) -> None:
        self.mini.loop.call_later(HOP_S, self.mini.append, self, batch)

    def read_index(self, done: Callable[[int | None, Any], None]) -> None:
        def answer() -> None:
            if self.cut or self.mini.leader is None or self.mini.hosts[self.mini.leader].cut:
                done(None, Refusal.NO_LEADER)
            else:
                self.catch_up()
                done(self.machine.applied_index, None)

        self.mini.loop.call_later(HOP_S, answer)

    def _send(self, peer: str, message: dict[str, Any]) -> bool:
        def deliver() -> None:
            other = self.mini.hosts[peer]
            if self.cut or other.cut:
                return
            if message["type"] == DIGEST:
                other.digests.on_message(self.name, message)
            else:
                other.group.requests.on_message(self.name, message)

        self.mini.loop.call_later(HOP_S, deliver)
        return not self.cut

    # --- as a follower ---------------------------------------------------------------------------

    def catch_up(self) -> None:
        """Apply what the log holds and this host may hear of."""
        while not self.cut and self.machine.applied_index < len(self.mini.log):
            index = self.machine.applied_index + 1
            term, batch = self.mini.log[index - 1]
            results = self.machine.apply(index, term, [batch])
            self.group.on_applied(index, term, results)
            changes = self.machine.lease_changes
            self.keeper.on_applied(changes)
            self.leases.on_gone([lease for lease, ttl_ms, _ in changes if ttl_ms == 0])
            self.digests.on_applied(index)

    def hear_of(self, leader: str | None) -> None:
        self.group.on_leader(leader, self.mini.term)
        self.keeper.on_leader()
        self.leases.on_leader()

    async def stop(self) -> None:
        await self.leases.stop()
        await self.claims.stop()
        self.group.stop()
        self.keeper.stop()
        self.digests.stop()


class MiniGroup:
    """`async with MiniGroup("abc") as mini: mini.hosts["a"]`; a leads first."""

    def __init__(self, names: str = "abc", *, events_keep_revisions: int = 100_000) -> None:
        self.loop = asyncio.get_running_loop()
        self.events_keep_revisions = events_keep_revisions
        self.log: list[tuple[int, bytes]] = []
        self.term = 0
        self.leader: str | None = None
        self.hosts: dict[str, MiniHost] = {}
        for name in names:
            self.hosts[name] = MiniHost(self, name)
        self.lead(names[0])

    def append(self, host: MiniHost, batch: bytes) -> None:
        if host.cut or self.leader is None or self.hosts[self.leader].cut:
            return
        self.log.append((self.term, batch))
        for one in self.hosts.values():
            self.loop.call_later(HOP_S, one.catch_up)

    def lead(self, name: str | None) -> None:
        """Somebody else leads; a host that is cut off does not hear of it."""
        self.leader = name
        self.term += 1
        for host in self.hosts.values():
            if not host.cut:
                host.hear_of(name)

    def cut(self, name: str) -> None:
        self.hosts[name].cut = True

    def heal(self, name: str) -> None:
        self.hosts[name].cut = False
        self.hosts[name].hear_of(self.leader)
        self.hosts[name].catch_up()

    async def pass_time(self, seconds: float) -> None:
        passed = self.loop.create_future()
        self.loop.call_later(seconds, passed.set_result, None)
        await passed

    async def __aenter__(self) -> MiniGroup:
        return self

    async def __aexit__(self, *_: object) -> None:
        for host in self.hosts.values():
            await host.stop()
