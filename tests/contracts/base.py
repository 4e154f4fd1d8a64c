"""Plain PySyncObj 0.3.17, driven by hand: a virtual clock, a queue of messages per directed link,
no sockets, no threads. Nothing here asserts.
"""

# pyright: basic
from __future__ import annotations

import logging
import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pysyncobj.syncobj as base
from pysyncobj import pickle as base_codec
from pysyncobj.node import Node
from pysyncobj.syncobj import SyncObj, SyncObjConf, replicated
from pysyncobj.transport import Transport

SUCCESS = 0


class Clock:
    """`step`: what one reading costs."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@contextmanager
def virtual_time() -> Iterator[Clock]:
    """Every clock reading of the base comes from here meanwhile."""
    before, clock = base.monotonicTime, Clock()
    base.monotonicTime = clock
    logging.disable(logging.CRITICAL)
    random.seed(1)
    try:
        yield clock
    finally:
        base.monotonicTime = before
        logging.disable(logging.NOTSET)


class Call:
    """A write and what its caller was told."""

    def __init__(self) -> None:
        self.answers: list[tuple[Any, int]] = []

    def __call__(self, result: Any, error: int) -> None:
        self.answers.append((result, error))

    @property
    def acked(self) -> bool:
        return bool(self.answers) and self.answers[0][1] == SUCCESS

    @property
    def ended(self) -> bool:
        return bool(self.answers)


class QueueTransport(Transport):
    """Messages wait in the world's queues until they are delivered."""

    def __init__(self, world: BaseWorld, host_id: str) -> None:
        super().__init__(None, None, [])
        self.world, self.host_id = world, host_id
        self.peers: dict[str, Node] = {}
        self.connected: set[str] = set()

    def addNode(self, node: Node) -> None:
        self.peers[node.id] = node

    def dropNode(self, node: Node) -> None:
        self.peers.pop(node.id, None)

    def connect(self, other: str) -> None:
        if other in self.peers and other not in self.connected:
            self.connected.add(other)
            self._onNodeConnected(self.peers[other])

    def disconnect(self, other: str) -> None:
        if other in self.connected:
            self.connected.discard(other)
            self._onNodeDisconnected(self.peers[other])

    def receive(self, source: str, message: Any) -> None:
        if source in self.peers:
            self._onMessageReceived(self.peers[source], message)

    def send(self, node: Node, message: Any) -> bool:
        link = (self.host_id, node.id)
        if node.id not in self.connected or link in self.world.cut:
            return False
        if link not in self.world.lossy:
            self.world.sent.append((*link, message))
            self.world.queues[link].append(base_codec.dumps(message))
        return True


class BaseHost(SyncObj):
    """A replicated list."""

    def __init__(self, world: BaseWorld, host_id: str, ids: str, **conf: Any) -> None:
        self.values: list[Any] = []
        self.host_id = host_id
        self.transport = QueueTransport(world, host_id)
        super().__init__(
            Node(host_id),
            [Node(other) for other in ids if other != host_id],
            SyncObjConf(autoTick=False, **{"useFork": False, **conf}),
            transport=self.transport,
        )
        for other in ids:
            if other != host_id:
                self.transport.addNode(Node(other))

    @replicated
    def put(self, value: Any) -> Any:
        self.values.append(value)
        return value

    @property
    def log(self) -> Any:
        return self._SyncObj__raftLog

    @property
    def last_index(self) -> int:
        return self.log[-1][1]

    @property
    def commit_index(self) -> int:
        return self._SyncObj__raftCommitIndex

    @property
    def leads(self) -> bool:
        return self._isLeader()

    def stand(self) -> None:
        self._SyncObj__raftElectionDeadline = 0

    def be_patient(self, clock: Clock) -> None:
        self._SyncObj__raftElectionDeadline = clock.now + 1e6


