"""What the group decided about agents, read from its log as it was applied for the first time.

The law: epochs of a name grow with every place it gets, over its lives too; nothing is committed
under another epoch than the present one, nor on a lease that is over; a strong list grows by one
entry at a time; a life ends for a reason that somebody had.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from quorate.chaos.agents.actors import LOG
from quorate.chaos.agents.views import BATCH, Applied, Entry, GroupView
from quorate.core import codec
from quorate.core.machine import ops, results
from quorate.core.machine.commands import decode_batch
from quorate.core.machine.records import AgentRecord


@dataclass(slots=True)
class LifeRow:
    """One life of a name."""

    name: str
    life: int
    began: float
    ended: float | None = None
    reason: str = ""
    begun: bool = False
    """Its `on_start` was done."""
    places: list[tuple[float, str, int]] = field(default_factory=list[tuple[float, str, int]])
    """(when, host, epoch)"""


class Witness:
    """See the law above. `find(text)` is told of what breaks it."""

    def __init__(self, now: Callable[[], float], find: Callable[[str], object]) -> None:
        self._now, self._find = now, find
        self.lives: dict[tuple[str, int], LifeRow] = {}
        self.present: dict[str, AgentRecord] = {}
        self.logs: dict[int, list[Any]] = {}
        """Life -> the strong list that its agent wrote."""
        self._epochs: dict[str, int] = {}
        self.ended_leases: dict[int, float] = {}
        self.leases: dict[tuple[str, int], int] = {}
        """The lease that each epoch of a name was given under."""
        self._answered: set[tuple[int, int]] = set()
        self.commits = 0

    def on_first(self, index: int, entry: Entry, view: GroupView, applied: Applied) -> None:
        """An entry was applied by the first host."""
        machine = view.machine
        before = dict(self.present)
        for lease, ttl_ms, _ in machine.lease_changes:
            if not ttl_ms:
                self.ended_leases[lease] = self._now()
        for name, record, why in machine.agent_changes:
            self._on_change(name, record, why)
        if entry.command.key == BATCH:
            self._on_batches(entry.command.value, applied, before)

    # --- lives and places -------------------------------------------------------------------------

    def _on_change(self, name: str, record: AgentRecord | None, why: str) -> None:
        now = self._now()
        known = self.present.get(name)
        if record is None:
            if known is None:
                self._find(f"{name} ended ({why}) and did not live")
                return
            row = self.lives[name, known.life]
            row.ended, row.reason = now, why.partition(" ")[2]
            del self.present[name]
            return
        if why in ("started", "moved"):
            highest = self._epochs.get(name, 0)
            if record.epoch <= highest:
                self._find(f"{name} got epoch {record.epoch} after {highest}")
            self._epochs[name] = record.epoch
        elif known is None or known.epoch != record.epoch:
            self._find(f"{name} was changed ({why}) to epoch {record.epoch} without a new place")
        if why == "started":
            if known is not None:
                self._find(f"{name} was started while life {known.life} went on")
            self.lives[name, record.life] = LifeRow(name, record.life, now)
        elif known is not None and known.life != record.life:
            self._find(f"{name} changed from life {known.life} to {record.life} by {why!r}")
        row = self.lives[name, record.life]
        row.begun = row.begun or record.begun
        if why in ("started", "moved"):
            row.places.append((now, record.host, record.epoch))
            self.leases[name, record.epoch] = record.lease
        self.present[name] = record

    # --- commits ----------------------------------------------------------------------------------

    def _on_batches(
        self, batches: list[bytes], applied: Applied, before: dict[str, AgentRecord]
    ) -> None:
        answers = {(session, sequence): result for session, sequence, result in applied}
        for batch in batches:
            decoded = decode_batch(batch)
            if decoded is None:
                continue
            session, _, commands = decoded
            for command in commands:
                key = (session, command[0])
                if command[1] != ops.AGENT_COMMIT or key in self._answered:
                    continue
                self._answered.add(key)
                answer = answers.get(key)
                if answer is not None and not results.is_failed(answer):
                    self._on_commit(command, before)

    def _on_commit(self, command: list[Any], before: dict[str, AgentRecord]) -> None:
        _, _, name, epoch, writes, _ = command
        self.commits += 1
        known = [record for record in (before.get(name), self.present.get(name)) if record]
        if not any(record.epoch == epoch for record in known):
            there = ", ".join(str(record.epoch) for record in known) or "none"
            self._find(f"{name} committed under epoch {epoch}; its present one is {there}")
        elif all(record.lease in self.ended_leases for record in known):
            self._find(f"{name} committed under epoch {epoch}, on a lease that is over")
        for _, key, value, _ in writes:
            scope, _, rest = key.partition("/")
            if value is not None and rest == LOG:
                self._on_log(name, int(scope, 36), codec.decode_value(value))

    def _on_log(self, name: str, life: int, value: Any) -> None:
        former = self.logs.get(life, [])
        if value[:-1] != former:
            self._find(f"{name} wrote {value[-3:]} over {former[-3:]}: a strong update is lost")
        self.logs[life] = value
