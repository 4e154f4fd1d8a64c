"""Registers whose written values are unique, judged without search, in O(n log n).

The law of this file: what it finds is a violation, whatever else is in the history; when there are
only reads and writes, finding nothing is a proof.

After Gibbons & Korach, "Testing Shared Memories", 1997: a write and the reads that saw it are a
cluster. Its zone runs from the first end to the last beginning of its operations. During a forward
zone (first end before last beginning) the register certainly held the cluster's value, so two
forward zones may not overlap, and no other cluster fits into one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from quorate.consistency.check.history import NEVER, Operation
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.values import show
from quorate.consistency.check.verdict import Anomaly

READ, WRITE, SWAP, KEPT = 0, 1, 2, 3
"""As in `register`."""


@dataclass(slots=True)
class _Cluster:
    """A value: who wrote it, who saw it."""

    value: int
    writer: Operation | None = None
    observers: list[Operation] = field(default_factory=list[Operation])
    low: int = NEVER
    """The first end."""
    high: int = -1
    """The last beginning."""
    first: Operation | None = None
    """Whose end `low` is."""
    last: Operation | None = None
    """Whose beginning `high` is."""

    def add(self, op: Operation) -> None:
        if op.ended < self.low:
            self.low, self.first = op.ended, op
        if op.invoked > self.high:
            self.high, self.last = op.invoked, op

    def operations(self) -> tuple[Operation, ...]:
        some = {id(op): op for op in (self.writer, self.first, self.last) if op is not None}
        return tuple(some.values())


def check(
    operations: Sequence[Operation],
    codes: Sequence[tuple[int, int, int]],
    initial: int,
    values: Sequence[Any],
) -> tuple[list[Anomaly], bool]:
    """(violations, whether there being none proves linearizability)."""
    clusters: dict[int, _Cluster] = {initial: _Cluster(initial, low=-1)}
    observed: list[tuple[Operation, int]] = []
    conclusive = True
    written: set[int] = {initial}
    for op, (what, value, new) in zip(operations, codes, strict=True):
        if what in (READ, SWAP):
            observed.append((op, value))
        if what == KEPT:
            conclusive = False
        elif what != READ:
            conclusive = conclusive and what == WRITE
            output = value if what == WRITE else new
            if output in written:
                return [], False
            written.add(output)
            clusters[output] = _Cluster(output, op)
            clusters[output].add(op)
    found: list[Anomaly] = []
    for op, value in observed:
        cluster = clusters.get(value)
        if cluster is None:
            found.append(_anomaly("phantom-value", f"{_name(op)} saw what nobody wrote", op))
        elif cluster.writer is not None and op.ended < cluster.writer.invoked:
            text = f"{_name(op)} ended before {_name(cluster.writer)} began"
            found.append(_anomaly("read-from-the-future", text, op, cluster.writer))
        elif cluster.writer is not op:
            cluster.observers.append(op)
            cluster.add(op)
    if found:
        return found, True
    return _overlaps(list(clusters.values()), values), conclusive


def _overlaps(clusters: list[_Cluster], values: Sequence[Any]) -> list[Anomaly]:
    forward = sorted((c for c in clusters if c.low < c.high), key=lambda c: c.low)
    for one, other in pairwise(forward):
        if other.low < one.high:
            return [_between(other, one, values)]
    lows = [cluster.low for cluster in forward]
    for inner in clusters:
        if inner.low < inner.high or inner.writer is None or inner.low == NEVER:
            continue
        at = bisect_left(lows, inner.high) - 1
        if at >= 0 and forward[at].high > inner.low:
            return [_between(inner, forward[at], values)]
    return []


def _between(inner: _Cluster, outer: _Cluster, values: Sequence[Any]) -> Anomaly:
    """`inner` happened at a moment at which the register certainly held the value of `outer`."""
    first = "the beginning" if outer.first is None else f"the end of {_name(outer.first)}"
    last = "" if outer.last is None else _name(outer.last)
    middle = [op for op in (inner.first, inner.last) if op is not None]
    text = (
        f"the register held {show(values[outer.value])} from {first} to the beginning of {last}, "
        f"and yet {show(values[inner.value])} in between: {_name(middle[0])}"
    )
    operations = {id(op): op for op in (*outer.operations(), *inner.operations())}
    return _anomaly("stale-read", text, *operations.values())


def _name(op: Operation) -> str:
    return f"{describe(op)!r} ({op.where})"


def _anomaly(kind: str, text: str, *operations: Operation) -> Anomaly:
    return Anomaly(kind, text, tuple(sorted(operations, key=lambda op: op.invoked)))
