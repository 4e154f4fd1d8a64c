"""Copies of agents' states, made while they are well, and put back when they are not.

The law of this file: a copy is made in the turn that found the state good, and put back in one turn
before any message: all of it or nothing. Plain values are copied, and what `on_checkpoint` gives;
CRDTs are left as they are, since what is joined cannot be taken back. Two copies are kept with the
state, so they are where the agent is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from quorate.consistency.replica.states import GROUP
from quorate.consistency.store.views import REGISTER
from quorate.core import codec
from quorate.core.errors import CorruptStorage, LimitExceeded
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.health import backup
from quorate.hosts.agents.health.backup import Backup, Row

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.world import AgentWorld

AT_ONCE_KEYS: Final = 100
PAGE_KEYS: Final = 1000
REPORTS_KEPT: Final = 1000
Corrupt = (CorruptStorage, codec.Malformed)
"""What a read raises that finds no sense in what is kept."""


class RestoreReport(NamedTuple):
    """The state of an agent was put back."""

    name: str
    host: str
    epoch: int
    at: float
    """Seconds since 1970."""
    why: str
    backup_at: float
    """From when the copy is: what was written since then is lost."""
    keys: int
    removed: int
    """Keys that came after the copy."""


class Backups:
    """One per host."""

    def __init__(self, world: AgentWorld) -> None:
        self._world = world
        self._group = world.group
        self.reports: deque[RestoreReport] = deque(maxlen=REPORTS_KEPT)
        self._counts = dict.fromkeys(("taken", "too_large", "restored"), 0)

    # --- looking ----------------------------------------------------------------------------------

    async def check(self, agent: Agent) -> str:
        """Why the state is corrupted; empty if it is not. In a turn: every plain value is read, and
        the class is asked."""
        state = agent.state
        try:
            after = ""
            while page := await state.keys(after=after, limit=PAGE_KEYS):
                for number, key in enumerate(page):
                    await state.get_entry(key, level="local")
                    if number % AT_ONCE_KEYS == 0:
                        await asyncio.sleep(0)
                after = page[-1]
        except Corrupt as error:
            return f"{type(error).__name__}: {error}"
        return await self.ask(agent)

    async def ask(self, agent: Agent) -> str:
        """What the class says of the state; empty: it is good."""
        try:
            return await agent.check_state() or ""
        except Corrupt as error:
            return f"{type(error).__name__}: {error}"

    # --- copying ----------------------------------------------------------------------------------

    async def take(self, activation: Activation) -> bool:
        """In a turn, whose commit keeps the copy; whether there is one. Too large ones are counted
        and left out."""
        agent, state = activation.agent, activation.state
        try:
            rows = await self._rows(agent)
        except LimitExceeded:
            self._counts["too_large"] += 1
            return False
        memory = None
        if "on_checkpoint" in activation.cls.overrides:
            memory = codec.encode_value(await agent.on_checkpoint())
        last = backup.newest([await state.read_hidden(place) for place in backup.PLACES])
        number = 1 if last is None else last.number + 1
        made = Backup(number, self._group.clock.wall(), activation.epoch, rows, memory)
        data = backup.pack(made)
        if len(data) > backup.BACKUP_BYTES_MAX:
            self._counts["too_large"] += 1
            return False
        await state.write_hidden(backup.place_of(number), data)
        self._counts["taken"] += 1
        return True

    async def _rows(self, agent: Agent) -> list[Row]:
        """All plain values. Raises `LimitExceeded`."""
        state = agent.state
        keys = await state.keys(limit=backup.KEYS_MAX + 1)
        rows: list[Row] = []
        strong = 0
        for number, key in enumerate(keys):
            entry = await state.get_entry(key, level="local")
            if entry.exists and entry.type == REGISTER:
                is_strong = entry.version is not None and entry.version.actor == GROUP
                strong += is_strong
                rows.append(Row(key, is_strong, codec.encode_value(entry.value)))
            if number % AT_ONCE_KEYS == 0:
                await asyncio.sleep(0)
        if len(keys) > backup.KEYS_MAX or strong > backup.STRONG_KEYS_MAX:
            raise LimitExceeded("more than one turn can put back")
        return rows

    # --- putting back -----------------------------------------------------------------------------

    async def restore(self, activation: Activation, why: str) -> None:
        """In a turn before all others: put the last whole copy back. Raises `CorruptStorage` when
        there is none, or it is no better, and the state is still corrupted."""
        agent, state = activation.agent, activation.state
        last = backup.newest([await state.read_hidden(place) for place in backup.PLACES])
        if last is None:
            still = await self.check(agent)
            if still:
                raise CorruptStorage(f"the state is corrupted ({still}), and there is no backup")
            return
        removed = await self._put_back(agent, last)
        if last.memory is not None and "on_restore" in activation.cls.overrides:
            await agent.on_restore(codec.decode_value(last.memory))
        still = await self.check(agent)
        if still:
            raise CorruptStorage(f"the backup is no better: {still}")
        self._counts["restored"] += 1
        now = self._group.clock.wall()
        self.reports.append(
            RestoreReport(
                activation.name,
                self._world.host_id,
                activation.epoch,
                now,
                why,
                last.at,
                len(last.rows),
                removed,
            )
        )
        self._world.on_problem(
            f"agent {activation.name!r}: its state was corrupted ({why}); it was put back to what "
            f"it was {now - last.at:.0f} s ago"
        )

    async def _put_back(self, agent: Agent, last: Backup) -> int:
        """How many keys were removed."""
        state: Any = agent.state
        kept = {row.key for row in last.rows}
        removed = 0
        for key in await state.keys(limit=backup.KEYS_MAX + PAGE_KEYS):
            level = "" if key in kept else await self._plane_of(state, key)
            if level:
                await state.delete(key, consistency=level)
                removed += 1
        for number, row in enumerate(last.rows):
            value: Any = codec.decode_value(row.value)
            await state.put(row.key, value, consistency="strong" if row.strong else "eventual")
            if number % AT_ONCE_KEYS == 0:
                await asyncio.sleep(0)
        return removed

    async def _plane_of(self, state: Any, key: str) -> str:
        """The level at which a plain value is deleted; empty for a CRDT."""
        try:
            if (await state.get_entry(key, level="local")).type != REGISTER:
                return ""
            is_strong = (await state.get_entry(key, level="linearizable")).exists
        except Corrupt:
            return "strong"
        return "strong" if is_strong else "eventual"

    def statistics(self) -> dict[str, int]:
        return {f"backups_{name}_total": count for name, count in self._counts.items()}
