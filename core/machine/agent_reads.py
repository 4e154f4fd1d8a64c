"""What can be asked about agents without changing anything.

The law of this file: as in `reads.py`: from the state at the applied index, at the cost of what is
looked at.
"""

from __future__ import annotations

from quorate.core import codec
from quorate.core.machine.agent_links import AgentLinks
from quorate.core.machine.agent_owners import AgentOwners
from quorate.core.machine.agent_rows import (
    DOWN,
    LINK,
    REMINDER,
    WATCHED,
    WATCHER,
    AgentRows,
    decode,
    number,
)
from quorate.core.machine.effects import AgentChange, Effects
from quorate.core.machine.limits import NAMES_PAGE_RECORDS, READ_RECORDS
from quorate.core.machine.patterns import Pattern
from quorate.core.machine.records import AgentDown, AgentRecord, Reminder
from quorate.core.machine.store import AGENTS, prefix_stop


class AgentReads:
    """The reading half of the machine, as far as agents go; `Machine` sets these up."""

    _fx: Effects
    _agent_rows: AgentRows
    _agent_owners: AgentOwners
    _agent_links: AgentLinks

    # --- what the last applied entry did ----------------------------------------------------------

    @property
    def agent_changes(self) -> list[AgentChange]:
        """(name, its record now, why) of each agent whose record changed, in order. Why: started,
        moved, updated, or stopped with a blank and the reason.
        """
        return self._fx.agent_changes

    @property
    def agent_downs(self) -> list[AgentDown]:
        """News of deaths for agents that watch."""
        return self._fx.agent_downs

    # --- agents -----------------------------------------------------------------------------------

    def agent(self, name: str) -> AgentRecord | None:
        """None if no agent of this name is alive."""
        return self._agent_rows.get(name)

    def agents(
        self,
        prefix: str = "",
        *,
        pattern: str | None = None,
        limit: int = READ_RECORDS,
        after: str = "",
    ) -> list[AgentRecord]:
        """Agents with names above `after` that begin with `prefix` and match `pattern`, in
        order.
        """
        matcher = Pattern("*" if pattern is None else pattern)
        literal = prefix
        if matcher.literal_prefix.startswith(prefix):
            literal = matcher.literal_prefix
        start = literal.encode()
        stop = prefix_stop(start)
        if after:
            start = max(start, after.encode() + b"\0")
        found: list[AgentRecord] = []
        while True:
            size = min(NAMES_PAGE_RECORDS, limit - len(found)) if pattern is None else 0
            page = self._fx.scan(AGENTS, start, stop, limit=size or NAMES_PAGE_RECORDS)
            for key, data in page:
                name = key.decode()
                if name.startswith(prefix) and matcher.matches(name):
                    found.append(decode(name, data))
                    if len(found) >= limit:
                        return found[:limit]
            if len(page) < (size or NAMES_PAGE_RECORDS):
                return found
            start = page[-1][0] + b"\0"

    def agents_count(self, prefix: str = "") -> int:
        """How many agents are alive (at once), or how many of them have names that begin with
        `prefix` (by looking).
        """
        if not prefix:
            return self._agent_rows.count
        start = prefix.encode()
        stop = prefix_stop(start)
        count = 0
        while True:
            page = self._fx.scan(AGENTS, start, stop, limit=NAMES_PAGE_RECORDS)
            count += len(page)
            if len(page) < NAMES_PAGE_RECORDS:
                return count
            start = page[-1][0] + b"\0"

    # --- where they are placed --------------------------------------------------------------------

    def agents_on(
        self, lease: int, *, after: str = "", limit: int = READ_RECORDS
    ) -> list[AgentRecord]:
        """Agents with names above `after` that are placed on the lease, be it alive or not."""
        found = (
            self._agent_rows.get(name) for name in self._agent_rows.placed(lease, after, limit)
        )
        return [record for record in found if record is not None]

    def agents_unplaced(self, *, after: str = "", limit: int = READ_RECORDS) -> list[AgentRecord]:
        """Agents with names above `after` that have no place."""
        return self.agents_on(0, after=after, limit=limit)

    def agent_leases(self) -> list[tuple[int, int]]:
        """(lease, how many agents are placed on it), in order, for leases that have any, alive or
        not.
        """
        return self._agent_rows.placed_counts()

    def agents_on_count(self, lease: int) -> int:
        """How many are placed on the lease (0: have no place); at once."""
        return self._agent_rows.placed_count(lease)

    @property
    def agents_dying(self) -> int:
        """Lives that were decided to end and wait for `agent_sweep`."""
        return self._agent_rows.dying

    # --- kin --------------------------------------------------------------------------------------

    def owned_by(self, owner: str, *, after: str = "", limit: int = READ_RECORDS) -> list[str]:
        """Names above `after` of the agents that `agent:<name>` or `lease:<id>` owns, in order."""
        return self._agent_owners.owned_by(owner, after, limit)

    def links_of(self, name: str) -> list[str]:
        """Names of the agents that are linked to this one, in order."""
        return self._agent_links.names(name, LINK)

    def monitors_of(self, target: str) -> list[str]:
        """Names of the agents that watch this one, in order."""
        return self._agent_links.names(target, WATCHER)

    def monitored_by(self, watcher: str) -> list[str]:
        """Names of the agents that this one watches, in order."""
        return self._agent_links.names(watcher, WATCHED)

    def downs_for(self, watcher: str, *, limit: int = READ_RECORDS) -> list[AgentDown]:
        """News of deaths that the agent has not acknowledged, the oldest first."""
        life = self._agent_rows.life_of(watcher)
        if not life:
            return []
        rows = self._agent_rows.rows(life, DOWN, b"", limit)
        return [
            AgentDown(watcher, int.from_bytes(seq, "big"), *codec.loads(data)) for seq, data in rows
        ]

    def reminders(self, name: str) -> list[Reminder]:
        """The agent's reminders, in the order of their ids."""
        life = self._agent_rows.life_of(name)
        return self._agent_rows.reminders(life) if life else []

    def reminder(self, name: str, id_: str) -> Reminder | None:
        """One of the agent's reminders; None if it is not set."""
        life = self._agent_rows.life_of(name)
        data = self._agent_rows.row(life, REMINDER, id_.encode()) if life else None
        return None if data is None else Reminder(id_, *codec.loads(data))

    def down(self, watcher: str, seq: int) -> AgentDown | None:
        """One piece of news of a death; None if it was acknowledged."""
        life = self._agent_rows.life_of(watcher)
        data = self._agent_rows.row(life, DOWN, number(seq)) if life else None
        return None if data is None else AgentDown(watcher, seq, *codec.loads(data))
