"""The store replica of one host: all stores, one log, one stream to every other owner.

The law of this file: the face of a replica: what a store is, where a key lives, reads, writes, and
what an exchange needs. It is driven by calls and callbacks of the one owning thread; it waits for
nothing and reads no clock but the one handed in. See the README for one write and one failure told
as stories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from quorate.consistency.crdt import Crdt
from quorate.consistency.merkle.ports import Absorbed
from quorate.consistency.merkle.tree import BucketTree
from quorate.consistency.replica.core import ReplicaCore
from quorate.consistency.replica.definitions import (
    Conflict,
    StoreDef,
)
from quorate.consistency.replica.outgoing import message
from quorate.consistency.replica.redo_log import LOG_TABLES
from quorate.consistency.replica.shelf import STATE_TABLES
from quorate.consistency.replica.states import KeyState, Vector
from quorate.consistency.replica.writing import Update
from quorate.consistency.ring.placement import Placement, Ring, bucket_of
from quorate.core.errors import ConfigError, Unavailable

NOBODY: frozenset[int] = frozenset()
LEAVING = "this host is leaving and has handed its keys over: ask another host; nothing was written"

__all__ = ["LOG_TABLES", "STATE_TABLES", "StoreReplica", "Update"]


class StoreReplica(ReplicaCore):
    """See the law above. `log` and `state` have the tables `LOG_TABLES` and `STATE_TABLES`; whoever
    opened them closes them.

    The constructor reads what is on disk: raises `CorruptStorage`, `StorageFailed`.
    """

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
        shelf.define(definition)
        self._look_at_ring()

    def stores(self) -> Mapping[str, int]:
        """Every store known here, with its number of replicas."""
        return {name: s.definition.replicas for name, s in self.shelf.stores.items()}

    @property
    def placement(self) -> Placement | None:
        return self.territory.placement

    def on_ring(self, ring: Ring) -> None:
        """Who owns data from now on. An older ring is ignored."""
        if self.territory.take(ring):
            self._look_at_ring()
            self.incoming.tell(now=True)
            self.incoming.look_at_rescans()

    def on_members(self, hosts: list[str]) -> None:
        """Who may make updates: freshness is measured against all of them."""
        for host in set(self.territory.members) - set(hosts):
            self.freshness.forget(host)
        self.territory.members = tuple(hosts)
        self._look_at_ring()

    def _look_at_ring(self) -> None:
        territory = self.territory
        territory.look()
        self.outgoing.wanted = None if territory.everywhere else territory.goes_to

    def partition_of(self, store: str, key: str) -> int:
        return self.shelf.store(store).point(key) >> 24

    def bucket_of(self, store: str, key: str) -> int:
        return bucket_of(self.shelf.store(store).point(key))

    def owners(self, store: str, key: str) -> tuple[str, ...]:
        """The hosts that own a key; this host alone while no ring is known."""
        return self.territory.owners(store, key)

    def owns(self, store: str, key: str) -> bool:
        return self.territory.everywhere or self.host_id in self.owners(store, key)

    def others(self) -> list[str]:
        return self.territory.others()

    # --- reading and writing ----------------------------------------------------------------------

    @property
    def durable(self) -> int:
        """The last own sequence on this disk."""
        return self.knowledge.applied.get(self.writer.actor, 0)

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

    def collected_cut(self, store: str, key: str) -> Vector:
        """Everything of the key up to here that is not here is dead: seen, and collected."""
        return self.joiner.cut_of(store, key)

    def keys(self, store: str, partition: int | None = None) -> Iterator[str]:
        """Every key here, tombstones included."""
        return self.shelf.store(store).keys(partition)

    def keys_under(self, store: str, prefix: str, after: str = "", limit: int = 512) -> list[str]:
        """The first keys here that begin with `prefix` and come after `after`, tombstones included;
        `prefix` has a slash, and the store is one whose keys live together (`ring.placement`)."""
        return self.shelf.store(store).keys_under(prefix, after, limit)

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

    def join_delta(
        self,
        store: str,
        key: str,
        delta: Crdt,
        *,
        stamp: int = 0,
        deps: Vector | None = None,
        floor: int = 0,
        destinations: int | None = None,
    ) -> Update:
        """Join a delta that was made before, under dots of its own, as an update of this host:
        twice the same changes nothing the second time. Raises like `put`."""
        return self.writer.join_delta(store, key, delta, stamp, deps, floor, destinations)

    def admit(self, updates: int, size_bytes: int) -> None:
        """So many updates follow in this turn of the loop, and are to be one batch: raises now what
        any of them would raise because of this host (`StorageFull`, `Overloaded`, `Stopped`)."""
        self.writer.admit(updates, size_bytes)

    def mark_volatile(self, done: Callable[[], None]) -> None:
        """Before the first update that is acknowledged from memory: `done()` once this disk says
        that a crash must be followed by a new actor."""
        self.identity.mark_volatile(done)

    def holders(self, store: str, key: str, seq: int) -> list[str]:
        """The hosts known to have own update `seq` on their disks, this one first."""
        hosts = [self.host_id] if self.durable >= seq else []
        peers = self.outgoing.holding(self.actor, seq)
        if self.territory.everywhere:
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

    # --- for exchanges and moves ------------------------------------------------------------------

    @property
    def whole(self) -> Callable[[int], bool]:
        """Whether this host has everything of a partition; set by whoever moves data."""
        return self.joiner.whole

    @whole.setter
    def whole(self, whole: Callable[[int], bool]) -> None:
        self.joiner.whole = whole

    def misses(self, unheard: Callable[[int], frozenset[str]]) -> None:
        """`unheard(partition)`: hosts that were away when a partition came here."""
        actors = self.knowledge.actors

        def missing(partition: int) -> frozenset[int]:
            away = unheard(partition)
            return frozenset(a for a, host in actors.items() if host in away) if away else NOBODY

        self.joiner.missing = missing

    @property
    def pinned(self) -> Callable[[str, str], bool]:
        """(store, key): whether a tombstone of the key must stay; set by who has another plane."""
        return self.joiner.pinned

    @pinned.setter
    def pinned(self, pinned: Callable[[str, str], bool]) -> None:
        self.joiner.pinned = pinned

    @property
    def busy(self) -> bool:
        """So much changes that looking for differences should wait, if it can."""
        return self.shelf.dirty_keys >= self.config.busy_keys

    def buried(self) -> Vector:
        """Actors of folders that are gone, with the highest sequence that anybody has; only those
        of which this host has less. Empty while some host did not tell what it has."""
        ring, others = self.ring, self.territory.others()
        if ring is None or ring.before is not None:
            return {}
        return self.knowledge.buried(self.identity.own, others, ring.epoch)

    def unpushed(self, host: str) -> int:
        """Bytes of own updates that a host's disk does not have yet, as far as is known."""
        return self.outgoing.lacking(host) + self.writer.unsynced_bytes

    def refuse_updates(self, *, refuse: bool) -> None:
        """Raise `Unavailable` to who updates here, because this host has left the ring; or do not
        any more."""
        self.writer.leaving = Unavailable(LEAVING) if refuse else None

    def settle(self) -> None:
        """Bring the trees in step with memory."""
        for shelf in self.shelf.stores.values():
            shelf.settle_all()

    def tree(self, store: str) -> BucketTree:
        return self.shelf.store(store).tree

    def bucket(self, store: str, bucket: int) -> list[tuple[str, int]]:
        return self.shelf.store(store).bucket(bucket)

    def export(self, store: str, key: str) -> Any | None:
        state = self.shelf.store(store).load(key)
        return None if state is None else state.wire()

    def absorb(self, entries: list[list[Any]], done: Callable[[Absorbed], None]) -> None:
        """Join states from an exchange; see `merkle.ports.Data`."""
        self.absorbing.absorb(entries, done)

    def barrier(self, done: Callable[[], None]) -> None:
        """`done()` once everything that is in memory now is on this disk; at once if it is."""
        self.absorbing.barrier(done)

    def advance(self, vector: Mapping[int, int], done: Callable[[], None]) -> None:
        """A complete exchange earned this vector."""
        self.absorbing.advance(dict(vector), done)

    def forget(self, store: str, partition: int, done: Callable[[], None]) -> None:
        """Drop what is here of a partition that others own."""
        shelf = self.shelf.store(store)
        for key in list(shelf.keys(partition)):
            shelf.remove(key)
        self.flusher.plan()
        self.scheduler.call_soon(done)

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
