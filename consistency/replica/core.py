"""The working parts of a replica, and the order of things: apply in memory, log, sync, acknowledge,
push.

The law of this file: it builds the parts and hands news from one to the other; the order is seen in
`Writer.put`, `RedoLog._turn` and `_on_synced`. What users call is in `replica.py`.
"""

from __future__ import annotations

import random
from typing import Any

from quorate.consistency.replica.absorbing import Absorbing
from quorate.consistency.replica.collector import Collector
from quorate.consistency.replica.conflict_feed import ConflictFeed
from quorate.consistency.replica.definitions import (
    ReplicaConfig,
)
from quorate.consistency.replica.flusher import Done, Flusher, Mark
from quorate.consistency.replica.freshness import Freshness
from quorate.consistency.replica.hooks import ReplicaHooks
from quorate.consistency.replica.identity import Identity
from quorate.consistency.replica.incoming import Incoming
from quorate.consistency.replica.joiner import Joiner
from quorate.consistency.replica.knowledge import Knowledge
from quorate.consistency.replica.outgoing import Outgoing, Send
from quorate.consistency.replica.redo_log import PLACE_BITS, RedoLog
from quorate.consistency.replica.shelf import Shelf
from quorate.consistency.replica.states import Vector
from quorate.consistency.replica.territory import Territory
from quorate.consistency.replica.writing import Writer
from quorate.consistency.ring.placement import Ring
from quorate.consistency.versions.hlc import ClockAhead, HybridClock
from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.errors import QuorateError, Stopped
from quorate.core.storage.engine import Engine
from quorate.core.storage.state_store import StateStore


