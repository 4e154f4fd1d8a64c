"""Agents on a host that is cut off from the majority, and what a heal makes of them.

The law of this file: what goes on without the group says so in every answer, writes nothing
strong, and ends when the group is back: then the group's binding is the only one, and what was done
apart is told in a report. Whoever is to pause gives its callers a definite error and not silence.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from quorate.core.errors import Partitioned, QuorateError
from quorate.hosts.agents.apart import policy as policies
from quorate.hosts.agents.names import home_of
from quorate.hosts.agents.spec import spec_of

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.engine import AgentEngine

REPORTS_KEPT: Final = 1000


class ApartReport(NamedTuple):
    """An agent that answered on a side without a majority."""

    name: str
    policy: str
    host: str
    """Where it answered while apart."""
    epoch: int
    """The epoch it was known under there."""
    since: float
    until: float
    """Seconds since the epoch."""
    turns: int
    """How many turns it ran apart."""
    wrote: bool
    """Whether some of them changed state: eventual and CRDT updates, which are merged."""
    present_host: str
    """Where the group has it now; empty if it is dead."""
    present_epoch: int


class _Apart:
    __slots__ = ("activation", "since", "stands_in", "turns_before", "writes_before")

    def __init__(self, activation: Activation, since: float, *, stands_in: bool) -> None:
        self.activation = activation
        self.since = since
        self.turns_before = activation.turns
        self.writes_before = activation.commits
        self.stands_in = stands_in


class Apart:
    """One per host. `look` is called a few times a second."""

    def __init__(self, engine: AgentEngine) -> None:
        self._engine = engine
        self._apart: dict[str, _Apart] = {}
        self.kept: deque[ApartReport] = deque(maxlen=REPORTS_KEPT)

    def policy_of(self, record: AgentRecord) -> str:
        cls = self._engine.classes.get(record.kind)
        of_class = "pause_minority" if cls is None else cls.cls.partition
        return policies.policy_of(spec_of(record.spec).partition, of_class)

    # --- going apart ------------------------------------------------------------------------------

    def look(self) -> None:
        """Whether this host is cut off, and what that means for its agents."""
        engine = self._engine
        if engine.tenancy.valid() or not engine.world.cut_off():
            if self._apart and not engine.world.cut_off():
                self._meet()
            return
        for activation in list(engine.here.values()):
            if home_of(activation.name) is not None or activation.degraded:
                continue
            policy = policies.policy_of(activation.spec.partition, activation.cls.cls.partition)
            if policies.goes_on(policy):
                self._go_on(activation, policy, stands_in=False)
            else:
                self._refuse_waiting(activation)

    def _go_on(self, activation: Activation, policy: str, *, stands_in: bool) -> None:
        wall = self._engine.group.clock.wall()
        self._apart[activation.name] = _Apart(activation, wall, stands_in=stands_in)
        activation.degraded = True
        activation.read_only = not policies.may_write(policy)
        activation.nudge()

    def _refuse_waiting(self, activation: Activation) -> None:
        """Nobody waits for a host that is cut off."""
        for message in list(activation.queue):
            if message.kind == "ask" and not message.ended:
                activation.queue.remove(message)
                message.fail(
                    Partitioned(
                        f"agent {activation.name!r} pauses: its host {self._engine.host_id!r} "
                        "reaches no majority; the message was not handled"
                    )
                )

    def stand_in(self, record: AgentRecord) -> str | None:
        """The host of this part that answers for an agent whose own host cannot be reached; None if
        its policy is to pause, or nobody here can run it."""
        engine = self._engine
        if not engine.world.cut_off() or not policies.goes_on(self.policy_of(record)):
            return None
        able = [
            row.id
            for row in engine.roster.rows.values()
            if record.kind in row.classes
            and (row.id == engine.host_id or engine.world.is_up(row.id))
        ]
        if engine.classes.get(record.kind) is not None:
            able.append(engine.host_id)
        return policies.stand_in(record.name, record.host, able)

    def activation_for(self, record: AgentRecord) -> Activation | None:
        """The activation that answers here, apart; None if that is not this host's part."""
        found = self._apart.get(record.name)
        if found is not None:
            return found.activation
        engine = self._engine
        if engine.tenancy.valid() or self.stand_in(record) != engine.host_id:
            return None
        here = engine.here.get(record.name)
        if here is None:
            here = engine.residents.bring_up(record._replace(status="placed"))
            self._go_on(here, self.policy_of(record), stands_in=True)
        return here

    # --- coming together --------------------------------------------------------------------------

    def on_held(self) -> None:
        """The lease never ended: nobody was let in, and the agents simply go on."""
        lease = self._engine.tenancy.lease
        for name, apart in list(self._apart.items()):
            if not apart.stands_in and apart.activation.record.lease == lease:
                del self._apart[name]
                apart.activation.degraded = apart.activation.read_only = False
                apart.activation.nudge()
        self._meet()

    def _meet(self) -> None:
        """The group is back: what it says about these agents holds."""
        engine = self._engine
        if engine.world.cut_off():
            return
        lease = engine.tenancy.lease
        for name, apart in list(self._apart.items()):
            activation = apart.activation
            if not apart.stands_in and lease and activation.record.lease == lease:
                continue  # whether the lease lives is not known yet
            del self._apart[name]
            self._report(apart)
            if engine.here.get(name) is activation:
                activation.degraded = activation.read_only = False
                engine.residents.lose(activation)

    def _report(self, apart: _Apart) -> None:
        engine, activation = self._engine, apart.activation
        now = engine.directory.look(activation.name)
        self.kept.append(
            ApartReport(
                activation.name,
                policies.policy_of(activation.spec.partition, activation.cls.cls.partition),
                engine.host_id,
                activation.epoch,
                apart.since,
                engine.group.clock.wall(),
                activation.turns - apart.turns_before,
                activation.commits > apart.writes_before,
                "" if now is None else now.host,
                0 if now is None else now.epoch,
            )
        )

    def is_apart(self, name: str) -> bool:
        return name in self._apart

    def explain(self, name: str) -> QuorateError:
        """What a caller in this part is told of an agent that cannot be reached."""
        return Partitioned(
            f"agent {name!r}: this host reaches no majority, and cannot reach the agent"
        )

    def statistics(self) -> dict[str, object]:
        return {"apart": len(self._apart), "reports": len(self.kept)}
