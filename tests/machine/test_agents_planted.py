"""The promises about agents hold for the machine, and each planted fault is caught by one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from zlib import crc32

import pytest

from quorate.core.machine.agent_commit import AgentCommit
from quorate.core.machine.agent_deaths import AgentDeaths
from quorate.core.machine.agent_rows import CHILD, HEADER, AgentRows
from quorate.core.machine.agents import Agents
from quorate.core.machine.attachments import Attachments
from quorate.core.machine.effects import Effects
from quorate.core.machine.machine import Machine
from quorate.core.machine.records import AgentRecord
from quorate.core.machine.results import Result
from tests.machine import agent_promises as promises
from tests.machine.agent_promises import PROMISES


class _AnyEpoch(AgentCommit):
    """The epoch is not checked."""

    __slots__ = ()

    def commit(self, command: list[Any]) -> Result:
        data = self._fx.get("agents", command[2].encode())
        if data is not None:
            command[3] = HEADER.unpack_from(data)[0]
        return super().commit(command)


class _AnyLease(Attachments):
    """A lease that is over counts as alive."""

    __slots__ = ()

    def granted_before(self, lease: int, revision: int) -> bool:
        return True


class _LeaseById(Attachments):
    """A lease of the same id counts, whenever it was granted."""

    __slots__ = ()

    def granted_before(self, lease: int, revision: int) -> bool:
        return self.lease(lease) is not None


class _RemembersLeases(Attachments):
    """A lease that was asked for once is taken for alive ever after."""

    __slots__ = ()

    def take_all(self, lease: int) -> list[tuple[int, bytes]]:
        kept = dict(self._granted)
        things = super().take_all(lease)
        self._granted.update(kept)
        return things


class _RemembersFences(AgentRows):
    """What was kept of a record is not dropped when the record changes."""

    __slots__ = ()

    def put(self, record: AgentRecord, why: str) -> None:
        kept = dict(self._fences)
        super().put(record, why)
        self._fences.update(kept)


class _TakesAnything(Agents):
    """A take does not ask for the holder's lease."""

    __slots__ = ()

    def is_held(self, record: AgentRecord) -> bool:
        return False


class _ForgetsAChild(AgentRows):
    """The last owned agent is not found."""

    __slots__ = ()

    def take_all(self, life: int, reminders: int) -> list[tuple[bytes, bytes, bytes]]:
        rows = super().take_all(life, reminders)
        children = [row for row in rows if row[0] == CHILD]
        return [row for row in rows if row not in children[-1:]]


class _NothingIsOver(AgentRows):
    """A life that ended is found again by those around it, so a ring has no end."""

    __slots__ = ()

    def erase(self, record: AgentRecord, reason: str) -> None:
        self._fx.agent_changes.append((record.name, None, f"stopped {reason}"))

    def take_all(self, life: int, reminders: int) -> list[tuple[bytes, bytes, bytes]]:
        return [(CHILD, rest, value) for rest, value in self.rows(life, CHILD, b"", None)]


class _StopsAnyLife(AgentDeaths):
    """A stop does not ask which life is meant."""

    __slots__ = ()

    def stop(self, command: list[Any]) -> Result:
        command[3] = command[4] = 0
        return super().stop(command)


class _RowsByName(AgentRows):
    """What hangs on an agent hangs on its name, and stays."""

    __slots__ = ()

    def life_of(self, name: str) -> int:
        return crc32(name.encode())

    def create(self, record: AgentRecord) -> None:
        super().create(record._replace(life=crc32(record.name.encode())))

    def take_all(self, life: int, reminders: int) -> list[tuple[bytes, bytes, bytes]]:
        return []


class _InAnyOrder(AgentRows):
    """The rows of a life are visited in an order that differs between two machines."""

    __slots__ = ()

    def take_all(self, life: int, reminders: int) -> list[tuple[bytes, bytes, bytes]]:
        rows = super().take_all(life, reminders)
        Random(id(self)).shuffle(rows)
        return rows


class _SilentDeath(Effects):
    """A death that follows from another one has no event."""

    __slots__ = ()

    def event(self, kind: str, key: str, *rest: Any) -> None:  # type: ignore[override]
        if kind != "agent.stopped" or not rest[-1].startswith(b"owner"):
            super().event(kind, key, *rest)


def planted(part: str, faulty: type) -> type[Machine]:
    """A machine with one part that has the fault."""

    class Planted(Machine):
        def _build_agents(self, meta: dict[str, Any]) -> None:
            super()._build_agents(meta)
            getattr(self, part).__class__ = faulty
            self._agent_commit._write = self._stamped.write  # pyright: ignore[reportPrivateUsage]

    Planted.__name__ = faulty.__name__
    return Planted


class RestartForgetsCounts(Machine):
    """How many agents there are is not saved."""

    def before_flush(self) -> None:
        count, self._agent_rows.count = self._agent_rows.count, 0
        super().before_flush()
        self._agent_rows.count = count


Promise = Callable[[type[Machine]], None]
PLANTED: tuple[tuple[type[Machine], Promise], ...] = (
    (planted("_agent_commit", _AnyEpoch), promises.only_the_present_epoch_writes),
    (planted("_agent_commit", _AnyEpoch), promises.as_the_model),
    (planted("_attachments", _AnyLease), promises.only_a_living_lease_writes),
    (planted("_attachments", _AnyLease), promises.as_the_model),
    (planted("_attachments", _LeaseById), promises.only_a_living_lease_writes),
    (planted("_attachments", _RemembersLeases), promises.only_a_living_lease_writes),
    (planted("_agent_rows", _RemembersFences), promises.only_the_present_epoch_writes),
    (planted("_agents", _TakesAnything), promises.runs_in_one_place),
    (planted("_agents", _TakesAnything), promises.as_the_model),
    (planted("_agent_rows", _ForgetsAChild), promises.a_family_ends_with_its_head),
    (planted("_agent_rows", _ForgetsAChild), promises.as_the_model),
    (planted("_agent_rows", _NothingIsOver), promises.a_family_ends_with_its_head),
    (planted("_agent_deaths", _StopsAnyLife), promises.the_loser_erases_nothing),
    (planted("_agent_deaths", _StopsAnyLife), promises.as_the_model),
    (planted("_agent_rows", _RowsByName), promises.a_new_life_knows_nothing_of_the_old_one),
    (planted("_agent_rows", _InAnyOrder), promises.same_everywhere),
    (planted("_fx", _SilentDeath), promises.history_is_complete),
    (RestartForgetsCounts, promises.as_the_model),
)


@pytest.mark.parametrize("holds", PROMISES, ids=lambda promise: promise.__name__)
def test_the_machine_keeps_its_promise(holds: Promise) -> None:
    holds(Machine)


@pytest.mark.parametrize(
    ("faulty", "holds"), PLANTED, ids=lambda planted: getattr(planted, "__name__", "")
)
def test_a_planted_fault_is_caught(faulty: type[Machine], holds: Promise) -> None:
    with pytest.raises(AssertionError):
        holds(faulty)
