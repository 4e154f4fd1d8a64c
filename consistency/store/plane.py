"""What all stores of one host share: the replica, the strong plane, the waits, the news.

The law of this file: it holds the parts and passes news from one to the others; how an update is
made or a read answered is in `writes.py` and `reads.py`. Everything is for the one event loop that
owns the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol, cast

from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.hooks import ReplicaHooks
from quorate.consistency.replica.replica import StoreReplica
from quorate.consistency.ring.placement import PARTITIONS, Placement, Ring
from quorate.consistency.store.catalog import NAMESPACE, Catalog
from quorate.consistency.store.keyring import KEY_NAME, Keyring
from quorate.consistency.store.waits import DurableQueue, HeldQueue, News
from quorate.consistency.strong import StrongPlane
from quorate.core.errors import InvariantBroken, QuorateError, Stopped, Timeout
from quorate.core.group.group import Group
from quorate.core.group.kv import KV, record_of

VOLATILE_TURN_UPDATES = 64


class Surroundings(NamedTuple):
    """What a host tells its stores of the world."""

    cluster: str
    secret: str | None
    is_up: Callable[[str], bool]
    """Whether a peer can be sent something."""
    rtt_s: Callable[[str], float | None]
    strong_holders: Callable[[int], tuple[str, ...]]
    """The hosts known to have the group's log up to an index on disk."""
    cut_off: Callable[[], bool]
    """Whether this host reaches no majority."""
    fresh_bytes: Callable[[int], bytes]
    on_problem: Callable[[str], None]
    on_fatal: Callable[[BaseException], None]


def _nobody(peer: str) -> None:
    return None


def _all_heard(partition: int) -> frozenset[str]:
    del partition
    return frozenset()


def _everything(partition: int) -> bool:
    return True


Listener = Callable[[str, str], None]
"""(store, key): the key's local state is another one."""


class Watcher(Protocol):
    """Who follows what happens to all stores of the host."""

    def on_changed(self, store: str, key: str) -> None: ...
    def on_conflict(self, conflict: Conflict) -> None: ...


