"""A small cluster for moves: hosts with replicas, logs that push, movers, and a steward.

Everything but exchange, mover and steward is the simplest thing that keeps its promise: the log of
a host is a list, a record leaves it when all destinations acknowledged, the ring record is one
variable that only a host in the majority can write, and each host reads it every 0.1 s from there.
"""

from __future__ import annotations

import random
from typing import Any

from quorate.chaos.sim.events import EventQueue, Life
from quorate.consistency.merkle.exchange import Exchange, ExchangeConfig
from quorate.consistency.ring.mover import Mover, MoverConfig, MoverHooks
from quorate.consistency.ring.placement import Placement, Ring, partition_of, point
from quorate.consistency.ring.ports import HostReport
from quorate.consistency.ring.steward import RingSteward, StewardConfig
from tests.merkle.world import Network, SmallReplica

STORE = "s"
PUSH_S = 0.05


class LoggingReplica(SmallReplica):
    """A replica whose own updates are pushed to where they belong."""

    def __init__(self, host: str, cluster: Cluster) -> None:
        super().__init__(host, cluster.queue, cluster.replicas)
        self.cluster = cluster
        self.ring: Ring | None = None
        self.placement = Placement(Ring(0, (host,)))
        self.log: list[tuple[int, str, str, list[Any]]] = []
        self.acked: dict[str, set[int]] = {}
        self.asked: dict[str, tuple[int, set[int]]] = {}
        self.advanced: list[dict[int, int]] = []

    def write(self, key: str, value: Any) -> None:
        self.put(STORE, key, value)
        entry = self.export(STORE, key)
        assert entry is not None
        self.log.append((self.head, STORE, key, entry))

    def to(self, key: str) -> tuple[str, ...]:
        partition = partition_of(point(STORE, key.encode()))
        return self.placement.destinations(partition, self.cluster.replicas)

    busy = False

    def buried(self) -> dict[int, int]:
        return {}

    def unpushed(self, host: str) -> int:
        acked = self.acked.get(host, set())
        return sum(host in self.to(key) for seq, _, key, _ in self.log if seq not in acked)

    refuses = False

    def refuse_updates(self, *, refuse: bool) -> None:
        self.refuses = refuse

    def advance(self, vector: dict[int, int], done: Any) -> None:
        self.advanced.append(dict(vector))
        for actor, seq in vector.items():
            self.applied[actor] = max(seq, self.applied.get(actor, 0))
        done()

    def on_ring(self, ring: Ring) -> None:
        self.ring, self.placement = ring, Placement(ring)

    def push(self) -> None:
        """Every so often: what is not acknowledged; records that all have, go."""
        for peer in self.cluster.hosts:
            if peer == self.host:
                continue
            acked = self.acked.setdefault(peer, set())
            again = self.asked.get(peer, (0, set[int]()))[1]
            rows = [
                [seq, store, key, entry]
                for seq, store, key, entry in self.log
                if (seq not in acked or seq in again) and peer in self.to(key)
            ]
            if rows:
                message = {"type": "st", "k": "push", "rows": rows}
                self.cluster.network.sender(self.host)(peer, message, True)
            self._maybe_rescanned(peer)
        self.log = [
            row
            for row in self.log
            if not all(
                row[0] in self.acked.get(peer, set())
                for peer in self.to(row[2])
                if peer != self.host
            )
            or any(row[0] in again for _, again in self.asked.values())
        ]

    def _maybe_rescanned(self, peer: str) -> None:
        """Answered when this host knows the ring and everything kept was taken."""
        if peer in self.asked and self.placement.ring.epoch >= self.asked[peer][0]:
            epoch, again = self.asked[peer]
            again &= {seq for seq, _, key, _ in self.log if peer in self.to(key)}
            if not again:
                del self.asked[peer]
                answer = {"type": "st", "k": "rescanned", "epoch": epoch}
                self.cluster.network.sender(self.host)(peer, answer, True)

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        kind = message["k"]
        if kind == "rescan" and self.asked.get(peer, (0, None))[0] < message["epoch"]:
            self.asked[peer] = (message["epoch"], {row[0] for row in self.log})
        elif kind == "push":
            for _, store, key, entry in message["rows"]:
                self.put_entry(store, key, entry)
            seqs = [row[0] for row in message["rows"]]
            answer = {"type": "st", "k": "ack", "seqs": seqs}
            self.cluster.network.sender(self.host)(peer, answer, True)
        elif kind == "ack":
            self.acked.setdefault(peer, set()).update(message["seqs"])
            if peer in self.asked:
                self.asked[peer][1].difference_update(message["seqs"])


