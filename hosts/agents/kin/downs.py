"""News of deaths, for agents that asked for them.

The law of this file: the group keeps each piece of news until the agent that watches has committed
a turn that took it; so `on_down` has its effects once, also when the watcher changes its host in
between. Who does not override `on_down` takes them without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from quorate.core.errors import UsageError
from quorate.hosts.agents.lasting.errands import Errands
from quorate.hosts.agents.lasting.table import Errand, Key
from quorate.hosts.agents.turns import current_turn

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentDown, AgentRecord
    from quorate.hosts.agents.agent import Agent
    from quorate.hosts.agents.directory import Change

AT_ONCE_MS = 0


class Downs(Errands):
    """One per host. `explain(reason)`: in words that say more."""

    what = "news of a death, number"

    def explain(self, reason: str) -> str:
        return reason

    def on_applied(self, changes: Iterable[Change], downs: Iterable[AgentDown]) -> None:
        """What an entry of the group did."""
        self._drop_strangers(changes)
        placed_here = self._place.placed_here
        came = [
            name
            for name, record, why in changes
            if why == "moved" and record is not None and placed_here(record)
        ]
        if came:
            self._load_again(came)
        for watcher, seq, _, _ in downs:
            record = self._group.machine.agent(watcher)
            if record is not None and placed_here(record):
                self.table.add(watcher, seq, AT_ONCE_MS)
                self._look_soon()

    def _standing(self, record: AgentRecord) -> Mapping[Key, int]:
        return {down.seq: AT_ONCE_MS for down in self._group.machine.downs_for(record.name)}

    def _due(self, name: str, key: Key) -> int | None:
        return None if self._group.machine.down(name, int(key)) is None else AT_ONCE_MS

    async def _run(self, errand: Errand, agent: Agent) -> None:
        turn = current_turn.get()
        row = self._group.machine.down(errand.name, int(errand.key))
        if turn is None or row is None:
            raise UsageError("news of a death is taken in a turn")
        turn.marks.append(["down", row.seq])
        if "on_down" in turn.activation.cls.overrides:
            await agent.on_down(row.target, self.explain(row.reason))
