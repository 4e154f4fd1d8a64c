"""What was left of lives that are over, found by looking at everything now and then.

The law of this file: a scope is what is left of a dead agent if its life began before the look and
no agent lives by that number: lives are revisions of the group, so none comes again. Scopes of
names are never swept. The leader looks at the strong plane, the first owner of each part of the
ring at the local one; a little at a time, so nobody feels it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from quorate.consistency.ring.placement import PARTITIONS
from quorate.core.errors import QuorateError
from quorate.hosts.agents.state.scope import NAMESPACE, STORE, life_of

if TYPE_CHECKING:
    from quorate.hosts.agents.state.keeper import Keeper
    from quorate.hosts.agents.world import AgentWorld

SWEEP_S: Final = 600.0
PAGE_AGENTS: Final = 512
SCOPES_A_STEP: Final = 64
PAUSE_S: Final = 0.01
_AFTER_SLASH: Final = "0"


class Sweeping:
    """One per host. `on_beat(now)` begins a sweep when it is time for one."""

    def __init__(self, keeper: Keeper, world: AgentWorld) -> None:
        self._keeper = keeper
        self._world = world
        self._next = world.group.clock.monotonic() + SWEEP_S * (0.5 + world.group.rng.random())
        self._task: asyncio.Task[int] | None = None
        self._counts = dict.fromkeys(("sweeps", "found"), 0)

    def on_beat(self, now: float) -> None:
        if now >= self._next and self._task is None:
            self._next = now + SWEEP_S * (0.5 + self._world.group.rng.random())
            self._task = self._world.loop.create_task(self._run(), name="sweep after agents")

    async def _run(self) -> int:
        try:
            return await self.sweep()
        except QuorateError as error:
            self._world.on_problem(f"looking for what dead agents left: {error}")
            return 0
        finally:
            self._task = None

    async def sweep(self) -> int:
        """Look at everything once; how many scopes are to be cleaned."""
        self._counts["sweeps"] += 1
        group = self._world.group
        before = group.machine.revision
        alive = await self._alive()
        dead: set[str] = set()
        if group.leads:
            await self._look_at_strong(before, alive, dead)
        await self._look_at_local(before, alive, dead)
        for scope in dead:
            self._keeper.cleanup.add(scope)
        self._counts["found"] += len(dead)
        return len(dead)

    async def _alive(self) -> set[int]:
        """The lives there are."""
        lives: set[int] = set()
        after = ""
        while True:
            page = self._world.group.machine.agents(after=after, limit=PAGE_AGENTS)
            lives.update(record.life for record in page)
            if len(page) < PAGE_AGENTS:
                return lives
            after = page[-1].name
            await asyncio.sleep(PAUSE_S)

    async def _look_at_strong(self, before: int, alive: set[int], dead: set[str]) -> None:
        """From scope to scope, whatever there is between."""
        start, looked = "", 0
        while page := self._world.group.machine.kv_range(start=start, ns=NAMESPACE, limit=1):
            scope = page[0].key.partition("/")[0]
            if is_left(scope, before, alive):
                dead.add(scope)
            start = scope + _AFTER_SLASH
            looked += 1
            if looked % SCOPES_A_STEP == 0:
                await asyncio.sleep(PAUSE_S)

    async def _look_at_local(self, before: int, alive: set[int], dead: set[str]) -> None:
        core = self._keeper.core
        replica, plane = core.plane.replica, core.plane
        for partition in range(PARTITIONS):
            homes = plane.homes(partition, core.definition.replicas)
            here = [h for h in homes if h == plane.host_id or plane.world.is_up(h)]
            if here[:1] != [plane.host_id]:
                continue
            for key in replica.keys(STORE, partition):
                scope = key.partition("/")[0]
                if scope not in dead and is_left(scope, before, alive):
                    state = replica.read(STORE, key)
                    if state is not None and not state.is_dead:
                        dead.add(scope)
            await asyncio.sleep(PAUSE_S)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def wait_stopped(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {f"{name}_total": count for name, count in self._counts.items()}


def is_left(scope: str, before: int, alive: set[int]) -> bool:
    """Whether a scope is of a life that is over. `before`: the revision at which the look began."""
    life = life_of(scope)
    return life is not None and life <= before and life not in alive
