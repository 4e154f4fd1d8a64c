"""A small world for exchanges: hosts with last-write-wins replicas on a network of events.

A replica here is a dictionary per store. An entry is [stamp, actor, seq, value]; a tombstone has
the value None and may be collected up to a cut. Time is virtual; every message is encoded and
decoded, so bytes are counted exactly and nothing is shared between hosts.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from quorate.chaos.sim.events import EventQueue, Life
from quorate.consistency.merkle.exchange import Exchange, ExchangeConfig, Report
from quorate.consistency.merkle.ports import Absorbed
from quorate.consistency.merkle.tree import BucketTree, key_digest
from quorate.consistency.ring.placement import bucket_of, partition_of, point
from quorate.core import codec
from quorate.core.errors import UsageError

SYNC_S = 0.001


class SmallReplica:
    """States by last write wins, with digests that follow at once."""

    def __init__(self, host: str, queue: EventQueue, replicas: int = 3) -> None:
        self.host, self._queue, self._replicas = host, queue, replicas
        self.actor = 1 + sum(host.encode())
        self.own_actors = [self.actor]
        self.head = 0
        self.applied: dict[int, int] = {}
        self.collected: dict[int, int] = {}
        self.whole: Callable[[int], bool] = lambda partition: True
        self.keys: dict[str, dict[int, dict[str, tuple[list[Any], int]]]] = {}
        self.trees: dict[str, BucketTree] = {}
        self.absorbing = self.absorbing_most = 0
        self.looked_at: Counter[str] = Counter()
        self.full = False
        self.known: dict[str, int] = {}

    # --- what the exchange asks ---------------------------------------------------------------

    def stores(self) -> dict[str, int]:
        return self.known

    def settle(self) -> None: ...

    def tree(self, store: str) -> BucketTree:
        return self.trees[store]

    def bucket(self, store: str, bucket: int) -> list[tuple[str, int]]:
        self.looked_at[store] += 1
        rows = self.keys[store].get(bucket, {})
        return [(key, digest) for key, (_, digest) in rows.items()]

    def export(self, store: str, key: str) -> Any | None:
        row = self._row(store, key)
        return None if row is None else row[0]

    def absorb(self, entries: list[list[Any]], done: Callable[[Absorbed], None]) -> None:
        for _, _, wire in entries:
            if not isinstance(wire, list) or not (len(wire) == 4 or wire[0] == "gone"):
                raise UsageError("a state that is none")
        changed, gone = 0, []
        for store, key, wire in entries if not self.full else ():
            if wire[0] == "gone":
                self._bury(store, key, wire[1])
            elif self._is_dead(store, key, wire):
                gone.append((store, key))
            else:
                changed += self.put_entry(store, key, wire)
        failed = "the disk is full" if self.full else None
        self.absorbing += 1
        self.absorbing_most = max(self.absorbing_most, self.absorbing)

        def synced() -> None:
            self.absorbing -= 1
            done(Absorbed(changed, gone, dict(self.collected), failed))

        self._queue.after(SYNC_S, synced)

    def barrier(self, done: Callable[[], None]) -> None:
        self._queue.after(SYNC_S, done)

    # --- what a test does ---------------------------------------------------------------------

    def define(self, store: str) -> None:
        if store not in self.known:
            self.known[store] = self._replicas
            self.keys[store], self.trees[store] = {}, BucketTree()

    def put(self, store: str, key: str, value: Any) -> None:
        """An update made here."""
        self.head += 1
        self.applied[self.actor] = self.head
        old = self._row(store, key)
        stamp = max(int(self._queue.now * 1000) + 1, old[0][0] + 1 if old else 0)
        self.put_entry(store, key, [stamp, self.actor, self.head, value])

    def put_entry(self, store: str, key: str, entry: list[Any]) -> bool:
        self.define(store)
        at = bucket_of(point(store, key.encode()))
        rows = self.keys[store].setdefault(at, {})
        old = rows.get(key)
        if old is not None and old[0][:3] >= entry[:3]:
            return False
        digest = key_digest(key.encode(), codec.dumps(entry))
        if old is not None:
            self.trees[store].toggle(at, old[1])
        self.trees[store].toggle(at, digest)
        rows[key] = (entry, digest)
        return True

    def remove(self, store: str, key: str) -> None:
        """As if it had never been here."""
        at = bucket_of(point(store, key.encode()))
        _, digest = self.keys[store][at].pop(key)
        self.trees[store].toggle(at, digest)

    def collect(self, cut: dict[int, int]) -> None:
        """Drop tombstones up to the cut."""
        self.collected = dict(cut)
        for store in self.known:
            for key in self.everything(store, dead=True):
                entry = self.export(store, key)
                if entry is not None and entry[3] is None and entry[2] <= cut.get(entry[1], 0):
                    self.remove(store, key)

    def forget(self, store: str, partition: int, done: Callable[[], None]) -> None:
        for at in range(partition * 256, (partition + 1) * 256):
            for key in list(self.keys[store].get(at, {})):
                self.remove(store, key)
        self._queue.after(SYNC_S, done)

    def clone_from(self, other: SmallReplica) -> None:
        for store, buckets in other.keys.items():
            self.define(store)
            self.keys[store] = {at: dict(rows) for at, rows in buckets.items()}
            for page in range(256):
                self.trees[store].load_page(page, other.trees[store].page(page))

    def everything(self, store: str, *, dead: bool = False) -> dict[str, Any]:
        """Every key with its value."""
        rows = (row for rows in self.keys.get(store, {}).values() for row in rows.items())
        return {key: entry[3] for key, (entry, _) in rows if dead or entry[3] is not None}

    def _row(self, store: str, key: str) -> tuple[list[Any], int] | None:
        at = bucket_of(point(store, key.encode()))
        return self.keys.get(store, {}).get(at, {}).get(key)

    def _is_dead(self, store: str, key: str, entry: list[Any]) -> bool:
        partition = partition_of(point(store, key.encode()))
        covered = entry[2] <= self.collected.get(entry[1], 0)
        return covered and self.whole(partition) and self._row(store, key) is None

    def _bury(self, store: str, key: str, cut: dict[int, int]) -> None:
        row = self._row(store, key)
        if row is not None and row[0][2] <= cut.get(row[0][1], 0):
            self.remove(store, key)


class Network:
    """Messages between hosts: late by `latency_s`, sometimes lost, none over a cut link."""

    def __init__(self, queue: EventQueue, rng: random.Random) -> None:
        self.queue, self.rng = queue, rng
        self.latency_s = 0.0005
        self.loss = 0.0
        self.cut: set[tuple[str, str]] = set()
        self.receive: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self.bytes: Counter[str] = Counter()
        self.longest = 0
        self.messages: list[tuple[float, str, int]] = []

    def sender(self, host: str) -> Callable[[str, dict[str, Any], bool], bool]:
        def send(peer: str, message: dict[str, Any], bulk: bool) -> bool:
            if (host, peer) in self.cut or peer not in self.receive:
                return False
            data = codec.dumps(message)
            self.bytes[message["k"]] += len(data)
            self.longest = max(self.longest, len(data))
            self.messages.append((self.queue.now, str(message.get("o")), len(data)))
            if self.rng.random() >= self.loss:
                self.queue.after(self.latency_s, lambda: self._deliver(host, peer, data))
            return True

        return send

    def _deliver(self, host: str, peer: str, data: bytes) -> None:
        if (host, peer) not in self.cut and peer in self.receive:
            self.receive[peer](host, codec.loads(data, depth_max=40))

    def part(self, one: str, other: str) -> None:
        self.cut |= {(one, other), (other, one)}

    def heal(self) -> None:
        self.cut.clear()


class Pair:
    """Two hosts, `a` and `b`, that exchange."""

    def __init__(self, seed: int = 1, config: ExchangeConfig | None = None) -> None:
        self.queue = EventQueue()
        self.rng = random.Random(seed)
        self.network = Network(self.queue, self.rng)
        self.life = Life(self.queue, clock_rate=1.0, clock_offset_s=0.0)
        self.replicas: dict[str, SmallReplica] = {}
        self.exchanges: dict[str, Exchange] = {}
        for host in ("a", "b"):
            self.replicas[host] = replica = SmallReplica(host, self.queue)
            self.exchanges[host] = exchange = Exchange(
                replica,
                send=self.network.sender(host),
                clock=self.life,
                scheduler=self.life,
                rng=self.rng,
                config=config,
            )
            self.network.receive[host] = exchange.on_message
        self.a, self.b = self.replicas["a"], self.replicas["b"]

    def fill(self, keys: int, store: str = "s", value: str = "a value of some length") -> None:
        """The same keys on both."""
        for number in range(keys):
            self.a.put_entry(store, f"key-{number}", [1, self.a.actor, number + 1, value])
        self.a.head = keys
        self.a.applied[self.a.actor] = keys
        self.b.clone_from(self.a)

    def begin(self, stores: list[str] | None = None, partitions: Any = range(256)) -> list[Report]:
        reports: list[Report] = []
        assert self.exchanges["a"].start("b", stores, partitions, reports.append)
        return reports

    def sync(self, stores: list[str] | None = None, partitions: Any = range(256)) -> Report:
        """One exchange begun by `a`, to its end."""
        reports = self.begin(stores, partitions)
        self.queue.run_until(self.queue.now + 600, lambda: bool(reports))
        assert reports, "an exchange must end"
        return reports[0]

    def same(self, store: str = "s") -> bool:
        return self.a.everything(store, dead=True) == self.b.everything(store, dead=True)
