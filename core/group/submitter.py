"""The doing half of the proposer: gathers the commands of one loop turn, sends them, resolves the
callers' futures.

The law of this file: nothing is decided here that `proposer.py` could decide. One `call_soon` per
turn gathers everything that was submitted in it; one coarse timer (`deadlines.py`) ends calls and
re-sends silent commands; a caller that is cancelled abandons its command at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from quorate.core.clock import Clock, Scheduler
from quorate.core.errors import QuorateError
from quorate.core.group.deadlines import Deadlines
from quorate.core.group.outcomes import Ending
from quorate.core.group.pending import (
    COMMAND_OVERHEAD_BYTES,
    Batch,
    Ended,
    Pending,
    ProposerLimits,
    Waiter,
)
from quorate.core.group.proposer import Proposer

Applied = tuple[int, int, Any]
"""(index, term, result): where a command was applied and what the machine said."""


class SubmitDriver(Protocol):
    """The part of the Raft driver that takes commands."""

    def submit(self, batch: bytes, on_refused: Callable[[Any], None]) -> None: ...


EncodeBatch = Callable[[int, int, Sequence[tuple[Any, ...]]], bytes]
"""(session, ack_low, [(sequence, operation, *arguments)]) -> bytes"""


class Submitter:
    """Commands in, futures out. Lives on one event loop; not thread-safe.

    `encode` makes the bytes of a batch; `is_session_expired` recognises the machine's answer for a
    forgotten session."""

    def __init__(
        self,
        *,
        driver: SubmitDriver,
        encode: EncodeBatch,
        open_command: Callable[[int], tuple[Any, ...]],
        is_session_expired: Callable[[Any], bool],
        new_session_id: Callable[[], int],
        clock: Clock,
        scheduler: Scheduler,
        deadlines: Deadlines,
        make_future: Callable[[], asyncio.Future[Applied]],
        limits: ProposerLimits | None = None,
        storage_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._driver = driver
        self._encode = encode
        self._is_session_expired = is_session_expired
        self._clock = clock
        self._scheduler = scheduler
        self._deadlines = deadlines
        self._make_future = make_future
        self._storage_full = storage_full
        self.proposer = Proposer(
            limits or ProposerLimits(),
            new_session_id,
            open_command,
            make_waiter=_Nobody,
            no_leader_since=clock.monotonic(),
        )
        self._flush_planned = False
        deadlines.watch(self)

    async def call(self, command: tuple[Any, ...], size_bytes: int, timeout_s: float) -> Applied:
        """Have `command` applied once; returns (index, term, result). `size_bytes`: of its
        arguments, roughly.

        Raises `NotCommitted` and its kin (certainly not applied), `OutcomeUnknown`,
        `SessionExpired`."""
        pending = self.submit_nowait(command, size_bytes, timeout_s)
        try:
            return await pending.waiter  # type: ignore[misc]
        except asyncio.CancelledError:
            self.abandon(pending)
            raise

    def submit_nowait(self, command: tuple[Any, ...], size_bytes: int, timeout_s: float) -> Pending:
        """Queue `command`; the answer arrives at `pending.waiter`. Raises `Overloaded`,
        `Stopped`."""
        deadline = self._clock.monotonic() + timeout_s
        pending = Pending(
            command, size_bytes + COMMAND_OVERHEAD_BYTES, self._make_future(), deadline, self
        )
        self.proposer.add(pending)
        pending.bucket = self._deadlines.add(deadline, pending)
        if not self._flush_planned:
            self._flush_planned = True
            self._scheduler.call_soon(self._flush)
        return pending

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for `pending` any more."""
        self.proposer.abandon(pending)
        if pending.bucket is not None:
            pending.bucket.pop(pending, None)
        self._plan_flush()

    # --- hooks of the driver ---------------------------------------------------------------------

    def on_applied(self, index: int, term: int, results: Sequence[tuple[int, int, Any]]) -> None:
        """The machine applied an entry: settle our commands in it."""
        settled = self.proposer.on_results(results, self._clock.monotonic())
        if not settled:
            return
        expired: list[Pending] = []
        is_session_expired = self._is_session_expired
        for pending, result in settled:
            if is_session_expired(result):
                expired.append(pending)
                continue
            bucket = pending.bucket
            if bucket is not None:
                bucket.pop(pending, None)
            waiter = pending.waiter
            if not waiter.done():
                waiter.set_result((index, term, result))
        if expired:
            self._end(self.proposer.on_session_expired(expired))
        if self.proposer.waiting or expired:
            self._plan_flush()

    def on_leader_change(self, leader: str | None) -> None:
        self.proposer.on_leader(leader, self._clock.monotonic())
        self._plan_flush()

    def on_snapshot_installed(self) -> None:
        """Entries were skipped: answers of ours may be among them, the session table of the
        machine has them."""
        self.proposer.resend_all()
        self._plan_flush()

    def set_quorum_reachable(self, reachable: bool) -> None:
        self.proposer.quorum_reachable = reachable

    # --- time ------------------------------------------------------------------------------------

    def on_deadline(self, pending: Pending, now: float) -> None:
        error = self.proposer.on_deadline(pending)
        if not pending.waiter.done():
            pending.waiter.set_exception(error)

    def on_sweep(self, now: float) -> bool:
        self.proposer.storage_full = self._storage_full()
        self._end(self.proposer.on_sweep(now))
        self._send(now)
        return self.proposer.busy

    # --- sending ---------------------------------------------------------------------------------

    def _plan_flush(self) -> None:
        if not self._flush_planned and self.proposer.busy:
            self._flush_planned = True
            self._scheduler.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        self._send(self._clock.monotonic())
        if self.proposer.busy:
            self._deadlines.wake()

    def _send(self, now: float) -> None:
        for batch in self.proposer.take(now):
            data = self._encode(batch.session, batch.ack_low, batch.commands())
            self._driver.submit(data, _Refused(self, batch))

    def on_refused(self, batch: Batch, refusal: Any) -> None:
        self._end(self.proposer.on_refused(batch, refusal, self._clock.monotonic()))

    def _end(self, ended: Ended) -> None:
        for pending, error in ended:
            if pending.bucket is not None:
                pending.bucket.pop(pending, None)
            if not pending.waiter.done():
                pending.waiter.set_exception(error)

    # --- the end ---------------------------------------------------------------------------------

    def stop(self, cause: QuorateError | None = None) -> None:
        """End every call: definitely for what never left, with an unknown outcome for the rest."""
        if self.proposer.closed is not None:
            return
        failed = cause is not None
        self._end(
            self.proposer.close(
                Ending.FAILED_UNSENT if failed else Ending.STOP_UNSENT,
                Ending.FAILED_SENT if failed else Ending.STOP_SENT,
            )
        )

    def statistics(self) -> dict[str, object]:
        return self.proposer.statistics()


class _Refused:
    """The refusal callback of one batch; cheaper than a closure and readable in a debugger."""

    __slots__ = ("_batch", "_submitter")

    def __init__(self, submitter: Submitter, batch: Batch) -> None:
        self._submitter = submitter
        self._batch = batch

    def __call__(self, refusal: Any) -> None:
        self._submitter.on_refused(self._batch, refusal)


class _Nobody:
    """The waiter of commands the proposer sends on its own account."""

    def done(self) -> bool:
        return True

    def set_result(self, result: Any, /) -> None:
        return None

    def set_exception(self, exception: Any, /) -> None:
        return None


_: type[Waiter] = _Nobody
