"""What the stories about agents share: a world with two hosts' leases, and short ways to start.

The law of this file: no assertions.
"""

from __future__ import annotations

from typing import Any

from quorate.core.machine import agent_commands as a
from quorate.core.machine import commands as c
from quorate.core.machine.machine import Machine
from quorate.core.machine.records import AgentRecord
from tests.machine.harness import World

ANN, BOB = 101, 102
"""The leases of the hosts `ann` and `bob`."""
SPACE = "s:q"


def two_hosts(machine_class: type[Machine] = Machine) -> World:
    world = World(machine_class)
    world.run(c.lease_grant(1000, ANN), c.lease_grant(1000, BOB))
    return world


def start(world: World, name: str, *owners: str, lease: int = ANN, **options: Any) -> AgentRecord:
    """A life of `name` on the host of the lease (0: nowhere); the record it has then."""
    host = {ANN: "ann", BOB: "bob", 0: ""}[lease]
    options = {"status": "placed" if lease else "unplaced", "kind": "K", **options}
    world.do(a.agent_start(name, host=host, lease=lease, owners=owners, **options))
    return alive(world, name)


def alive(world: World, name: str) -> AgentRecord:
    """Its record; raises if it does not live."""
    record = world.machine.agent(name)
    if record is None:
        raise LookupError(f"{name} does not live")
    return record


def lives(world: World, *names: str) -> bool:
    """Whether exactly these agents live."""
    return [record.name for record in world.machine.agents()] == sorted(names)


def commit(world: World, record: AgentRecord, *marks: list[Any], value: bytes = b"v") -> Any:
    """Write a key named as the agent, and the marks."""
    return world.do(
        a.agent_commit(record.name, record.epoch, [[SPACE, record.name, value, 1]], marks)
    )


def written(world: World, name: str) -> bool:
    """Whether a commit of the agent ever took place."""
    return world.machine.kv_get(name, SPACE) is not None


def why(world: World, name: str) -> str:
    """What the last entry says of the agent."""
    return [change for who, _, change in world.machine.agent_changes if who == name][-1]
