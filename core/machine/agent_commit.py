"""The fence: what an agent's turn changes in the group, all of it or nothing.

The law of this file: a commit is refused, and nothing is done, unless it names the agent's present
epoch and the lease of that binding lives. Everything that could refuse it is asked before the first
write. A reminder that fired is settled by the commit of the turn it caused: under the due time at
which it fired, so a second turn for the same firing is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from quorate.core import codec
from quorate.core.machine.agent_rows import DOWN, REMINDER, AgentRows, number
from quorate.core.machine.agents import placed
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import AGENT_REMINDERS_MAX
from quorate.core.machine.records import Reminder
from quorate.core.machine.results import (
    LEASE_EXPIRED,
    NOT_FOUND,
    REMINDERS_FULL,
    Result,
    failed,
)
from quorate.core.machine.stamped import Stamped


class _Marks(NamedTuple):
    """What the marks of a commit come to."""

    reminders: dict[str, Reminder | None]
    """Those that change; None: it goes."""
    more: int
    """How many reminders there are more than before."""
    downs: list[int]
    started: bool


class AgentCommit:
    """Fenced writes and marks."""

    __slots__ = ("_attachments", "_fx", "_rows", "_write")

    def __init__(
        self, fx: Effects, attachments: Attachments, rows: AgentRows, stamped: Stamped
    ) -> None:
        self._fx = fx
        self._attachments = attachments
        self._rows = rows
        self._write = stamped.write

    def commit(self, command: list[Any]) -> Result:
        """[revision, version, stamp, version, stamp, ...] of the writes (flat: nested lists encode
        half as fast); or not_found, stale_epoch with the present epoch, lease_expired,
        reminder_gone with its id, reminders_full
        """
        _, _, name, epoch, writes, marks = command
        fx = self._fx
        fence = self._rows.fence(name)
        if fence is None:
            return NOT_FOUND
        present_epoch, life, lease, _, reminders, _ = fence
        if present_epoch != epoch:
            return failed("stale_epoch", present_epoch)
        if not lease or not self._attachments.granted_before(lease, epoch):
            return LEASE_EXPIRED
        if marks:
            planned = self._plan(life, reminders, marks)
            if not isinstance(planned, _Marks):
                return planned
        else:
            planned = None
            if not writes:
                return [fx.revision]
        fx.revision = revision = fx.revision + 1
        result: Result = [revision]
        write = self._write
        for ns, key, value, stamp in writes:
            result += write(revision, ns, key, value, stamp)
        if planned is not None and not self._mark(name, life, planned) and not writes:
            fx.event("agent.marked", name, b"", epoch, lease)
        return result

    # --- marks ------------------------------------------------------------------------------------

    def _plan(self, life: int, reminders: int, marks: list[list[Any]]) -> _Marks | Result:
        """What the marks come to, or why they are refused. What is said of a reminder that fired is
        compared with what was before this commit; what the turn itself set or forgot stays so.
        """
        changed: dict[str, Reminder | None] = {}
        before: dict[str, Reminder | None] = {}
        downs: list[int] = []
        started = False
        for kind, *rest in marks:
            if kind == "down":
                downs.append(rest[0])
                continue
            if kind == "started":
                started = True
                continue
            id_ = rest[0]
            if id_ not in before:
                before[id_] = self._reminder(life, id_)
            if kind == "remind":
                changed[id_] = Reminder(id_, *rest[1:])
            elif kind == "forget":
                changed[id_] = None
            else:
                present = before[id_]
                if present is None or present.due_ms != rest[1]:
                    return failed("reminder_gone", id_)
                changed.setdefault(id_, _after(present, rest[2] if len(rest) > 2 else 0))
        more = sum((now is not None) - (before[id_] is not None) for id_, now in changed.items())
        if more > 0 and reminders + more > AGENT_REMINDERS_MAX:
            return REMINDERS_FULL
        return _Marks(changed, more, downs, started)

    def _reminder(self, life: int, id_: str) -> Reminder | None:
        data = self._rows.row(life, REMINDER, id_.encode())
        return None if data is None else Reminder(id_, *codec.loads(data))

    def _mark(self, name: str, life: int, marks: _Marks) -> bool:
        """Do what was planned; whether the record changed (and so there is an event)."""
        rows = self._rows
        for id_, reminder in marks.reminders.items():
            value = None if reminder is None else codec.dumps(reminder[1:])
            rows.put_reminder(life, id_, value)
        for seq in marks.downs:
            rows.remove(life, DOWN, number(seq))
        if not marks.more and not marks.started:
            return False
        record = rows.get(name)
        if record is None:
            return False
        changed = record._replace(reminders=record.reminders + marks.more)
        if marks.started and record.status == "starting":
            changed = placed(changed)
        if changed == record:
            return False
        rows.put(changed._replace(revision=self._fx.revision), "updated")
        return True


def _after(fired: Reminder, next_due_ms: int) -> Reminder | None:
    """A reminder after it fired: one-shot ones go, others are due again a whole number of periods
    later, not before `next_due_ms`.
    """
    if not fired.period_ms:
        return None
    missed = max(0, next_due_ms - fired.due_ms - 1) // fired.period_ms
    return fired._replace(due_ms=fired.due_ms + (missed + 1) * fired.period_ms)
