"""The agents of a run: what they do is written down, and nothing of it is checked here.

The law: an agent knows of the world only what its class gives it and where it runs (`site`); a
message does what its plan says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from quorate.chaos.agents.record import Act, Activated, Record, TurnRow
from quorate.chaos.agents.register import OutsideRegister
from quorate.chaos.sim.events import EventQueue, Life
from quorate.hosts.agents.agent import Agent, shared
from quorate.hosts.agents.turns import current_turn

LOG = "log"
"""The key of the strong list of everything that was written."""
START_FAILS = "start fails"
"""The hosts on which `on_start` raises."""


class PlannedError(Exception):
    """Raised by a turn whose plan says so."""


@dataclass(slots=True)
class Site:
    """One process that runs agents."""

    host: str
    incarnation: int
    life: Life
    loop: Any
    queue: EventQueue
    record: Record
    register: OutsideRegister
    over: Callable[[int, int], bool]
    """Whether the sender of a message (its number, the epoch) was known to be over when it came."""


class Worker(Agent):
    """See the law above."""

    kind: ClassVar[str] = "worker"
    idle_after_s: ClassVar[float | None] = 0.7
    mailbox_messages_max: ClassVar[int] = 64
    site: ClassVar[Site]

    # --- hooks ------------------------------------------------------------------------------------

    async def on_start(self) -> None:
        self._is_here()
        await asyncio.sleep(self.args.get("start_s", 0.0))
        self._came_up(started=True)
        if self.site.host in self.args.get(START_FAILS, ()):
            raise PlannedError(START_FAILS)

    async def on_activate(self) -> None:
        self._is_here()
        self._came_up(started=False)

    def _came_up(self, *, started: bool) -> None:
        site = self.site
        row = Activated(site.queue.now, self.name, self.life, self.epoch, site.host, started)
        site.record.activated.append(row)

    async def on_checkpoint(self) -> Any:
        return self.epoch

    async def on_restore(self, value: Any) -> None:
        self.site.record.restored.append((self.name, self.life, int(value), self.epoch))

    # --- messages ---------------------------------------------------------------------------------

    async def work(self, source: str, number: int, message: int, plan: dict[str, Any]) -> Any:
        """Do what the plan says: acts, effects, strong and eventual writes, messages to others."""
        turn = self._begins(source, number, message)
        for _ in range(plan.get("acts", 0)):
            self._act()
            await asyncio.sleep(plan.get("step_s", 0.0))
        for _ in range(plan.get("effects", 0)):
            await self._effect(turn)
        if plan.get("strong"):
            await self._note(message)
        if plan.get("eventual"):
            await self.state.put("last", message)
        if "remind_s" in plan:
            await self.remind(f"r{message}", after=plan["remind_s"], data=message)
        if "timer_s" in plan:
            self.timer(self._on_timer, after=plan["timer_s"])
        for target, message_id, told in plan.get("relay", ()):
            self._send(target, message_id, told)
        if plan.get("raise"):
            raise PlannedError("as planned")
        turn.ended = self.site.queue.now
        return [self.life, self.epoch]

    @shared
    async def look(self) -> Any:
        """Where it is."""
        return [self.host_id, self.life, self.epoch]

    async def report(self) -> Any:
        """Its life, and everything that was written strongly in it, as the agent has it."""
        return [self.life, await self.state.get(LOG, default=[])]

    # --- what it does -----------------------------------------------------------------------------

    def _begins(self, source: str, number: int, message: int) -> TurnRow:
        site, caller = self.site, self.caller
        row = TurnRow(
            name=self.name,
            life=self.life,
            epoch=self.epoch,
            host=site.host,
            incarnation=site.incarnation,
            source=source,
            number=number,
            message=message,
            began=site.queue.now,
        )
        turn = current_turn.get()
        if caller is not None and caller.name and turn is not None:
            row.caller_over = site.over(turn.message.id, caller.epoch)
        site.record.turns.append(row)
        self._is_here()
        return row

    async def on_reminder(self, id: str, data: Any) -> None:
        self._is_here()
        await self._note(-data)

    async def _on_timer(self) -> None:
        self._is_here()

    async def _note(self, entry: int) -> None:
        """One more entry of the strong list."""
        known = await self.state.get(LOG, default=[])
        await self.state.put(LOG, [*known, entry], consistency="strong")

    def _is_here(self) -> None:
        """A turn begins: no turn does while the host may not act."""
        site = self.site
        site.record.acts.append(
            Act(site.queue.now, self.name, self.life, self.fence.token, site.host)
        )

    def _act(self) -> None:
        site = self.site
        token = self.fence.check()
        site.record.acts.append(Act(site.queue.now, self.name, self.life, token, site.host))

    async def _effect(self, turn: TurnRow) -> None:
        site = self.site
        token = self.fence.check()
        self._act()
        await site.register.write(site.life, turn, token, site.loop.create_future)

    def _send(self, target: str, message: int, told: dict[str, Any]) -> None:
        source = f"agent {self.name}.{self.epoch}"
        number = self.site.record.number(source, target)
        self.agents.get(target).tell.work(source, number, message, told)


def worker_at(site: Site, *, eager: bool) -> type[Worker]:
    """The class as one process has it."""
    names = {
        "site": site,
        "eager": eager,
        "__module__": __name__,
        "__qualname__": Worker.__qualname__,
    }
    return type("Worker", (Worker,), names)
