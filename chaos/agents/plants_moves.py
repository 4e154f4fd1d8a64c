"""Planted faults of moves: see plants.py. The law: as there."""

from __future__ import annotations

from typing import Any

from quorate.chaos.agents.parts import AgentParts, exchanged
from quorate.core.errors import NotCommitted, OutcomeUnknown
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents import engine as engines
from quorate.hosts.agents import parts as engine_parts
from quorate.hosts.agents.incoming import Incoming
from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.moving import mover as movers
from quorate.hosts.agents.moving.mover import Mover
from quorate.hosts.agents.moving.receiver import Receiver
from quorate.hosts.agents.roster import HostRow


class ResumesInDoubt(Mover):
    """No answer to the binding is taken for a no."""

    async def _find_out(
        self, record: AgentRecord, row: HostRow, error: OutcomeUnknown
    ) -> AgentRecord:
        raise NotCommitted(f"agent {record.name!r} was not moved") from error


class HandsOnTwice(Incoming):
    """What was not begun goes to the new place twice."""

    def hand_on(self, name: str, host: str, epoch: int, messages: list[Message]) -> None:
        super().hand_on(name, host, epoch, [*messages, *messages])


class HandsOnNothing(Incoming):
    """What was not begun is forgotten."""

    def hand_on(self, name: str, host: str, epoch: int, messages: list[Message]) -> None:
        super().hand_on(name, host, epoch, [])


class ActivatesEarly(Receiver):
    """The target runs the agent as soon as it has the checkpoint, before the group says so."""

    async def _prepare(self, name: str, life: int, kind: str, checkpoint: list[Any]) -> bool:
        done = await super()._prepare(name, life, kind, checkpoint)
        engine = self._engine
        record = engine.directory.look(name)
        if record is not None and name not in engine.here:
            engine.residents.bring_up(
                record._replace(host=engine.host_id, lease=engine.tenancy.lease)
            )
        return done


class StaysUnasked(Mover):
    """The source goes on as soon as the target has the checkpoint."""

    async def _bind(self, record: AgentRecord, row: HostRow, until: float) -> AgentRecord:
        activation = self._engine.here.get(record.name)
        if activation is not None:
            activation.resume()
        return await super()._bind(record, row, until)


def planted(*changes: tuple[Any, str, Any]) -> AgentParts:
    """Hosts with these names of modules exchanged while their engine is built."""
    return AgentParts(make_engine=exchanged(*changes))


MOVES: dict[str, AgentParts] = {
    "mailbox-handed-on-twice": planted((engines, "Incoming", HandsOnTwice)),
    "mailbox-dropped": planted((engines, "Incoming", HandsOnNothing)),
    "activated-before-the-bind": planted((movers, "Receiver", ActivatesEarly)),
    "source-goes-on": planted((engine_parts, "Mover", StaysUnasked)),
}

IN_DOUBT = planted((engine_parts, "Mover", ResumesInDoubt))
"""Too rare by chance: tests/agents_sim/test_moves.py tells a story in which it happens."""

MANY: dict[str, Any] = {"moves_weight": 20}
MOVES_FOCUS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            "mailbox-handed-on-twice",
            "mailbox-dropped",
            "activated-before-the-bind",
            "source-goes-on",
        ),
        MANY,
    ),
}
