"""Linearizable reads: one read-index round serves every read that waits (DESIGN §4.6).

The law of this file: a read may only be served by a round that *started after* the read was
called. Reads of one turn share a round; at most `rounds_max` rounds are out at once, later reads
gather for the next. A read has no effect, so running out of time is always the definite `Timeout`.
A round that is refused or silent is asked again until its readers' deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from quorate.core.clock import Clock, Scheduler
from quorate.core.errors import Overloaded, QuorateError
from quorate.core.group.deadlines import Deadlines
from quorate.core.group.outcomes import Ending, Retry, ending_error, refusal_error, row_of

ROUNDS_MAX = 4
ROUND_SILENCE_S = 0.5
RETRY_PAUSE_S = 0.02
READS_WAITING_MAX = 65_536


class ReadDriver(Protocol):
    """The part of the Raft driver that gives read points."""

    def read_index(self, done: Callable[[int | None, Any], None]) -> None: ...


class Read:
    """One caller that waits for a read point."""

    __slots__ = ("bucket", "deadline", "reads", "waiter")

    def __init__(self, reads: Reads, waiter: asyncio.Future[int], deadline: float) -> None:
        self.reads = reads
        self.waiter = waiter
        self.deadline = deadline
        self.bucket: dict[Any, None] | None = None

    def on_deadline(self, now: float) -> None:
        self.reads.on_deadline(self)


@dataclass(slots=True, eq=False)
class _Round:
    started: float
    members: dict[Read, None] = field(default_factory=dict[Read, None])


class Reads:
    """Read points for many readers. Lives on one event loop."""

    def __init__(
        self,
        *,
        driver: ReadDriver,
        clock: Clock,
        scheduler: Scheduler,
        deadlines: Deadlines,
        make_future: Callable[[], asyncio.Future[int]],
        leader_wait_s: float = 3.0,
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._scheduler = scheduler
        self._deadlines = deadlines
        self._make_future = make_future
        self._leader_wait_s = leader_wait_s
        self._waiting: dict[Read, None] = {}
        self._rounds: dict[_Round, None] = {}
        self._hold_until = 0.0
        self._flush_planned = False
        self._leader: str | None = None
        self._no_leader_since = clock.monotonic()
        self.quorum_reachable = True
        self._closed: Ending | None = None
        self._reads_total = 0
        self._rounds_total = 0
        deadlines.watch(self)

    async def wait_read_point(self, timeout_s: float) -> int:
        """The index of a read point; once it returns, local state holds all that was acknowledged
        before the call.

        Raises `Timeout`, `NoLeader`, `NoQuorum`, `Stopped`, `Overloaded`: all definite, a read
        changes nothing."""
        read = self._enter(timeout_s)
        try:
            return await read.waiter
        except asyncio.CancelledError:
            self._leave(read)
            raise

    def _enter(self, timeout_s: float) -> Read:
        if self._closed is not None:
            raise ending_error(self._closed)
        if len(self._waiting) >= READS_WAITING_MAX:
            raise Overloaded(f"{READS_WAITING_MAX} reads wait on this host already; slow down")
        deadline = self._clock.monotonic() + timeout_s
        read = Read(self, self._make_future(), deadline)
        read.bucket = self._deadlines.add(deadline, read)
        self._waiting[read] = None
        self._reads_total += 1
        self._plan_flush()
        return read

    def _leave(self, read: Read) -> None:
        self._waiting.pop(read, None)
        for round_ in self._rounds:
            round_.members.pop(read, None)
        if read.bucket is not None:
            read.bucket.pop(read, None)

    def on_deadline(self, read: Read) -> None:
        self._leave(read)
        ending = Ending.TIMEOUT_READ
        if self._leader is None:
            ending = Ending.NO_LEADER if self.quorum_reachable else Ending.NO_QUORUM
        self._end(read, ending_error(ending, leader=self._leader))

    def on_leader_change(self, leader: str | None) -> None:
        """Rounds of the old leader may never be answered: their readers join the next one."""
        if leader is None and self._leader is not None:
            self._no_leader_since = self._clock.monotonic()
        self._leader = leader
        self._hold_until = 0.0
        for round_ in list(self._rounds):
            self._give_up(round_)
        self._plan_flush()

    def on_sweep(self, now: float) -> bool:
        for round_ in [r for r in self._rounds if now - r.started > ROUND_SILENCE_S]:
            self._give_up(round_)
        if self._leader is None and now - self._no_leader_since > self._leader_wait_s:
            ending = Ending.NO_LEADER if self.quorum_reachable else Ending.NO_QUORUM
            for read in list(self._waiting):
                self._leave(read)
                self._end(read, ending_error(ending))
        self._flush()
        return bool(self._waiting or self._rounds)

    def _plan_flush(self) -> None:
        if not self._flush_planned and self._waiting:
            self._flush_planned = True
            self._scheduler.call_soon(self._on_turn)

    def _on_turn(self) -> None:
        self._flush_planned = False
        self._flush()

    def _flush(self) -> None:
        if not self._waiting or len(self._rounds) >= ROUNDS_MAX or self._leader is None:
            return
        now = self._clock.monotonic()
        if now < self._hold_until:
            return
        round_ = _Round(now, self._waiting)
        self._waiting = {}
        self._rounds[round_] = None
        self._rounds_total += 1
        self._driver.read_index(lambda index, refusal: self._on_round(round_, index, refusal))

    def _on_round(self, round_: _Round, index: int | None, refusal: Any) -> None:
        if round_ not in self._rounds:
            return  # given up before: its readers wait in another round
        del self._rounds[round_]
        if index is None:
            self._on_refused(round_, refusal)
            return
        for read in round_.members:
            if read.bucket is not None:
                read.bucket.pop(read, None)
            if not read.waiter.done():
                read.waiter.set_result(index)
        self._plan_flush()

    def _on_refused(self, round_: _Round, refusal: Any) -> None:
        if row_of(refusal).retry is Retry.NEVER:
            for read in list(round_.members):
                self._leave(read)
                self._end(read, refusal_error(refusal, leader=self._leader))
            return
        self._hold_until = self._clock.monotonic() + RETRY_PAUSE_S
        self._waiting = {**round_.members, **self._waiting}

    def _give_up(self, round_: _Round) -> None:
        """Its readers join the next round, which starts later and so serves them as well."""
        del self._rounds[round_]
        self._waiting = {**round_.members, **self._waiting}

    def _end(self, read: Read, error: QuorateError) -> None:
        if read.bucket is not None:
            read.bucket.pop(read, None)
        if not read.waiter.done():
            read.waiter.set_exception(error)

    def stop(self, ending: Ending = Ending.STOP_UNSENT) -> None:
        """End every read."""
        self._closed = ending
        for round_ in list(self._rounds):
            self._give_up(round_)
        for read in list(self._waiting):
            self._leave(read)
            self._end(read, ending_error(ending))

    def statistics(self) -> dict[str, object]:
        return {
            "waiting": len(self._waiting),
            "rounds_out": len(self._rounds),
            "reads_total": self._reads_total,
            "rounds_total": self._rounds_total,
        }
