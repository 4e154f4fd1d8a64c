"""Convergence: acknowledged updates survive, and in the end every replica holds the same.

The law of this file: a `final` read shows one replica (`host`) after the system came to rest. Then

    diverged             two replicas show different values, or different `digest`s
    lost-update          an acknowledged update is gone that nothing may have undone
    resurrected-element  an element is there of which every add was known to a finished remove
    phantom-...          something is there that nobody asked for
    superseded-write     a write is there that another one had seen and replaced
    missing-conflict     a write lost against a concurrent one and is not in the conflict feed

A remove knows an add when its `versions` cover the add's `dot`. Where those were not recorded: when
the add had ended before the remove began, and was made on the same host, or in the same session, or
was the only add of an element that this host had shown before. Counters are judged as in `algebra`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from quorate.consistency.check import algebra
from quorate.consistency.check.algebra import elements, name
from quorate.consistency.check.history import History, Key, MalformedHistory, Operation
from quorate.consistency.check.registers import check_feed, check_register, check_siblings
from quorate.consistency.check.values import freeze, show
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

ADDS = ("add", "insert", "append")
COUNTS = ("increment", "decrement")
UPDATES = (*ADDS, "remove", *COUNTS, "write", "assign", "enable", "disable", "update")
READS = ("read", "final", "digest", "conflicts")


@dataclass(slots=True)
class Replicated:
    """One key: what was done to it, and what was seen of it in the end."""

    key: Key
    updates: list[Operation] = field(default_factory=list[Operation])
    reads: list[Operation] = field(default_factory=list[Operation])
    finals: list[Operation] = field(default_factory=list[Operation])
    digests: list[Operation] = field(default_factory=list[Operation])

    def drop_early(self) -> bool:
        """Leave out what was read before the system came to rest; whether there was any."""
        last = max((op.ended for op in self.updates if op.outcome == "ok"), default=-1)
        count = len(self.finals) + len(self.digests)
        self.finals = [op for op in self.finals if op.invoked > last]
        self.digests = [op for op in self.digests if op.invoked > last]
        return len(self.finals) + len(self.digests) < count

    @property
    def words(self) -> set[str]:
        return {op.f for op in self.updates}


def check(history: History, *, remove_wins: bool = False) -> Verdict:
    """Judge replicated data. `add` and `remove` (of sets), `insert` and `append` (of sequences),
    `increment` and `decrement`, `write` (one value), `assign` (siblings: a final read answers a
    list), `enable` and `disable`, `update` (anything else: only compared). `remove_wins`: a removed
    element never comes back, as in a 2P-set. Raises `MalformedHistory`."""
    keys, feeds = _collect(history)
    found: list[Anomaly] = []
    doubts: list[str] = []
    for one in keys.values():
        if one.drop_early():
            doubts.append(f"{one.key!r}: a final read began before the last update had ended")
        found += _diverged(one) + _lost_or_found(one, remove_wins=remove_wins)
        if one.words & {"write"} and feeds:
            found += check_feed(one.key, one.updates, one.finals, feeds)
        if one.updates and not one.finals and not one.digests:
            doubts.append(f"{one.key!r}: no final read: end with one on every replica")
    return judged("crdt", len(history.operations), found, history=history, unknown=doubts)


def _collect(history: History) -> tuple[dict[Key, Replicated], list[Operation]]:
    keys: dict[Key, Replicated] = {}
    feeds: list[Operation] = []
    for op in history.operations:
        if op.f not in UPDATES and op.f not in READS:
            raise MalformedHistory(
                f"{op.where}: replicated data knows {', '.join((*UPDATES, *READS))}, not {op.f!r}"
            )
        one = keys.setdefault(op.key, Replicated(op.key))
        if op.f in UPDATES:
            one.updates.append(op)
        elif op.outcome != "ok":
            continue
        elif op.f == "conflicts":
            feeds.append(op)
        else:
            {"read": one.reads, "final": one.finals, "digest": one.digests}[op.f].append(op)
    return keys, feeds


# --- equal replicas -------------------------------------------------------------------------------


def _diverged(one: Replicated) -> list[Anomaly]:
    """Sets and siblings are compared without their order."""
    unordered = bool(one.words & {"add", "remove", "assign"}) and not one.words & {
        "insert",
        "append",
    }
    found: list[Anomaly] = []
    for reads in (one.finals, one.digests):
        first = reads[0] if reads else None
        for read in reads[1:]:
            if first is None or _same(first.result, read.result, unordered=unordered):
                continue
            text = f"{name(first)} and {name(read)} differ"
            found.append(Anomaly("diverged", text, (first, read)))
            break
    return found


def _same(one: Any, other: Any, *, unordered: bool) -> bool:
    if unordered and isinstance(one, list | tuple | set) and isinstance(other, list | tuple | set):
        left, right = cast("list[Any]", one), cast("list[Any]", other)
        return Counter(map(freeze, left)) == Counter(map(freeze, right))
    return freeze(one) == freeze(other)


# --- what must be there ---------------------------------------------------------------------------


def _lost_or_found(one: Replicated, *, remove_wins: bool) -> list[Anomaly]:
    if one.words & {*ADDS, "remove"}:
        return _collection(one, remove_wins=remove_wins)
    if one.words & set(COUNTS):
        wrong = [algebra.wrong_count(read, one.updates, final=True) for read in one.finals]
        return [anomaly for anomalies in wrong for anomaly in anomalies]
    if "write" in one.words:
        return check_register(one.updates, one.finals)
    if "assign" in one.words:
        return check_siblings(one.updates, one.finals)
    return []


def _collection(one: Replicated, *, remove_wins: bool) -> list[Anomaly]:
    adds: dict[Hashable, list[Operation]] = {}
    removes: dict[Hashable, list[Operation]] = {}
    for op in one.updates:
        if op.outcome != "fail":
            into = removes if op.f == "remove" else adds
            into.setdefault(freeze(op.value), []).append(op)
    knows = _Knowledge(one, adds)
    found: list[Anomaly] = []
    for read in one.finals:
        shown = Counter(freeze(element) for element in elements(read))
        for element, times in shown.items():
            mine, gone = adds.get(element, []), removes.get(element, [])
            found += _extra(read, element, times, mine)
            if mine and _all_removed(mine, gone, knows.certainly, remove_wins=remove_wins):
                text = (
                    f"{name(read)} shows {show(read.result)}, though {name(gone[-1])} knew of "
                    f"every add of {show(mine[0].value)}"
                )
                found.append(Anomaly("resurrected-element", text, (*mine, *gone, read)))
        for element, mine in adds.items():
            gone = removes.get(element, [])
            add = None if element in shown else _survivor(mine, gone, remove_wins=remove_wins)
            if add is not None:
                text = f"{name(add)} was acknowledged, and {name(read)} does not show it"
                found.append(Anomaly("lost-update", text, (add, read)))
    return found


def _extra(
    read: Operation, element: Hashable, times: int, adds: Sequence[Operation]
) -> list[Anomaly]:
    if not adds:
        text = f"{name(read)} shows {show(element)}, which nobody added"
        return [Anomaly("phantom-element", text, (read,))]
    if times > (1 if adds[0].f == "add" else len(adds)):
        text = f"{name(read)} shows {show(element)} {times} times"
        return [Anomaly("duplicate-element", text, (*adds, read))]
    return []


def _all_removed(
    adds: Sequence[Operation],
    removes: Sequence[Operation],
    knows: Callable[[Operation, Operation], bool],
    *,
    remove_wins: bool,
) -> bool:
    done = [op for op in removes if op.outcome == "ok"]
    if remove_wins:
        return bool(done)
    return all(any(knows(remove, add) for remove in done) for add in adds)


def _survivor(
    adds: Sequence[Operation], removes: Sequence[Operation], *, remove_wins: bool
) -> Operation | None:
    """An acknowledged add that no remove can have known."""
    for add in adds:
        if add.outcome == "ok" and not any(
            remove_wins or _may_know(remove, add) for remove in removes
        ):
            return add
    return None


def _may_know(remove: Operation, add: Operation) -> bool:
    if add.dot is not None and remove.versions is not None:
        return remove.versions.get(add.dot[0], 0) >= add.dot[1]
    return not remove.ended < add.invoked


class _Knowledge:
    """Which adds a remove certainly knew."""

    def __init__(self, one: Replicated, adds: dict[Hashable, list[Operation]]) -> None:
        self._adds = adds
        self._shown: dict[tuple[str, Hashable], int] = {}
        """By host and element: when it had first been shown there."""
        for read in one.reads:
            if read.host is not None:
                for element in {freeze(e) for e in elements(read)}:
                    at = (read.host, element)
                    self._shown[at] = min(read.ended, self._shown.get(at, read.ended))

    def certainly(self, remove: Operation, add: Operation) -> bool:
        if add.dot is not None and remove.versions is not None:
            return remove.versions.get(add.dot[0], 0) >= add.dot[1]
        element = freeze(add.value)
        if remove.host is not None and len(self._adds[element]) == 1:
            shown = self._shown.get((remove.host, element))
            if shown is not None and shown < remove.invoked:
                return True
        if add.outcome != "ok" or add.ended > remove.invoked:
            return False
        return (remove.host is not None and remove.host == add.host) or (
            remove.session is not None and remove.session == add.session
        )
