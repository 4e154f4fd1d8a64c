"""Agents that broke: started anew later and later, and given up after a while.

The law of this file: when, is decided in `restart.py`; here are the timers and the record of when.
An agent that is started anew gets another epoch first: whatever its former self still does is
fenced. Meanwhile its messages wait. One that is given up is `failed` for the group, until somebody
tries it again; its name, its owners and its state stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from quorate.core.errors import (
    AgentNotFound,
    CorruptStorage,
    Fenced,
    QuorateError,
    Refused,
    Unavailable,
)
from quorate.core.group.bindings import Bindings
from quorate.hosts.agents.health import restart
from quorate.hosts.agents.lasting.place import Place
from quorate.hosts.agents.lasting.tries import said

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.mailbox import Work
    from quorate.hosts.agents.world import AgentWorld

CALL_TIMEOUT_S: Final = 5.0
AGAIN_S: Final = 0.2
BROKEN_AGENTS_KEPT: Final = 10_000

Life = tuple[str, int]
"""(name, life)"""


class Restarts:
    """One per host. `let_go(activation)`: end it and send back what it had not begun.
    `vouch(name, epoch, next_epoch)`: what it had sent may still be heard."""

    def __init__(
        self,
        world: AgentWorld,
        bindings: Bindings,
        place: Place,
        *,
        let_go: Callable[[Activation], None],
        vouch: Callable[[str, int, int], None],
    ) -> None:
        self._world = world
        self._group = world.group
        self._now = world.group.clock.monotonic
        self._bindings = bindings
        self._place = place
        self._let_go = let_go
        self._vouch = vouch
        self._times: dict[Life, list[float]] = {}
        self._troubles: dict[Life, int] = {}
        self._waiting: dict[str, tuple[int, str]] = {}
        """name -> (epoch, why), of those that are started anew later."""
        self._repairs: dict[Life, Work] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._counts = dict.fromkeys(("restarts", "given_up"), 0)

    # --- what breaks ------------------------------------------------------------------------------

    def on_broke(self, activation: Activation, error: QuorateError) -> None:
        """It could not be brought up, and is over; the binding is still to this host."""
        if isinstance(error, Unavailable) and not isinstance(error, CorruptStorage):
            self._later(activation, said(error), self._trouble_s(activation), anew=False)
            return
        wait_s = self._next_s(activation)
        if wait_s is None:
            self._give_up(activation, said(error))
        else:
            self._later(activation, said(error), wait_s, anew=False)

    def restart(self, activation: Activation, why: str, repair: Work | None = None) -> None:
        """End it and start it anew. `repair(agent)`: a turn before all others then, until one ended
        well."""
        if activation.name in self._waiting or self._stopped:
            return
        if repair is not None:
            self._repairs[activation.name, activation.life] = repair
        wait_s = self._next_s(activation)
        if wait_s is not None:
            self._later(activation, why, wait_s, anew=True)
        else:
            self._give_up(activation, why)
        self._let_go(activation)

    def _next_s(self, activation: Activation) -> float | None:
        """When it is started anew; None: it was often enough."""
        cls, now = activation.cls.cls, self._now()
        life = (activation.name, activation.life)
        times = restart.recent(self._times.get(life, ()), now, cls.restart_window_s)
        wait_s = restart.delay_s(times, now, cls.restarts_max, cls.restart_window_s)
        self._times.pop(life, None)
        if wait_s is not None:
            self._times[life] = [*times, now]
            while len(self._times) > BROKEN_AGENTS_KEPT:
                del self._times[next(iter(self._times))]
        return wait_s

    def _trouble_s(self, activation: Activation) -> float:
        """The world was in the way, which is no reason to give it up."""
        life = (activation.name, activation.life)
        times = self._troubles[life] = self._troubles.get(life, 0) + 1
        while len(self._troubles) > BROKEN_AGENTS_KEPT:
            del self._troubles[next(iter(self._troubles))]
        return restart.trouble_s(times)

    # --- starting anew ----------------------------------------------------------------------------

    def _later(self, activation: Activation, why: str, wait_s: float, *, anew: bool) -> None:
        name, epoch = activation.name, activation.epoch
        self._waiting[name] = (epoch, why)
        work = self._start_anew(name, epoch, wait_s, anew=anew)
        task = self._world.loop.create_task(work, name=f"restart {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_anew(self, name: str, epoch: int, wait_s: float, *, anew: bool) -> None:
        try:
            await asyncio.sleep(wait_s)
            if anew:
                await self._bind_anew(name, epoch)
        finally:
            if self._waiting.get(name, (0,))[0] == epoch:
                del self._waiting[name]
        record = self._group.machine.agent(name)
        if record is None or not self._place.placed_here(record) or record.status == "failed":
            return
        self._counts["restarts"] += 1
        with suppress(QuorateError):  # somebody will ask for it
            self._place.bring_up(name)

    async def _bind_anew(self, name: str, epoch: int) -> None:
        """To this host once more, under another epoch."""
        while not self._stopped:
            record = self._group.machine.agent(name)
            if record is None or record.epoch != epoch or not self._place.placed_here(record):
                return
            try:
                bound = await self._bindings.bind(
                    name, epoch, record.host, record.lease, "move", timeout=CALL_TIMEOUT_S
                )
            except Refused:
                return  # it is another's by now, or dead
            except QuorateError:
                await asyncio.sleep(AGAIN_S)
                continue
            self._vouch(name, epoch, bound.epoch)
            return

    def check(self, name: str) -> None:
        """Raises `Fenced` while the agent waits to be started anew: messages wait, too."""
        found = self._waiting.get(name)
        if found is not None:
            raise Fenced(f"agent {name!r} is started anew in a moment: {found[1]}")

    def waits(self, name: str) -> bool:
        """Whether it is to be started anew."""
        return name in self._waiting

    def repair_of(self, activation: Activation) -> Work | None:
        """The turn that is to come before all others."""
        return self._repairs.get((activation.name, activation.life))

    def on_brought_up(self, activation: Activation) -> None:
        """It runs; what it broke of counts on for its window."""
        if self._repairs or self._troubles:
            self._repairs.pop((activation.name, activation.life), None)
            self._troubles.pop((activation.name, activation.life), None)

    # --- giving up --------------------------------------------------------------------------------

    def _give_up(self, activation: Activation, why: str) -> None:
        self._counts["given_up"] += 1
        name, epoch = activation.name, activation.epoch
        self._world.on_problem(f"agent {name!r} broke too often and is given up: {why}")
        self._repairs.pop((name, activation.life), None)
        self._waiting[name] = (epoch, why)

        async def tell() -> None:
            try:
                await self._bindings.update(name, epoch, status="failed", timeout=CALL_TIMEOUT_S)
            except QuorateError as error:
                self._world.on_problem(f"agent {name!r} is not told to have failed: {error}")
            finally:
                if self._waiting.get(name, (0,))[0] == epoch:
                    del self._waiting[name]

        task = self._world.loop.create_task(tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def retry(self, name: str, *, timeout: float | None = None) -> None:
        """Try an agent again that was given up. Raises `AgentNotFound`, `Refused` (it has no
        place), `Unavailable`."""
        record = self._group.machine.agent(name)
        if record is None:
            raise AgentNotFound(f"no agent {name!r} lives")
        self._times.pop((name, record.life), None)
        await self._bindings.update(name, record.epoch, status="placed", timeout=timeout)

    # --- the end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Start nothing any more. Safe to call twice."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def wait_stopped(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "restarts_waiting": len(self._waiting),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }
