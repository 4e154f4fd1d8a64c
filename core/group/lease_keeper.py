"""The leader's side of leases: answers keepalives, proposes expiries. Idle on every other host.

The law of this file (the reasons are in `core/machine/lease_clock.py`): the clock runs only from
the moment this leader has applied all entries of earlier terms; a keepalive counts only after
ReadIndex confirmed, later than its arrival, that this host leads; expiry is a proposal like any
other. It also has the group go on when a lease's end had more to end than one command may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from quorate.core.clock import Timer
from quorate.core.errors import NotCommitted, NotLeader, QuorateError
from quorate.core.group.group import Group
from quorate.core.group.leases import KEEPALIVE, LEASES_PER_MESSAGE_MAX
from quorate.core.group.requests import Reply
from quorate.core.machine.agent_commands import agent_sweep
from quorate.core.machine.commands import Command
from quorate.core.machine.lease_clock import LeaseClock

START_RETRY_S = 0.05
SWEEP_MIN_S = 0.02
EXPIRE_TIMEOUT_S = 5.0


class LeaseKeeper:
    """One per host; works while the host leads."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._clock = LeaseClock()
        self._active_term = 0
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._retry: Timer | None = None
        self._stopped = False
        self._sweeping = False
        group.requests.handle(KEEPALIVE, self.on_keepalive)

    # --- leading and not leading -----------------------------------------------------------------

    def on_leader(self) -> None:
        """The leader or its term changed."""
        if self._active_term and (not self._group.leads or self._group.term != self._active_term):
            self._active_term = 0
            self._clock.on_lose_leadership()
        if self._group.leads and not self._active_term:
            self._start()

    def _start(self) -> None:
        """Wait until all entries of earlier terms are applied, then start every lease anew."""
        self._retry = None
        term = self._group.term
        if self._stopped or not self._group.leads:
            return

        def confirmed(index: int | None, refusal: object) -> None:
            if self._stopped or not self._group.leads or self._group.term != term:
                return
            if index is None:
                self._retry = self._group.scheduler.call_later(START_RETRY_S, self._start)
            elif self._active_term != term:
                self._active_term = term
                now = self._group.clock.monotonic()
                self._clock.on_become_leader(now, self._group.machine.leases(), term=term)
                self._plan()
                self._sweep()

        self._group.read_index(confirmed)

    # --- news ------------------------------------------------------------------------------------

    def on_applied(self, changes: list[tuple[int, int, int]]) -> None:
        """(lease, ttl_ms, generation) of the leases an entry granted or ended."""
        if self._active_term and changes:
            self._clock.on_changes(self._group.clock.monotonic(), changes)
            self._plan()
            self._sweep()

    def on_keepalive(self, peer: str, args: list[Any], reply: Reply) -> None:
        """[[lease, ...]] -> those that live on; the others are gone for good."""
        (wanted,) = args
        if not isinstance(wanted, list) or len(cast(list[Any], wanted)) > LEASES_PER_MESSAGE_MAX:
            raise ValueError("leases")
        leases = [int(lease) for lease in cast(list[Any], wanted)]
        term = self._active_term
        if not term:
            reply(NotLeader("this host does not lead, or not yet", leader=self._group.leader))
            return

        def confirmed(index: int | None, refusal: object) -> None:
            if index is None or self._active_term != term:
                reply(NotCommitted("the leadership could not be confirmed"))
                return
            now = self._group.clock.monotonic()
            reply([lease for lease in leases if self._clock.keepalive(lease, now)])
            self._sweep()

        self._group.read_index(confirmed)

    # --- expiry ----------------------------------------------------------------------------------

    def _plan(self) -> None:
        at = self._clock.next_due()
        if at is None or self._stopped or not self._active_term:
            return
        now = self._group.clock.monotonic()
        at = max(at, now + SWEEP_MIN_S)
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._group.scheduler.call_later(at - now, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._stopped or not self._active_term:
            return
        try:
            for command in self._clock.due(self._group.clock.monotonic()):
                self._propose(command, _retrieve)
        except QuorateError:
            pass  # too much waits already; what was not proposed is due again
        self._plan()

    def _propose(self, command: Command, done: Callable[[Any], None]) -> None:
        pending = self._group.submitter.submit_nowait(command, 32, EXPIRE_TIMEOUT_S)
        cast(Any, pending.waiter).add_done_callback(done)

    # --- agents that wait for their end ----------------------------------------------------------

    def _sweep(self) -> None:
        """One command after the other, until none waits."""
        if self._sweeping or self._stopped or not self._active_term:
            return
        if not self._group.machine.agents_dying:
            return

        def swept(future: Any) -> None:
            self._sweeping = False
            if not future.cancelled() and future.exception() is None:
                self._sweep()  # otherwise the next keepalive begins again

        self._sweeping = True
        try:
            self._propose(agent_sweep(), swept)
        except QuorateError:
            self._sweeping = False

    def remaining_s(self, lease: int) -> float | None:
        """What is left of a lease, on the leader; None elsewhere."""
        return self._clock.remaining_s(lease, self._group.clock.monotonic())

    def stop(self) -> None:
        self._stopped = True
        self._active_term = 0
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()

    def statistics(self) -> dict[str, object]:
        return {"active_term": self._active_term, **self._clock.statistics()}


def _retrieve(future: Any) -> None:
    """An expiry that failed is due again; nobody else needs to know."""
    if not future.cancelled():
        future.exception()
