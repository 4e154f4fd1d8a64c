"""Sets and counters: what was acknowledged is there, what is there was asked for, each once.

The law of this file: acknowledged within final within attempted. Unknown updates count zero or one
times each. A final value is a `final` read, or a `read` that began after every update had ended;
earlier reads must only show what had been asked for by then, and at the strong levels also what had
been acknowledged before they began (after Jepsen's set, set-full and counter checkers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, cast

from quorate.consistency.check.history import (
    NEVER,
    History,
    Key,
    MalformedHistory,
    Operation,
)
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.values import freeze, show
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

STRONG = ("strong", "linearizable")
SUMS_MAX = 20_000
"""More possible sums of unknown increments than this are judged as an interval."""


def by_key(history: History, known: tuple[str, ...], model: str) -> dict[Key, list[Operation]]:
    """Operations of each key. Raises `MalformedHistory` for others than `known`."""
    keys: dict[Key, list[Operation]] = {}
    for op in history.operations:
        if op.f not in known:
            raise MalformedHistory(
                f"{op.where}: a {model} knows {', '.join(known)}, not {op.f!r}: choose another "
                f"--model, or leave this operation out"
            )
        keys.setdefault(op.key, []).append(op)
    return keys


def split(ops: Sequence[Operation]) -> tuple[list[Operation], list[Operation], list[Operation]]:
    """(updates, finished reads, those of the reads that are final)."""
    updates = [op for op in ops if op.f not in ("read", "final")]
    reads = [op for op in ops if op.f in ("read", "final") and op.outcome == "ok"]
    last = max((op.ended for op in updates if op.ended != NEVER), default=-1)
    finals = [op for op in reads if op.f == "final"]
    return updates, reads, finals or [op for op in reads if op.invoked > last]


def elements(op: Operation) -> list[Any]:
    """What a read of a set or list answered."""
    if op.result is None:
        return []
    if not isinstance(op.result, list | tuple | set | frozenset):
        raise MalformedHistory(f"{op.where}: a read answers a list of elements, not {op.result!r}")
    return list(cast("list[Any]", op.result))


def name(op: Operation) -> str:
    return f"{describe(op)!r} ({op.where})"


# --- sets -----------------------------------------------------------------------------------------


def check_set(history: History) -> Verdict:
    """Judge sets that only grow: `add` of an element (each once), `read` and `final` of a list."""
    found: list[Anomaly] = []
    doubts: list[str] = []
    for key, ops in by_key(history, ("add", "read", "final"), "set").items():
        adds, reads, finals = split(ops)
        tried: dict[Hashable, Operation] = {}
        for op in adds:
            if freeze(op.value) in tried:
                raise MalformedHistory(
                    f"{op.where}: {show(op.value)} is added a second time: add every element once"
                )
            tried[freeze(op.value)] = op
        for op in reads:
            found += _shown(op, tried)
            if op.level in STRONG and op not in finals:
                found += _kept(op, adds)
        for op in finals:
            found += _kept(op, adds)
        if adds and not finals:
            doubts.append(f"{key!r}: nothing was read after the last add: end with a final read")
    return judged("set", len(history.operations), found, history=history, unknown=doubts)


def _shown(read: Operation, tried: dict[Hashable, Operation]) -> list[Anomaly]:
    found: list[Anomaly] = []
    for element, times in Counter(freeze(e) for e in elements(read)).items():
        add = tried.get(element)
        if add is None or add.invoked > read.ended:
            text = f"{name(read)} shows {show(element)}, which nobody had added"
            found.append(Anomaly("phantom-element", text, (read,)))
        elif add.outcome == "fail":
            text = f"{name(read)} shows {show(element)} of {name(add)}"
            found.append(Anomaly("failed-yet-applied", text, (add, read)))
        elif times > 1:
            text = f"{name(read)} shows {show(element)} {times} times"
            found.append(Anomaly("duplicate-element", text, (add, read)))
    return found


def _kept(read: Operation, adds: Sequence[Operation]) -> list[Anomaly]:
    shown = {freeze(element) for element in elements(read)}
    return [
        Anomaly(
            "lost-element",
            f"{name(add)} was acknowledged, and {name(read)} does not show it",
            (add, read),
        )
        for add in adds
        if add.outcome == "ok" and add.ended < read.invoked and freeze(add.value) not in shown
    ]


# --- counters -------------------------------------------------------------------------------------


def check_counter(history: History) -> Verdict:
    """Judge counters: `increment` and `decrement` by a whole number (1), `read` and `final`."""
    found: list[Anomaly] = []
    doubts: list[str] = []
    known = ("increment", "decrement", "read", "final")
    for key, ops in by_key(history, known, "counter").items():
        updates, reads, finals = split(ops)
        for op in reads:
            found += wrong_count(op, updates, final=op in finals)
        if updates and not finals:
            doubts.append(f"{key!r}: nothing was read after the last update: end with a final read")
    return judged("counter", len(history.operations), found, history=history, unknown=doubts)


def amount(op: Operation) -> int:
    """What an update adds. Raises `MalformedHistory`."""
    by = 1 if op.value is None else op.value
    if not isinstance(by, int) or isinstance(by, bool):
        raise MalformedHistory(f"{op.where}: {op.f} takes a whole number, not {op.value!r}")
    return -by if op.f == "decrement" else by


def wrong_count(read: Operation, updates: Sequence[Operation], *, final: bool) -> list[Anomaly]:
    """Whether no choice of what may have counted gives what was read. A final or strong read counts
    all that was acknowledged before it began."""
    if not isinstance(read.result, int) or isinstance(read.result, bool):
        raise MalformedHistory(
            f"{read.where}: a counter answers a whole number, not {read.result!r}"
        )
    must = 0
    may: list[int] = []
    for op in updates:
        if op.outcome == "fail" or op.invoked > read.ended:
            continue
        counted = final or read.level in STRONG
        if op.outcome == "ok" and op.ended < read.invoked and counted:
            must += amount(op)
        else:
            may.append(amount(op))
    low, high = must + sum(a for a in may if a < 0), must + sum(a for a in may if a > 0)
    if low <= read.result <= high and _reachable(read.result - must, may):
        return []
    kind = "lost-update" if read.result < low else "phantom-count"
    text = f"{name(read)}: {must} was acknowledged, so from {low} to {high} is possible"
    return [Anomaly(kind, text, (*(op for op in updates if op.outcome != "fail"), read))]


def _reachable(wanted: int, amounts: Sequence[int]) -> bool:
    """Whether some of the amounts add up to it; True where that is too much to find out."""
    sums = {0}
    for one in amounts:
        sums |= {before + one for before in sums}
        if wanted in sums:
            return True
        if len(sums) > SUMS_MAX:
            return True
    return wanted in sums