class ReplicaCore:
    """One host's log, states and streams. See `StoreReplica`."""

    def __init__(
        self,
        *,
        host_id: str,
        log: Engine,
        state: StateStore,
        send: Send,
        clock: Clock,
        scheduler: Scheduler,
        rng: random.Random,
        hooks: ReplicaHooks,
        config: ReplicaConfig | None = None,
    ) -> None:
        self.host_id = host_id
        self.config = config = config or ReplicaConfig()
        self.hooks = hooks
        self.send = send
        self.now = clock.monotonic
        self.scheduler = scheduler
        self.stopped = False
        self._pumping = False
        self._timer: Timer | None = None
        self.hlc = HybridClock(clock, drift_max_ms=config.drift_max_ms)
        self.knowledge = Knowledge()
        self.log = RedoLog(
            log,
            scheduler,
            config,
            now=clock.monotonic,
            before_commit=self._before_commit,
            on_synced=self._on_synced,
            on_full=self._on_full,
            on_fatal=self._on_fatal,
        )
        self.shelf = Shelf(state, config.cache_keys_max)
        self.territory = Territory(host_id, self.shelf)
        self.feed = ConflictFeed(state, config.conflicts_max)
        self.joiner = Joiner(
            self.shelf, self.feed, on_change=hooks.on_changed, on_conflict=hooks.on_conflict
        )
        self.writer = Writer(self.shelf, self.joiner, self.log, self.hlc, config)
        self.outgoing = Outgoing(
            self.log,
            send,
            config,
            wanted=None,
            heads=self._own_durable,
            times_ms=self.hlc.times_ms,
            now=clock.monotonic,
        )
        self.hlc.walls_agree = self.outgoing.walls_agree
        self.freshness = Freshness(self.knowledge.seen, clock.monotonic)
        self.collector = Collector(host_id, self.shelf, self.joiner, self.knowledge)
        self.flusher = Flusher(
            self.shelf,
            scheduler,
            config,
            snapshot=self._snapshot,
            complete=self._complete,
            on_flushed=self._on_flushed,
            on_fatal=self._on_fatal,
        )
        self.identity = Identity(log, self.log, rng)
        me: Any = self
        self.absorbing = Absorbing(me)
        self.incoming = Incoming(me)
        self.incoming.recover()

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to tell others and to look after the disk."""
        self._on_timer()

    def stop(self) -> None:
        """Nothing is sent or written any more; waiting updates are not acknowledged."""
        self.stopped = True
        self.writer.closed = Stopped("the host is stopped or stopping")
        self.log.stop()
        self.flusher.stop()
        if self._timer is not None:
            self._timer.cancel()

    def close_cleanly(self) -> None:
        """Before `stop`, at an orderly end: log and states are complete on disk. Blocks.

        Raises `StorageFull`, `StorageFailed`: the log has everything that was acknowledged.
        """
        self.log.blocking()
        self.flusher.blocking()
        self.identity.close_cleanly()

    def flush(self, done: Done | None = None) -> None:
        """Write the changed states to disk."""
        self.flusher.flush(done)

    def _on_timer(self) -> None:
        """Every `know_s`: tell what is here, push again, collect. Who is refused tells always: who
        refuses says so again, or not, if its clock was set right meanwhile."""
        if self.stopped:
            return
        self._timer = self.scheduler.call_later(self.config.know_s, self._on_timer)
        self.incoming.tell(now=self.writer.clock_error is not None)
        self.look_at_refusals()
        if self.territory.placement is not None:
            self.outgoing.look_for_gaps()
        self.plan_pump()
        self.collector.run(self.ring)
        self._on_flushed(self.flusher.flushed_group)

    @property
    def actor(self) -> int:
        """This data folder's name in dots."""
        return self.writer.actor

    @property
    def own_actors(self) -> list[int]:
        """This data folder's name, and those that it had before."""
        return self.identity.own

    @property
    def head(self) -> int:
        """The last own sequence handed out."""
        return self.writer.head

    @property
    def applied(self) -> Vector:
        """Actor -> everything of it up to here that concerns this host is on this disk."""
        return self.knowledge.applied

    @property
    def ring(self) -> Ring | None:
        return self.territory.ring

    # --- messages and news ------------------------------------------------------------------------

    def on_message(self, peer: str, parts: dict[str, Any]) -> None:
        """A message of another replica. Raises `UsageError` when it is malformed."""
        if not self.stopped:
            self.incoming.on_message(peer, parts)

    def on_peer(self, peer: str, *, up: bool) -> None:
        """A link came or went."""
        if up:
            self.incoming.greet(peer)
        else:
            self.outgoing.on_down(peer)

    def _before_commit(self) -> None:
        self.writer.close_batch()
        if self.writer.logged > self.knowledge.seen.get(self.actor, 0):
            self.knowledge.saw(self.actor, self.writer.logged, self.log.group)

    def _on_synced(self, group: int) -> None:
        """The disk has everything up to `group`: acknowledge, then push."""
        moved = self.knowledge.on_synced(group)
        self.writer.on_synced(group)
        self.incoming.on_synced(group, moved)
        own = moved.get(self.actor)
        if own is not None:
            self.hooks.on_durable(own)
            self.plan_pump()
        if moved:
            self.hooks.on_applied()
        self.flusher.plan()

    def plan_pump(self) -> None:
        if not self._pumping:
            self._pumping = True
            self.scheduler.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if self.stopped or self.territory.placement is None:
            return
        synced = (self.log.synced + 1 << PLACE_BITS) - 1
        self.outgoing.pump(synced)
        if self.outgoing.pump_rescans(synced):
            self.scheduler.call_later(self.config.retry_s / 10, self.plan_pump)

    def on_acked(self, peer: str, actor: int, upto: int) -> None:
        """A peer's disk has more of what is pushed from here."""
        if self.outgoing.on_ack(peer, actor, upto) and actor == self.actor:
            self.hooks.on_held(peer, upto)
        self.plan_pump()

    def agree_on_time(self, other_ms: int, other_wall_ms: int) -> bool:
        """Whether another host's time showed that this host's was wrong; it was set right then, and
        what peers said of the wrong one is over, as is what this host said of theirs."""
        if not self.hlc.agree(other_ms, other_wall_ms):
            return False
        self.no_longer_refused(*self.outgoing.peers)
        self.incoming.tell(now=True)
        return True

    def no_longer_refused(self, *peers: str) -> None:
        """The clocks of these hosts agree with this one's again."""
        if self.outgoing.forget_refusals(peers):
            self.look_at_refusals()

    def look_at_refusals(self, peer: str | None = None) -> None:
        """While most peers refuse this host's clock, so does it: what nobody takes is not to be
        acknowledged."""
        refusing, linked = self.outgoing.refusing()
        if refusing * 2 <= linked:
            self.writer.clock_error = None
        elif self.writer.clock_error is None:
            self.writer.clock_error = ClockAhead(
                f"{refusing} of {linked} hosts that this one reaches refuse its updates because "
                "its clock is too far ahead of theirs: set the clock right; nothing was changed"
            )
            self.hooks.on_problem(str(self.writer.clock_error))
        elif peer is not None:
            self.hooks.on_problem(f"host {peer!r} refuses this host's clock: it is too far ahead")

    def check_clock(self) -> None:
        """Raises `ClockAhead` while most peers refuse this host's clock."""
        if self.writer.clock_error is not None:
            raise self.writer.clock_error

    def on_amnesia(self, peer: str) -> None:
        """A peer has updates of this actor that this disk does not: it gave back an older state."""
        self.hooks.on_problem(
            f"host {peer!r} has updates of this host that its own disk lost (an older copy of the "
            "data folder, or a disk that lies about syncing): going on as a new actor"
        )
        self.writer.close_batch()
        self.writer.begin(self.identity.renew(), 0, 0)
        self.knowledge.actors[self.actor] = self.host_id

    def _own_durable(self) -> Vector:
        applied = self.knowledge.applied
        return {actor: applied[actor] for actor in self.identity.own if actor in applied}

    def _snapshot(self) -> Mark:
        return Mark(self.log.synced, 0, dict(self.knowledge.applied), {}, {})

    def _complete(self, mark: Mark) -> None:
        mark.head = self.head
        mark.collected = self.joiner.collected
        mark.ring = self.ring
        mark.actors = self.knowledge.actors

    def _on_flushed(self, group: int) -> None:
        hosts = self.territory.others() if self.territory.placement is not None else None
        acked = 0 if hosts is None else self.outgoing.acked_position(hosts)
        forced = self.log.trim(group, acked)
        if forced is not None:
            self.hooks.on_problem(
                "updates were dropped from the log before every owner had them: some host is away "
                "for too long and will need to compare whole states"
            )

    def _on_full(self, full: bool) -> None:
        self.hooks.on_problem("the disk is full" if full else "the disk has space again")

    def _on_fatal(self, error: BaseException) -> None:
        self.stop()
        if isinstance(error, QuorateError):
            self.writer.closed = error
        self.hooks.on_fatal(error)
