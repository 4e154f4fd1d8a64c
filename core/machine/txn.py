"""Transactions: if all compares hold do one list of operations, else the other; one revision, all
or nothing.

The law of this file: whatever could refuse a write is asked before the first write. Reads in a
transaction see its earlier writes; a read past the byte limit answers `too_large` in its place and
changes nothing else.
"""

from __future__ import annotations

from typing import Any

from quorate.core.machine import ops
from quorate.core.machine.compares import holds
from quorate.core.machine.effects import Effects
from quorate.core.machine.kv import KvSpace, stored_key
from quorate.core.machine.limits import TXN_READ_BYTES_MAX
from quorate.core.machine.results import TOO_LARGE, Result
from quorate.core.machine.store import KV


class Transactions:
    """Runs transactions over a key-value space."""

    __slots__ = ("_fx", "_kv", "_run_by_op")

    def __init__(self, fx: Effects, kv: KvSpace) -> None:
        self._fx = fx
        self._kv = kv
        self._run_by_op = {
            ops.PUT: self._put,
            ops.DELETE: self._delete,
            ops.GET: self._get,
            ops.RANGE: self._range,
        }

    def run(self, command: list[Any]) -> Result:
        """[revision, whether the compares held, [result of each operation]]

        Results: put [version]; delete [previous version]; get None or [value, create, mod, version,
        lease]; range [[key, value, create, mod, version, lease], ...], cut at its number of keys.
        """
        _, _, compares, then, otherwise = command
        held = all(
            holds(self._kv.record(ns, key), target, operator, operand)
            for ns, key, target, operator, operand in compares
        )
        branch = then if held else otherwise
        refused = self._lease_refusal(branch)
        if refused is not None:
            return refused
        fx = self._fx
        before = len(fx.events)
        fx.revision += 1
        results = [self._run_by_op[operation[0]](operation) for operation in branch]
        if len(fx.events) == before:
            fx.revision -= 1  # it only read
        return [fx.revision, held, results]

    def _lease_refusal(self, branch: list[list[Any]]) -> Result | None:
        wanted: dict[int, int] = {}
        for operation in branch:
            if operation[0] == ops.PUT and operation[4]:
                wanted[operation[4]] = wanted.get(operation[4], 0) + 1
        for lease, more in wanted.items():
            refused = self._kv.lease_refusal(lease, more)
            if refused is not None:
                return refused
        return None

    def _put(self, operation: list[Any]) -> Result:
        _, ns, key, value, lease = operation
        return [self._kv.write(self._fx.revision, ns, key, value, lease)]

    def _delete(self, operation: list[Any]) -> Result:
        _, ns, key, _ = operation
        stored = stored_key(ns, key)
        data = self._fx.get(KV, stored)
        return [0 if data is None else self._kv.erase(ns, key, stored, data)]

    def _get(self, operation: list[Any]) -> Result | None:
        _, ns, key = operation
        record = self._kv.record(ns, key)
        if record is None:
            return None
        return list(record[1:]) if self._fits(len(record.value) + 64) else TOO_LARGE

    def _range(self, operation: list[Any]) -> Result:
        _, ns, start, stop, keys_max = operation
        found: list[list[Any]] = []
        for page in self._kv.pages(ns, start, stop):
            for record in page[: keys_max - len(found)]:
                if not self._fits(len(record.key) + len(record.value) + 64):
                    return TOO_LARGE
                found.append(list(record))
            if len(found) == keys_max:
                break
        return found

    def _fits(self, size_bytes: int) -> bool:
        fx = self._fx
        if fx.carried_bytes + size_bytes > TXN_READ_BYTES_MAX:
            return False
        fx.carried_bytes += size_bytes
        return True
