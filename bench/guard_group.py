"""A whole Raft group in one process and in virtual time, to count what one strong write costs.

The law of this file: everything between the caller's `await kv.put` and the applied entry on all
hosts is the product's own code (group, driver, journal, machine, codec, frames); network and disk
are models without chance, so two runs do the same steps. Nothing here reads a clock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from quorate.bench.virtual_loop import LoopClock
from quorate.core import codec
from quorate.core.clock import Scheduler
from quorate.core.group.group import Group
from quorate.core.group.kv import KV
from quorate.core.machine.store import TABLES as STATE_TABLES
from quorate.core.raft.driver import Hooks, RaftDriver
from quorate.core.raft.journal import Journal
from quorate.core.raft.journal_records import TABLES as LOG_TABLES
from quorate.core.raft.members import Configuration, Member
from quorate.core.raft.replicated import MachineState
from quorate.core.raft.state import Results
from quorate.core.storage.disk_model import DiskModel
from quorate.core.storage.memory_engine import MemoryEngine
from quorate.core.storage.memory_snapshots import MemorySnapshotStore, SnapshotDisk
from quorate.core.wire.frames import FROM_DIALLER, Decoder, Kind, frame
from quorate.core.wire.limits import WireLimits

HOSTS = ("a", "b", "c")
HOP_S = 0.0002
SYNC_S = 0.0002
LEADER_WITHIN_S = 30.0
LOOK_S = 0.01
LIMITS = WireLimits()


class Generations:
    """The one state generation of a member."""

    def __init__(self, disk: DiskModel, scheduler: Scheduler) -> None:
        self._engine = MemoryEngine(STATE_TABLES, scheduler, disk)

    def open(self, generation: str) -> MemoryEngine:
        return self._engine

    def remove_others(self, keep: str) -> None: ...


class Seat(Hooks):
    """One member: the product's parts on a model of a disk, and its end of the network."""

    def __init__(self, name: str, group: CountedGroup) -> None:
        self.name = name
        self._group = group
        loop = group.loop
        scheduler, clock = cast(Scheduler, loop), LoopClock(loop)
        rng = random.Random(name)
        disk = DiskModel(random.Random(name), latency_min_s=SYNC_S, latency_max_s=SYNC_S)
        self.log = MemoryEngine(LOG_TABLES, scheduler, disk)
        journal = Journal(self.log)
        journal.bootstrap(Configuration.of([Member(host, f"{host}:1") for host in HOSTS]))
        self.state = MachineState(
            generations=Generations(disk, scheduler),
            generation=journal.generation,
            snapshots=lambda engine: MemorySnapshotStore(
                SnapshotDisk(), engine=engine, disk=disk, scheduler=scheduler
            ),
            scheduler=scheduler,
        )
        self.group = Group(
            host_id=name,
            owner=self.state,
            send=lambda peer, message: self.send(peer, message),
            clock=clock,
            scheduler=scheduler,
            rng=rng,
            make_future=loop.create_future,
        )
        self.kv = KV(self.group)
        self.driver = RaftDriver(
            host_id=name,
            journal=journal,
            state=self.state,
            net=self,
            clock=clock,
            scheduler=scheduler,
            rng=rng,
            hooks=self,
        )
        self.group.bind(self.driver)
        self.group.on_quorum(True)
        self._decoders = {host: Decoder(LIMITS) for host in HOSTS}
        for decoder in self._decoders.values():
            decoder.restrict(FROM_DIALLER, LIMITS.frame_bytes_max)

    def start(self) -> None:
        self.driver.start()
        for peer in HOSTS:
            if peer != self.name:
                self.driver.on_peer(peer, up=True)

    def stop(self) -> None:
        self.group.stop()
        self.driver.stop()

    # --- network ----------------------------------------------------------------------------------

    def send(self, peer: str, message: dict[str, Any], *, bulk: bool = False) -> bool:
        data = frame(Kind.MESSAGE, codec.dumps(message))
        self._group.frames += 1
        self._group.wire_bytes += len(data)
        self._group.loop.call_later(HOP_S, self._group.seats[peer].receive, self.name, data)
        return True

    def receive(self, peer: str, data: bytes) -> None:
        for _, payload in self._decoders[peer].feed(data):
            message = codec.loads(bytes(payload))
            if not self.group.requests.on_message(peer, message):
                self.driver.on_message(peer, message)

    # --- news of the driver -----------------------------------------------------------------------

    def on_applied(self, index: int, term: int, results: Results) -> None:
        self.group.on_applied(index, term, results)

    def on_leader(self, leader: str | None, term: int) -> None:
        self.group.on_leader(leader, term)

    def on_fatal(self, error: BaseException) -> None:
        raise error


class CountedGroup:
    """Three members; `frames`, `wire_bytes` and `commits` count on. `extra`, which only the proof
    of the guard sets, is called with each proposal and costs what it costs."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.frames = 0
        self.wire_bytes = 0
        self.extra: Callable[[], object] | None = None
        self.seats = {name: Seat(name, self) for name in HOSTS}
        self._written = 0

    @property
    def commits(self) -> int:
        """Flushes of all three logs: each is one synced commit."""
        return sum(int(cast(Any, seat.log.statistics())["commits"]) for seat in self.seats.values())

    async def start(self) -> Seat:
        """Returns the one that leads. Raises `TimeoutError`."""
        for seat in self.seats.values():
            seat.start()
        async with asyncio.timeout(LEADER_WITHIN_S):
            while True:
                for seat in self.seats.values():
                    if seat.group.leads:
                        return seat
                await asyncio.sleep(LOOK_S)

    async def wave(self, seat: Seat, writes: int, value: bytes) -> None:
        """So many strong writes at once, and until all of them are acknowledged."""
        first, self._written = self._written, self._written + writes
        await asyncio.gather(
            *(self._put(seat, f"key/{(first + n) % 10_000}", value) for n in range(writes))
        )

    async def _put(self, seat: Seat, key: str, value: bytes) -> None:
        if self.extra is not None:
            self.extra()
        await seat.kv.put(key, value)

    def stop(self) -> None:
        for seat in self.seats.values():
            with suppress(Exception):
                seat.stop()
