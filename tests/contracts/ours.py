"""Our driver, engine, journal and machine, driven by hand through the same verbs as `base.py`: a
virtual clock, a queue of messages per directed link, disks in memory. Nothing here asserts.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from typing import Any

from quorate.chaos.sim.disks import HostDisk
from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.snapshots import SimState
from quorate.core import codec
from quorate.core.machine import commands
from quorate.core.raft.config import RaftConfig
from quorate.core.raft.driver import Hooks, RaftDriver
from quorate.core.raft.journal import Journal
from quorate.core.raft.journal_records import TABLES
from quorate.core.raft.members import Change, Configuration, Member
from quorate.core.raft.refusals import Refusal
from quorate.core.raft.state import Results
from quorate.core.storage.disk_model import CrashPolicy, DiskModel
from quorate.core.storage.memory_engine import MemoryEngine

STEP_S = 0.005


class Call:
    """A write and what its caller knows: an answer through the log, or a definite refusal."""

    def __init__(self, session: int) -> None:
        self.session = session
        self.result: Any = None
        self.refusal: Refusal | None = None

    @property
    def acked(self) -> bool:
        return self.result is not None and self.result[0] != "failed"

    @property
    def ended(self) -> bool:
        return self.acked or self.refusal is not None


class OurHost(Hooks):
    """One host, on a disk that outlives it."""

    def __init__(self, world: OurWorld, host_id: str, configuration: Configuration | None) -> None:
        self.world, self.id = world, host_id
        self.configuration = configuration
        self.disk = HostDisk(DiskModel(random.Random(1), latency_min_s=1e-4, latency_max_s=2e-4))
        self.calls: dict[int, Call] = {}
        self.fatal: BaseException | None = None
        self.malformed = 0
        self.applied_hook: Any = None
        self.state_class: type[SimState] = SimState
        self.life: Life | None = None

    def start(self) -> None:
        life = self.life = Life(self.world.queue, clock_rate=1.0, clock_offset_s=1000.0)
        self.fatal = None
        self.log_engine = MemoryEngine(TABLES, life, self.disk.model, image=self.disk.log)
        self.journal = Journal(self.log_engine)
        fresh = self.journal.last_index == 1 and not self.journal.configuration_at(1)[1].members
        if fresh and self.configuration is not None:
            self.journal.bootstrap(self.configuration)
        self.state = self.state_class(self.disk, life, self.journal.generation)
        self.driver = RaftDriver(
            host_id=self.id,
            journal=self.journal,
            state=self.state,
            net=self,
            clock=life,
            scheduler=life,
            rng=random.Random(f"{self.id} 1"),
            hooks=self,
            config=self.world.config,
        )
        self.engine = self.driver.engine
        self.driver.start()

    def kill(
        self,
        policy: CrashPolicy = CrashPolicy.LOST,
        *,
        state_policy: CrashPolicy | None = None,
        rng: random.Random | None = None,
    ) -> None:
        """kill -9, by default with the commit in flight lost; the state's disk may do otherwise."""
        assert self.life is not None
        rng = rng or random.Random(1)
        self.disk.log = self.log_engine.crash(policy, rng)
        places = self.state.places
        self.disk.states[places.generation] = places.engine.crash(state_policy or policy, rng)
        self.life.end()
        self.life = None

    @property
    def leads(self) -> bool:
        return self.life is not None and self.fatal is None and self.engine.is_leader

    # --- the driver's net and hooks -------------------------------------------------------------

    def send(self, peer: str, message: dict[str, Any], *, bulk: bool = False) -> bool:
        return self.world.send(self.id, peer, message)

    def on_applied(self, index: int, term: int, results: Results) -> None:
        for session, sequence, result in results:
            call = self.calls.get(session)
            if call is not None and sequence == 2:
                call.result = result
        if self.applied_hook is not None:
            self.applied_hook(index)

    def on_fatal(self, error: BaseException) -> None:
        self.fatal = error

    def on_malformed(self, peer: str, error: BaseException) -> None:
        self.malformed += 1


