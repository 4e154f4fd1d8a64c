"""Turns that count: every call adds one and answers the total, so the answers tell the order.

The law of this file: pure. No two calls answer one total; what began after another had ended
answers a higher one; a read (a `final` one too) shows at least what was answered before it began,
and at most what had been asked for by its end. That is linearizability of a counter that answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.consistency.check.history import History, Key, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged


def check_turns(history: History) -> Verdict:
    """Judge `turn` (answer: the total), `read` and `final`, per key."""
    keys: dict[Key, list[Operation]] = {}
    for op in history.operations:
        if op.f in ("turn", "read", "final"):
            keys.setdefault(op.key, []).append(op)
    found: list[Anomaly] = []
    doubts: list[str] = []
    for key, ops in keys.items():
        done = [op for op in ops if op.f == "turn" and op.outcome == "ok"]
        reads = [op for op in ops if op.f != "turn" and op.outcome == "ok"]
        found += _twice(done) + _order(done)
        found += [anomaly for read in reads for anomaly in _read(read, ops)]
        if not any(op.f == "final" for op in reads):
            doubts.append(f"{key!r}: no final read")
    count = sum(len(ops) for ops in keys.values())
    return judged("turns", count, found, history=history, unknown=doubts)


def _twice(done: Sequence[Operation]) -> list[Anomaly]:
    first: dict[int, Operation] = {}
    found: list[Anomaly] = []
    for op in done:
        other = first.setdefault(int(op.result), op)
        if other is not op:
            text = f"{op.key!r}: {other.where} and {op.where} both answer {op.result}"
            found.append(Anomaly("lost-turn", text, (other, op)))
    return found


def _order(done: Sequence[Operation]) -> list[Anomaly]:
    by_end = sorted(done, key=lambda op: op.ended)
    highest: Operation | None = None
    found: list[Anomaly] = []
    at = 0
    for op in done:
        while at < len(by_end) and by_end[at].ended < op.invoked:
            if highest is None or by_end[at].result > highest.result:
                highest = by_end[at]
            at += 1
        if highest is not None and op.result < highest.result:
            text = f"{op.key!r}: {op.where} answers {op.result} after {highest.result} was answered"
            found.append(Anomaly("stale-turn", text, (highest, op)))
    return found


def _read(read: Operation, ops: Sequence[Operation]) -> list[Anomaly]:
    turns = [op for op in ops if op.f == "turn" and op.outcome != "fail"]
    before = [op for op in turns if op.outcome == "ok" and op.ended < read.invoked]
    low = max((int(op.result) for op in before), default=0)
    low = max(low, len(before))
    high = sum(op.invoked < read.ended for op in turns)
    if low <= int(read.result) <= high:
        return []
    kind = "lost-turn" if read.result < low else "turn-made-twice"
    text = f"{read.key!r}: {read.where} shows {read.result}; from {low} to {high} is possible"
    return [Anomaly(kind, text, (*before[-3:], read))]
