"""The stores of a host: opened when somebody needs them, fed with messages, members and rings.

The law of this file: it opens, routes and beats; what an update means is in `consistency`. A host
whose program never names a store opens them when a peer speaks of stores, because it may own keys
of theirs; a host of a cluster without stores pays nothing.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from quorate.consistency.merkle.exchange import Exchange
from quorate.consistency.replica.replica import StoreReplica
from quorate.consistency.ring.mover import Mover
from quorate.consistency.ring.placement import Ring
from quorate.consistency.store.catalog import KEY_PREFIX, NAMESPACE
from quorate.consistency.store.desk import Desk
from quorate.consistency.store.plane import Surroundings
from quorate.core.clock import Timer
from quorate.core.errors import (
    LimitExceeded,
    QuorateError,
    Refused,
    Timeout,
    Unavailable,
    UsageError,
)
from quorate.core.group.kv import KV, record_of
from quorate.core.raft.members import Configuration
from quorate.core.wire.frames import ProtocolError
from quorate.core.wire.limits import Lane
from quorate.hosts.folder import has_stores
from quorate.hosts.store_parts import REPORT, STORE, StoreNews, StoreParts

if TYPE_CHECKING:
    from quorate.hosts.runtime import Runtime

RING_KEY = "ring"
BEAT_S = 1.0
LOOK_S = 0.05
PROBLEMS_KEPT = 64


class Stores(StoreNews):
    """What of a host has to do with stores; `desk()` opens it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._kv = KV(runtime.group, NAMESPACE)
        self._open: StoreParts | None = None
        self._beat: Timer | None = None
        self._look: Timer | None = None
        self._leaderless_since: float | None = runtime.clock.monotonic()
        self._proposing: asyncio.Task[None] | None = None
        self._ring_revision = 0
        self._looked_at = -1
        self._stopped = False
        self.problems: list[str] = []
        """The last things an operator should know, oldest first."""

    # --- opening ----------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._open is not None

    @property
    def desk(self) -> Desk:
        """The stores, opened now if they were not. Raises `CorruptStorage`, `StorageFailed`,
        `WrongDataFolder`, `Stopped`."""
        return self._opened().desk

    @property
    def replica(self) -> StoreReplica:
        return self._opened().replica

    @property
    def exchange(self) -> Exchange:
        return self._opened().exchange

    @property
    def mover(self) -> Mover:
        return self._opened().mover

    def start(self) -> None:
        """The host started: go on with what the folder or the group knows of."""
        machine = self._runtime.folder.state.machine
        known = machine.kv_range(prefix=KEY_PREFIX, ns=NAMESPACE, limit=1)
        if known or has_stores(self._runtime.folder.path):
            self._opened()

    def _opened(self) -> StoreParts:
        found = self._open
        if found is None:
            runtime = self._runtime
            if self._stopped:
                raise Unavailable("the host is stopped or stopping")
            found = self._open = StoreParts(self, runtime)
            found.plane.watcher = runtime.beside
            found.exchange.told = runtime.beside.on_exchange
            self._take_members(runtime.configuration)
            self._look_now()
            found.replica.start()
            found.mover.start()
            for peer in runtime.mesh.peers:
                if runtime.mesh.is_up(peer):
                    found.on_peer(peer, up=True)
            self._on_beat()
        return found

    def world(self) -> Surroundings:
        """What the stores are told of this host."""
        runtime, settings = self._runtime, self._runtime.settings
        return Surroundings(
            cluster=settings.cluster,
            secret=settings.secret,
            is_up=runtime.mesh.is_up,
            rtt_s=runtime.mesh.rtt,
            strong_holders=self._strong_holders,
            cut_off=self.cut_off,
            fresh_bytes=os.urandom,
            on_problem=self.on_problem,
            on_fatal=runtime.on_fatal,
        )

    # --- what this host knows of the group --------------------------------------------------------

    def cut_off(self) -> bool:
        """Whether this host reaches no majority: by its links, or because nobody has led it for
        longer than an election takes."""
        group = self._runtime.group
        if not group.quorum_reachable:
            return True
        since = self._leaderless_since
        grace_s = 2 * self._runtime.settings.election_max_s
        return since is not None and self._runtime.clock.monotonic() - since > grace_s

    def _strong_holders(self, index: int) -> tuple[str, ...]:
        runtime = self._runtime
        holders = [runtime.host_id]
        driver, leader = runtime.driver, runtime.group.leader
        if leader == runtime.host_id and driver is not None:
            progress: dict[str, Any] = driver.engine.progress
            holders += sorted(peer for peer, one in progress.items() if one.match >= index)
        elif leader is not None:
            holders.append(leader)
        return tuple(dict.fromkeys(holders))

    # --- news of the host -------------------------------------------------------------------------

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        """A message between stores. Raises `ProtocolError` when it is malformed."""
        if not self._stopped:
            try:
                self._opened().on_message(peer, message)
            except UsageError as error:
                raise ProtocolError(f"host {peer!r}: {error}") from error

    def on_peer(self, peer: str, *, up: bool) -> None:
        if self._open is not None:
            self._open.on_peer(peer, up=up)
            self._open.plane.news.notify()

    def on_leader(self, leader: str | None) -> None:
        if leader is None:
            self._leaderless_since = self._leaderless_since or self._runtime.clock.monotonic()
        else:
            self._leaderless_since = None
        if self._open is not None:
            self._open.steward.on_leader(leader == self._runtime.host_id)
            self._open.plane.news.notify()
            self._on_beat()

    def on_configuration(self, configuration: Configuration) -> None:
        if self._open is not None:
            self._take_members(configuration)

    def _take_members(self, configuration: Configuration) -> None:
        stores = self._open
        ids = [member.id for member in configuration.members]
        if stores is not None and ids:
            stores.replica.on_members(ids)
            stores.mover.on_members(ids)
            stores.steward.on_members(ids)

    def on_applied(self) -> None:
        """The group's state moved on here."""
        if self._open is not None:
            self._open.plane.on_strong_applied()
            if self._look is None and not self._stopped:
                self._look = self._runtime.loop.call_later(LOOK_S, self._look_now)

    def _look_now(self) -> None:
        """Follow the ring record and the definitions."""
        self._look = None
        stores, machine = self._open, self._runtime.folder.state.machine
        if stores is None or self._stopped or machine.revision == self._looked_at:
            return
        self._looked_at = machine.revision
        row = machine.kv_get(RING_KEY, NAMESPACE)
        if row is not None and row.mod_revision != self._ring_revision:
            self._ring_revision = row.mod_revision
            try:
                ring = Ring.from_plain(record_of(row).value)
            except UsageError as error:
                self.on_problem(f"the ring record cannot be read: {error}")
            else:
                stores.on_ring(ring)
        try:
            stores.desk.look()
        except QuorateError as error:
            self.on_problem(str(error))

    # --- the ring ---------------------------------------------------------------------------------

    def _on_beat(self) -> None:
        """About every second: tell the steward how it is here; as the leader, look after the
        ring."""
        if self._beat is not None:
            self._beat.cancel()
        stores, runtime = self._open, self._runtime
        if stores is None or self._stopped:
            return
        self._beat = runtime.loop.call_later(BEAT_S, self._on_beat)
        report, leader = stores.mover.report(), runtime.group.leader
        stores.steward.on_leader(runtime.group.leads)
        stores.steward.on_quorum(runtime.group.quorum_reachable)
        if runtime.group.leads:
            stores.steward.on_report(runtime.host_id, report)
            self._propose()
        elif leader is not None:
            self.send(leader, {"type": STORE, "k": REPORT, "r": report.to_plain()}, False)

    def _propose(self) -> None:
        stores = self._open
        if stores is None or self._proposing is not None:
            return
        proposal = stores.steward.propose()
        if proposal is not None:
            row = self._runtime.folder.state.machine.kv_get(RING_KEY, NAMESPACE)
            revision = 0 if row is None else row.mod_revision
            work = self._write_ring(proposal.ring, revision)
            self._proposing = stores.plane.spawn(work, "write the ring")

    async def _write_ring(self, ring: Ring, revision: int) -> None:
        """By compare-and-set on the record the proposal was made from."""
        try:
            with suppress(Refused, Unavailable):
                if revision:
                    await self._kv.cas(RING_KEY, ring.to_plain(), revision=revision)
                else:
                    await self._kv.cas(RING_KEY, ring.to_plain(), version=0)
        finally:
            self._proposing = None

    def on_ready(self, epoch: int) -> None:
        """This host has everything it gained: tell the steward at once."""
        if self._open is not None:
            self._open.plane.on_ready()
        self._runtime.loop.call_soon(self._on_beat)

    def on_problem(self, text: str) -> None:
        if not self.problems or self.problems[-1] != text:
            self.problems = [*self.problems[1 - PROBLEMS_KEPT :], text]

    def send(self, peer: str, message: dict[str, Any], bulk: bool) -> bool:
        """False when it certainly did not leave."""
        try:
            return self._runtime.mesh.send(peer, message, Lane.BULK if bulk else Lane.NORMAL)
        except LimitExceeded:
            return False

    async def drain(self, timeout_s: float) -> None:
        """Have others take over every key of this host. Raises `Timeout`; then it stays."""
        stores = self._open
        if stores is None:
            return
        done = stores.plane.future()
        stores.mover.drain(lambda: None if done.done() else done.set_result(None))
        self._on_beat()
        try:
            async with asyncio.timeout(timeout_s):
                await done
        except TimeoutError:
            stores.mover.stay()
            raise Timeout(
                f"host {self._runtime.host_id!r} could not hand its keys over within "
                f"{timeout_s:g} s; it stays an owner"
            ) from None

    def stay(self) -> None:
        """Take back what `drain` did: be an owner again. Safe to call at any time."""
        if self._open is not None:
            self._open.mover.stay()

    # --- going down -------------------------------------------------------------------------------

    def be_quiet(self, failure: QuorateError | None) -> None:
        """Nothing is begun or sent any more. Safe to call twice."""
        self._stopped = True
        for timer in (self._beat, self._look):
            if timer is not None:
                timer.cancel()
        if self._open is not None:
            self._open.be_quiet(failure)

    async def close(self, *, flush: bool) -> None:
        """Stop and close the files; `flush`: states and log complete first."""
        self._stopped = True
        if self._open is not None:
            await self._open.close(flush=flush)

    def statistics(self) -> dict[str, Any]:
        return {} if self._open is None else self._open.statistics()
