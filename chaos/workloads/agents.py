"""Agents: turns that count, acts outside under their epoch, moves, and owners that die.

The law of this file: a turn is made once and its answer is the order of the turns; the resource
outside takes nothing of an epoch that is over; what was owned by an agent that was ended is gone
everywhere in the end, and answers nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.lab.client import here
from quorate.chaos.workloads.fencing import check_fencing
from quorate.chaos.workloads.turns import check_turns
from quorate.chaos.workloads.workload import CALL_S, Workload, part
from quorate.consistency.check.history import History, Key, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged
from quorate.core.errors import AgentNotFound
from quorate.hosts.agents.agent import Agent, shared

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

TELLERS = 9
ACTS = 3
ACT_PAUSE_S = 0.01
OWNED = 2
PREFIX = "own/"


class Teller(Agent):
    """Counts its turns strongly, and acts outside."""

    kind = "chaos.Teller"

    async def turn(self) -> int:
        total = int(await self.state.get("total", default=0)) + 1
        await self.state.put("total", total, consistency="strong")
        return total

    @shared
    async def total(self) -> int:
        return int(await self.state.get("total", default=0))

    async def act(self) -> int:
        """A few effects under this activation's token, which is not looked at in between: what
        comes too late has to be refused."""
        token, client = self.fence.token, here("act")
        for _ in range(ACTS):
            async with client.op("effect", self.name, token) as op:
                effect = await client.resource.effect(self.name, token, self.host_id)
                op.ok(witness=(0, effect.place))
            await client.pause(ACT_PAUSE_S)
        return token


class Owned(Agent):
    """Does nothing, and belongs to somebody."""

    kind = "chaos.Owned"

    async def ping(self) -> str:
        return self.name


class AgentsWorkload(Workload):
    """Turns 60 %, reads, acts, moves, and now and then a small family that ends."""

    name: ClassVar[str] = "agents"
    promise: ClassVar[str] = "each turn once, one activation's effects, no orphan, none lost moving"
    agents: ClassVar[tuple[type[Agent], ...]] = (Teller, Owned)
    rate_per_client: ClassVar[float] = 10.0

    async def setup(self, client: Client) -> None:
        for number in range(TELLERS):
            await client.host.agents.start(Teller, f"teller/{number}", timeout=2 * CALL_S)

    async def invoke(self, client: Client) -> None:
        name, dice = f"teller/{client.rng.randrange(TELLERS)}", client.rng.random()
        proxy = client.host.agents.get(name).options(timeout=CALL_S)
        if dice < 0.6:
            async with client.op("turn", name) as op:
                op.ok(await proxy.turn())
        elif dice < 0.8:
            async with client.op("read", name) as op:
                op.ok(await proxy.total())
        elif dice < 0.95:
            async with client.op("act", name) as op:
                op.ok(await proxy.act())
        elif dice < 0.98:
            to = client.rng.choice(client.peers)
            async with client.op("move", name, to) as op:
                place = await client.host.agents.move(name, to, timeout=CALL_S)
                op.ok([place.host, place.epoch])
        else:
            await self._family(client)

    async def _family(self, client: Client) -> None:
        """An owner and what it owns; the owner is ended; then its children are called."""
        agents, owner = client.host.agents, PREFIX + client.unique()
        children = [f"{owner}/{number}" for number in range(OWNED)]
        async with client.op("begin", owner) as op:
            await agents.start(Owned, owner, timeout=CALL_S)
            op.ok()
        if not op.done:
            return
        for child in children:
            async with client.op("own", owner, child) as op:
                await agents.start(Owned, child, owner=owner, timeout=CALL_S)
                op.ok()
        async with client.op("end", owner) as op:
            op.ok(await agents.stop(owner, "the end of the family", timeout=CALL_S))
        if not op.done:
            return
        for child in children:
            async with client.op("ping", owner, child) as op:
                try:
                    op.ok(await agents.get(child).options(timeout=CALL_S).ping())
                except AgentNotFound:
                    op.ok(None)

    async def final_reads(self, client: Client) -> None:
        agents = client.host.agents
        for number in range(TELLERS):
            name = f"teller/{number}"
            async with client.op("final", name) as op:
                op.ok(await agents.get(name).options(timeout=2 * CALL_S).total())
        async with client.op("living", None) as op:
            await client.host.ready(CALL_S)
            op.ok([info.name for info in agents.list(prefix=PREFIX)])

    def check(self, history: History) -> list[Verdict]:
        return [
            check_turns(part(history, lambda op: op.f in ("turn", "read", "final"))),
            check_fencing(history),
            check_families(history),
        ]


def check_families(history: History) -> Verdict:
    """Judge `own` (key: owner, value: child), `end` of an owner, `ping` of a child after that, and
    `living` (the names that a host knows in the end)."""
    ended: dict[Key, Operation] = {}
    owner_of: dict[Any, Key] = {}
    found: list[Anomaly] = []
    judges = ("own", "end", "ping", "living")
    asked = part(history, lambda op: op.f in judges)
    for op in asked.operations:
        if op.f == "own":
            owner_of[op.value] = op.key
        elif op.f == "end" and op.outcome == "ok":
            ended[op.key] = op
        elif op.f == "ping" and op.outcome == "ok" and op.result is not None:
            end = ended.get(op.key)
            if end is not None and end.ended < op.invoked:
                text = f"{op.value!r} answered at {op.where}, after its owner's end at {end.where}"
                found.append(Anomaly("answer-of-the-dead", text, (end, op)))
        elif op.f == "living" and op.outcome == "ok":
            found += _orphans(op, owner_of, ended)
    living = [op for op in asked.operations if op.f == "living" and op.outcome == "ok"]
    doubts = [] if living else ["no host was asked in the end who lives"]
    return judged("families", len(asked.operations), found, history=asked, unknown=doubts)


def _orphans(
    living: Operation, owner_of: dict[Any, Key], ended: dict[Key, Operation]
) -> list[Anomaly]:
    found: list[Anomaly] = []
    for name in living.result:
        end = ended.get(owner_of.get(name, name))
        if end is not None and end.ended < living.invoked:
            what = "an orphan" if name in owner_of else "an agent that was ended"
            text = f"{what} lives at {living.where} on {living.host}: {name!r}, of {end.where}"
            found.append(Anomaly("orphan", text, (end, living)))
    return found