class OurWorld:
    """Hosts named by letters. `config`: fields of `RaftConfig`."""

    def __init__(self, ids: str = "abc", *, strangers: str = "", **config: Any) -> None:
        self.queue = EventQueue()
        self.config = RaftConfig(**config)
        self.queues: dict[tuple[str, str], deque[bytes]] = defaultdict(deque)
        self.up: set[tuple[str, str]] = set()
        self.cut: set[tuple[str, str]] = set()
        self.lossy: set[tuple[str, str]] = set()
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self._sessions = 0
        members = Configuration.of([Member(i, f"{i}:1") for i in ids])
        self.hosts = {i: OurHost(self, i, members if i in ids else None) for i in ids + strangers}
        for host in self.hosts.values():
            host.start()
        for one in self.hosts:
            for other in self.hosts:
                self._connect(one, other)

    # --- links ----------------------------------------------------------------------------------

    def send(self, source: str, target: str, message: dict[str, Any]) -> bool:
        link = (source, target)
        if link not in self.up or link in self.cut:
            return False
        if link not in self.lossy:
            self.sent.append((source, target, message))
            self.queues[link].append(codec.dumps(message))
        return True

    def _connect(self, source: str, target: str) -> None:
        link, host = (source, target), self.hosts[source]
        if source != target and link not in self.cut and link not in self.up:
            self.up.add(link)
            if host.life is not None:
                host.life.run(lambda: host.driver.on_peer(target, up=True))

    def _disconnect(self, source: str, target: str) -> None:
        link, host = (source, target), self.hosts[source]
        self.queues[link].clear()
        if link in self.up:
            self.up.discard(link)
            if host.life is not None:
                host.life.run(lambda: host.driver.on_peer(target, up=False))

    def isolate(self, host_id: str, others: str = "") -> None:
        for other in others or [name for name in self.hosts if name != host_id]:
            for link in ((host_id, other), (other, host_id)):
                self.cut.add(link)
                self._disconnect(*link)

    def heal(self, host_id: str, others: str = "") -> None:
        for other in others or [name for name in self.hosts if name != host_id]:
            for link in ((host_id, other), (other, host_id)):
                self.cut.discard(link)
                self._connect(*link)

    def deliver(self, source: str, target: str, number: int | None = None) -> int:
        queue = self.queues[(source, target)]
        number = len(queue) if number is None else min(number, len(queue))
        for _ in range(number):
            self.inject(source, target, codec.loads(queue.popleft()))
        return number

    def inject(self, source: str, target: str, message: dict[str, Any]) -> None:
        host = self.hosts[target]
        if host.life is not None:
            host.life.run(lambda: host.driver.on_message(source, message))

    # --- processes ------------------------------------------------------------------------------

    def kill(self, host_id: str, policy: CrashPolicy = CrashPolicy.LOST) -> None:
        self.hosts[host_id].kill(policy)
        for other in self.hosts:
            self._disconnect(host_id, other)
            self._disconnect(other, host_id)

    def restart(self, host_id: str) -> OurHost:
        host = self.hosts[host_id]
        host.start()
        for other in self.hosts:
            if self.hosts[other].life is not None:
                self._connect(host_id, other)
                self._connect(other, host_id)
        return host

    # --- time -----------------------------------------------------------------------------------

    def tick(self, host_id: str, after_s: float = 0.02) -> None:
        """Time passes for everybody; nothing is delivered."""
        self.queue.run_until(self.queue.now + after_s)

    def run(
        self, seconds: float, *, hold: tuple[tuple[str, str], ...] = (), skip: str = ""
    ) -> None:
        for host_id in skip:
            life = self.hosts[host_id].life
            if life is not None:
                life.pause()
        end = self.queue.now + seconds
        while self.queue.now < end:
            self.queue.run_until(self.queue.now + STEP_S)
            for link in list(self.queues):
                if link not in hold and link not in self.cut:
                    self.deliver(*link)
        for host_id in skip:
            life = self.hosts[host_id].life
            if life is not None and life.paused:
                life.resume()

    # --- the story's verbs ----------------------------------------------------------------------

    def elect(self, host_id: str, seconds: float = 3.0, **how: Any) -> OurHost:
        end = self.queue.now + seconds
        while not self.hosts[host_id].leads and self.queue.now < end:
            self.let_stand(host_id)
            self.run(0.05, **how)
        assert self.hosts[host_id].leads, f"{host_id} did not win"
        self.run(0.1, **how)
        return self.hosts[host_id]

    def let_stand(self, host_id: str) -> None:
        """`host_id` alone may stand for election from now on; nobody if it is empty."""
        for other, host in self.hosts.items():
            if host.life is not None and not host.engine.is_leader:
                patience = 0.0 if other == host_id else 1e6
                host.engine.election_deadline = host.life.monotonic() + patience
                if other == host_id:
                    host.driver.wake()

    def write(self, host_id: str, value: str) -> Call:
        self._sessions += 1
        call = Call(self._sessions)
        host = self.hosts[host_id]
        host.calls[call.session] = call
        base = host.state.applied_index
        put = commands.put(f"k/{self._sessions:04d}", value.encode())
        rows = [(1, *commands.open_session(base)), (2, *put)]

        def refused(reason: Refusal) -> None:
            call.refusal = reason

        host.driver.submit(commands.encode_batch(call.session, 0, rows), refused)
        return call

    def remove(self, host_id: str, other: str) -> None:
        self.hosts[host_id].driver.change_members(Change("remove", other), lambda error: None)

    def values(self, host_id: str) -> list[str]:
        """What was written here, in order; a value that was applied twice stands there twice."""
        records = self.hosts[host_id].state.machine.kv_range(prefix="k/", limit=100_000)
        records.sort(key=lambda record: record.mod_revision)
        return [record.value.decode() for record in records for _ in range(record.version)]

    def copies(self, value: str) -> list[str]:
        """On whose disks the entry with `value` is."""
        wanted = value.encode()
        return [
            host_id
            for host_id, host in self.hosts.items()
            if any(
                wanted in command
                for command, _, _ in host.journal.entries(
                    host.journal.base_index + 1, host.journal.durable_last
                )
            )
        ]

    def compact(self, host_id: str) -> None:
        self.hosts[host_id].driver.compact(0)

    def heartbeat(self, source: str, target: str) -> dict[str, Any]:
        found = [
            message
            for a, b, message in self.sent
            if (a, b) == (source, target) and message["type"] == "append" and not message["entries"]
        ]
        return codec.loads(codec.dumps(found[-1]))
