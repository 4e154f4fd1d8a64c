"""The lease under which a host runs agents.

The law of this file: by this host's own monotonic clock, and a margin early, it stops believing in
the lease before the group can let anybody else in (`core/group/lease_hold.py` has the arithmetic).
While it cannot believe it does nothing; when the leader then confirms that the lease never ended,
nobody was let in, and it goes on. When the group says that it ended, everything that ran under it
is over, and the host begins anew under another lease.

    joining ---> held <---> doubtful
       ^          |            |
       +--- lost <+------------+
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from quorate.core.clock import Timer
from quorate.core.errors import LeaseExpired, QuorateError, Refused
from quorate.core.group.lease_hold import margin_s
from quorate.core.group.leases import KEEPALIVE
from quorate.core.machine import commands, results
from quorate.hosts.agents.roster import NAMESPACE, PREFIX, HostRow, read_row, row_value
from quorate.hosts.agents.world import AgentWorld

RETRY_MIN_S: Final = 0.05
ATTEMPTS_PER_PERIOD_MAX: Final = 4
JOIN_RETRY_S: Final = 0.2
CALL_TIMEOUT_S: Final = 5.0

Listener = Callable[[str], None]
"""Told of "held", "doubtful" and "lost"."""


class Tenancy:
    """`labels`, `capacity`, `classes()` and `draining` are written into the host's row."""

    def __init__(self, world: AgentWorld, classes: Callable[[], dict[str, int]]) -> None:
        self._world = world
        self._group = world.group
        self._ttl_s = world.settings.lease_s
        self._classes = classes
        self.labels: dict[str, str] = dict(world.settings.labels)
        self.capacity: dict[str, float] = dict(world.settings.capacity)
        self.draining = False
        self.lease = 0
        """The present lease; 0 while there is none."""
        self.state = "joining"
        self._valid_until = float("-inf")
        self._tried_at = float("-inf")
        self._confirmed_at = float("-inf")
        self._run = self._group.new_id()
        self._timer: Timer | None = None
        self._listeners: list[Listener] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._joining = False
        self._told: HostRow | None = None
        self._stopped = False
        self._clock = world.group.clock.monotonic
        self._counts = dict.fromkeys(("joined", "doubtful", "lost", "keepalives"), 0)

    # --- what others ask --------------------------------------------------------------------------

    def valid(self) -> bool:
        """Whether this host may act for its agents now."""
        if self._clock() < self._valid_until:
            return True
        if self.state == "held":
            self._become_doubtful()
        return False

    @property
    def remaining_s(self) -> float:
        """For how long it may act without another answer of the leader."""
        return max(0.0, self._valid_until - self._clock())

    def when_changed(self, listener: Listener) -> None:
        self._listeners.append(listener)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to join. Returns at once."""
        self._join_soon()

    def _spawn(self, work: Any, name: str) -> None:
        task = self._world.loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _join_soon(self) -> None:
        if not self._joining and not self._stopped:
            self._joining = True
            self._spawn(self._join(), "tenancy")

    async def _join(self) -> None:
        """Grant a lease and write the row; again until it is done."""
        try:
            while not self._stopped:
                try:
                    await self._try_to_join()
                    return
                except QuorateError:
                    pass
                await asyncio.sleep(JOIN_RETRY_S)
        finally:
            self._joining = False

    async def _try_to_join(self) -> None:
        group = self._group
        await group.read_point("linearizable", CALL_TIMEOUT_S)
        known = group.machine.kv_get(PREFIX + self._world.host_id, NAMESPACE)
        former = None if known is None else read_row(known.value)
        if former is not None and former.lease != self.lease:  # an earlier life of this process
            command = commands.lease_revoke(former.lease)
            await group.propose(command, 16, CALL_TIMEOUT_S)
        lease = group.new_id()
        sent_at = self._clock()
        _, _, answer = await group.propose(
            commands.lease_grant(int(self._ttl_s * 1000), lease), 32, CALL_TIMEOUT_S
        )
        results.raise_for(answer, "lease of the host's agents")
        self.lease = lease
        await self._tell(CALL_TIMEOUT_S)
        if self.lease != lease:
            raise LeaseExpired("the lease ended while the host told of itself")
        self._counts["joined"] += 1
        self._confirm(sent_at)
        self._plan()

    def _row(self) -> HostRow:
        return HostRow(
            self._world.host_id,
            self.lease,
            self._run,
            dict(self.labels),
            dict(self.capacity),
            self._classes(),
            self.draining,
        )

    async def _tell(self, timeout_s: float) -> None:
        row = self._row()
        data = row_value(row)
        command = commands.put(PREFIX + row.id, data, row.lease, NAMESPACE)
        _, _, answer = await self._group.propose(command, len(data) + 64, timeout_s)
        results.raise_for(answer, f"row of host {row.id!r}")
        self._told = row

    async def tell(self, timeout: float | None = None) -> None:
        """Write the row again: labels, capacity, classes or draining changed. Raises `Unavailable`;
        `LeaseExpired` while the host joins anew (it then writes what is now)."""
        if self.lease and self._row() != self._told:
            await self._tell(self._group.seconds(timeout))

    def tell_soon(self) -> None:
        """As `tell`, in the background; what fails is said when the host joins again."""
        if self.lease and self.state in ("held", "doubtful"):
            self._spawn(self._tell_quietly(), "tenancy tells")

    async def _tell_quietly(self) -> None:
        for _ in range(20):
            try:
                await self.tell(CALL_TIMEOUT_S)
                return
            except Refused:
                return  # the lease is gone: joining anew writes what is now
            except QuorateError:
                await asyncio.sleep(JOIN_RETRY_S)

    # --- keeping it -------------------------------------------------------------------------------

    def _plan(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped or not self.lease:
            return
        retry_s = max(RETRY_MIN_S, self._ttl_s / 3 / ATTEMPTS_PER_PERIOD_MAX)
        due = max(self._confirmed_at + self._ttl_s / 3, self._tried_at + retry_s)
        now = self._clock()
        if self.state == "held":
            due = min(due, self._valid_until)
        self._timer = self._group.scheduler.call_later(max(0.001, due - now), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._stopped or not self.lease:
            return
        self.valid()
        now = self._clock()
        due = self._confirmed_at + self._ttl_s / 3
        if due <= now:
            self._ask(now)
        self._plan()

    def _ask(self, now: float) -> None:
        self._tried_at = now
        leader = self._group.leader
        if leader is None:
            return
        self._counts["keepalives"] += 1
        self._spawn(self._keep_alive(leader, self.lease, now), "tenancy keepalive")

    async def _keep_alive(self, leader: str, lease: int, sent_at: float) -> None:
        try:
            answer: Any = await self._group.requests.ask(leader, KEEPALIVE, [[lease]], self._ttl_s)
        except QuorateError:
            return
        if lease != self.lease or self._stopped:
            return
        alive = cast("list[Any]", answer) if isinstance(answer, list) else []
        if lease in alive:
            self._confirm(sent_at)
        else:
            self.on_gone([lease])

    def _confirm(self, sent_at: float) -> None:
        """The leader saw the lease alive after `sent_at`: nobody was let in before that."""
        self._confirmed_at = max(self._confirmed_at, sent_at)
        self._valid_until = self._confirmed_at + self._ttl_s - margin_s(self._ttl_s)
        if self._clock() < self._valid_until and self.state != "held":
            self._become("held")

    def on_leader(self) -> None:
        """A new leader: ask it at once."""
        if self.lease and not self._stopped:
            self._tried_at = float("-inf")
            if self._group.leader is not None and self.state == "doubtful":
                self._ask(self._clock())
            self._plan()

    def on_gone(self, leases: list[int]) -> None:
        """The group ended these leases."""
        if self.lease in leases and self.lease:
            self.lease = 0
            self._valid_until = float("-inf")
            self._confirmed_at = float("-inf")
            self._counts["lost"] += 1
            self._become("lost")
            self._join_soon()

    def on_snapshot_installed(self) -> None:
        """Entries were skipped: look whether the lease is still there."""
        if self.lease and self._group.machine.lease(self.lease) is None and not self._joining:
            self.on_gone([self.lease])

    def _become_doubtful(self) -> None:
        self._counts["doubtful"] += 1
        self._become("doubtful")

    def _become(self, state: str) -> None:
        self.state = state
        for listener in tuple(self._listeners):
            listener(state)

    # --- the end ----------------------------------------------------------------------------------

    async def give_up(self, timeout: float) -> None:
        """End the lease: whatever is still bound to this host may be taken by others at once."""
        lease, self.lease = self.lease, 0
        self._valid_until = float("-inf")
        if lease:
            try:
                await self._group.propose(commands.lease_revoke(lease), 16, timeout)
            except QuorateError:
                return  # it runs out by itself

    def stop(self) -> None:
        """Renew no more. Safe to call twice."""
        self._stopped = True
        self._valid_until = float("-inf")
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()

    async def wait_stopped(self) -> None:
        """Return when the tasks have ended, after `stop`."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "state": self.state,
            "lease": self.lease,
            "remaining_s": round(self.remaining_s, 3),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
