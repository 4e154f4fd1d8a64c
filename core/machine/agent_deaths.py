"""The end of a life and all that follows from it, in one command.

The law of this file: a life ends once. What hung on it is removed with it; who watched it gets a
down row; who was linked to it ends too; who was owned by it loses that owner, and without another
one goes by its orphan policy. Breadth first, in the order of the rows, so it is the same
everywhere, and a ring of owners or links comes to its end because a life that is over has no rows.

A command ends at most `CASCADE_THINGS_MAX` lives and rows (and the rows of its last one). Lives
that are decided to end and did not get their turn wait in the store for `agent_sweep`, which goes
on; until then they are alive.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from quorate.core import codec
from quorate.core.machine.agent_owners import AgentOwners, agent_owner, answer, lease_owner
from quorate.core.machine.agent_rows import (
    CHILD,
    DOWN,
    LINK,
    WATCHED,
    WATCHER,
    AgentRows,
    number,
)
from quorate.core.machine.effects import Effects
from quorate.core.machine.limits import CASCADE_THINGS_MAX, REASON_CHARS_MAX
from quorate.core.machine.records import AgentDown, AgentRecord
from quorate.core.machine.results import Result, failed

SWEEP_LIVES_MAX = 4096


class AgentDeaths:
    """Ends lives. `things_max`: of one command."""

    __slots__ = ("_fx", "_owners", "_revision", "_rows", "_spent", "_waited", "_work", "things_max")

    def __init__(self, fx: Effects, rows: AgentRows, owners: AgentOwners) -> None:
        self._fx = fx
        self._rows = rows
        self._owners = owners
        self._work: deque[tuple[str, int, str]] = deque()
        self._revision = self._spent = self._waited = 0
        self.things_max = CASCADE_THINGS_MAX

    # --- commands ---------------------------------------------------------------------------------

    def stop(self, command: list[Any]) -> Result:
        """[revision, how many died, how many wait for a sweep]"""
        _, _, name, epoch, life, reason = command
        record = self._rows.get(name)
        if record is None:
            return [self._fx.revision, 0, self._rows.dying]
        if (epoch and record.epoch != epoch) or (life and record.life != life):
            return failed("stale_epoch", answer(self._fx, record))
        revision = self._fx.next_revision()
        return [revision, self.end(record, reason), self._rows.dying]

    def sweep(self, command: list[Any]) -> Result:
        """[revision, how many died, how many still wait]"""
        fx = self._fx
        if not self._rows.dying:
            return [fx.revision, 0, 0]
        revision = fx.next_revision()
        fx.event("agent.swept", "", b"", revision, 0)
        self._work.extend(self._rows.take_dying(SWEEP_LIVES_MAX))
        return [revision, self._run(), self._rows.dying]

    def on_lease_gone(self, lease: int, key: bytes) -> None:
        """The lease ended: the agent it owned loses that owner."""
        name = key.decode()
        owner = lease_owner(lease)
        self._lose(name, self._rows.life_of(name), owner, (), f"owner {owner} ended")
        self._run()

    # --- shared -----------------------------------------------------------------------------------

    def end(self, record: AgentRecord, reason: str) -> int:
        """End this life and what follows; how many died. The revision is the command's."""
        self._work.append((record.name, record.life, reason))
        return self._run()

    def tell(self, watcher: str, watcher_life: int, target: str, reason: str) -> None:
        """A down row for the watcher. Its room is the caller's affair."""
        rows = self._rows
        rows.downs += 1
        rows.add(watcher_life, DOWN, number(rows.downs), codec.dumps([target, reason]))
        self._fx.agent_downs.append(AgentDown(watcher, rows.downs, target, reason))

    # --- the cascade ------------------------------------------------------------------------------

    def _run(self) -> int:
        if self._revision != self._fx.revision:  # a new command
            self._revision = self._fx.revision
            self._spent = self._waited = 0
        died = 0
        work = self._work
        while work and self._spent < self.things_max:
            name, life, reason = work.popleft()
            record = self._rows.get(name)
            if record is not None and record.life == life:
                died += 1
                self._die(record, reason)
        while work:
            self._wait(*work.popleft())
        return died

    def _wait(self, name: str, life: int, reason: str) -> None:
        """Its turn comes in a sweep; owners that are gone by now are not its owners any more."""
        record = self._rows.get(name)
        if record is None or record.life != life:
            return
        self._rows.put_dying(self._waited, name, life, reason)
        self._waited += 1
        left = tuple(owner for owner in record.owners if self._owners.is_alive(owner))
        if left != record.owners:
            self._rows.put(record._replace(owners=left, revision=self._fx.revision), "updated")

    def _die(self, record: AgentRecord, reason: str) -> None:
        rows, key = self._rows, record.name.encode()
        rows.erase(record, reason)
        for owner in record.owners:
            self._owners.untie(owner, key)
        hung = rows.take_all(record.life, record.reminders)
        self._spent += 1 + len(hung)
        children: list[tuple[bytes, bytes]] = []
        for tag, rest, value in hung:
            if tag == CHILD:
                children.append((rest, value))
            elif tag == LINK:
                other_life = int.from_bytes(value, "big")
                rows.remove(other_life, LINK, key)
                linked = f"linked: {record.name}: {reason}"[:REASON_CHARS_MAX]
                self._work.append((rest.decode(), other_life, linked))
            elif tag == WATCHER:
                watcher_life = int.from_bytes(value, "big")
                rows.remove(watcher_life, WATCHED, key)
                self.tell(rest.decode(), watcher_life, record.name, reason)
            elif tag == WATCHED:
                rows.remove(int.from_bytes(value, "big"), WATCHER, key)
        owner = agent_owner(record.name)
        for child, life in children:
            why = f"owner {owner} ended"
            self._lose(child.decode(), int.from_bytes(life, "big"), owner, record.owners, why)

    def _lose(self, name: str, life: int, owner: str, above: tuple[str, ...], reason: str) -> None:
        """The agent has one owner less. `above`: the owners of the one that is gone."""
        record = self._rows.get(name)
        if record is None or record.life != life or owner not in record.owners:
            return
        left = tuple(other for other in record.owners if other != owner)
        if not left and record.orphan == "adopt":
            left = self._adopted(record, above)
        if not left and record.orphan != "continue":
            self._work.append((name, life, reason))
            return
        self._rows.put(record._replace(owners=left, revision=self._fx.revision), "updated")

    def _adopted(self, record: AgentRecord, above: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `above` that live, have room, and are not the agent itself own it from now."""
        itself = agent_owner(record.name)
        takers = tuple(one for one in above if one != itself and self._owners.takes(one))
        for taker in takers:
            self._owners.tie(taker, record.name.encode(), record.life)
        return takers
