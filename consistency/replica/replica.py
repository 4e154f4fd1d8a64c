"""The store replica of one host: all stores, one log, one stream to every other owner.

The law of this file: apply in memory, log, sync, acknowledge, push, in that order, seen in
`Writer.put`, `RedoLog._turn` and `_on_synced`. It is driven by calls and callbacks of the one
owning thread; it does no waiting and reads no clock but the one handed in. See the README for one
write and one failure told as stories.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from quorate.consistency.merkle.ports import Absorbed
from quorate.consistency.merkle.tree import BucketTree
from quorate.consistency.replica import batches
from quorate.consistency.replica.collector import Collector
from quorate.consistency.replica.conflict_feed import ConflictFeed
from quorate.consistency.replica.definitions import (
    Conflict,
    ReplicaConfig,
    StoreDef,
)
from quorate.consistency.replica.flusher import Done, Flusher, Mark
from quorate.consistency.replica.freshness import Freshness
from quorate.consistency.replica.hooks import ReplicaHooks
from quorate.consistency.replica.identity import Identity
from quorate.consistency.replica.incoming import Incoming
from quorate.consistency.replica.joiner import Joiner
from quorate.consistency.replica.knowledge import Knowledge
from quorate.consistency.replica.outgoing import Outgoing, Send, message
from quorate.consistency.replica.redo_log import LOG_TABLES, PLACE_BITS, RedoLog
from quorate.consistency.replica.shelf import STATE_TABLES, Shelf
from quorate.consistency.replica.states import KeyState, Vector
from quorate.consistency.replica.writing import Update, Writer
from quorate.consistency.ring.placement import Placement, Ring, bucket_of
from quorate.consistency.versions.hlc import HybridClock
from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.errors import ConfigError, QuorateError, Stopped
from quorate.core.storage.engine import Engine
from quorate.core.storage.state_store import StateStore

__all__ = ["LOG_TABLES", "STATE_TABLES", "StoreReplica", "Update"]


class StoreReplica:
    """See the law above. `log` and `state` have the tables `LOG_TABLES` and `STATE_TABLES` and
    belong to the replica until `close`.

    The constructor reads what is on disk: raises `CorruptStorage`, `StorageFailed`.
    """

    def __init__(
        self,
        *,
        host_id: str,
        log: Engine,
        state: StateStore,
        send: Send,
        clock: Clock,
        scheduler: Scheduler,
        rng: random.Random,
        hooks: ReplicaHooks,
        config: ReplicaConfig | None = None,
    ) -> None:
        self.host_id = host_id
        self.config = config = config or ReplicaConfig()
        self.hooks = hooks
        self.send = send
        self.now = clock.monotonic
        self.scheduler = scheduler
        self.placement: Placement | None = None
        self.members: tuple[str, ...] = ()
        self.stopped = False
        self._pumping = False
        self._timer: Timer | None = None
        self.hlc = HybridClock(clock, drift_max_ms=config.drift_max_ms)
        self.knowledge = Knowledge()
        self.log = RedoLog(
            log,
            scheduler,
            config,
            before_commit=self._before_commit,
            on_synced=self._on_synced,
            on_full=self._on_full,
            on_fatal=self._on_fatal,
        )
        self.shelf = Shelf(state)
        self.feed = ConflictFeed(state, config.conflicts_max)
        self.joiner = Joiner(
            self.shelf, self.feed, on_change=hooks.on_changed, on_conflict=hooks.on_conflict
        )
        self.writer = Writer(self.shelf, self.joiner, self.log, self.hlc, config)
        self.outgoing = Outgoing(self.log, send, config, wanted=None, now=clock.monotonic)
        self.freshness = Freshness(self.knowledge.seen, clock.monotonic)
        self.collector = Collector(host_id, self.shelf, self.joiner, self.knowledge)
        self.flusher = Flusher(
            self.shelf,
            scheduler,
            config,
            snapshot=self._snapshot,
            complete=self._complete,
            on_flushed=self._on_flushed,
            on_fatal=self._on_fatal,
        )
        self.identity = Identity(log, self.log, rng)
        self.incoming = Incoming(self)
        self.incoming.recover()

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to tell others and to look after the disk."""
        self._on_timer()

    def stop(self) -> None:
        """Nothing is sent or written any more; waiting updates are not acknowledged."""
        self.stopped = True
        self.writer.closed = Stopped("the host is stopped or stopping")
        self.log.stop()
        self.flusher.stop()
        if self._timer is not None:
            self._timer.cancel()

    def close_cleanly(self) -> None:
        """Before `stop`, at an orderly end: log and states are complete on disk. Blocks.

        Raises `StorageFull`, `StorageFailed`: the log has everything that was acknowledged.
        """
        self.log.blocking()
        self.flusher.blocking()
        self.identity.close_cleanly()

    def flush(self, done: Done | None = None) -> None:
        """Write the changed states to disk."""
        self.flusher.flush(done)

    def _on_timer(self) -> None:
        """Every `know_s`: tell what is here, push again, collect."""
        if self.stopped:
            return
        self._timer = self.scheduler.call_later(self.config.know_s, self._on_timer)
        self.incoming.tell()
        self.plan_pump()
        self.collector.run(self.ring, self.log.group)
        self._on_flushed(self.flusher.flushed_group)

    # --- definitions and places -------------------------------------------------------------------

    def define(self, definition: StoreDef) -> None:
        """What a store is. Twice the same is no error. Raises `ConfigError`."""
        definition.check()
        shelf = self.shelf.store(definition.name)
        known = shelf.definition
        same = (known.resolver, known.replicas) == (definition.resolver, definition.replicas)
        if shelf.defined and not same:
            raise ConfigError(
                f"store {definition.name!r} is defined with resolver {known.resolver!r} and "
                f"{known.replicas} replicas already"
            )
        shelf.definition, shelf.defined = definition, True
        self._look_at_ring()

    def stores(self) -> Mapping[str, int]:
        """Every store known here, with its number of replicas."""
        return {name: s.definition.replicas for name, s in self.shelf.stores.items()}

    @property
    def ring(self) -> Ring | None:
        return None if self.placement is None else self.placement.ring

    def on_ring(self, ring: Ring) -> None:
        """Who owns data from now on."""
        if self.ring is not None and ring.epoch <= self.ring.epoch:
            return
        self.placement = Placement(ring)
        self._look_at_ring()
        self.incoming.tell(now=True)
        self.plan_pump()

    def on_members(self, hosts: list[str]) -> None:
        """Who may make updates: freshness is measured against all of them."""
        for host in set(self.members) - set(hosts):
            self.freshness.forget(host)
        self.members = tuple(hosts)

    def _look_at_ring(self) -> None:
        """Where every host owns everything, no update is looked at one by one."""
        if self.placement is None:
            return
        ring = self.placement.ring
        hosts = {*ring.hosts, *(ring.before or ())}
        fewest = min((s.definition.replicas for s in self.shelf.stores.values()), default=1)
        self.outgoing.wanted = None if len(hosts) <= fewest else self._goes_to

    def _goes_to(self, host: str, update: batches.Update) -> bool:
        placement = self.placement
        shelf = self.shelf.stores.get(update[batches.STORE])
        if placement is None or shelf is None:
            return True
        partition = shelf.point(update[batches.KEY]) >> 24
        hosts = placement.destinations(partition, shelf.definition.replicas)
        only = update[batches.ONLY]
        return host in (hosts if only is None else hosts[:only])

    def partition_of(self, store: str, key: str) -> int:
        return self.shelf.store(store).point(key) >> 24

    def bucket_of(self, store: str, key: str) -> int:
        return bucket_of(self.shelf.store(store).point(key))

    def owners(self, store: str, key: str) -> tuple[str, ...]:
        """The hosts that own a key; this host alone while no ring is known."""
        shelf = self.shelf.stores.get(store)
        if self.placement is None or shelf is None:
            return (self.host_id,)
        return self.placement.owners(shelf.point(key) >> 24, shelf.definition.replicas)

    def owns(self, store: str, key: str) -> bool:
        return self.outgoing.wanted is None or self.host_id in self.owners(store, key)

    # --- reading and writing ----------------------------------------------------------------------

    @property
    def actor(self) -> int:
        """This data folder's name in dots."""
        return self.writer.actor

    @property
    def head(self) -> int:
        """The last own sequence handed out."""
        return self.writer.head

    @property
    def durable(self) -> int:
        """The last own sequence on this disk."""
        return self.knowledge.applied.get(self.writer.actor, 0)

    @property
    def applied(self) -> Vector:
        """Actor -> everything of it up to here that concerns this host is on this disk."""
        return self.knowledge.applied

    @property
    def actors(self) -> dict[int, str]:
        """Actor -> host, of everyone ever heard of."""
        return self.knowledge.actors

    @property
    def synced_lsn(self) -> int:
        return self.log.synced

    def covers(self, vector: Mapping[int, int]) -> bool:
        """Whether everything in `vector` that concerns this host is on this disk."""
        return self.knowledge.covers(vector)

    def read(self, store: str, key: str) -> KeyState | None:
        """The newest state in memory; it may not be synced yet (`lsn` > `synced_lsn`)."""
        shelf = self.shelf.stores.get(store)
        if shelf is None:
            return None
        return shelf.states.get(key) or shelf.load(key)

    def keys(self, store: str, partition: int | None = None) -> Iterator[str]:
        """Every key here, tombstones included."""
        return self.shelf.store(store).keys(partition)

    def put(
        self,
        store: str,
        key: str,
        value: bytes | None,
        *,
        deps: Vector | None = None,
        floor: int = 0,
        destinations: int | None = None,
    ) -> Update:
        """Write a register (None: delete). In memory at once, durable with `hooks.on_durable`.

        Raises `WrongType`, `LimitExceeded`, `StorageFull`, `Overloaded`, `Stopped`.
        """
        if value is None:
            return self.writer.delete(store, key, deps, floor, destinations)
        return self.writer.put(store, key, value, deps, floor, destinations)

    def operate(
        self,
        store: str,
        key: str,
        kind: str,
        op: str,
        args: list[Any],
        *,
        deps: Vector | None = None,
        floor: int = 0,
        destinations: int | None = None,
    ) -> Update:
        """Apply a CRDT operation. Raises like `put`, and `UsageError` for a wrong operation."""
        return self.writer.operate(store, key, kind, op, args, deps, floor, destinations)

    def mark_volatile(self, done: Callable[[], None]) -> None:
        """Before the first update that is acknowledged from memory: `done()` once this disk says
        that a crash must be followed by a new actor."""
        self.identity.mark_volatile(done)

    def holders(self, store: str, key: str, seq: int) -> list[str]:
        """The hosts known to have own update `seq` on their disks, this one first."""
        hosts = [self.host_id] if self.durable >= seq else []
        peers = self.outgoing.holding(self.actor, seq)
        if self.outgoing.wanted is None:
            return hosts + peers
        owners = self.owners(store, key)
        return hosts + [peer for peer in peers if peer in owners]

    def conflicts(
        self, store: str, after: bytes = b"", limit: int = 100
    ) -> list[tuple[bytes, Conflict]]:
        """The feed of conflicts seen on this host, with positions to go on from."""
        return self.feed.after(self.shelf.store(store), after, limit)

    def probe(self) -> None:
        """Ask every member how far its updates go; `hooks.on_fresh` tells."""
        number = self.freshness.ask()
        for host in self.others():
            self.send(host, message("probe", id=number), False)

    def others(self) -> list[str]:
        ring = self.ring
        hosts = {*self.members, *(() if ring is None else ring.hosts)}
        return sorted(hosts - {self.host_id})

    # --- for exchanges and moves ------------------------------------------------------------------

    def settle(self) -> None:
        """Bring the trees in step with memory."""
        for shelf in self.shelf.stores.values():
            shelf.settle_all()

    def tree(self, store: str) -> BucketTree:
        return self.shelf.store(store).tree

    def bucket(self, store: str, bucket: int) -> list[tuple[str, int]]:
        shelf = self.shelf.store(store)
        shelf.settle_all()
        return shelf.bucket(bucket)

    def export(self, store: str, key: str) -> Any | None:
        state = self.shelf.store(store).load(key)
        return None if state is None else state.wire()

    def absorb(self, entries: list[list[Any]], done: Callable[[Absorbed], None]) -> None:
        """Join states from an exchange; see `merkle.ports.Data`."""
        self.incoming.absorb(entries, done)

    def advance(self, vector: Mapping[int, int], done: Callable[[], None]) -> None:
        """A complete exchange earned this vector."""
        self.incoming.advance(dict(vector), done)

    def forget(self, store: str, partition: int, done: Callable[[], None]) -> None:
        """Drop what is here of a partition that others own."""
        shelf = self.shelf.store(store)
        for key in list(shelf.keys(partition)):
            shelf.remove(key)
        self.flusher.plan()
        self.scheduler.call_soon(done)

    # --- messages and news ------------------------------------------------------------------------

    def on_message(self, peer: str, parts: dict[str, Any]) -> None:
        """A message of another replica. Raises `UsageError` when it is malformed."""
        if not self.stopped:
            self.incoming.on_message(peer, parts)

    def on_peer(self, peer: str, *, up: bool) -> None:
        """A link came or went."""
        if up:
            self.incoming.greet(peer)
        else:
            self.outgoing.on_down(peer)

    def _before_commit(self) -> None:
        self.writer.close_batch()
        if self.writer.logged > self.knowledge.seen.get(self.actor, 0):
            self.knowledge.saw(self.actor, self.writer.logged, self.log.group)

    def _on_synced(self, group: int) -> None:
        """The disk has everything up to `group`: acknowledge, then push."""
        moved = self.knowledge.on_synced(group)
        self.writer.on_synced(group)
        self.incoming.on_synced(group, moved)
        own = moved.get(self.actor)
        if own is not None:
            self.hooks.on_durable(own)
            self.plan_pump()
        if moved:
            self.hooks.on_applied()
        self.flusher.plan()

    def plan_pump(self) -> None:
        if not self._pumping:
            self._pumping = True
            self.scheduler.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self.stopped or self.placement is None:
            return
        synced = (self.log.synced + 1 << PLACE_BITS) - 1
        self.outgoing.pump(synced)
        if self.outgoing.pump_rescans(synced):
            self.scheduler.call_later(self.config.retry_s / 10, self.plan_pump)

    def on_acked(self, peer: str, actor: int, upto: int) -> None:
        """A peer's disk has more of what is pushed from here."""
        if self.outgoing.on_ack(peer, actor, upto) and actor == self.actor:
            self.hooks.on_held(peer, upto)
        self.plan_pump()

    def on_amnesia(self, peer: str) -> None:
        """A peer has updates of this actor that this disk does not: it gave back an older state."""
        self.hooks.on_problem(
            f"host {peer!r} has updates of this host that its own disk lost (an older copy of the "
            "data folder, or a disk that lies about syncing): going on as a new actor"
        )
        self.writer.close_batch()
        self.writer.begin(self.identity.renew(), 0, 0)
        self.knowledge.actors[self.actor] = self.host_id

    def _snapshot(self) -> Mark:
        return Mark(self.log.synced, 0, dict(self.knowledge.applied), {}, {})

    def _complete(self, mark: Mark) -> None:
        mark.head = self.head
        mark.collected = self.joiner.collected
        mark.actors = self.knowledge.actors

    def _on_flushed(self, group: int) -> None:
        hosts = self.others() if self.placement is not None else None
        acked = 0 if hosts is None else self.outgoing.acked_position(hosts)
        forced = self.log.trim(group, acked)
        if forced is not None:
            self.hooks.on_problem(
                "updates were dropped from the log before every owner had them: some host is away "
                "for too long and will need to compare whole states"
            )

    def _on_full(self, full: bool) -> None:
        self.hooks.on_problem("the disk is full" if full else "the disk has space again")

    def _on_fatal(self, error: BaseException) -> None:
        self.stop()
        if isinstance(error, QuorateError):
            self.writer.closed = error
        self.hooks.on_fatal(error)

    def statistics(self) -> dict[str, Any]:
        return {
            "actor": self.actor,
            "head": self.head,
            "durable": self.durable,
            "applied": dict(self.applied),
            "written": self.writer.written,
            "changes": self.joiner.changes,
            "collected_keys": self.collector.collected_keys,
            "conflicts": self.feed.written,
            "log": self.log.statistics(),
            "flush": self.flusher.statistics(),
            "outgoing": self.outgoing.statistics(),
            "incoming": self.incoming.statistics(),
            "clock_problem": self.hlc.problem(),
        }