class BaseWorld:
    """Hosts named by letters. `conf`: PySyncObj settings."""

    def __init__(
        self, clock: Clock, ids: str = "abc", cls: Callable[..., BaseHost] = BaseHost, **conf: Any
    ) -> None:
        self.clock = clock
        self.queues: dict[tuple[str, str], deque[bytes]] = defaultdict(deque)
        self.cut: set[tuple[str, str]] = set()
        self.lossy: set[tuple[str, str]] = set()
        self.sent: list[tuple[str, str, Any]] = []
        conf = {"appendEntriesUseBatch": False, **conf}
        self.hosts = {host_id: cls(self, host_id, ids, **conf) for host_id in ids}
        for host_id in ids:
            for other in ids:
                if other != host_id:
                    self.hosts[host_id].transport.connect(other)

    # --- links ----------------------------------------------------------------------------------

    def isolate(self, host_id: str, others: str = "") -> None:
        for other in others or [name for name in self.hosts if name != host_id]:
            for link in ((host_id, other), (other, host_id)):
                self.cut.add(link)
                self.queues[link].clear()
            self.hosts[host_id].transport.disconnect(other)
            self.hosts[other].transport.disconnect(host_id)

    def heal(self, host_id: str, others: str = "") -> None:
        for other in others or [name for name in self.hosts if name != host_id]:
            self.cut -= {(host_id, other), (other, host_id)}
            self.hosts[host_id].transport.connect(other)
            self.hosts[other].transport.connect(host_id)

    def deliver(self, source: str, target: str, number: int | None = None) -> int:
        queue = self.queues[(source, target)]
        number = len(queue) if number is None else min(number, len(queue))
        for _ in range(number):
            self.hosts[target].transport.receive(source, base_codec.loads(queue.popleft()))
        return number

    # --- time -----------------------------------------------------------------------------------

    def tick(self, host_id: str, after_s: float = 0.02) -> None:
        self.clock.now += after_s
        self.hosts[host_id].doTick(0)

    def run(
        self, seconds: float, *, hold: tuple[tuple[str, str], ...] = (), skip: str = ""
    ) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 0.02
            for host_id, host in list(self.hosts.items()):
                if host_id not in skip:
                    host.doTick(0)
            for link in list(self.queues):
                if link not in hold and link not in self.cut:
                    self.deliver(*link)

    # --- the story's verbs ----------------------------------------------------------------------

    def elect(self, host_id: str, seconds: float = 0.3, **how: Any) -> BaseHost:
        self.let_stand(host_id)
        self.run(seconds, **how)
        assert self.hosts[host_id].leads, f"{host_id} did not win"
        return self.hosts[host_id]

    def let_stand(self, host_id: str) -> None:
        for other in self.hosts.values():
            other.be_patient(self.clock)
        if host_id:
            self.hosts[host_id].stand()

    def write(self, host_id: str, value: Any) -> Call:
        call = Call()
        self.hosts[host_id].put(value, callback=call)
        return call

    def remove(self, host_id: str, other: str) -> None:
        self.hosts[host_id].removeNodeFromCluster(Node(other), Call())

    def values(self, host_id: str) -> list[Any]:
        return self.hosts[host_id].values

    def copies(self, value: str) -> list[str]:
        wanted = value.encode()
        return [
            host_id
            for host_id, host in self.hosts.items()
            if any(wanted in entry[0] for entry in host.log[:])
        ]

    def compact(self, host_id: str) -> None:
        self.hosts[host_id].forceLogCompaction()

    def heartbeat(self, source: str, target: str) -> Any:
        """A copy of the newest empty append from `source` to `target`."""
        found = [
            message
            for a, b, message in self.sent
            if (a, b) == (source, target)
            and message["type"] == "append_entries"
            and not message.get("entries")
        ]
        return base_codec.loads(base_codec.dumps(found[-1]))

    def inject(self, source: str, target: str, message: Any) -> None:
        self.hosts[target].transport.receive(source, message)
