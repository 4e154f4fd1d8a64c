"""A simulated host of ours: the real driver, engine, journal and machine on a simulated disk,
with a client in the same process. It is killed, restarted, paused and wiped by the nemesis.

The law: only `HostDisk` outlives `kill`; everything else is made anew by `start`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from typing import Any

from quorate.chaos.sim.disks import HostDisk, crash_policy
from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.history import History
from quorate.chaos.sim.network import Network
from quorate.chaos.sim.options import Options
from quorate.chaos.sim.parts import Parts
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.sim.watch import Watch
from quorate.core import codec
from quorate.core.errors import CorruptStorage, StorageFailed
from quorate.core.raft.driver import Hooks, RaftDriver
from quorate.core.raft.engine import MalformedMessage
from quorate.core.raft.journal_records import TABLES
from quorate.core.raft.members import Change, Configuration
from quorate.core.raft.state import Results
from quorate.core.storage.memory_engine import MemoryEngine


class SimHost(Hooks):
    """One host. `parts` are the classes it is built of: the product's, or a plant's."""

    def __init__(
        self,
        host_id: str,
        *,
        queue: EventQueue,
        network: Network,
        transcript: Transcript,
        watch: Watch,
        history: History,
        ids: count[int],
        options: Options,
        parts: Parts,
        configuration: Configuration | None,
    ) -> None:
        self.id = host_id
        self._queue, self._network, self._transcript = queue, network, transcript
        self._watch, self._history, self._ids = watch, history, ids
        self._options, self._parts = options, parts
        self._configuration = configuration
        self._rng = random.Random(f"host {host_id} {options.seed}")
        self.disk = HostDisk.fresh(self._rng)
        drift = options.clock_drift
        self._clock_rate = 1.0 + self._rng.uniform(-drift, drift)
        self.life: Life | None = None
        self.failed: BaseException | None = None
        self._paused_at = 0.0
        self.restarts = 0
        self.out = False
        """Stopped by the operator, who will start it."""
        self.calls = True
        """Clients of new processes make calls."""
        network.add(self)

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process on what the disk holds."""
        assert self.life is None
        self.failed = None
        offset = self._rng.uniform(0, 1000)
        life = self.life = Life(self._queue, clock_rate=self._clock_rate, clock_offset_s=offset)
        parts, disk = self._parts, self.disk
        self.log_engine = MemoryEngine(TABLES, life, disk.model, image=disk.log)
        try:
            self._build(life)
        except CorruptStorage as error:
            self.life = None
            self.failed = error
            self._watch.find(f"{self.id} cannot start: {error}")
            return
        self._watch.on_started(self.id, self.journal)
        self._transcript.note(
            self.id, "starts with log", f"{self.journal.base_index}..{self.journal.last_index}"
        )
        self.client = parts.client_class(
            self.id,
            life=life,
            driver=self.driver,
            look=self.look,
            applied=lambda: self.state.applied_index,
            history=self._history,
            rng=self._rng,
            now=lambda: self._queue.now,
            ids=self._ids,
            options=self._options,
        )
        self.driver.start()
        if self.calls:
            self.client.start()
        self._network.on_started(self.id)

    def _build(self, life: Life) -> None:
        parts, disk = self._parts, self.disk
        self.journal = parts.journal_class(
            self.log_engine, cache_bytes_max=self._options.cache_bytes_max
        )
        fresh = self.journal.last_index == 1 and not self.journal.configuration_at(1)[1].members
        if fresh and self._configuration is not None:
            self.journal.bootstrap(self._configuration)
        self.state = parts.state_class(disk, life, self.journal.generation)
        self.driver: RaftDriver = parts.driver_class(
            host_id=self.id,
            journal=self.journal,
            state=self.state,
            net=self,
            clock=life,
            scheduler=life,
            rng=random.Random(self._rng.random()),
            hooks=self,
            config=self._options.raft,
            engine_class=parts.engine_class,
        )

    def kill(self) -> None:
        """kill -9, or the power goes: the commit in flight may be lost."""
        life = self.life
        if life is None:
            return
        self._watch.on_kill(self.id, self.journal)
        self.disk.log = self.log_engine.crash(crash_policy(self._rng), self._rng)
        places = self.state.places
        self.disk.states[places.generation] = places.engine.crash(
            crash_policy(self._rng), self._rng
        )
        self._parts.on_crash(self)
        if life.paused:
            self.client.was_paused(self._queue.now - self._paused_at)
        self.client.dies()
        life.end()
        self.life = None
        self.restarts += 1
        self._network.on_killed(self.id)

    def pause(self) -> Callable[[], None]:
        """SIGSTOP; the returned call is SIGCONT. Deadlines of its callers move by the pause."""
        life, client = self.life, self.client
        since = self._paused_at = self._queue.now
        assert life is not None
        life.pause()

        def resume() -> None:
            if life.paused and not life.over:
                client.was_paused(self._queue.now - since)
                life.resume()

        self._resume = resume
        return resume

    def resume(self) -> None:
        if self.life is not None and self.life.paused:
            self._resume()

    def revive(self) -> None:
        """A host that stopped itself for its disk's sake is started again."""
        if self.failed is not None and self.life is not None:
            self.kill()
            self.start()

    def wipe(self) -> None:
        """The dead host's folder is emptied; it comes back as a stranger that was never a
        member."""
        self.disk.wipe()
        self._configuration = None
        self.failed = None
        self._watch.on_wiped(self.id)

    # --- the network's side ---------------------------------------------------------------------

    def receive(self, peer: str, payload: bytes) -> None:
        try:
            message = codec.loads(payload)
        except codec.Malformed as error:
            self._network.reset_unreadable(self._network.links[(peer, self.id)], str(error))
            return
        self.hand(peer, message)

    def hand(self, peer: str, message: Any) -> None:
        """A message of `peer` reaches the driver; nothing may come out of that but its effects."""
        try:
            self.driver.on_message(peer, message)
        except Exception as error:
            self._watch.find(
                f"a message of {peer} made {self.id} raise {type(error).__name__}: {error}"
            )

    def on_link(self, peer: str, *, up: bool) -> None:
        self.driver.on_peer(peer, up=up)

    def send(self, peer: str, message: dict[str, Any], *, bulk: bool = False) -> bool:
        if self.life is None or self.life.over:
            return False
        self._watch.on_sent(self.id, message, self.journal)
        return self._network.send(self.id, peer, codec.dumps(message), bulk=bulk)

    # --- the driver's hooks ---------------------------------------------------------------------

    def on_applied(self, index: int, term: int, results: Results) -> None:
        self._transcript.trace(self.id, "applies", index)
        self._watch.on_applied(self.id, index, term, self.state.machine.digest, results)
        self.client.on_applied(index, results)

    def on_leader(self, leader: str | None, term: int) -> None:
        self._watch.on_leader(self.id, leader, term)
        self.client.on_leader(leader)

    def on_snapshot_installed(self, index: int) -> None:
        self._transcript.note(self.id, "installed a snapshot at", index)
        truth = self._watch.truth.get(index)
        if truth is not None and truth.digest != self.state.machine.digest:
            self._watch.find(f"the snapshot {self.id} installed differs after entry {index}")
        self.client.on_snapshot_installed()

    def on_fatal(self, error: BaseException) -> None:
        self.failed = error
        self._transcript.note(self.id, "stops itself:", type(error).__name__, error)
        if not (isinstance(error, StorageFailed) and self.disk.model.failing):
            self._watch.find(f"{self.id} stopped itself: {type(error).__name__}: {error}")

    def on_malformed(self, peer: str, error: MalformedMessage) -> None:
        self._transcript.trace(self.id, "turns away a message of", peer)

    # --- what is asked of it --------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.life is not None and self.failed is None

    @property
    def leads(self) -> bool:
        return self.running and self.driver.engine.is_leader

    @property
    def term(self) -> int:
        return self.driver.engine.term

    def look(self, key: str) -> tuple[str | None, int]:
        """The value here, and the index it reflects."""
        record = self.state.machine.kv_get(key)
        return (None if record is None else record.value.decode(), self.state.applied_index)

    def contents(self) -> dict[str, tuple[str, int, int]]:
        """Everything in the key-value space: key -> (value, version, revision)."""
        return {
            record.key: (record.value.decode(), record.version, record.mod_revision)
            for record in self.state.machine.kv_range(limit=1_000_000)
        }

    def change(self, change: Change, done: Callable[[Any], None]) -> None:
        self.driver.change_members(change, done)

    def transfer(self, target: str | None) -> None:
        self.driver.transfer(target, lambda error: None)

    def compact(self) -> None:
        self.driver.compact(0)
