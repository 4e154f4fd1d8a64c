"""Links and monitors between agents.

The law of this file: both kinds are between two lives and stand as a row on each side, so either
one's death finds them. A link is the same in both directions. Who asks to watch somebody that does
not live is told at once.
"""

from __future__ import annotations

from typing import Any

from quorate.core.machine.agent_deaths import AgentDeaths
from quorate.core.machine.agent_rows import LINK, WATCHED, WATCHER, AgentRows, number
from quorate.core.machine.effects import Effects
from quorate.core.machine.records import AgentRecord
from quorate.core.machine.results import AGENT_FULL, NOT_FOUND, Result

GONE_REASON = "not_found"


class AgentLinks:
    """Makes and ends links and monitors."""

    __slots__ = ("_deaths", "_fx", "_rows")

    def __init__(self, fx: Effects, rows: AgentRows, deaths: AgentDeaths) -> None:
        self._fx = fx
        self._rows = rows
        self._deaths = deaths

    def link(self, command: list[Any]) -> Result:
        """[revision, whether that changed anything]"""
        _, _, a, b, on = command
        rows = self._rows
        one, other = rows.get(a), rows.get(b)
        if one is None or other is None:
            return NOT_FOUND if on else [self._fx.revision, False]
        if on == (rows.row(one.life, LINK, b.encode()) is not None):
            return [self._fx.revision, False]
        return self._change(one, LINK, other, LINK, "linked" if on else "unlinked", on=on)

    def monitor(self, command: list[Any]) -> Result:
        """[revision, whether that changed anything]"""
        _, _, watcher, target, on = command
        fx, rows = self._fx, self._rows
        one, other = rows.get(watcher), rows.get(target)
        if one is None:
            return NOT_FOUND if on else [fx.revision, False]
        if other is None:
            if not on:
                return [fx.revision, False]
            if rows.room(one.life) < 1:
                return AGENT_FULL
            revision = fx.next_revision()
            self._deaths.tell(watcher, one.life, target, GONE_REASON)
            self._event(one, "monitored", target)
            return [revision, True]
        if on == (rows.row(one.life, WATCHED, target.encode()) is not None):
            return [fx.revision, False]
        what = "monitored" if on else "unmonitored"
        return self._change(one, WATCHED, other, WATCHER, what, on=on)

    def _change(
        self,
        one: AgentRecord,
        tag: bytes,
        other: AgentRecord,
        other_tag: bytes,
        what: str,
        *,
        on: bool,
    ) -> Result:
        rows = self._rows
        if on and min(rows.room(one.life), rows.room(other.life)) < 1:
            return AGENT_FULL
        revision = self._fx.next_revision()
        sides = ((one, tag, other), (other, other_tag, one))
        for side, its_tag, facing in sides:
            if on:
                rows.add(side.life, its_tag, facing.name.encode(), number(facing.life))
            else:
                rows.remove(side.life, its_tag, facing.name.encode())
        self._event(one, what, other.name)
        return [revision, True]

    def _event(self, one: AgentRecord, what: str, name: str) -> None:
        self._fx.event(f"agent.{what}", one.name, b"", one.epoch, one.lease, name.encode())

    # --- reads ------------------------------------------------------------------------------------

    def names(self, name: str, tag: bytes) -> list[str]:
        """The names in the rows of an agent with this tag, in order."""
        life = self._rows.life_of(name)
        return [rest.decode() for rest, _ in self._rows.rows(life, tag, b"", None)] if life else []
