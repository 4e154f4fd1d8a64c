"""Who owns which agent: agents and leases.

The law of this file: an owner is `agent:<name>` or `lease:<id>`, and the record of the owned agent
lists its owners; each owner has a row for what it owns: an agent's row belongs to its life, a
lease's row is an attachment. Whoever ties has asked for a refusal first. An agent that has no owner
(any more, by intent) lives on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from quorate.core.machine import attachments as attached
from quorate.core.machine.agent_rows import CHILD, AgentRows, number
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import AGENT_OWNERS_MAX
from quorate.core.machine.records import AgentRecord
from quorate.core.machine.results import (
    AGENT_FULL,
    LEASE_FULL,
    NOT_FOUND,
    OWNER_FULL,
    Result,
    failed,
)

AGENT_PREFIX: Final = "agent:"
LEASE_PREFIX: Final = "lease:"
OWNERS_AT: Final = AgentRecord._fields.index("owners")
_SKIP: Final = len(AGENT_PREFIX)


def agent_owner(name: str) -> str:
    return AGENT_PREFIX + name


def lease_owner(lease: int) -> str:
    return f"{LEASE_PREFIX}{lease}"


def answer(fx: Effects, record: AgentRecord) -> list[Any]:
    """A record as answers carry it: lists, so that a kept answer reads back the same."""
    fx.carried_bytes = len(record.spec) + len(record.meta)
    row: list[Any] = list(record)
    row[OWNERS_AT] = list(record.owners)
    return row


class AgentOwners:
    """Ties agents to their owners."""

    __slots__ = ("_attachments", "_fx", "_rows")

    def __init__(self, fx: Effects, attachments: Attachments, rows: AgentRows) -> None:
        self._fx = fx
        self._attachments = attachments
        self._rows = rows

    def own(self, command: list[Any]) -> Result:
        """[revision, record]"""
        _, _, name, owner, on = command
        record = self._rows.get(name)
        if record is None:
            return NOT_FOUND
        if on == (owner in record.owners):
            return [self._fx.revision, answer(self._fx, record)]
        if on:
            changed = self.add(record, (owner,))
            if not isinstance(changed, AgentRecord):
                return changed
        else:
            left = tuple(other for other in record.owners if other != owner)
            changed = record._replace(owners=left, revision=self._fx.next_revision())
            self.untie(owner, name.encode())
            self._rows.put(changed, "updated")
        return [self._fx.revision, answer(self._fx, changed)]

    def add(self, record: AgentRecord, owners: Iterable[str]) -> AgentRecord | Result:
        """One revision for all that do not own it yet; the record as it is, or why not."""
        new = [owner for owner in owners if owner not in record.owners]
        if not new:
            return record
        if len(record.owners) + len(new) > AGENT_OWNERS_MAX:
            return OWNER_FULL
        refused = self.refusal(new)
        if refused is not None:
            return refused
        revision = self._fx.next_revision()
        for owner in new:
            self.tie(owner, record.name.encode(), record.life)
        changed = record._replace(owners=(*record.owners, *new), revision=revision)
        self._rows.put(changed, "updated")
        return changed

    def refusal(self, owners: Iterable[str]) -> Result | None:
        """Why these cannot own one more agent each."""
        for owner in owners:
            room = self._room(owner)
            if room is None:
                return failed("owner_dead", owner)
            if room < 1:
                return AGENT_FULL if owner.startswith(AGENT_PREFIX) else LEASE_FULL
        return None

    def _room(self, owner: str) -> int | None:
        """How much more it can own; None if it does not live."""
        if not owner.startswith(AGENT_PREFIX):
            return self._attachments.room(int(owner[_SKIP:]))
        life = self._rows.life_of(owner[_SKIP:])
        return self._rows.room(life) if life else None

    def is_alive(self, owner: str) -> bool:
        return self._room(owner) is not None

    def takes(self, owner: str) -> bool:
        """Whether it lives and can own one more."""
        return (self._room(owner) or 0) > 0

    def tie(self, owner: str, name: bytes, life: int) -> None:
        if owner.startswith(AGENT_PREFIX):
            self._rows.add(self._rows.life_of(owner[_SKIP:]), CHILD, name, number(life))
        else:
            self._attachments.attach(int(owner[_SKIP:]), attached.AGENT_OWNER, name)

    def untie(self, owner: str, name: bytes) -> None:
        """No error for an owner that does not live any more: its rows went with it."""
        if not owner.startswith(AGENT_PREFIX):
            self._attachments.detach(int(owner[_SKIP:]), attached.AGENT_OWNER, name)
            return
        life = self._rows.life_of(owner[_SKIP:])
        if life:
            self._rows.remove(life, CHILD, name)

    def owned_by(self, owner: str, after: str, limit: int) -> list[str]:
        """Names above `after` of what it owns, in order."""
        low = after.encode()
        if not owner.startswith(AGENT_PREFIX):
            lease = int(owner[_SKIP:])
            found = self._attachments.attached_of(lease, attached.AGENT_OWNER, low, limit)
            return [name.decode() for name in found]
        life = self._rows.life_of(owner[_SKIP:])
        if not life:
            return []
        return [name.decode() for name, _ in self._rows.rows(life, CHILD, low, limit)]
