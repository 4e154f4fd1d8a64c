"""The driver: one Raft member at work. It owns the order of things, and nothing else.

The law is one function, `_turn`: decide, then persist, then send, then apply. Everything that
happens in one turn of the loop is gathered and served by one flush; the flush runs off the loop, so
that heartbeats and elections go on while a disk is slow.

It runs on a real event loop or in the simulator: time, scheduling, network, storage and state are
handed in.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.errors import StorageFull
from quorate.core.raft.config import RaftConfig
from quorate.core.raft.engine import HardenedRaft, MalformedMessage
from quorate.core.raft.entries import batches_of
from quorate.core.raft.forwarding import Forwarding, OnReadPoint
from quorate.core.raft.handover import Done
from quorate.core.raft.journal import Journal
from quorate.core.raft.members import Change, Configuration
from quorate.core.raft.outbox import Message
from quorate.core.raft.reads import ReadPoints
from quorate.core.raft.refusals import Refusal
from quorate.core.raft.state import ReplicatedState, Results, Snapshot
from quorate.core.raft.transfer import SnapshotReceiver, SnapshotSender
from quorate.core.raft.upkeep import Upkeep, align

STORAGE_RETRY_S = 0.5
HOUSEKEEP_S = 0.01
FORWARDED = frozenset({"submit", "submit_refused", "read_index", "read_point"})


class Net(Protocol):
    """How messages leave. Losing one is allowed; changing or misdelivering it is not."""

    def send(self, peer: str, message: Message, *, bulk: bool = False) -> bool:
        """Queue `message` for `peer`; False when there is no link or no room."""
        ...


class Hooks:
    """What the driver tells its host. Override what is wanted; none of it may raise."""

    def on_applied(self, index: int, term: int, results: Results) -> None: ...
    def on_leader(self, leader: str | None, term: int) -> None: ...
    def on_configuration(self, configuration: Configuration) -> None: ...
    def on_snapshot_installed(self, index: int) -> None: ...
    def on_fatal(self, error: BaseException) -> None: ...
    def on_malformed(self, peer: str, error: MalformedMessage) -> None: ...


class RaftDriver:
    """See the law above. All methods are for the one thread that owns it; none of them blocks."""

    def __init__(
        self,
        *,
        host_id: str,
        journal: Journal,
        state: ReplicatedState,
        net: Net,
        clock: Clock,
        scheduler: Scheduler,
        rng: random.Random,
        hooks: Hooks,
        config: RaftConfig | None = None,
        engine_class: type[HardenedRaft] = HardenedRaft,
    ) -> None:
        self.host_id = host_id
        self.journal = journal
        self.state = state
        self.settings = config or RaftConfig()
        self._net, self._clock, self._scheduler, self._hooks = net, clock, scheduler, hooks
        self.engine = engine_class(
            host_id=host_id, journal=journal, config=self.settings, clock=clock, rng=rng
        )
        align(self.engine, state)
        self.forwarding = Forwarding(self.engine, clock, net.send)
        self.sender = SnapshotSender(
            self.engine, state, lambda peer, m: net.send(peer, m, bulk=True)
        )
        self.receiver = SnapshotReceiver(self.engine, state, self.engine.outbox.post, self._install)
        self.upkeep = Upkeep(self.engine, state, self.sender.held_index, clock, self._state_flushed)
        self.engine.on_configuration = hooks.on_configuration
        self._running = False
        self._planned = self._in_turn = False
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._flush_began: float | None = None
        self._retry_storage_at = self._housekeep_at = 0.0
        self._installing: tuple[Snapshot, str, int] | None = None
        self._read_points = ReadPoints()
        self._known_leader: tuple[str | None, int] = (None, 0)
        self.turns = 0

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        self._running = True
        self._hooks.on_configuration(self.engine.configuration)
        self.upkeep.start(self._clock.monotonic())
        self.wake()

    def stop(self) -> None:
        """Stop at once; nothing more is sent, persisted or applied."""
        self._running = False
        if self._timer is not None:
            self._timer.cancel()
        self.forwarding.leader_changed()
        for done in self._read_points.reached(1 << 62):
            done(None, Refusal.STOPPED)

    def _fail(self, error: BaseException) -> None:
        """Our bug, or a disk that cannot be trusted: this member stops."""
        if self._running:
            self.stop()
            self._hooks.on_fatal(error)

    # --- what happens to it -----------------------------------------------------------------------

    def on_message(self, peer: str, message: Message) -> None:
        """A message of `peer`, as proven by the wire. A malformed one changes nothing."""
        if not self._running:
            return
        try:
            self._dispatch(peer, message)
        except MalformedMessage as error:
            self._hooks.on_malformed(peer, error)
        except Exception as error:  # our bug, not the peer's
            self._fail(error)
        if message.get("type") != "append_ack" or self.engine.has_work_for(peer):
            self.wake()

    def _dispatch(self, peer: str, message: Message) -> None:
        kind = message.get("type")
        if not isinstance(kind, str):
            raise MalformedMessage(f"a message whose type is {kind!r}")
        if kind in FORWARDED:
            self.forwarding.on_message(peer, message)
        elif kind == "snapshot":
            self.receiver.on_chunk(peer, message)
        elif kind == "snapshot_ack":
            self._on_snapshot_ack(peer, message)
        else:
            self.engine.receive(peer, message)

    def _on_snapshot_ack(self, peer: str, message: Message) -> None:
        kinds = {"term": int, "id": str, "state": str, "offset": int}
        if any(type(message.get(name)) is not kind for name, kind in kinds.items()):
            raise MalformedMessage("a snapshot_ack message does not have the shape of one")
        self.sender.on_ack(peer, message, self._clock.monotonic())

    def on_peer(self, peer: str, *, up: bool) -> None:
        """The link from this host to `peer` went up or down."""
        if self._running:
            self.engine.on_peer(peer, up=up)
            self.wake()

    # --- what is asked of it ----------------------------------------------------------------------

    def submit(self, batch: bytes, on_refused: Callable[[Refusal], None]) -> None:
        """Send a command batch towards the log.

        Either `on_refused` is called (certainly not appended by this attempt), or the batch shows
        in `on_applied` later, or nothing is ever heard of it (it was lost on the way, or is still
        on it): then it is sent again by its session.
        """
        leader = self.engine.leader
        if not self._running:
            on_refused(Refusal.STOPPED)
        elif self.engine.is_leader or leader is None or self.engine.removed:
            self.engine.submit(batch, on_refused)
            self.wake()
        elif len(batch) > self.settings.batch_bytes_max:
            on_refused(Refusal.TOO_LARGE)
        else:
            self.forwarding.submit(leader, batch, on_refused)

    def read_index(self, done: OnReadPoint) -> None:
        """`done(index, None)` once a point not older than this call is applied here."""
        leader = self.engine.leader

        def point(index: int | None) -> None:
            if index is None:
                done(None, Refusal.NOT_LEADER)
            else:
                self._await_applied(index, done)

        def remote_point(index: int | None, refusal: Refusal | None) -> None:
            done(None, refusal) if index is None else self._await_applied(index, done)

        if not self._running:
            done(None, Refusal.STOPPED)
        elif self.engine.removed:
            done(None, Refusal.REMOVED)
        elif self.engine.is_leader:
            self.engine.ask_read_point(point)
            self.wake()
        elif leader is None:
            done(None, Refusal.NO_LEADER)
        else:
            self.forwarding.read_index(leader, remote_point)
            self._plan(self._clock.monotonic())

    def change_members(self, change: Change, done: Done) -> None:
        """Leader only: append a membership change; `done(None)` once it is committed."""
        self.engine.change_members(change, done)
        self.wake()

    def transfer(self, target: str | None, done: Done) -> None:
        """Leader only: hand the leadership over; `done(None)` once this host no longer leads."""
        self.engine.transfer(target, done)
        self.wake()

    def compact(self, keep_entries: int = 0) -> None:
        """Flush the state and drop log entries behind it, all but `keep_entries`."""
        self.upkeep.compact(keep_entries)
        self._housekeep_at = 0.0
        self.wake()

    # --- the turn ---------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something happened: take a turn soon."""
        if self._running and not self._planned:
            self._planned = True
            self._scheduler.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._planned = False
        if not self._running:
            return
        self._in_turn = True
        try:
            self._turn(self._clock.monotonic())
        except Exception as error:  # a law is broken: this member must not go on
            self._fail(error)
        finally:
            self._in_turn = False

    def _turn(self, now: float) -> None:
        """Decide, persist, send, apply: in this order, every time."""
        self.turns += 1
        self.engine.decide(now)
        self._persist(now)
        self.engine.replicate(now)
        self._send(now)
        self._apply()
        if now >= self._housekeep_at:
            self._housekeep(now)
        self._plan(now)
        self.journal.poll()

    def _persist(self, now: float) -> None:
        if not self.journal.dirty or self.journal.flushing or now < self._retry_storage_at:
            return
        if self.journal.flush(self._persisted):
            self._flush_began = now
            self.journal.poll()  # the storage thread starts now, not after the rest of the turn

    def _persisted(self, error: Exception | None) -> None:
        self._flush_began = None
        if not self._running:
            return
        if isinstance(error, StorageFull):
            self.engine.storage_full = True
            self._retry_storage_at = self._clock.monotonic() + STORAGE_RETRY_S
            self.wake()
            return
        if error is not None:
            self._fail(error)
            return
        self.engine.storage_full = False
        try:
            self.engine.on_durable()
            self._finish_install()
        except Exception as error:
            self._fail(error)
        if self._in_turn:
            self.wake()
        else:
            self._take_turn()

    def _send(self, now: float) -> None:
        for peer, message in self.engine.outbox.take(self.journal.durable_seq):
            self._net.send(peer, message)
        if self.engine.snapshot_due:
            self.sender.pump(now)
        leader = (self.engine.leader, self.engine.term)
        if leader != self._known_leader:
            self._known_leader = leader
            self.forwarding.leader_changed()
            self._hooks.on_leader(*leader)

    def _apply(self) -> None:
        """Apply what is committed and on this disk, a bounded amount; then serve waiting reads."""
        engine, journal, state = self.engine, self.journal, self.state
        last = min(engine.commit_index, journal.durable_last)
        first = engine.applied_index + 1
        if first <= last and self._installing is None and not state.overloaded:
            for command, index, term in journal.entries(first, last, self.settings.apply_bytes_max):
                results = state.apply(index, term, batches_of(command))
                engine.on_applied(index)
                self._hooks.on_applied(index, term, results)
            if engine.applied_index < last:
                self.wake()
        if self._read_points:
            for done in self._read_points.reached(engine.applied_index):
                done(engine.applied_index, None)

    def _await_applied(self, index: int, done: OnReadPoint) -> None:
        if index <= self.engine.applied_index:
            done(index, None)
        else:
            self._read_points.wait(index, done)
            self.wake()

    # --- keeping house ----------------------------------------------------------------------------

    def _housekeep(self, now: float) -> None:
        self._housekeep_at = now + HOUSEKEEP_S
        if self.forwarding.waiting:
            self.forwarding.give_up_reads(now)
        began = self._flush_began
        if began is not None and now - began > self.settings.disk_stall_max_s:
            self.engine.storage_full = True
        if now >= self._retry_storage_at:
            self.upkeep.tend(now)

    def _state_flushed(self, error: Exception | None) -> None:
        if isinstance(error, StorageFull):
            self._retry_storage_at = self._clock.monotonic() + STORAGE_RETRY_S
        elif error is not None:
            self._fail(error)
        self.wake()

    def _install(self, snapshot: Snapshot, generation: str) -> None:
        """A verified snapshot: the journal's record, then the switch of the state, the answer."""
        try:
            self.engine.install_snapshot(
                snapshot.index, snapshot.term, snapshot.configuration, generation
            )
        except Exception as error:
            self._fail(error)
        self._installing = (snapshot, generation, self.journal.staged_seq)
        self.wake()

    def _finish_install(self) -> None:
        if self._installing is None or self.journal.durable_seq < self._installing[2]:
            return
        snapshot, generation, _ = self._installing
        self._installing = None
        self.state.switch(generation)
        self.engine.applied_index = self.state.applied_index
        self.receiver.installed(snapshot)
        self._hooks.on_snapshot_installed(snapshot.index)

    def _plan(self, now: float) -> None:
        """Arrange the next turn that time alone makes necessary."""
        if not self._running:
            return
        engine = self.engine
        at = max(engine.election_deadline, now + 0.005)
        if engine.is_leader:
            at = max(engine.heartbeat_due_at, now + 0.001)
        busy = self.forwarding.waiting or self.state.dirty or self.journal.flushing
        if busy or engine.storage_full:
            at = min(at, now + 0.1)
        if engine.notice_due_at is not None:
            at = min(at, engine.notice_due_at)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._scheduler.call_later(at - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.wake()

    def statistics(self) -> dict[str, Any]:
        """Everything worth a look: role, term, indices, log, state, followers."""
        return {
            **self.engine.statistics(),
            "host": self.host_id,
            "applied_index": self.engine.applied_index,
            "log": self.journal.statistics(),
            "state": self.state.statistics(),
            "members": self.engine.configuration.to_wire(),
            "turns": self.turns,
            "snapshots_sent": self.sender.sent_count,
        }
