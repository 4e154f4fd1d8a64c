"""Gives agents that have no place another one: on the leader, and only there.

The law of this file: an agent has no place when the lease of its host is over, or it was started
without one. Each of them is bound to the host that `ground` chooses, many at once; the group itself
refuses what is not so any more, so that a leader that is late harms nobody. What no host has room
for waits: for news, for the next try (later each time), or for its deadline, past which a start
that never had a place is stopped, with the reason "no capacity". Nothing here spins: a pass that
gets nowhere plans the next one `BACKOFF_MIN_S` to `BACKOFF_MAX_S` later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any, Final

from quorate.core.clock import Timer
from quorate.core.errors import QuorateError, Refused
from quorate.core.group.bindings import Bindings
from quorate.core.group.group import Group
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.placement.choose import explain
from quorate.hosts.agents.placement.demand import Demand
from quorate.hosts.agents.placement.ground import Ground
from quorate.hosts.agents.placement.ledger import demand_of
from quorate.hosts.agents.spec import spec_of

BATCH_AGENTS: Final = 256
"""So many are bound at once; then the loop has a turn."""
QUEUE_AGENTS_MAX: Final = 16_384
"""So many of those without a place are looked at in one pass; the next goes on behind them."""
BIND_TIMEOUT_S: Final = 5.0
BACKOFF_MIN_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0
NEWS_S: Final = 0.2
"""Waiting agents are looked at again so long after news at the earliest."""
RESTS: Final = 10
"""A pass that gets nowhere is followed by a rest of so many times what it took."""
JOIN_GRACE_S: Final = 1.0
"""So long after a host came into reach it is given time to join, before what others lost is
placed without it: when all hosts start again, the first must not get everything."""
NO_CAPACITY: Final = "no capacity"
REASON_CHARS_MAX: Final = 300


class Placer:
    """`members()`: all members of the group; `rows()`: those that run agents."""

    def __init__(
        self,
        group: Group,
        bindings: Bindings,
        ground: Ground,
        loop: asyncio.AbstractEventLoop,
        *,
        members: Callable[[], tuple[str, ...]],
        rows: Callable[[], Collection[str]],
        is_up: Callable[[str], bool],
    ) -> None:
        self._group = group
        self._bindings = bindings
        self._ground = ground
        self._loop = loop
        self._members = members
        self._rows = rows
        self._is_up = is_up
        self._up_at: dict[str, float] = {}
        self._leads_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._again: Timer | None = None
        self._again_at = float("inf")
        self._all = True
        """Whether the next pass looks at everything, and not only at `_fresh`."""
        self._fresh: dict[str, None] = {}
        """Agents that came to be without a place since."""
        self._queue_after = ""
        self._stopped = False
        self._hopeless: set[tuple[Any, ...]] = set()
        self._deadline = float("inf")
        """The next deadline of a waiting start, by the wall clock."""
        self._progress = self._left = self._cut_off = 0
        self._backoff_s = BACKOFF_MIN_S
        self._rest_s = 0.0
        """What a pass cost that got nowhere, times `RESTS`."""
        self.waiting = 0
        """Agents without a place after the last pass."""
        self._counts: dict[str, int] = dict.fromkeys(
            ("placed", "expired", "refused", "unavailable", "passes", "without_room"), 0
        )

    # --- news -------------------------------------------------------------------------------------

    def on_leader(self) -> None:
        """Another leader, perhaps this host."""
        if not self._group.leads:
            self._leads_since = None
        elif self._leads_since is None:
            self._leads_since = self._group.clock.monotonic()
            self.look()

    def on_peer(self, peer: str, *, up: bool) -> None:
        if up:
            self._up_at[peer] = self._group.clock.monotonic()
        else:
            self._up_at.pop(peer, None)

    def look(self) -> None:
        """Leases ended, or hosts joined or have more to give: look at everything, now."""
        self._backoff_s = BACKOFF_MIN_S
        self._look_within(0.0, everything=True)

    def on_changes(self, changes: Collection[tuple[str, AgentRecord | None, str]]) -> None:
        """What an applied entry did: an agent may wait for a place now, or room may have come."""
        if self._leads_since is None:
            return
        for name, record, why in changes:
            if record is None:
                self._fresh.pop(name, None)
            elif not record.lease and why != "updated":
                self._fresh[name] = None
        if self._fresh:
            self._look_within(0.0)
        elif self.waiting:
            self._look_within(max(NEWS_S, self._rest_s), everything=True)

    def on_time(self) -> None:
        """Now and then: news that was missed is no reason to forget an agent."""
        if self._leads_since is None or self._again is not None or not self._goes_on():
            return
        if self._ended_leases() or self._group.machine.agents_on_count(0):
            self._look_within(0.0, everything=True)

    # --- when -------------------------------------------------------------------------------------

    def _look_within(self, delay_s: float, *, everything: bool = False) -> None:
        if self._stopped or not self._group.leads:
            return
        self._all = self._all or everything
        at = self._group.clock.monotonic() + delay_s
        if at >= self._again_at:
            return
        if self._again is not None:
            self._again.cancel()
        self._again_at = at
        self._again = self._group.scheduler.call_later(delay_s, self._begin)

    def _begin(self) -> None:
        if self._task is not None and not self._task.done():
            self._again = self._group.scheduler.call_later(BACKOFF_MIN_S, self._begin)
            return
        self._again, self._again_at = None, float("inf")
        if not self._stopped and self._group.leads:
            self._task = self._loop.create_task(self._pass(), name="placer")

    def _plan_next(self, took_s: float, *, everything: bool) -> None:
        """After a pass: soon if it got somewhere, later and later if not, never if all is well."""
        if self._progress or not self._left:
            self._backoff_s = BACKOFF_MIN_S
        if everything:
            self._rest_s = 0.0 if self._progress else RESTS * took_s
        if not self._left:
            return
        delay_s = max(self._rest_s, self._backoff_s * (0.75 + 0.5 * self._group.rng.random()))
        self._backoff_s = min(BACKOFF_MAX_S, self._backoff_s * 2)
        due_s = max(BACKOFF_MIN_S, self._deadline - self._group.clock.wall())
        self._look_within(min(delay_s, due_s), everything=True)

    def _joining(self) -> float:
        """For how long to wait for hosts that have just come; 0: for none."""
        now = self._group.clock.monotonic()
        since = self._leads_since if self._leads_since is not None else now
        rows = self._rows()
        left_s = 0.0
        for peer in self._members():
            if peer not in rows and (peer == self._group.host_id or self._is_up(peer)):
                came_at = max(since, self._up_at.get(peer, since))
                left_s = max(left_s, came_at + JOIN_GRACE_S - now)
        return left_s

    # --- a pass -----------------------------------------------------------------------------------

    async def _pass(self) -> None:
        """Once through everything that has no place, or what came to be without one just now."""
        began = self._group.clock.monotonic()
        everything, self._all = self._all, False
        fresh, self._fresh = list(self._fresh), {}
        self._counts["passes"] += 1
        self._hopeless.clear()
        self._progress = self._left = self._cut_off = 0
        grace_s = self._joining()
        try:
            if everything:
                self._deadline = float("inf")
                for lease in self._ended_leases():
                    await self._through(lease, only_count=grace_s > 0)
                await self._through_queue(only_count=grace_s > 0)
            else:
                records = map(self._group.machine.agent, fresh)
                await self._place([one for one in records if one is not None and not one.lease])
        finally:
            self.waiting = self._left if everything else self.waiting + self._left
        if grace_s > 0 and self._left:
            self._look_within(grace_s, everything=True)
        else:
            took_s = self._group.clock.monotonic() - began
            self._plan_next(took_s, everything=everything)

    def _ended_leases(self) -> list[int]:
        machine = self._group.machine
        return [lease for lease, _ in machine.agent_leases() if machine.lease(lease) is None]

    def _goes_on(self) -> bool:
        return not self._stopped and self._group.leads and not self._cut_off

    async def _through(self, lease: int, *, only_count: bool) -> None:
        """All agents of an ended lease."""
        after = ""
        while self._goes_on():
            page = self._group.machine.agents_on(lease, after=after, limit=BATCH_AGENTS)
            if only_count:
                self._left += len(page)
            else:
                await self._place(page)
            if len(page) < BATCH_AGENTS:
                return
            after = page[-1].name
            await asyncio.sleep(0)

    async def _through_queue(self, *, only_count: bool) -> None:
        """All agents without a place, who came first first."""
        machine = self._group.machine
        if only_count:
            self._left += machine.agents_on_count(0)
            return
        queue: list[AgentRecord] = []
        while self._goes_on() and len(queue) < QUEUE_AGENTS_MAX:
            page = machine.agents_unplaced(after=self._queue_after, limit=BATCH_AGENTS)
            queue += page
            if len(page) < BATCH_AGENTS:
                self._queue_after = ""
                break
            self._queue_after = page[-1].name
            await asyncio.sleep(0)
        queue.sort(key=lambda record: record.epoch)
        for at in range(0, len(queue), BATCH_AGENTS):
            if not self._goes_on():
                return
            await self._place(queue[at : at + BATCH_AGENTS])
            await asyncio.sleep(0)

    async def _place(self, page: list[AgentRecord]) -> None:
        """Bind each to its new place, or stop it if its time is over; all at once. The choices are
        made one after the other and each counts for the next."""
        work = list(self._orders(page))
        if work:
            await asyncio.gather(*work)

    def _orders(self, page: list[AgentRecord]) -> Iterator[Coroutine[Any, Any, None]]:
        for record in page:
            if record.status == "failed":
                continue
            demand = demand_of(record)
            needed = (demand.shape, demand.resources)
            view = None if needed in self._hopeless else self._ground.find(record.name, demand)
            if view is not None:
                yield self._bind(record, view.id, view.lease)
                continue
            self._counts["without_room"] += 1
            self._hopeless.add(needed)
            until = _deadline_of(record)
            if until and until <= self._group.clock.wall():
                yield self._expire(record, demand)
            else:
                self._left += 1
                if until:
                    self._deadline = min(self._deadline, until)

    # --- what is asked of the group ---------------------------------------------------------------

    async def _bind(self, record: AgentRecord, host: str, lease: int) -> None:
        try:
            await self._bindings.bind(
                record.name, record.epoch, host, lease, "take", timeout=BIND_TIMEOUT_S
            )
        except Refused:  # it moved, died, or its new host has gone: the next pass sees what is so
            self._ground.ledger.forget(record.name)
            self._on_failed("refused")
        except QuorateError:
            self._on_failed("unavailable")
        else:
            self._counts["placed"] += 1
            self._progress += 1

    async def _expire(self, record: AgentRecord, demand: Demand) -> None:
        field, counts = self._ground.field(), self._ground.ledger.counts
        reason = f"{NO_CAPACITY}: {explain(field, demand, counts)}"[:REASON_CHARS_MAX]
        try:
            await self._bindings.stop(
                record.name, life=record.life, reason=reason, timeout=BIND_TIMEOUT_S
            )
        except Refused:
            self._counts["refused"] += 1
        except QuorateError:
            self._on_failed("unavailable")
        else:
            self._counts["expired"] += 1
            self._progress += 1

    def _on_failed(self, how: str) -> None:
        self._counts[how] += 1
        self._left += 1
        if how == "unavailable":
            self._cut_off += 1

    # --- the end ----------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether every agent had a place when it was last looked."""
        return not self.waiting and (self._task is None or self._task.done())

    def stop(self) -> None:
        self._stopped = True
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            self._task.cancel()

    async def wait_stopped(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def statistics(self) -> dict[str, Any]:
        return {
            "waiting": self.waiting,
            "leads": self._leads_since is not None,
            "backoff_s": round(self._backoff_s, 3),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }


def _deadline_of(record: AgentRecord) -> float:
    """By when a start that never had a place must have one, in seconds since the epoch; 0: never.
    An agent that lost its place has no deadline."""
    if record.lease or record.epoch != record.life:
        return 0.0
    return spec_of(record.spec).place_until
