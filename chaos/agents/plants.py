"""Faults planted on purpose: each a small subclass of a product's part, or a part exchanged, so
that the simulator can show that it would notice.

The law: a plant changes one rule and nothing else; the product has no switch for it. `PLANTS` maps
a name to what to build hosts of. Those that are about moves are in plants_moves.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from quorate.chaos.agents.parts import AgentParts
from quorate.chaos.agents.plants_moves import MOVES, MOVES_FOCUS, planted
from quorate.core.group.bindings import Bindings
from quorate.core.machine.agent_commit import AgentCommit
from quorate.core.machine.machine import Machine
from quorate.core.machine.results import Result
from quorate.hosts.agents import calls as callers
from quorate.hosts.agents import engine as engines
from quorate.hosts.agents import parts as engine_parts
from quorate.hosts.agents.calls import Calls
from quorate.hosts.agents.directory import Change, Directory
from quorate.hosts.agents.finding import Finder
from quorate.hosts.agents.incoming import Incoming
from quorate.hosts.agents.lasting.reminders import Reminders
from quorate.hosts.agents.lasting.table import Errand
from quorate.hosts.agents.lasting.timers import Timer, Timers
from quorate.hosts.agents.routes import Hold
from quorate.hosts.agents.tenancy import Tenancy

# --- one place ------------------------------------------------------------------------------------


class LeaseIgnored(Tenancy):
    """A host acts for its agents as long as nobody tells it that its lease is over."""

    def valid(self) -> bool:
        return self.lease != 0


class Unfenced(AgentCommit):
    """A commit is taken from whatever epoch."""

    __slots__ = ()

    def commit(self, command: list[Any]) -> Result:
        fence = self._rows.fence(command[2])
        if fence is None or not fence[2]:
            return super().commit(command)
        return super().commit([*command[:3], fence[0], *command[4:]])


class UnfencedMachine(Machine):
    """See `Unfenced`."""

    def _handler_table(self) -> dict[int, Callable[[list[Any]], Result]]:
        self._agent_commit.__class__ = Unfenced
        return super()._handler_table()


class TimersAnyhow(Timers):
    """A timer's work runs when it is due, whether or not the host still may act."""

    def _fire(self, timer: Timer) -> None:
        timer.planned = None
        if not timer.over:
            work: Any = timer.work()
            self._world.loop.create_task(work)
            self.end(timer)


class NeverSettled(Reminders):
    """A reminder's turn does not say that it was done."""

    async def _run(self, errand: Errand, agent: Any) -> None:
        reminder = self._group.machine.reminder(errand.name, str(errand.key))
        if reminder is not None:
            await agent.on_reminder(reminder.id, int(reminder.id[1:]))


# --- names ----------------------------------------------------------------------------------------


class OldCache(Directory):
    """What was looked up once is shown for ever."""

    def on_changes(self, changes: Iterable[Change]) -> None:
        kept = dict(self._cache)
        super().on_changes(changes)
        self._cache.update(kept)


class StopsAnybody(Bindings):
    """Whoever ends his own failed life ends the name, whoever has it by now."""

    async def stop(self, name: str, *, epoch: int = 0, life: int = 0, **more: Any) -> int:
        return await super().stop(name, **more)


# --- messages -------------------------------------------------------------------------------------


class HearsTheDead(engines.AgentEngine):
    """Messages of an activation that is over are taken."""

    def is_over(self, name: str, epoch: int, origin: str) -> bool:
        return False


class TakesAllBehind(Incoming):
    """What was sent behind something that went back is taken all the same."""

    def _give_back(self, origin: str, parts: Any, error: Any) -> None:
        super()._give_back(origin, parts, error)
        self._given_back.clear()


class FlushesNothing(Finder):
    """Messages take the new way at once."""

    async def _flush(self, target: str, hold: Hold) -> bool:
        self.routes.pop(target, None)
        hold.returned_by = {}
        return False


class SendsAgain(Calls):
    """What may have been handled is sent once more when the link breaks."""

    def on_peer_down(self, peer: str) -> None:
        for message in [m for m in self._pending.values() if m.peer == peer]:
            self._forget(message, came_back=True)
            self.finder.came_back(message.target, message)
        super().on_peer_down(peer)


PLANTS: dict[str, AgentParts] = {
    "lease-ignored": planted((engines, "Tenancy", LeaseIgnored)),
    "commit-unfenced": AgentParts(machine_class=UnfencedMachine),
    "timer-unfenced": planted((engine_parts, "Timers", TimersAnyhow)),
    "reminder-not-settled": planted((engine_parts, "Reminders", NeverSettled)),
    "old-cache-served": planted((engines, "Directory", OldCache)),
    "loser-erases-winner": planted((engines, "Bindings", StopsAnybody)),
    "message-unfenced": AgentParts(make_engine=HearsTheDead),
    "order-not-kept-behind": planted((engines, "Incoming", TakesAllBehind)),
    "flush-left-out": planted((callers, "Finder", FlushesNothing)),
    "sent-again": planted((engines, "Calls", SendsAgain)),
    **MOVES,
}

PAUSES: dict[str, Any] = {
    "faults": ("pause", "pause_leader", "isolate", "one_way"),
    "faults_per_s": 1.5,
    "lease_s": 0.6,
}
FOCUS: dict[str, dict[str, Any]] = {
    "lease-ignored": PAUSES,
    "commit-unfenced": PAUSES,
    "timer-unfenced": {**PAUSES, "lasting": 0.6, "eager": True},
    "reminder-not-settled": {"lasting": 0.1},
    "message-unfenced": PAUSES,
    "loser-erases-winner": {
        **PAUSES,
        "faults": ("pause",),
        "lives_weight": 16,
        "start_s": 0.5,
        "start_fails": 1.0,
    },
    **MOVES_FOCUS,
}
"""Worlds that are about little else, for faults that need a rare order of things."""
