"""Registers: read, write and compare-and-set on the group's keys, linearizable per key.

The law of this file: every value is written once, keys are left for new ones before their history
grows too long to search, and every write says where in the log it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from quorate.chaos.workloads.workload import CALL_S, Workload
from quorate.consistency.check import models
from quorate.consistency.check.history import History
from quorate.consistency.check.verdict import Verdict
from quorate.core.errors import Refused

if TYPE_CHECKING:
    from quorate.chaos.lab.client import Client

KEYS = 4
"""In use at one time."""
ROUND_CALLS = 40
"""Of one client on its keys before it goes on to the next ones."""


class RegisterWorkload(Workload):
    """Read 45 %, write 30 %, compare-and-set 25 %."""

    name: ClassVar[str] = "register"
    promise: ClassVar[str] = "read, write and cas are linearizable per key, with unknown outcomes"

    async def invoke(self, client: Client) -> None:
        kv, number = client.host.kv, client.number()
        key = f"r/{number // ROUND_CALLS}/{client.rng.randrange(KEYS)}"
        dice = client.rng.random()
        if dice < 0.45:
            async with client.op("read", key) as op:
                value = await kv.get(key, timeout=CALL_S)
                client.here[key] = value
                op.ok(value)
            return
        value = f"{client.id}#{number}"
        if dice < 0.75:
            async with client.op("write", key, value) as op:
                receipt = await kv.put(key, value, timeout=CALL_S)
                op.ok(witness=(receipt.term, receipt.index, receipt.revision))
            return
        expected = client.here.get(key)
        async with client.op("cas", key, [expected, value]) as op:
            try:
                receipt = await kv.cas(key, value, expected=expected, timeout=CALL_S)
            except Refused:
                op.ok(False)
            else:
                op.ok(True, witness=(receipt.term, receipt.index, receipt.revision))

    def check(self, history: History) -> Verdict:
        return models.check("register", history)
