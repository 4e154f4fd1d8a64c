"""A host of plain PySyncObj 0.3.17 in the simulator: the positive control. If the world cannot make
*this* lose an acknowledged write, it cannot be trusted to acquit anybody.

The law: PySyncObj is used as its documentation says (a replicated method, a callback, batch mode as
shipped, optionally journal and dump files); only its transport and its clock are ours.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportUnknownParameterType=false
from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pysyncobj.syncobj as base
from pysyncobj import pickle as base_codec
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.transport import Transport

from quorate.chaos.sim.disks import HostDisk
from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.history import History, Op
from quorate.chaos.sim.network import Network

TICK_S = 0.02
CLOCK_READ_S = 1e-4
"""What a look at the clock costs: the base has a loop that only time can end (S16)."""
SUCCESS = 0


class BaseClock:
    """`pysyncobj.syncobj.monotonicTime`: the time of the host that is being run."""

    def __init__(self, queue: EventQueue) -> None:
        self._queue = queue
        self._now: dict[str, float] = {}
        self.host = ""

    def __call__(self) -> float:
        now = max(self._now.get(self.host, 0.0), 1000.0 + self._queue.now) + CLOCK_READ_S
        self._now[self.host] = now
        return now

    def inject(self) -> None:
        """Every time read of the base goes through this module global."""
        base.monotonicTime = self  # pyright: ignore[reportAttributeAccessIssue]


class SimTransport(Transport):
    """The base's transport over the simulated network."""

    def __init__(self, host_id: str, send: Callable[[str, bytes], bool]) -> None:
        super().__init__(None, None, [])
        self._host_id, self._send = host_id, send
        self._peers: dict[str, Node] = {}
        self._connected: set[str] = set()

    def addNode(self, node: Node) -> None:
        self._peers[str(node.id)] = node

    def dropNode(self, node: Node) -> None:
        self._peers.pop(str(node.id), None)

    def send(self, node: Node, message: Any) -> bool:
        return str(node.id) in self._connected and self._send(
            str(node.id), base_codec.dumps(message)
        )

    def on_link(self, peer: str, *, up: bool) -> None:
        node = self._peers.get(peer)
        if node is None or up == (peer in self._connected):
            return
        if up:
            self._connected.add(peer)
            self._onNodeConnected(node)
        else:
            self._connected.discard(peer)
            self._onNodeDisconnected(node)

    def on_bytes(self, peer: str, payload: bytes) -> None:
        node = self._peers.get(peer)
        if node is not None:
            self._onMessageReceived(node, base_codec.loads(payload))


class ListObject(SyncObj):
    """A list to append to."""

    def __init__(self, host_id: str, ids: Iterable[str], transport: Transport, **conf: Any) -> None:
        self.values: list[str] = []
        super().__init__(
            Node(host_id),
            [Node(other) for other in ids if other != host_id],
            SyncObjConf(autoTick=False, useFork=False, **conf),
            transport=transport,
        )

    @replicated
    def put(self, value: str) -> str:
        self.values.append(value)
        return value


class UnpatchedHost:
    """What the network and the nemesis need of a host, around a `ListObject`."""

    def __init__(
        self,
        host_id: str,
        ids: tuple[str, ...],
        *,
        queue: EventQueue,
        network: Network,
        clock: BaseClock,
        history: History,
        rng: random.Random,
        folder: Path | None,
        conf: dict[str, Any],
        writes_per_s: float,
    ) -> None:
        self.id, self._ids = host_id, ids
        self._queue, self._network, self._clock = queue, network, clock
        self._history, self._rng = history, rng
        self._folder, self._conf, self._writes_per_s = folder, conf, writes_per_s
        self.disk = HostDisk.fresh(rng)
        self.life: Life | None = None
        self.failed: BaseException | None = None
        self.out = False
        self.calls = True
        self.exceptions = 0
        self.client = self
        network.add(self)

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        self.life = life = Life(self._queue, clock_rate=1.0, clock_offset_s=0.0)
        conf = dict(self._conf)
        if self._folder is not None:
            conf["journalFile"] = str(self._folder / f"{self.id}.journal")
            conf["fullDumpFile"] = str(self._folder / f"{self.id}.dump")
        self.transport = SimTransport(
            self.id, lambda peer, payload: self._network.send(self.id, peer, payload)
        )
        self._clock.host = self.id
        self.object = ListObject(self.id, self._ids, self.transport, **conf)
        for other in sorted(self._ids):
            if other != self.id:
                self.transport.addNode(Node(other))
        self._tick(life)
        self._write_later(life)
        self._network.on_started(self.id)

    def _guard(self, act: Callable[[], object]) -> None:
        """The base raises out of ticks and handlers; its own thread would log that and go on."""
        self._clock.host = self.id
        try:
            act()
        except Exception:
            self.exceptions += 1

    def _tick(self, life: Life) -> None:
        self._guard(lambda: self.object.doTick(0))
        life.call_later(TICK_S, lambda: self._tick(life))

    def kill(self) -> None:
        """kill -9; what was written to the files is there (the page cache survives)."""
        if self._folder is None or self.life is None:
            return
        self.life.end()
        self.life = None
        self._network.on_killed(self.id)

    def pause(self) -> Callable[[], None]:
        life = self.life
        assert life is not None
        life.pause()
        return life.resume

    def revive(self) -> None:
        return

    def resume(self) -> None:
        if self.life is not None and self.life.paused:
            self.life.resume()

    # --- the network and the clients ------------------------------------------------------------

    def receive(self, peer: str, payload: bytes) -> None:
        self._guard(lambda: self.transport.on_bytes(peer, payload))

    def on_link(self, peer: str, *, up: bool) -> None:
        self._guard(lambda: self.transport.on_link(peer, up=up))

    def _write_later(self, life: Life) -> None:
        def write() -> None:
            if self.calls:
                self.write()
                self._write_later(life)

        life.call_later(self._rng.expovariate(self._writes_per_s), write)

    def write(self) -> None:
        number = len(self._history.ops) + 1
        value = f"{self.id}{number}"
        op = self._history.invoke(
            Op(number, self.id, "add", f"w/{number:06d}", value, self._queue.now)
        )

        def answered(_: object, error: int) -> None:
            if op.outcome == "pending":
                op.returned = self._queue.now
                op.outcome = "ok" if error == SUCCESS else "unknown"

        def put() -> None:
            self.object.put(value, callback=answered)  # pyright: ignore[reportCallIssue]

        self._guard(put)

    def burst(self, calls: int) -> None:
        for _ in range(calls):
            self.write()

    # --- what the nemesis asks ------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.life is not None

    @property
    def leads(self) -> bool:
        return self.running and bool(
            self.object._isLeader()  # pyright: ignore[reportPrivateUsage]
        )

    @property
    def term(self) -> int:
        return int(self.object.raftCurrentTerm)

    def compact(self) -> None:
        self.object.forceLogCompaction()

    def transfer(self, target: str | None) -> None:
        return
