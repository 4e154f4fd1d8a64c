"""A few replicas in virtual time: real logs and states on modelled disks, a network that is cut by
pairs, and restarts that keep what the disk has.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quorate.chaos.sim.events import EventQueue, Life
from quorate.consistency.replica.definitions import Conflict, ReplicaConfig, StoreDef
from quorate.consistency.replica.hooks import ReplicaHooks
from quorate.consistency.replica.replica import LOG_TABLES, STATE_TABLES, StoreReplica
from quorate.consistency.replica.states import KeyState, RegisterState
from quorate.consistency.ring.placement import Ring
from quorate.core import codec
from quorate.core.storage.disk_model import CrashPolicy, DiskImage, DiskModel
from quorate.core.storage.memory_engine import MemoryEngine
from quorate.core.storage.state_store import StateStore

DELAY_S = 0.001
MOVERS = ("ae", "rescanned")
"""Messages for the exchange and the mover, which are not here."""


@dataclass
class Notes(ReplicaHooks):
    """Everything a replica told."""

    durable: int = 0
    held: dict[str, int] = field(default_factory=dict[str, int])
    conflicts: list[Conflict] = field(default_factory=list[Conflict])
    problems: list[str] = field(default_factory=list[str])
    gaps: list[str] = field(default_factory=list[str])
    fatal: BaseException | None = None

    def on_durable(self, seq: int) -> None:
        self.durable = seq

    def on_held(self, peer: str, upto: int) -> None:
        self.held[peer] = upto

    def on_conflict(self, conflict: Conflict) -> None:
        self.conflicts.append(conflict)

    def on_problem(self, text: str) -> None:
        self.problems.append(text)

    def on_gap(self, peer: str) -> None:
        self.gaps.append(peer)

    def on_fatal(self, error: BaseException) -> None:
        self.fatal = error


class Place:
    """One host: a disk that survives, and the replica that runs on it now."""

    def __init__(self, town: Town, host_id: str) -> None:
        self.town = town
        self.id = host_id
        self.disk = DiskModel(random.Random(f"disk {host_id}"), latency_min_s=0.0005)
        self.images: dict[str, DiskImage | None] = {"log": None, "state": None}
        self.wall_offset_s = 0.0
        self.life: Life | None = None
        self.starts = 0
        self.start()

    def start(self) -> None:
        self.starts += 1
        life = self.life = Life(self.town.queue, clock_rate=1.0, clock_offset_s=100.0)
        place = self

        class Clock:
            def monotonic(self) -> float:
                return life.monotonic()

            def wall(self) -> float:
                return life.wall() + place.wall_offset_s

        self.notes = Notes()
        self.log_engine = self._engine(LOG_TABLES, "log", life)
        self.state_engine = self._engine(STATE_TABLES, "state", life)
        self.replica = StoreReplica(
            host_id=self.id,
            log=self.log_engine,
            state=StateStore(self.state_engine, life, tables=STATE_TABLES),
            send=lambda peer, parts, bulk: self.town.send(self.id, peer, parts),
            clock=Clock(),
            scheduler=life,
            rng=random.Random(f"actor {self.id} {self.starts}"),
            hooks=self.notes,
            config=self.town.config,
        )
        for definition in self.town.definitions:
            self.replica.define(definition)
        self.replica.on_members(sorted(self.town.places) or [self.id])
        self.replica.on_ring(self.town.ring)
        self.replica.start()
        self.town.on_started(self)

    def _engine(self, tables: tuple[str, ...], name: str, life: Life) -> MemoryEngine:
        image = self.images[name]
        if image is None:
            return MemoryEngine(tables, life, self.disk)
        return MemoryEngine.reopen(image, life, self.disk)

    def crash(self, policy: CrashPolicy = CrashPolicy.LOST) -> None:
        rng = random.Random(self.starts)
        self.replica.stop()
        assert self.life is not None
        self.life.end()
        self.life = None
        self.images["log"] = self.log_engine.crash(policy, rng)
        self.images["state"] = self.state_engine.crash(policy, rng)
        self.town.on_stopped(self)

    def wipe(self) -> None:
        self.images = {"log": None, "state": None}

    # --- short words for stories --------------------------------------------------------------

    def put(self, key: str, value: Any, store: str = "s", **options: Any) -> Any:
        encoded = None if value is None else codec.encode_value(value)
        return self.replica.put(store, key, encoded, **options)

    def get(self, key: str, store: str = "s") -> Any:
        """See `value_of`."""
        return value_of(self.replica.read(store, key))


def value_of(state: KeyState | None) -> Any:
    """The winner's value, a list for several siblings, None for nothing; a CRDT's value."""
    if state is None:
        return None
    if not isinstance(state, RegisterState):
        return state.crdt.value()
    values = [codec.decode_value(e.value) for e in state.entries if e.value is not None]
    return values if len(values) > 1 else (values[0] if values else None)


class Town:
    """Some places, and the links between them."""

    def __init__(
        self,
        *hosts: str,
        definitions: tuple[StoreDef, ...] = (StoreDef("s"),),
        config: ReplicaConfig | None = None,
        ring: Ring | None = None,
    ) -> None:
        self.queue = EventQueue()
        self.config = config or ReplicaConfig()
        self.definitions = definitions
        self.ring = ring or Ring.of(1, hosts)
        self.places: dict[str, Place] = {}
        self.cut: set[frozenset[str]] = set()
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.lose: Callable[[str, str, dict[str, Any]], bool] = lambda a, b, parts: False
        for host in hosts:
            self.places[host] = Place(self, host)
        for place in self.places.values():
            place.replica.on_members(list(hosts))

    def __getitem__(self, host: str) -> Place:
        return self.places[host]

    def start_behind(self, hosts: str) -> None:
        """These hosts crash, and start again all together with clocks ten minutes behind."""
        for host in hosts:
            self[host].crash()
            self[host].wall_offset_s = -600.0
        for host in hosts:
            self[host].start()

    def set_right(self, hosts: str) -> None:
        """Somebody sets the clocks of these hosts right."""
        for host in hosts:
            self[host].wall_offset_s = 0.0

    def send(self, source: str, target: str, parts: dict[str, Any]) -> bool:
        place = self.places.get(target)
        if place is None or place.life is None or self.is_cut(source, target):
            return False
        self.sent.append((source, target, parts))
        if self.lose(source, target, parts):
            return True
        body, life = codec.dumps(parts), place.life
        self.queue.after(DELAY_S, lambda: life.run(lambda: self._deliver(source, place, body)))
        return True

    def _deliver(self, source: str, place: Place, body: bytes) -> None:
        parts = codec.loads(body, depth_max=40)
        if not self.is_cut(source, place.id) and parts["k"] not in MOVERS:
            place.replica.on_message(source, parts)

    def is_cut(self, one: str, other: str) -> bool:
        return frozenset((one, other)) in self.cut

    def _links_of(self, place: Place) -> list[Place]:
        return [
            other
            for other in self.places.values()
            if other is not place and other.life is not None and not self.is_cut(other.id, place.id)
        ]

    def on_started(self, place: Place) -> None:
        for other in self._links_of(place):
            other.replica.on_peer(place.id, up=True)
            place.replica.on_peer(other.id, up=True)

    def on_stopped(self, place: Place) -> None:
        for other in self._links_of(place):
            other.replica.on_peer(place.id, up=False)

    def part(self, one: str, other: str) -> None:
        self.cut.add(frozenset((one, other)))
        for a, b in ((one, other), (other, one)):
            if self[a].life is not None:
                self[a].replica.on_peer(b, up=False)

    def isolate(self, host: str) -> None:
        for other in self.places:
            if other != host:
                self.part(host, other)

    def heal(self) -> None:
        pairs, self.cut = self.cut, set()
        for one, other in (sorted(pair) for pair in pairs):
            if self[one].life is not None and self[other].life is not None:
                self[one].replica.on_peer(other, up=True)
                self[other].replica.on_peer(one, up=True)

    def pass_time(self, seconds: float = 1.0) -> None:
        self.queue.run_until(self.queue.now + seconds)

    def digests(self, store: str = "s") -> set[int]:
        roots: set[int] = set()
        for place in self.places.values():
            place.replica.settle()
            roots.add(place.replica.tree(store).root())
        return roots