class Plane(ReplicaHooks):
    """One per host. `attach` gives it the replica, whose hooks it is."""

    def __init__(self, group: Group, world: Surroundings) -> None:
        self.group = group
        self.world = world
        self.host_id = group.host_id
        self.me = (group.host_id,)
        self.clock = group.clock
        loop = asyncio.get_running_loop()
        kv = KV(group, NAMESPACE)
        self.strong = StrongPlane(group, self._new_stamp)
        self.durable = DurableQueue(loop.create_future, group.clock, group.deadlines)
        self.held = HeldQueue(loop.create_future, group.clock, group.deadlines)
        self.news = News(loop.create_future, group.clock, group.deadlines)
        """Something was applied, synced, or learned of others; the ring or the reach changed."""
        self.conflict_news = News(loop.create_future, group.clock, group.deadlines)
        self.keyring = Keyring(
            world.cluster,
            world.secret,
            kv,
            peek=self._peek_key,
            fresh_bytes=world.fresh_bytes,
            stable=self.stable,
        )
        self.catalog = Catalog(group, kv, lambda definition: self.replica.define(definition))
        self.placement: Placement | None = None
        self.strong_fresh_at = float("-inf")
        """Everything strong that was acknowledged by then (monotonic) is in this host's copy."""
        self._volatile_updates = 0
        self.volatile: asyncio.Future[None] | None = None
        self.listeners: dict[str, list[Listener]] = {}
        self.conflict_listeners: dict[str, Callable[[Conflict], None]] = {}
        """By store."""
        self.sync_needed: Callable[[str], None] = _nobody
        """A peer's log lacks what is missing here: compare states with it."""
        self.ready: Callable[[int], bool] = _everything
        """Whether this host has all of a partition that it owns."""
        self.unheard: Callable[[int], frozenset[str]] = _all_heard
        """Members out of reach when a partition came here: what only they have of it is missing."""
        self.on_placement: list[Callable[[], None]] = []
        self.watcher: Watcher | None = None
        self._replica: StoreReplica | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False

    def attach(self, replica: StoreReplica) -> None:
        self._replica = replica
        replica.pinned = self._pinned
        self.placement = replica.placement

    def _pinned(self, store: str, key: str) -> bool:
        """A local deletion hides a strong value: gone, it would be shown again. A host that is cut
        off does not know what there is to hide."""
        strong = self.strong
        if not strong.has_any(store):
            return False
        return self.world.cut_off() or strong.peek(store, key).value is not None

    @property
    def replica(self) -> StoreReplica:
        if self._replica is None:
            raise InvariantBroken("the stores are used before the replica is open")
        return self._replica

    def _new_stamp(self, floor: int) -> int:
        replica = self.replica
        replica.check_clock()
        return replica.hlc.now(floor)

    def _peek_key(self) -> object:
        row = self.group.machine.kv_get(KEY_NAME, NAMESPACE)
        return None if row is None else record_of(row).value

    def stable(self) -> Mapping[int, int]:
        """What every owner has on its disk."""
        replica, ring = self.replica, self.replica.ring
        if ring is None or ring.before is not None:
            return {}
        hosts = {*ring.hosts, *replica.others()}
        return replica.knowledge.stable(self.host_id, hosts, ring.epoch)

    # --- deadlines, tasks, the end ----------------------------------------------------------------

    def until(self, timeout: float | None) -> float:
        """The deadline of a call that begins now, in monotonic seconds. Raises `UsageError`."""
        return self.clock.monotonic() + self.group.seconds(timeout)

    def left(self, until: float) -> float:
        return max(0.0, until - self.clock.monotonic())

    def check(self) -> None:
        """Raise what keeps this host from serving."""
        if self.group.broken is not None:
            raise self.group.broken
        if self._stopped:
            raise Stopped("the host is stopped or stopping")

    def future(self) -> asyncio.Future[Any]:
        """A fresh one, for a callback to end."""
        return asyncio.get_running_loop().create_future()

    def spawn(self, work: Any, name: str) -> asyncio.Task[Any]:
        """Work of the host's own, ended with it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        """End everything that waits; safe to call twice."""
        self.end(Stopped("the host is stopping"))
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close_door(self) -> None:
        """No call begins any more; those that wait go on for now."""
        self._stopped = True

    def end(self, error: QuorateError) -> None:
        """No call waits any longer."""
        self._stopped = True
        self.durable.end(error)
        self.held.end()
        self.news.stop()
        self.conflict_news.stop()

    # --- who has what -----------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Of the ring this host goes by; 0 while it knows none."""
        return 0 if self.placement is None else self.placement.ring.epoch

    def on_ring(self, ring: Ring) -> None:
        if ring.epoch > self.epoch or self.placement is None:
            self.placement = Placement(ring)
            self.replica.on_ring(ring)
            for told in self.on_placement:
                told()
            self.news.notify()

    def on_ready(self) -> None:
        """This host has more of what it owns, or all."""
        for told in self.on_placement:
            told()
        self.news.notify()

    def whole(self, replicas: int) -> bool:
        """Whether this host has every key of a store with so many replicas."""
        if self.placement is None:
            return False
        ring = self.placement.ring
        if not all(self.ready(p) and not self.unheard(p) for p in range(PARTITIONS)):
            return False
        if ring.before is not None:
            both = {*ring.hosts, *ring.before}
            return len(both) <= replicas and self.host_id in ring.before
        return len(ring.hosts) <= replicas and self.host_id in ring.hosts

    def may_miss(self, partition: int, past: Mapping[int, int]) -> bool:
        """Whether something of this partition that is in `past` may not have come here, whatever
        was applied: its host was away when the partition came."""
        return not self.replica.joiner.missing(partition).isdisjoint(past)

    def homes(self, partition: int, replicas: int) -> tuple[str, ...]:
        """The hosts that have all of a partition: its owners; while it moves those that had it
        before. This host only while it is sure to have it."""
        if self.placement is None:
            return self.me
        now = self.placement.owners(partition, replicas)
        if self.placement.ring.before is None:
            if self.host_id not in now or self.ready(partition):
                return now
            return tuple(host for host in now if host != self.host_id) or now
        then = self.placement.former(partition, replicas)
        homes = tuple(host for host in now if host in then) or then
        if self.host_id in now and self.host_id not in homes and self.ready(partition):
            return (*homes, self.host_id)
        return homes

    def nearest(self, hosts: Iterable[str]) -> list[str]:
        """Those of `hosts` that can be reached, the nearest first; without this one."""
        world = self.world
        reached = [h for h in hosts if h != self.host_id and world.is_up(h)]
        return sorted(reached, key=lambda host: (world.rtt_s(host) or 0.0, host))

    # --- hooks of the replica ---------------------------------------------------------------------

    def on_durable(self, seq: int) -> None:
        self.durable.on_durable(seq)

    def on_applied(self) -> None:
        self.news.notify()

    def on_held(self, peer: str, upto: int) -> None:
        self.held.on_held(upto)

    def on_fresh(self) -> None:
        self.news.notify()

    def on_gap(self, peer: str) -> None:
        self.sync_needed(peer)

    def on_changed(self, store: str, key: str) -> None:
        if self.watcher is not None:
            self.watcher.on_changed(store, key)
        listeners = self.listeners.get(store)
        if listeners:
            for listener in tuple(listeners):
                listener(store, key)

    def on_conflict(self, conflict: Conflict) -> None:
        self.conflict_news.notify()
        listener = self.conflict_listeners.get(conflict.store)
        if listener is not None:
            listener(conflict)
        if self.watcher is not None:
            self.watcher.on_conflict(conflict)

    def on_problem(self, text: str) -> None:
        self.world.on_problem(text)

    def on_fatal(self, error: BaseException) -> None:
        self.world.on_fatal(error)

    # --- other news -------------------------------------------------------------------------------

    def on_strong_applied(self) -> None:
        """This host's copy of the group's state moved on."""
        self.news.notify()

    async def may_be_volatile(self, until: float) -> None:
        """Before the first update that is acknowledged from memory: the folder must know it. Raises
        `Timeout` when the disk has not taken that until then."""
        if self.volatile is None:
            done = self.volatile = asyncio.get_running_loop().create_future()
            self.replica.mark_volatile(lambda: None if done.done() else done.set_result(None))
        if self.volatile.done():
            return
        await asyncio.wait((self.volatile,), timeout=self.left(until))
        if not self.volatile.done():
            raise Timeout(
                f"until the deadline the disk of host {self.host_id!r} could not take note that "
                "updates are acknowledged from memory; nothing was written"
            )

    async def breathe(self) -> None:
        """Let others run now and then: a loop of updates from memory would never wait."""
        self._volatile_updates += 1
        if self._volatile_updates % VOLATILE_TURN_UPDATES == 0:
            await asyncio.sleep(0)

    def statistics(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "waiting_durable": cast(Any, self.durable.statistics()),
            "waiting_held": self.held.statistics(),
            "waiting_news": self.news.statistics(),
            "strong": self.strong.statistics(),
            "tasks": len(self._tasks),
        }
