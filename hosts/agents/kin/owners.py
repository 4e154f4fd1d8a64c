"""What an agent may belong to, as the group names it.

The law of this file: `owner=` is looked at once, here: an agent (its name, a proxy, itself), a
lease, a session, a task, or several of them. What has ended already is refused before anything is
changed; what ends later, the group decides in the order of its log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, cast

from quorate.consistency.store.session import Session
from quorate.core.errors import LimitExceeded, OwnerDead, UsageError
from quorate.core.group.leases import Lease
from quorate.core.machine.agent_owners import agent_owner, lease_owner
from quorate.core.machine.limits import AGENT_OWNERS_MAX
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.kin.owner_leases import OwnerLeases
from quorate.hosts.agents.names import check_name, home_of
from quorate.hosts.agents.proxy import AgentProxy
from quorate.hosts.agents.turns import current_turn

LEASE: Final = "lease:"


async def owners_of(owner: Any, leases: OwnerLeases, until: float) -> tuple[str, ...]:
    """What the group is told: `agent:<name>` and `lease:<id>`, each once. Raises `UsageError`,
    `LimitExceeded`, `OwnerDead`, `Unavailable`."""
    found: dict[str, None] = {}
    wanted = list(_each(owner))
    if len(wanted) > AGENT_OWNERS_MAX:
        raise LimitExceeded(f"{len(wanted)} owners: an agent has {AGENT_OWNERS_MAX} at most")
    for one in wanted:
        found[await _named(one, leases, until)] = None
    return tuple(found)


def _each(owner: Any) -> Iterable[Any]:
    if owner is None:
        return ()
    if isinstance(owner, list | tuple | set | frozenset):
        return cast("Iterable[Any]", owner)
    return (owner,)


async def _named(owner: Any, leases: OwnerLeases, until: float) -> str:
    if isinstance(owner, Lease):
        if owner.lost:
            raise OwnerDead(f"lease {owner.id} is lost: {owner.lost}")
        return lease_owner(owner.id)
    if isinstance(owner, int) and not isinstance(owner, bool) and owner > 0:
        return lease_owner(owner)  # the id of a lease that somebody else renews
    if isinstance(owner, Session):
        return lease_owner((await leases.lease_of(owner, until)).id)
    if isinstance(owner, asyncio.Task):
        task = cast("asyncio.Task[Any]", owner)
        _check_task(task)
        return lease_owner((await leases.lease_of(task, until)).id)
    return agent_owner(name_of(owner, "owner="))


def _check_task(task: asyncio.Task[Any]) -> None:
    turn = current_turn.get()
    if turn is not None and task is asyncio.current_task():
        raise UsageError(
            f"owner=: this task runs the turns of agent {turn.activation.name!r} as long as it is "
            "in memory: give owner=self"
        )


def name_of(agent: Any, what: str) -> str:
    """The name of an agent that is given by name, as a proxy, or as itself. Raises `UsageError`."""
    if isinstance(agent, AgentProxy | Agent):
        name: object = agent.name
    else:
        name = agent
    if not isinstance(name, str):
        raise UsageError(
            f"{what} is an agent (a proxy or its name), a lease, a session, a task, or several of "
            f"them, not {type(agent).__name__}"
        )
    if home_of(name) is not None:
        raise UsageError(f"{what}: {name!r} is an agent without a name: nothing can belong to it")
    return check_name(name)


def leases_in(owners: Iterable[str]) -> list[int]:
    """The leases among a record's owners."""
    return [int(owner[len(LEASE) :]) for owner in owners if owner.startswith(LEASE)]
