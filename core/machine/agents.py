"""Agents: which names live, where each is placed, and under which epoch.

The law of this file: an agent is alive exactly while it has a record. Its epoch is the revision of
its last binding to a place (or of its start, or of giving up the place), so it only grows, also
from one life of a name to the next; its life is the revision of its start. An agent is taken from
its host only when the host's lease is over: the lease must live and be older than the binding, so a
later lease with the same id keeps nothing.
"""

from __future__ import annotations

from typing import Any

from quorate.core.machine.agent_deaths import AgentDeaths
from quorate.core.machine.agent_owners import AGENT_PREFIX, AgentOwners, agent_owner, answer
from quorate.core.machine.agent_rows import CHILD, LINK, AgentRows
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import AGENT_ROWS_MAX
from quorate.core.machine.records import AgentRecord
from quorate.core.machine.results import LEASE_EXPIRED, NOT_FOUND, Result, failed


class Agents:
    """Starting, binding, changing."""

    __slots__ = ("_attachments", "_deaths", "_fx", "_owners", "_rows")

    def __init__(
        self,
        fx: Effects,
        attachments: Attachments,
        rows: AgentRows,
        owners: AgentOwners,
        deaths: AgentDeaths,
    ) -> None:
        self._fx = fx
        self._attachments = attachments
        self._rows = rows
        self._owners = owners
        self._deaths = deaths

    def start(self, command: list[Any]) -> Result:
        """[revision, "started" | "existing" | "replaced", record]; or name_taken with the record,
        lease_expired, owner_dead
        """
        _, _, name, kind, spec, meta, host, lease, status, owners, orphan, policy = command
        fx = self._fx
        present = self._rows.get(name)
        if present is not None and policy != "replace":
            if policy == "fail":
                return failed("name_taken", answer(fx, present))
            found = self._owners.add(present, owners)
            if not isinstance(found, AgentRecord):
                return found
            return [fx.revision, "existing", answer(fx, found)]
        if lease and self._attachments.lease(lease) is None:
            return LEASE_EXPIRED
        if owners:
            refused = self._owners.refusal(owners)
            if refused is None and present is not None:
                refused = self._dies_with(present, owners)
            if refused is not None:
                return refused
        revision = fx.next_revision()
        if present is not None:
            self._deaths.end(present, "replaced")
        record = AgentRecord(
            *(name, revision, revision, host, lease, status, kind, spec, meta, tuple(owners)),
            *(orphan, 0, revision, status == "placed"),
        )
        self._rows.create(record)
        for owner in owners:
            self._owners.tie(owner, name.encode(), revision)
        outcome = "started" if present is None else "replaced"
        return [revision, outcome, answer(fx, record)]

    def bind(self, command: list[Any]) -> Result:
        """[revision, record]; or not_found, stale_epoch and still_held with the record,
        lease_expired. An agent that failed stays so, until its status is changed or it gives up its
        place.
        """
        _, _, name, epoch, host, lease, mode = command
        fx = self._fx
        present = self._rows.get(name)
        if present is None:
            return NOT_FOUND
        if present.epoch != epoch:
            return failed("stale_epoch", answer(fx, present))
        if mode == "take" and self.is_held(present):
            return failed("still_held", answer(fx, present))
        if lease and self._attachments.lease(lease) is None:
            return LEASE_EXPIRED
        revision = fx.next_revision()
        status = present.status if lease else "unplaced"
        if lease and status != "failed":
            status = "placed" if present.begun else "starting"
        bound = present._replace(
            epoch=revision, host=host, lease=lease, status=status, revision=revision
        )
        self._rows.place(name.encode(), present.lease, lease)
        self._rows.put(bound, "moved")
        return [revision, answer(fx, bound)]

    def is_held(self, record: AgentRecord) -> bool:
        """Whether the host of this binding may be running the agent."""
        return record.lease != 0 and self._attachments.granted_before(record.lease, record.epoch)

    def update(self, command: list[Any]) -> Result:
        """[revision, record]; or not_found, stale_epoch with the record, not_placed"""
        _, _, name, epoch, meta, status = command
        fx = self._fx
        present = self._rows.get(name)
        if present is None:
            return NOT_FOUND
        if epoch and present.epoch != epoch:
            return failed("stale_epoch", answer(fx, present))
        changed = present
        if meta is not None:
            changed = changed._replace(meta=meta)
        if status == "failed":
            changed = changed._replace(status=status)
        elif status is not None:
            if not present.lease:
                return failed("not_placed")
            changed = placed(changed)
        if changed == present:
            return [fx.revision, answer(fx, present)]
        changed = changed._replace(revision=fx.next_revision())
        self._rows.put(changed, "updated")
        return [changed.revision, answer(fx, changed)]

    def _dies_with(self, present: AgentRecord, owners: list[str]) -> Result | None:
        """Whether one of the owners ends when this life is replaced: what it owns (unless that
        stays without an owner) and what is linked to it, on and on.
        """
        wanted = {owner for owner in owners if owner.startswith(AGENT_PREFIX)}
        if not wanted:
            return None
        lives, seen = [present.life], {present.life}
        doomed = agent_owner(present.name)
        if doomed in wanted:
            return failed("owner_dead", doomed)
        for life in lives:  # which grows
            for tag in (CHILD, LINK):
                for key, _ in self._rows.rows(life, tag, b"", None):
                    name = key.decode()
                    record = self._rows.get(name)
                    if record is None or record.life in seen:
                        continue
                    if tag == CHILD and record.orphan == "continue":
                        continue
                    if agent_owner(name) in wanted:
                        return failed("owner_dead", agent_owner(name))
                    seen.add(record.life)
                    lives.append(record.life)
            if len(lives) > AGENT_ROWS_MAX:
                return failed("owner_dead", min(wanted))  # too far to look: rather not
        return None


def placed(record: AgentRecord) -> AgentRecord:
    """It is brought up: of a start that succeeded, or of one that failed and is tried again."""
    if record.status == "failed" and not record.begun:
        return record._replace(status="starting")
    return record._replace(status="placed", begun=True)