class Hooks(MoverHooks):
    def __init__(self) -> None:
        self.readied: list[int] = []
        self.problems: list[str] = []

    def on_ready(self, epoch: int) -> None:
        self.readied.append(epoch)

    def on_problem(self, text: str) -> None:
        self.problems.append(text)


class Host:
    """One host of the cluster."""

    def __init__(self, name: str, cluster: Cluster) -> None:
        self.name, self.cluster = name, cluster
        self.life = Life(cluster.queue, clock_rate=1.0, clock_offset_s=10.0)
        self.replica = LoggingReplica(name, cluster)
        send = cluster.network.sender(name)
        self.exchange = Exchange(
            self.replica,
            send=send,
            clock=self.life,
            scheduler=self.life,
            rng=cluster.rng,
            config=cluster.exchange_config,
        )
        self.hooks = Hooks()
        self.mover = Mover(
            host_id=name,
            data=self.replica,
            exchange=self.exchange,
            send=send,
            clock=self.life,
            scheduler=self.life,
            rng=cluster.rng,
            hooks=self.hooks,
            config=cluster.mover_config,
        )
        self.replica.whole = self.mover.ready
        self.steward = RingSteward(name, self.life, cluster.steward_config)
        self.ring_delay_s = 0.0
        cluster.network.receive[name] = self._receive
        self.mover.start()
        self.life.call_later(0.1, self._beat)
        self._push()

    def _receive(self, peer: str, message: dict[str, Any]) -> None:
        if not self.life.over:
            if message["k"] == "ae":
                self.exchange.on_message(peer, message)
            elif message["k"] == "rescanned":
                self.mover.on_message(peer, message)
            else:
                self.replica.on_message(peer, message)

    def _push(self) -> None:
        self.replica.push()
        self.life.call_later(PUSH_S, self._push)

    def _beat(self) -> None:
        self.life.call_later(0.1, self._beat)
        self.cluster.beat(self)

    def take_ring(self, ring: Ring) -> None:
        if ring.epoch > self.replica.placement.ring.epoch:
            self.replica.on_ring(ring)
            self.mover.on_ring(ring)


