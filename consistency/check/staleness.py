"""Bounded staleness: a read returns what was acknowledged long enough before it, or an error.

The law of this file: a read invoked at T returns a state that has seen every write of the key that
was acknowledged before T - ms - clock error, and lacks at most `versions` of those acknowledged
before T. The bound belongs to the reads of level `bounded`; where no read has that level, to all.
A read may bring its own bound as its argument: {"ms": 200, "versions": 10}. An error is fine; old
data never is. What reads have seen is told by `seen.py`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any, cast

from quorate.consistency.check.history import History, Key, MalformedHistory, Operation
from quorate.consistency.check.seen import Sight, is_read, is_write
from quorate.consistency.check.shapes import number
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.values import Actor, Versions
from quorate.consistency.check.verdict import Anomaly, Verdict, judged


@dataclass(slots=True)
class _Acknowledged:
    """The acknowledged writes of one actor on one key, by seq."""

    seqs: list[int] = field(default_factory=list[int])
    writes: list[Operation] = field(default_factory=list[Operation])
    end_s: list[float] = field(default_factory=list[float])
    """Of each of `writes`."""
    ends_s: list[float] = field(default_factory=list[float])
    """The same, sorted."""
    highest: list[int] = field(default_factory=list[int])
    """highest[n]: place in `writes` of the highest seq among the first n + 1 to be acknowledged."""


def check(
    history: History,
    *,
    bound_ms: float | None = None,
    bound_versions: int | None = None,
    clock_error_ms: float = 0.0,
) -> Verdict:
    """Judge the bounded reads. Raises `MalformedHistory` when a read has no bound at all."""
    sight = Sight(history.operations)
    reads = [op for op in history.operations if is_read(op) and op.outcome == "ok"]
    if any(op.level == "bounded" for op in reads):
        reads = [op for op in reads if op.level == "bounded"]
    writes, unnamed = _acknowledged(history, sight)
    found: list[Anomaly] = []
    blind = 0
    for op in reads:
        ms, versions = _bound(op, bound_ms, bound_versions)
        seen = sight.seen(op)
        if seen is None or op.key in unnamed:
            blind += 1
            continue
        known = writes.get(op.key, {})
        start_s = history.seconds(op.start)
        if ms is not None:
            found += _too_old(op, seen, known, start_s - (ms + clock_error_ms) / 1000, ms)
        if versions is not None:
            found += _too_many(op, seen, known, start_s - clock_error_ms / 1000, versions)
    doubts = [f"{blind} reads do not tell what they saw: record versions"] if blind else []
    return judged("staleness", len(reads), found, history=history, unknown=doubts)


def _bound(
    op: Operation, bound_ms: float | None, bound_versions: int | None
) -> tuple[float | None, int | None]:
    if isinstance(op.value, dict):
        own = cast("dict[str, Any]", op.value)
        wanted = 'the bound of a read is {"ms": ..., "versions": ...} of numbers'
        bound_ms = number(op, own.get("ms", bound_ms), wanted)
        own_versions = number(op, own.get("versions", bound_versions), wanted)
        bound_versions = None if own_versions is None else int(own_versions)
    if bound_ms is None and bound_versions is None:
        raise MalformedHistory(
            f"{op.where}: this read has no bound: give --bound-ms or --bound-versions, or record "
            f'{{"ms": ..., "versions": ...}} as its value'
        )
    return bound_ms, bound_versions


def _acknowledged(
    history: History, sight: Sight
) -> tuple[dict[Key, dict[Actor, _Acknowledged]], set[Key]]:
    """Acknowledged writes by key and actor, and the keys of which a write has no name."""
    named: dict[Key, dict[Actor, list[tuple[int, Operation]]]] = {}
    unnamed: set[Key] = set()
    for op in history.operations:
        if op.outcome != "ok" or is_read(op) or not is_write(op):
            continue
        name = sight.name(op)
        if not name:
            unnamed.add(op.key)
            continue
        for actor, seq in name.items():
            named.setdefault(op.key, {}).setdefault(actor, []).append((seq, op))
    built = {
        key: {actor: _sorted(history, pairs) for actor, pairs in actors.items()}
        for key, actors in named.items()
    }
    return built, unnamed


def _sorted(history: History, pairs: list[tuple[int, Operation]]) -> _Acknowledged:
    pairs.sort(key=lambda pair: (pair[0], pair[1].id))
    known = _Acknowledged(
        [seq for seq, _ in pairs],
        [op for _, op in pairs],
        [history.seconds(op.end or 0) for _, op in pairs],
    )
    by_end = sorted((op.ended, place) for place, (_, op) in enumerate(pairs))
    top = -1
    for _, place in by_end:
        known.ends_s.append(known.end_s[place])
        known.highest.append(top := max(top, place))
    return known


def _too_old(
    op: Operation,
    seen: Versions,
    known: dict[Actor, _Acknowledged],
    before_s: float,
    ms: float,
) -> list[Anomaly]:
    for actor, writes in known.items():
        acknowledged = bisect_left(writes.ends_s, before_s)
        if not acknowledged:
            continue
        place = writes.highest[acknowledged - 1]
        if writes.seqs[place] > seen.get(actor, 0):
            missed = writes.writes[place]
            text = (
                f"{_name(op)} lacks {_name(missed)}, acknowledged more than {ms:g} ms before it "
                f"began"
            )
            return [Anomaly("too-old", text, (missed, op))]
    return []


def _too_many(
    op: Operation,
    seen: Versions,
    known: dict[Actor, _Acknowledged],
    before_s: float,
    versions: int,
) -> list[Anomaly]:
    """Counts from the first write it lacks, and stops as soon as there are too many."""
    lacked: dict[int, Operation] = {}
    for actor, writes in known.items():
        acknowledged = bisect_left(writes.ends_s, before_s)
        if not acknowledged:
            continue
        first = bisect_right(writes.seqs, seen.get(actor, 0))
        for place in range(first, writes.highest[acknowledged - 1] + 1):
            missed = writes.writes[place]
            if missed.ended >= op.invoked or writes.end_s[place] >= before_s:
                continue
            lacked[missed.id] = missed
            if len(lacked) > versions:
                text = f"{_name(op)} lags more than {versions} acknowledged versions behind"
                return [Anomaly("too-many-versions", text, (*lacked.values(), op))]
    return []


def _name(op: Operation) -> str:
    return f"{describe(op)!r} ({op.where})"
