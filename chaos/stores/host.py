"""A simulated host of the stores: the product's replica, stores, mover and steward on a simulated
disk. It is killed, restarted, paused and wiped by the nemesis.

The law: only `StoreDisk`, the hardware's clock and what the oracle keeps outlive `kill`; everything
else is made anew by `start`. Messages go through the product's codec and frames.
"""

from __future__ import annotations

import random
from typing import Any

from quorate.chaos.sim.disks import crash_policy
from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.network import Network
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.calls import Made, Vector
from quorate.chaos.stores.disks import StoreDisk, WatchedLog
from quorate.chaos.stores.lives import Hardware, StoreLife
from quorate.chaos.stores.options import Options
from quorate.chaos.stores.parts import Parts
from quorate.chaos.stores.settings import MEMBERS, replica_config
from quorate.chaos.stores.strong import Command, Oracle
from quorate.chaos.stores.watch import Watch
from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.hooks import ReplicaHooks
from quorate.consistency.replica.replica import LOG_TABLES, STATE_TABLES
from quorate.core import codec
from quorate.core.errors import CorruptStorage, StorageFull, UsageError
from quorate.core.storage.disk_model import CrashPolicy
from quorate.core.storage.memory_engine import MemoryEngine
from quorate.core.storage.state_store import StateStore

START_AGAIN_S = 0.5
AHEAD_S_MAX = 1.0
"""A host is not started under a clock that is further ahead: nobody would take its updates until
that time has come."""