class Cluster:
    """See above."""

    def __init__(
        self,
        names: str = "abc",
        *,
        seed: int = 1,
        replicas: int = 2,
        mover: MoverConfig | None = None,
        exchange: ExchangeConfig | None = None,
    ) -> None:
        self.queue, self.rng = EventQueue(), random.Random(seed)
        self.network = Network(self.queue, self.rng)
        self.replicas = replicas
        self.mover_config = mover or MoverConfig(anti_entropy_s=5.0, dead_after_s=20.0)
        self.exchange_config = exchange or ExchangeConfig(request_timeout_s=0.5)
        self.steward_config = StewardConfig(dead_after_s=20.0)
        self.ring: Ring | None = None
        self.members: set[str] = set()
        self.hosts: dict[str, Host] = {}
        self.written: dict[str, Any] = {}
        self.rings: list[Ring] = []
        for name in names:
            self.add(name)

    # --- the strong plane, in short ---------------------------------------------------------------

    def beat(self, host: Host) -> None:
        """What every host does ten times a second."""
        for peer in self.hosts:
            if peer != host.name:
                up = self._linked(host.name, peer)
                host.mover.on_peer(peer, up)
                host.exchange.on_peer(peer, up)
        host.mover.on_members(self.members)
        leader = self._leader()
        host.steward.on_leader(leader is host)
        host.steward.on_quorum(leader is host)
        if leader is None or (leader is not host and not self._linked(host.name, leader.name)):
            return
        leader.steward.on_members(self.members)
        leader.steward.on_ring(self.ring)
        plain = host.mover.report().to_plain()
        leader.steward.on_report(host.name, HostReport.from_plain(plain))
        if leader is host and (proposal := host.steward.propose()) is not None:
            self.ring = Ring.from_plain(proposal.ring.to_plain())
            self.rings.append(self.ring)
        if self.ring is not None:
            ring = self.ring
            host.life.call_later(host.ring_delay_s, lambda: host.take_ring(ring))

    def _linked(self, one: str, other: str) -> bool:
        cut = self.network.cut
        up = not self.hosts[one].life.over and not self.hosts[other].life.over
        return up and (one, other) not in cut and (other, one) not in cut

    def _leader(self) -> Host | None:
        """The first host that reaches most of the members."""
        for name, host in sorted(self.hosts.items()):
            reached = [p for p in self.hosts if p == name or self._linked(name, p)]
            known = [p for p in reached if p in self.members and not self.hosts[p].life.over]
            if not host.life.over and 2 * len(known) > len(self.members):
                return host
        return None

    # --- what a test does -------------------------------------------------------------------------

    def add(self, name: str) -> Host:
        self.members.add(name)
        self.hosts[name] = Host(name, self)
        return self.hosts[name]

    def kill(self, name: str) -> None:
        """For ever, with its disk."""
        self.hosts[name].life.end()
        self.hosts[name].exchange.stop()

    def cut_off(self, name: str) -> None:
        for other in self.hosts:
            if other != name:
                self.network.part(name, other)

    def run(self, seconds: float) -> None:
        self.queue.run_until(self.queue.now + seconds)

    def write(self, host: str, key: str, value: Any) -> None:
        """An update acknowledged by `host` alone."""
        self.hosts[host].replica.write(key, value)
        self.written[key] = value

    def fill(self, keys: int) -> None:
        """Some keys, everywhere where they belong."""
        self.settle()
        for number in range(keys):
            owner = self.hosts["a"].replica.to(f"key-{number}")[0]
            self.write(owner, f"key-{number}", number)
        self.run(1)

    def settle(self, seconds: float = 120) -> None:
        """Until the ring is stable, everybody is ready and nobody holds what is not theirs."""
        self.queue.run_until(self.queue.now + seconds, self.is_settled)
        assert self.is_settled(), {n: h.mover.statistics() for n, h in self.hosts.items()}

    def is_settled(self) -> bool:
        ring = self.ring
        if ring is None or ring.before is not None or self.queue.now < 1:
            return False
        alive = {name for name, host in self.hosts.items() if not host.life.over}
        present = {n for n in alive & self.members if not self.hosts[n].mover.leaving}
        return set(ring.hosts) == present and all(
            self.hosts[name].replica.ring == ring and self.hosts[name].mover.report().ready
            for name in ring.hosts
        )

    def holders(self, key: str) -> list[str]:
        """The living hosts that have the last value written."""
        value = self.written[key]
        return [
            name
            for name, host in self.hosts.items()
            if not host.life.over and host.replica.everything(STORE).get(key) == value
        ]

    def missing(self) -> dict[str, set[str]]:
        """For every key the owners that do not have its last value."""
        assert self.ring is not None
        placement = Placement(self.ring)
        have = {
            name: host.replica.everything(STORE)
            for name, host in self.hosts.items()
            if not host.life.over
        }
        found: dict[str, set[str]] = {}
        for key, value in self.written.items():
            owners = placement.owners(partition_of(point(STORE, key.encode())), self.replicas)
            lacking = {o for o in owners if have.get(o, {}).get(key) != value}
            if lacking:
                found[key] = lacking
        return found

    def strays(self) -> int:
        """How many keys are where they do not belong, on hosts of the ring."""
        assert self.ring is not None
        placement = Placement(self.ring)
        return sum(
            name not in placement.owners(partition_of(point(STORE, key.encode())), self.replicas)
            for name in self.ring.hosts
            for key in self.hosts[name].replica.everything(STORE)
        )
