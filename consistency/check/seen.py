"""What a read had seen and what a write is called, out of whatever a history recorded of it.

The law of this file: versions of different keys, and of different schemes, are never compared. Per
key one scheme is used, the first that every acknowledged operation can keep:

    versions  dots and version vectors, as the store gave them
    log       the index of the (term, index) witness
    order     the order of the writes, when one session wrote them all

A read without versions has seen the write whose value it returned, if every value was written once.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

from quorate.consistency.check.history import Key, MalformedHistory, Operation
from quorate.consistency.check.values import Actor, Versions, freeze, join_into

READS = frozenset({"read", "get", "final"})
NEITHER = frozenset({"digest", "conflicts"})
Scheme = Literal["versions", "log", "order"]
LOG = "log"
ORDER = "order"


def is_read(op: Operation) -> bool:
    return op.f in READS


def is_write(op: Operation) -> bool:
    """Every update of one key. Raises `MalformedHistory` for a transaction over several."""
    if op.f == "txn":
        raise MalformedHistory(
            f"{op.where}: a transaction has no single key: record its reads and writes one by one, "
            f"or use --model kv"
        )
    return op.f not in READS and op.f not in NEITHER


class Sight:
    """The schemes and names of one history."""

    __slots__ = ("_number", "_schemes", "_writers")

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._writers: dict[tuple[Key, Hashable], Operation | None] = {}
        """By key and value; None for a value that was written twice."""
        self._number: dict[int, int] = {}
        by_key: dict[Key, list[Operation]] = {}
        for op in operations:
            if op.outcome != "fail" and is_write(op):
                by_key.setdefault(op.key, []).append(op)
                name = (op.key, freeze(op.value))
                self._writers[name] = None if name in self._writers else op
        self._schemes = {key: self._scheme(writes) for key, writes in by_key.items()}

    def _scheme(self, writes: list[Operation]) -> Scheme | None:
        done = [op for op in writes if op.outcome == "ok"]
        if all(op.dot is not None or op.versions is not None for op in done):
            return "versions"
        if all(op.witness is not None for op in done):
            return "log"
        if len({op.session for op in writes}) == 1 and len({op.process for op in writes}) == 1:
            for number, op in enumerate(writes, 1):
                self._number[op.id] = number
            return "order"
        return None

    def name(self, op: Operation) -> Versions | None:
        """The least vector that has seen this write; None if nothing tells."""
        scheme = self._schemes.get(op.key)
        if scheme == "log":
            return None if op.witness is None else {LOG: op.witness[1]}
        if scheme == "order":
            return {ORDER: self._number[op.id]} if op.id in self._number else None
        if op.dot is not None:
            return {op.dot[0]: op.dot[1]}
        return op.versions

    def seen(self, op: Operation) -> Versions | None:
        """The vector of what this read returned; None if nothing tells."""
        scheme = self._schemes.get(op.key, "versions")
        if scheme == "versions" and op.versions is not None:
            return op.versions
        if scheme == "log" and op.witness is not None:
            return {LOG: op.witness[1]}
        writer = self._writers.get((op.key, freeze(op.result)))
        if writer is None:
            unwritten = op.result is None and (op.key, None) not in self._writers
            return {} if unwritten and scheme is not None else None
        name = self.name(writer)
        if name is None:
            return None
        seen: dict[Actor, int] = dict(name)
        if scheme == "versions" and writer.versions is not None:
            join_into(seen, writer.versions)
        return seen
