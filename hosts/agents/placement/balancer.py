"""Moves agents when hosts joined, leave or have too much: on the leader, slowly, when all is calm.

The law of this file: what should move is decided by `rebalance`; here is only when to look, and
asking for the moves. It looks every `EVERY_S`, and does nothing while an agent waits for a place,
while hosts come and go, or while its own moves run. A move that failed is not asked for again for a
while, and a host that was hot gets nothing for longer than it takes to see whether it cooled down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from quorate.core.clock import Timer
from quorate.core.errors import QuorateError
from quorate.core.group.group import Group
from quorate.hosts.agents.placement.choose import Field
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.ground import Ground
from quorate.hosts.agents.placement.ledger import demand_of
from quorate.hosts.agents.placement.rebalance import (
    Move,
    Resident,
    donors,
    levelled,
    rebalance,
)

EVERY_S: Final = 2.0
CALM_S: Final = 10.0
"""So long must the hosts, and who leads, have been the same."""
MOVES_MAX: Final = 16
"""In one step."""
HOT_LOOKS: Final = 3
"""A host must be found overloaded so often in a row before its agents move."""
COOLING_S: Final = 300.0
SULKING_S: Final = 60.0
SAMPLE_AGENTS: Final = 256
"""So many of a host's agents are looked at in one step; the next goes on behind them."""

Mover = Callable[[str, str], Awaitable[Any]]
"""Moves an agent (name) to a host; raises `QuorateError`."""


class Balancer:
    """`is_quiet()`: whether every agent has a place."""

    def __init__(
        self,
        group: Group,
        ground: Ground,
        loop: asyncio.AbstractEventLoop,
        *,
        move: Mover,
        is_quiet: Callable[[], bool],
        calm_s: float = CALM_S,
        every_s: float = EVERY_S,
        moves_max: int = MOVES_MAX,
    ) -> None:
        self._group = group
        self._ground = ground
        self._loop = loop
        self._move = move
        self._is_quiet = is_quiet
        self._calm_s = calm_s
        self._every_s = every_s
        self._moves_max = moves_max
        self._now = group.clock.monotonic
        self._timer: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        self._hosts: frozenset[tuple[str, int, bool]] = frozenset()
        self._calm_since: float | None = None
        self._levelled: frozenset[str] = frozenset()
        """Hosts that are being given agents, or freed of some, until they are nearly even."""
        self._hot: dict[str, int] = {}
        """Host -> how often in a row it was overloaded."""
        self._cooling: dict[str, float] = {}
        """Host -> until when it gets nothing."""
        self._sulking: dict[str, float] = {}
        """Agent -> until when it is left alone."""
        self._after: dict[int, str] = {}
        """Lease -> the last agent of it that was looked at."""
        self._counts: dict[str, int] = dict.fromkeys(("looks", "moved", "failed"), 0)
        self._why: dict[str, int] = {}

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._timer is None:
            self._plan()

    def _plan(self) -> None:
        def on_time() -> None:
            self._plan()
            self.look()

        self._timer = self._group.scheduler.call_later(self._every_s, on_time)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    async def wait_stopped(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    # --- when -------------------------------------------------------------------------------------

    @property
    def calm(self) -> bool:
        """Whether this host leads, and has seen the same hosts for long enough."""
        hosts = frozenset(
            (view.id, view.lease, view.draining) for view in self._ground.field().views
        )
        if not self._group.leads or not self._is_quiet():
            self._calm_since = None
            return False
        now = self._now()
        if hosts != self._hosts or self._calm_since is None:
            self._hosts, self._calm_since = hosts, now
            self._hot.clear()
        return now - self._calm_since >= self._calm_s

    def look(self) -> None:
        """Take the next step, if it is time for one."""
        if not self.calm or (self._task is not None and not self._task.done()):
            return
        moves = self.step()
        if moves:
            self._task = self._loop.create_task(self._go(moves), name="balancer")

    def step(self) -> list[Move]:
        """What should move now."""
        self._counts["looks"] += 1
        field, counts = self._ground.standing()
        now = self._now()
        for kept in (self._cooling, self._sulking):
            for name in [name for name, until in kept.items() if until <= now]:
                del kept[name]
        field = self._patient(field)
        residents = self._residents(field, counts)
        moves = rebalance(
            field,
            counts,
            residents,
            moves_max=self._moves_max,
            former=self._levelled,
            where=self._ground.where,
            cooling=tuple(self._cooling),
        )
        self._levelled = levelled(field, counts, self._levelled)
        return moves

    def _patient(self, field: Field) -> Field:
        """The hosts, where one that is overloaded for the first time is not yet."""
        patient = self._hot
        self._hot = {
            view.id: patient.get(view.id, 0) + 1 for view in field.views if view.overloaded
        }
        early = {host for host, looks in self._hot.items() if looks < HOT_LOOKS}
        return field.without_load(early) if early else field

    def _residents(self, field: Field, counts: Counts) -> Mapping[str, list[Resident]]:
        """Some agents of each host that should give some."""
        found: dict[str, list[Resident]] = {}
        for host in donors(field, counts, self._levelled):
            lease = field.by_id[host].lease
            found[host] = [
                Resident(record.name, demand_of(record))
                for record in self._sample(lease)
                if record.status == "placed" and record.name not in self._sulking
            ]
        return found

    def _sample(self, lease: int) -> list[Any]:
        machine = self._group.machine
        after = self._after.get(lease, "")
        page = machine.agents_on(lease, after=after, limit=SAMPLE_AGENTS)
        if len(page) < SAMPLE_AGENTS and after:
            have = {record.name for record in page}
            begin = machine.agents_on(lease, limit=SAMPLE_AGENTS - len(page))
            page += [record for record in begin if record.name not in have]
        if len(self._after) > 1024:
            self._after.clear()
        self._after[lease] = page[-1].name if len(page) == SAMPLE_AGENTS else ""
        return page

    # --- moving -----------------------------------------------------------------------------------

    async def _go(self, moves: list[Move]) -> None:
        for move in moves:
            if move.why == "hot":
                self._cooling[move.source] = self._now() + COOLING_S
                self._hot.pop(move.source, None)
        await asyncio.gather(*map(self._one, moves))

    async def _one(self, move: Move) -> None:
        try:
            await self._move(move.name, move.target)
        except QuorateError:
            self._counts["failed"] += 1
            self._sulking[move.name] = self._now() + SULKING_S
        else:
            self._counts["moved"] += 1
            self._why[move.why] = self._why.get(move.why, 0) + 1

    def statistics(self) -> dict[str, Any]:
        return {
            "levelled": sorted(self._levelled),
            "cooling": sorted(self._cooling),
            "sulking": len(self._sulking),
            "moved": dict(self._why),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
