"""Random commands about few agents, leases and keys, so that they meet.

The law of this file: everything comes from the handed-in generator and the machine's present state
(epochs are mostly the present ones).
"""

from __future__ import annotations

from random import Random
from typing import Any

from quorate.core.machine import agent_commands as a
from quorate.core.machine import commands as c
from quorate.core.machine.commands import Command
from quorate.core.machine.machine import Machine

AGENTS = ("a", "b", "c", "d", "é")
LEASES = (101, 102, 103)
IDS = ("r", "s")
SPACE = "s:q"
KEYS = ("k", "l")


def random_place(rng: Random) -> tuple[str, int]:
    lease = rng.choice((0, *LEASES, *LEASES))
    return (f"host{lease}", lease) if lease else ("", 0)


def random_owner(rng: Random, name: str) -> str:
    others = [f"agent:{other}" for other in AGENTS if other != name]
    return rng.choice((*others, *others, *(f"lease:{lease}" for lease in LEASES)))


def random_epoch(rng: Random, machine: Machine, name: str) -> int:
    record = machine.agent(name)
    if record is None or rng.random() < 0.2:
        return rng.randrange(1, 60)
    return record.epoch


def random_start(rng: Random) -> Command:
    name = rng.choice(AGENTS)
    host, lease = random_place(rng)
    status = rng.choice(("starting", "placed")) if lease else "unplaced"
    owners = sorted({random_owner(rng, name) for _ in range(rng.choice((0, 0, 1, 1, 2)))})
    policy: Any = rng.choice(("fail", "fail", "use_existing", "replace"))
    orphan = rng.choice(("stop", "stop", "continue", "adopt"))
    return a.agent_start(
        name,
        "Kind",
        b"spec",
        b"m%d" % rng.randrange(3),
        host=host,
        lease=lease,
        status=status,
        owners=owners,
        orphan=orphan,
        policy=policy,
    )


def random_marks(rng: Random, machine: Machine, name: str) -> list[list[Any]]:
    marks: list[list[Any]] = []
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
        id_ = rng.choice(IDS)
        present = {reminder.id: reminder for reminder in machine.reminders(name)}
        due_ms = present[id_].due_ms if id_ in present else 5
        downs = machine.downs_for(name)
        marks.append(
            rng.choice(
                (
                    ["remind", id_, rng.randrange(20), rng.choice((0, 0, 7)), b"d"],
                    ["remind", id_, rng.randrange(20), rng.choice((0, 0, 7)), b"e"],
                    ["reminded", id_, due_ms, rng.choice((0, 0, due_ms + rng.randrange(30)))],
                    ["reminded", id_, due_ms],
                    ["forget", id_],
                    ["down", downs[0].seq if downs else rng.randrange(1, 9)],
                    ["started"],
                )
            )
        )
    return marks


def random_commit(rng: Random, machine: Machine) -> Command:
    name = rng.choice(AGENTS)
    writes = [
        [SPACE, rng.choice(KEYS), rng.choice((None, b"v%d" % rng.randrange(3))), rng.randrange(9)]
        for _ in range(rng.randrange(3))
    ]
    epoch = random_epoch(rng, machine, name)
    return a.agent_commit(name, epoch, writes, random_marks(rng, machine, name))


def random_stop(rng: Random, machine: Machine) -> Command:
    name = rng.choice(AGENTS)
    record = machine.agent(name)
    epoch = rng.choice((0, 0, random_epoch(rng, machine, name)))
    life = rng.choice((0, 0, record.life if record else 7, rng.randrange(60)))
    return a.agent_stop(name, epoch, life, rng.choice(("", "enough")))


def random_kin(rng: Random) -> Command:
    one, other = rng.sample(AGENTS, 2)
    on = rng.random() < 0.75
    return rng.choice(
        (
            a.agent_own(one, random_owner(rng, one), on=on),
            a.agent_link(one, other, on=on),
            a.agent_monitor(one, other, on=on),
        )
    )


def random_agent(rng: Random, machine: Machine) -> Command:
    """Any command about agents, or one about their leases and keys."""
    name = rng.choice(AGENTS)
    kind = rng.randrange(20)
    if kind < 5:
        return random_start(rng)
    if kind < 7:
        mode: Any = rng.choice(("move", "take"))
        return a.agent_bind(name, random_epoch(rng, machine, name), *random_place(rng), mode)
    if kind < 8:
        return random_stop(rng, machine)
    if kind < 9:
        epoch = rng.choice((0, random_epoch(rng, machine, name)))
        meta = rng.choice((None, b"n%d" % rng.randrange(3)))
        return a.agent_update(name, epoch, meta, rng.choice((None, "placed", "failed")))
    if kind < 12:
        return random_commit(rng, machine)
    if kind < 16:
        return random_kin(rng)
    if kind < 19:
        lease = rng.choice(LEASES)
        return rng.choice((c.lease_grant(1000, lease),) * 4 + (c.lease_revoke(lease),))
    key, value = rng.choice(KEYS), rng.choice((None, b"o"))
    return rng.choice((c.put_stamped(key, value, 3, SPACE), a.agent_sweep()))