class StoreHost(ReplicaHooks):
    """One host. `parts` are the classes it is built of: the product's, or a plant's."""

    def __init__(
        self,
        host_id: str,
        *,
        queue: EventQueue,
        network: Network,
        oracle: Oracle,
        transcript: Transcript,
        watch: Watch,
        options: Options,
        parts: Parts,
    ) -> None:
        self.id = host_id
        self._me: Any = self
        self._queue, self._network, self._oracle = queue, network, oracle
        self._transcript, self._watch = transcript, watch
        self.options, self.parts = options, parts
        self._rng = random.Random(f"store host {host_id} {options.seed}")
        self.disk = StoreDisk.fresh(self._rng)
        drift, skew = options.clock_drift, options.clock_skew_s
        self.hardware = Hardware(
            queue,
            skew_s=self._rng.uniform(-skew, skew),
            rate=1.0 + self._rng.uniform(-drift, drift),
        )
        self.life: StoreLife | None = None
        self.failed: BaseException | None = None
        self.out = False
        """Down by somebody's will: not started by the nemesis."""
        self.incarnation = 0
        self.started_at = 0.0
        self.resumed_at = float("-inf")
        """When it last stood still: its callers' deadlines moved by that."""
        network.add(self._me)

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process on what the disk holds."""
        assert self.life is None
        self.failed = None
        if self.hardware.ahead_s > AHEAD_S_MAX:
            self.hardware.repair()
        self.incarnation += 1
        self.started_at = self._queue.now
        life = StoreLife(self._queue, self.hardware, clock_offset_s=self._rng.uniform(0, 1000))
        model = self.disk.model
        self.log_engine = WatchedLog(LOG_TABLES, life, model, image=self.disk.log)
        self.log_engine.on_commit = self.disk.note
        self.disk.look(self.log_engine)
        self.state_engine = MemoryEngine(STATE_TABLES, life, model, image=self.disk.state)
        try:
            self._build(life)
        except StorageFull:
            life.end()
            self._oracle.leave(self.id)
            self._transcript.note(self.id, "cannot start: its disk is full")
            self._queue.after(START_AGAIN_S, self._start_again)
            return
        except CorruptStorage as error:
            life.end()
            self._watch.find(f"{self.id} cannot start: {error}")
            return
        self.life = life
        self._transcript.note(self.id, "starts as actor", self.replica.actor)
        self._watch.on_started(self._me)
        life.run(self._go)
        self._network.on_started(self.id)

    def _start_again(self) -> None:
        if self.life is None and not self.out:
            self.start()

    def _build(self, life: StoreLife) -> None:
        parts, options = self.parts, self.options
        self.view = self._oracle.join(self.id, life, self.on_strong_applied)
        self.door = parts.door_class(self._me, life, self.view, self._oracle, self._watch)
        state = StateStore(
            self.state_engine,
            life,
            tables=STATE_TABLES,
            flush_records=options.flush_records,
            clean_records_max=0,
        )
        self.replica = parts.replica_class(
            host_id=self.id,
            log=self.log_engine,
            state=state,
            send=self.send,
            clock=life,
            scheduler=life,
            rng=random.Random(self._rng.random()),
            hooks=self,
            config=replica_config(options),
        )
        self.ring = parts.ring_class(self._me, life, self.view, self._oracle)
        self.door.open()

    def _go(self) -> None:
        self.ring.start()
        self.replica.start()

    def kill(self) -> None:
        """kill -9, or the power goes: the commits in flight may be lost."""
        life = self.life
        if life is None:
            return
        self._watch.on_killed(self._me)
        self.disk.log = self.log_engine.crash(self._policy(), self._rng)
        self.disk.state = self.state_engine.crash(crash_policy(self._rng), self._rng)
        life.end()
        self.door.dies()
        self.life = None
        self._oracle.leave(self.id)
        self._network.on_killed(self.id)

    def _policy(self) -> CrashPolicy:
        if self.options.torn and self._rng.random() < 0.3:
            return CrashPolicy.TORN
        return crash_policy(self._rng)

    def pause(self) -> None:
        if self.life is not None:
            self.life.pause()

    def resume(self) -> None:
        if self.life is not None and self.life.paused and not self.life.over:
            self.resumed_at = self._queue.now
            self.life.resume()

    def revive(self) -> None:
        """A host that stopped itself for its disk's sake is started again."""
        if self.failed is not None and self.life is not None:
            self.kill()
            self.start()

    def wipe(self) -> None:
        """The dead host's folder is emptied."""
        assert self.life is None
        self._watch.on_wiped(self._me)
        kept = self.parts.on_wiped(self)
        self.disk.wipe()
        self.disk.log = kept
        self._oracle.leave(self.id, wiped=True)

    # --- the network's side ---------------------------------------------------------------------

    def receive(self, peer: str, payload: bytes) -> None:
        try:
            message = codec.loads(payload)
        except codec.Malformed as error:
            self._network.reset_unreadable(self._network.links[(peer, self.id)], str(error))
            return
        try:
            self.hand(peer, message)
        except UsageError as error:
            self._watch.find(f"{self.id} refuses what {peer} sent: {error}")
        except Exception as error:
            self._watch.find(
                f"a message of {peer} made {self.id} raise {type(error).__name__}: {error}"
            )

    def hand(self, peer: str, message: dict[str, Any]) -> None:
        if self.failed is not None:
            return
        if message.get("type") == "st":
            self.ring.on_message(peer, message)
        else:
            self.door.group.requests.on_message(peer, message)

    def on_link(self, peer: str, *, up: bool) -> None:
        if self.failed is None:
            self.ring.on_peer(peer, up=up)
            if not up:
                self.door.group.on_peer_down(peer)
            self.door.plane.news.notify()

    def is_up(self, peer: str) -> bool:
        link = self._network.links.get((self.id, peer))
        return link is not None and link.up

    def send(self, peer: str, message: dict[str, Any], bulk: bool = False) -> bool:
        life = self.life
        if life is None or life.over:
            return False
        self._watch.on_sent(self._me, peer, message)
        return self._network.send(self.id, peer, codec.dumps(message), bulk=bulk)

    def note(self, *words: object) -> None:
        self._transcript.note(self.id, *words)

    # --- hooks of the replica -------------------------------------------------------------------

    def on_made(self, made: Made) -> None:
        made.at = self._queue.now
        self._watch.on_made(self._me, made)

    def unheard(self, store: str, key: str) -> frozenset[str]:
        """Hosts that were away when the key's partition came here."""
        return self.ring.mover.unheard(self.replica.partition_of(store, key))

    def collected(self) -> Vector:
        return self._watch.collected()

    def on_durable(self, seq: int) -> None:
        self.door.plane.on_durable(seq)

    def on_applied(self) -> None:
        self.door.plane.on_applied()

    def on_held(self, peer: str, upto: int) -> None:
        self.door.plane.on_held(peer, upto)

    def on_changed(self, store: str, key: str) -> None:
        self.door.plane.on_changed(store, key)

    def on_fresh(self) -> None:
        self.door.plane.on_fresh()

    def on_gap(self, peer: str) -> None:
        self.ring.on_gap(peer)

    def on_conflict(self, conflict: Conflict) -> None:
        self._watch.on_conflict(self.id, conflict)
        self.door.plane.on_conflict(conflict)

    def on_fatal(self, error: BaseException) -> None:
        self.failed = error
        self._watch.find(f"{self.id} stopped itself: {type(error).__name__}: {error}")

    def on_problem(self, text: str) -> None:
        self._transcript.note(self.id, "says:", text)

    def on_strong_applied(self, index: int, command: Command, held: bool) -> None:
        if held:
            self.ring.on_strong(command)
            self.door.on_strong_applied()

    # --- what is asked of it --------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.life is not None and self.failed is None

    @property
    def serves(self) -> bool:
        """Whether it runs, and knows itself to be a member."""
        record = self.view.get(MEMBERS) if self.running else None
        return record is not None and self.id in record.value
