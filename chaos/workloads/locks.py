"""Locks: many callers, few locks, and a resource outside that remembers the highest token.

The law of this file: tokens grow from grant to grant, and the resource accepts nothing below a
token it has accepted. Whether two believe to hold a lock at once is not asked: locks without tokens
promise nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Verdict

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

LOCKS = 6
TTL_S = 1.5
EFFECTS_MAX = 8
PAUSE_S = 0.03


class LocksWorkload(Workload):
    """Take a lock, act under its token, look at it no more than an ordinary program would."""

    name: ClassVar[str] = "locks"
    promise: ClassVar[str] = "fencing tokens grow; the resource takes none that is too old"
    rate_per_client: ClassVar[float] = 5.0

    async def invoke(self, client: Client) -> None:
        name = f"lock/{client.rng.randrange(LOCKS)}"
        ttl = TTL_S if client.rng.random() < 0.5 else None
        await hold(client, name, client.host.lock(name, ttl=ttl, timeout=CALL_S))

    def check(self, history: History) -> Verdict:
        return models.check("locks", history)


async def hold(client: Client, name: str, claim: Any) -> None:
    """Take a lock or a leadership, and act under its token a few times."""
    token = 0
    async with client.op("acquire", name) as op:
        await claim.__aenter__()
        token = claim.term if hasattr(claim, "term") else claim.token
        op.ok(token)
    if not op.done:
        return
    try:
        for _ in range(client.rng.randint(1, EFFECTS_MAX)):
            async with client.op("effect", name, token) as op:
                effect = await client.resource.effect(name, token, client.id)
                op.ok(witness=(0, effect.place))
            await client.pause(client.rng.uniform(0, PAUSE_S))
    except BaseException as error:
        await claim.__aexit__(type(error), error, error.__traceback__)
        raise
    async with client.op("release", name, token) as op:
        await claim.__aexit__(None, None, None)
        op.ok()
