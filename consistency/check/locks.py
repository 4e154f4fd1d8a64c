"""Locks with fencing tokens: a scan of grants and of what was accepted under them.

The law of this file: `acquire` of a lock (key) answers its token, or null when it was not granted;
`release` takes it; `effect` is a write to the guarded resource that takes the token and was
accepted if it is ok. Tokens grow from grant to grant; the resource accepts nothing below a token it
has accepted. Whether two hold the lock at once is not asked: leases expire, and locks without
tokens promise nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from quorate.consistency.check.algebra import by_key, name
from quorate.consistency.check.history import History, MalformedHistory, Operation
from quorate.consistency.check.verdict import Anomaly, Verdict, judged


def check(history: History) -> Verdict:
    """Judge every lock. Raises `MalformedHistory` for a token that is not a number."""
    found: list[Anomaly] = []
    for ops in by_key(history, ("acquire", "release", "effect"), "lock").values():
        grants = [op for op in ops if op.f == "acquire" and _granted(op)]
        effects = [op for op in ops if op.f == "effect" and op.outcome == "ok"]
        tokens = {op.id: _token(op) for op in [*grants, *effects]}
        lost = [op for op in ops if op.f == "acquire" and op.outcome == "unknown"]
        found += _twice(grants, tokens)
        found += _grows(grants, tokens, "non-monotonic-token", strictly=True)
        found += _grows(effects, tokens, "fenced-effect-accepted", strictly=False)
        found += _log_order(effects, tokens)
        found += _ungranted(effects, grants, lost, tokens)
    return judged("locks", len(history.operations), found, history=history)


def _granted(op: Operation) -> bool:
    return op.outcome == "ok" and op.result is not None


def _token(op: Operation) -> int:
    token = op.result if op.f == "acquire" else op.value
    if not isinstance(token, int) or isinstance(token, bool):
        raise MalformedHistory(f"{op.where}: the token of {op.f} is a whole number, not {token!r}")
    return token


def _twice(grants: Sequence[Operation], tokens: dict[int, int]) -> list[Anomaly]:
    first: dict[int, Operation] = {}
    found: list[Anomaly] = []
    for op in grants:
        other = first.setdefault(tokens[op.id], op)
        if other is not op:
            text = f"{name(other)} and {name(op)} have one token"
            found.append(Anomaly("duplicate-token", text, (other, op)))
    return found


def _grows(
    ops: Sequence[Operation], tokens: dict[int, int], kind: str, *, strictly: bool
) -> list[Anomaly]:
    """What began after another had ended has a higher token (or an equal one)."""
    by_end = sorted(ops, key=lambda op: op.ended)
    found: list[Anomaly] = []
    ended = 0
    highest: Operation | None = None
    for op in sorted(ops, key=lambda op: op.invoked):
        while ended < len(by_end) and by_end[ended].ended < op.invoked:
            if highest is None or tokens[by_end[ended].id] > tokens[highest.id]:
                highest = by_end[ended]
            ended += 1
        if highest is None:
            continue
        mine, before = tokens[op.id], tokens[highest.id]
        if mine < before or (strictly and mine == before):
            text = f"{name(op)} has token {mine}, after {name(highest)} with {before} had ended"
            found.append(Anomaly(kind, text, (highest, op)))
    return found


def _log_order(effects: Sequence[Operation], tokens: dict[int, int]) -> list[Anomaly]:
    """Where the resource says in which order it accepted, tokens never fall."""
    placed = [(op.witness[1:], op) for op in effects if op.witness is not None]
    placed.sort(key=lambda pair: pair[0])
    found: list[Anomaly] = []
    for (_, one), (_, other) in pairwise(placed):
        if tokens[other.id] < tokens[one.id]:
            text = f"{name(other)} was accepted behind {name(one)}, with a lower token"
            found.append(Anomaly("fenced-effect-accepted", text, (one, other)))
    return found


def _ungranted(
    effects: Sequence[Operation],
    grants: Sequence[Operation],
    lost: Sequence[Operation],
    tokens: dict[int, int],
) -> list[Anomaly]:
    """A token in use was granted, or belongs to a grant whose answer was lost."""
    granted = {tokens[op.id]: op for op in grants}
    found: list[Anomaly] = []
    for op in effects:
        grant = granted.get(tokens[op.id])
        if grant is None and any(other.invoked < op.ended for other in lost):
            continue
        if grant is None or grant.invoked > op.ended:
            text = f"{name(op)} was accepted with a token that nobody had been granted"
            found.append(Anomaly("phantom-token", text, (op,)))
    return found
