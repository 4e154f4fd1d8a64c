"""Plants in the replicated machine: compare-and-set, transactions, tokens, epochs.

The law of this file: as in `leading.py`. The machine stays deterministic: every host does the same
wrong thing, so that no digest gives it away.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from quorate.chaos.agents.plants import UnfencedMachine
from quorate.chaos.plants.plant import Change
from quorate.core.machine import machine, ops, txn
from quorate.core.machine.effects import Effects
from quorate.core.machine.kv import KvSpace
from quorate.core.machine.names import Names
from quorate.core.machine.queues import Queue, Queues
from quorate.core.machine.records import Claimant, Registration
from quorate.core.machine.results import Result
from quorate.core.machine.txn import Transactions
from quorate.core.raft.replicated import lmdb_state
from quorate.hosts import folder

TOKEN = 7
LATE_TRANSACTIONS = 4


class SwapsAnyway(KvSpace):
    """Compare-and-set does not compare."""

    __slots__ = ()

    def compare_and_set(self, command: list[Any]) -> Result:
        return self.put(command[:6])


def always_holds(record: object, target: str, operator: str, operand: object) -> bool:
    """Whatever is compared."""
    return True


class HalfTransactions(Transactions):
    """Of what a transaction writes, everything but the first waits for a few more transactions."""

    def __init__(self, fx: Effects, kv: KvSpace) -> None:
        super().__init__(fx, kv)
        none_yet: list[list[list[Any]]] = [[] for _ in range(LATE_TRANSACTIONS)]
        self._late = deque(none_yet)

    def run(self, command: list[Any]) -> Result:
        for operation in self._late.popleft():
            self._fx.revision += 1
            self._run_by_op[operation[0]](operation)
        branch = command[3]
        writes = [at for at, operation in enumerate(branch) if operation[0] == ops.PUT]
        put_off = set(writes[1:])
        now = [operation for at, operation in enumerate(branch) if at not in put_off]
        result = super().run([*command[:3], now, command[4]])
        done = result[0] != "failed" and result[1]
        self._late.append([branch[at] for at in writes[1:]] if done else [])
        if done:
            for at in writes[1:]:
                result[2].insert(at, [1])
        return result


class SameToken(Queues):
    """Every grant of a lock has the same token."""

    __slots__ = ()

    def acquire(self, command: list[Any]) -> Result:
        result = super().acquire(command)
        if self._kind == "lock" and len(result) == 3 and result[0] != "failed" and result[1]:
            return [result[0], TOKEN, result[2]]
        return result

    def _grant(self, name: str, claimant: Claimant, waiters: list[Claimant]) -> None:
        super()._grant(name, claimant, waiters)
        if self._kind == "lock":
            self._put(name, Queue(TOKEN, claimant, waiters))


class GrantsTwice(Queues):
    """A lock that is held is granted to the next one that comes as well."""

    __slots__ = ()

    def acquire(self, command: list[Any]) -> Result:
        queue = self.get(command[2])
        if self._kind == "lock" and queue is not None and not queue.waiters:
            token = self._fx.next_revision()
            return [token, queue.token, 0]
        return super().acquire(command)


class SameEpoch(Names):
    """Every binding of a name has the same epoch."""

    __slots__ = ()

    def _put(self, registration: Registration) -> None:
        super()._put(registration._replace(epoch=TOKEN))

    def _answer(self, registration: Registration) -> list[Any]:
        return super()._answer(registration._replace(epoch=TOKEN))


UNFENCED = Change(folder, "lmdb_state", partial(lmdb_state, machine=UnfencedMachine))
CHANGES: dict[str, tuple[Change, ...]] = {
    "cas-does-not-compare": (Change(machine, "KvSpace", SwapsAnyway),),
    "transactions-do-not-compare": (Change(txn, "holds", always_holds),),
    "transactions-in-halves": (Change(machine, "Transactions", HalfTransactions),),
    "lock-without-fencing": (Change(machine, "Queues", SameToken),),
    "lock-granted-twice": (Change(machine, "Queues", GrantsTwice),),
    "epoch-not-raised": (Change(machine, "Names", SameEpoch),),
}
