"""Reminders: what an agent asked to be told later, kept by the group with the agent's binding.

The law of this file: a reminder is set, taken back and settled by marks in the commit of a turn, so
it changes together with what that turn wrote. The host that holds the agent fires what is due by
the wall clock; the turn of `on_reminder` carries the mark that settles it, under the due time at
which it fired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from quorate.core import codec
from quorate.core.errors import UsageError
from quorate.core.machine.records import Reminder
from quorate.hosts.agents.lasting import due
from quorate.hosts.agents.lasting.errands import Errands
from quorate.hosts.agents.lasting.place import open_turn
from quorate.hosts.agents.lasting.table import Errand, Key
from quorate.hosts.agents.turns import Mark, current_turn

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.agent import Agent
    from quorate.hosts.agents.directory import Change


class Fired(NamedTuple):
    """The reminder whose turn runs: `self.reminder` in `on_reminder`."""

    id: str
    due: float
    """Seconds since 1970: what it was due at."""
    missed: int
    """How many more times it was due until now: they are not made up for."""
    failures: int
    """How many tries of this firing on this host failed before."""


class Waiting(NamedTuple):
    """A reminder that is set."""

    id: str
    due: float
    """Seconds since 1970."""
    every: float | None
    data: Any


current_firing: ContextVar[Fired | None] = ContextVar("quorate_firing", default=None)


class Reminders(Errands):
    """One per host. A periodic reminder that always fails goes on with its next period; a one-shot
    stays and is tried again from time to time. Both are told."""

    what = "reminder"

    # --- for agents -------------------------------------------------------------------------------

    async def remind(
        self,
        activation: Activation,
        id_: str,
        *,
        after: float | None = None,
        at: float | None = None,
        every: float | None = None,
        data: Any = None,
    ) -> None:
        """Set a reminder with the commit of this turn, in place of the one with this id. One with
        the same period and data keeps its rhythm. Raises `UsageError`, `LimitExceeded`."""
        turn = open_turn(activation, "remind()")
        wanted = due.plan(self.now_ms(), after=after, at=at, every=every)
        encoded = due.encode_data(due.check_id(id_), data)
        present = self._shown(activation.name, id_, turn.marks)
        if present is not None and due.stands_already(present, wanted, encoded, at=at is not None):
            return
        _mark(turn.marks, ["remind", id_, wanted.due_ms, wanted.period_ms, encoded])
        turn.on_closed.append(lambda: self._load_again((activation.name,)))

    async def forget(self, activation: Activation, id_: str) -> None:
        """Take a reminder back with the commit of this turn; no error if there is none. Raises
        `UsageError`."""
        turn = open_turn(activation, "forget()")
        if self._shown(activation.name, due.check_id(id_), turn.marks) is None:
            return
        _mark(turn.marks, ["forget", id_])
        turn.on_closed.append(lambda: self._load_again((activation.name,)))

    def of(self, activation: Activation) -> list[Waiting]:
        """The reminders of an agent, with what the running turn changed, in the order of their
        ids."""
        turn = current_turn.get()
        marks = turn.marks if turn is not None and turn.activation is activation else []
        rows = {row.id: row for row in self._group.machine.reminders(activation.name)}
        for mark in marks:
            if mark[0] == "remind":
                rows[mark[1]] = Reminder(*mark[1:])
            elif mark[0] == "forget":
                rows.pop(mark[1], None)
        return [
            Waiting(
                row.id,
                row.due_ms / 1000,
                row.period_ms / 1000 if row.period_ms else None,
                codec.decode_value(row.data) if row.data else None,
            )
            for _, row in sorted(rows.items())
        ]

    def firing(self, activation: Activation) -> Fired | None:
        """The reminder whose turn runs now; None in other turns."""
        turn = current_turn.get()
        return current_firing.get() if turn is not None and turn.activation is activation else None

    def _shown(self, name: str, id_: str, marks: list[Mark]) -> Reminder | None:
        """The reminder as this turn sees it."""
        for mark in reversed(marks):
            if mark[0] in ("remind", "forget") and mark[1] == id_:
                return Reminder(*mark[1:]) if mark[0] == "remind" else None
        return self._group.machine.reminder(name, id_)

    # --- news -------------------------------------------------------------------------------------

    def on_applied(self, changes: Iterable[Change]) -> None:
        """What an entry of the group did to bindings."""
        self._drop_strangers(changes)
        placed_here = self._place.placed_here
        mine = [
            name
            for name, record, _ in changes
            if record is not None and record.reminders and placed_here(record)
        ]
        if mine:
            self._load_again(mine)

    # --- firing -----------------------------------------------------------------------------------

    def _standing(self, record: AgentRecord) -> Mapping[Key, int]:
        if not record.reminders:
            return {}
        return {row.id: row.due_ms for row in self._group.machine.reminders(record.name)}

    def _due(self, name: str, key: Key) -> int | None:
        row = self._group.machine.reminder(name, str(key))
        return None if row is None else row.due_ms

    async def _run(self, errand: Errand, agent: Agent) -> None:
        turn = current_turn.get()
        row = self._group.machine.reminder(errand.name, str(errand.key))
        if turn is None or row is None:
            raise UsageError("a reminder fires in a turn")
        later = due.after_firing(row, self.now_ms())
        turn.marks.append(["reminded", row.id, row.due_ms, later.due_ms])
        if errand.told and row.period_ms:
            return  # it failed too often: on to the next period
        fired = Fired(row.id, row.due_ms / 1000, later.missed, errand.failures)
        token = current_firing.set(fired)
        try:
            data = codec.decode_value(row.data) if row.data else None
            await agent.on_reminder(row.id, data)
        finally:
            current_firing.reset(token)

    def _on_failing(self, errand: Errand, now_ms: int) -> int:
        row = self._group.machine.reminder(errand.name, str(errand.key))
        if row is not None and row.period_ms:
            return now_ms
        return super()._on_failing(errand, now_ms)


def _mark(marks: list[Mark], mark: Mark) -> None:
    """Add a mark; what the turn said of the same reminder before does not count any more."""
    marks[:] = [m for m in marks if not (m[0] in ("remind", "forget") and m[1] == mark[1])]
    marks.append(mark)
