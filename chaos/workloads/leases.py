"""Leases and elections: leaders that act under their term, keys that live as long as a lease.

The law of this file: terms are fencing tokens, as of locks. A key that hangs on a lease is there
for as long as its holder may rely on the lease, and gone once the lease was revoked; somebody who
looks linearizably sees both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from quorate.chaos.workloads.locks import hold
from quorate.chaos.workloads.workload import CALL_S, Workload, part
from quorate.consistency.check import models
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

ELECTIONS = 4
TTL_S = 2.0
LOOKS = 4


class LeasesWorkload(Workload):
    """Campaign and act, or hold a key by a lease, look at it, give the lease up, look again."""

    name: ClassVar[str] = "leases"
    promise: ClassVar[str] = "terms grow and fence; a key lives with its lease, and dies with it"
    rate_per_client: ClassVar[float] = 5.0

    async def invoke(self, client: Client) -> None:
        if client.rng.random() < 0.5:
            name = f"election/{client.rng.randrange(ELECTIONS)}"
            election = client.host.election(name)
            await hold(client, name, election.campaign(client.id, timeout=CALL_S))
        else:
            await self._key(client)

    async def _key(self, client: Client) -> None:
        kv, key = client.host.kv, f"leased/{client.unique()}"
        lease = None
        async with client.op("hold", key) as op:
            lease = await client.host.leases.grant(TTL_S, timeout=CALL_S)
            await kv.put(key, client.id, lease=lease.id, timeout=CALL_S)
            op.ok()
        if lease is None or not op.done:
            return
        for _ in range(LOOKS):
            async with client.op("look", key) as op:
                there = await kv.get(key, timeout=CALL_S) is not None
                op.ok([there, lease.remaining > 0])
        async with client.op("revoke", key) as op:
            await lease.revoke(timeout=CALL_S)
            op.ok()
        async with client.op("gone", key) as op:
            op.ok(await kv.get(key, timeout=CALL_S) is None)

    def check(self, history: History) -> list[Verdict]:
        terms = part(history, lambda op: op.f in ("acquire", "release", "effect"))
        return [models.check("locks", terms), check_leased(history)]


def check_leased(history: History) -> Verdict:
    """Judge `look` (answer: [is there, the holder may still rely on it]), `revoke` and `gone`
    (answer: whether it is gone) of keys that hang on a lease of their own."""
    found: list[Anomaly] = []
    revoked: dict[object, Operation] = {}
    asked = part(history, lambda op: op.f in ("hold", "look", "revoke", "gone"))
    for op in asked.operations:
        if op.outcome != "ok":
            continue
        if op.f == "revoke":
            revoked[op.key] = op
        elif op.f == "look" and op.result[1] and not op.result[0]:
            text = f"{op.key!r} is not there at {op.where}, while its lease could be relied on"
            found.append(Anomaly("died-early", text, (op,)))
        elif op.f == "gone" and not op.result and op.key in revoked:
            text = f"{op.key!r} is there at {op.where}, after its lease was revoked"
            found.append(Anomaly("outlived-its-lease", text, (revoked[op.key], op)))
    return judged("leased", len(asked.operations), found, history=asked)
