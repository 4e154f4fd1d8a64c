"""Lists that are only appended to, over several keys in a transaction: strict serializability.

The law of this file: operations and answers are

    txn     [["append", key, element], ["r", key, null], ...]
            answers the same list with what the reads saw
    append  key, element
    read    key                     answers the list

An element is appended to a key once. Lists show their own history, so the order of writes is seen,
not guessed, and a cycle of dependencies is a proof: after Kingsbury & Alvaro, "Elle", 2020, and the
anomalies of Adya 1999. Edges: `ww` wrote behind, `wr` saw what it wrote, `rw` did not see what it
wrote, `rt` ended before it began. What is unknown counts only if somebody saw it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple, cast

from quorate.consistency.check import cycles, shrink
from quorate.consistency.check.graph import Graph
from quorate.consistency.check.history import History, Operation
from quorate.consistency.check.shapes import listed, malformed, rows
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.values import freeze, show
from quorate.consistency.check.verdict import Anomaly, Verdict, judged

PROJECTED_OPERATIONS_MAX = 1_000
"""What a shrinker looks at where the operations of the anomaly do not show it alone."""
TRIES_MAX = 200
Element = Hashable
Name = tuple[Any, Element]
"""(key, element): an append."""


class Read(NamedTuple):
    """What a transaction saw of a key, and what it had appended to it itself before."""

    key: Any
    elements: tuple[Element, ...]
    own: tuple[Element, ...]


@dataclass(slots=True)
class Txn:
    """An operation taken apart."""

    op: Operation
    appends: dict[Any, list[Element]] = field(default_factory=dict[Any, list[Element]])
    reads: list[Read] = field(default_factory=list[Read])

    def touched(self) -> set[Any]:
        return {*self.appends, *(read.key for read in self.reads)}


def check(history: History) -> Verdict:
    """Judge lists. Raises `MalformedHistory` for other operations, or an element appended twice."""
    anomalies, _ = _anomalies(history.operations)
    example: History | None = None
    if anomalies:
        example = history.only(_smallest(history.operations, anomalies[0]))
    return judged(
        "append", len(history.operations), anomalies, history=history, counterexample=example
    )


def _anomalies(operations: Sequence[Operation]) -> tuple[list[Anomaly], list[Txn]]:
    txns = [_take_apart(op) for op in operations]
    writers = _writers(txns)
    found: list[Anomaly] = []
    for txn in txns:
        found += _own_appends(txn)
        found += _elements(txn, txns, writers)
    orders, clashes = _orders(txns)
    found += clashes
    found += _lost(txns, orders)
    if not clashes:
        graph = _graph(txns, writers, orders)
        found += cycles.check(graph, [txn.op for txn in txns], real=len(txns))
    return found, txns


# --- one transaction ------------------------------------------------------------------------------


def _take_apart(op: Operation) -> Txn:
    txn = Txn(op)
    steps, answers = _steps(op)
    for step, answer in zip(steps, answers, strict=True):
        what, key = step[0], step[1]
        own = txn.appends.get(key, [])
        if what == "append":
            txn.appends.setdefault(key, []).append(freeze(step[2]))
        elif op.outcome == "ok":
            seen = answer[2] if len(answer) > 2 else None
            items = [] if seen is None else listed(op, seen, "a read answers a list")
            txn.reads.append(Read(key, tuple(freeze(item) for item in items), tuple(own)))
    return txn


def _steps(op: Operation) -> tuple[list[list[Any]], list[list[Any]]]:
    if op.f == "append":
        steps = [["append", op.key, op.value]]
        return steps, steps
    if op.f == "read":
        return [["r", op.key, None]], [["r", op.key, op.result]]
    if op.f != "txn":
        raise malformed(op, f"lists know txn, append and read, not {op.f!r}")
    wanted = 'a txn is a list of ["append", key, x] and ["r", key]'
    steps = rows(op, op.value, wanted, key_at=1)
    for step in steps:
        if step[0] not in ("append", "r") or len(step) not in ((3,) if step[0] != "r" else (2, 3)):
            raise malformed(op, f"{wanted}, not {show(step)}")
    if op.outcome != "ok":
        return steps, steps
    wanted = "a txn answers its own steps with what they saw"
    answers = rows(op, op.result, wanted, key_at=1)
    if [answer[:2] for answer in answers] != [step[:2] for step in steps]:
        raise malformed(op, f"{wanted}, not {show(answers)}")
    return steps, answers


def _writers(txns: Sequence[Txn]) -> dict[Name, int]:
    writers: dict[Name, int] = {}
    for number, txn in enumerate(txns):
        for key, elements in txn.appends.items():
            for element in elements:
                if (key, element) in writers:
                    other = txns[writers[key, element]].op
                    raise malformed(
                        txn.op,
                        f"{show(element)} is appended to {key!r} here and at {other.where}: "
                        f"append every element once",
                    )
                writers[key, element] = number
    return writers


def _own_appends(txn: Txn) -> list[Anomaly]:
    """A transaction sees what it appended itself, and the same list twice."""
    found: list[Anomaly] = []
    before: dict[Any, tuple[Element, ...]] = {}
    for key, elements, own in txn.reads:
        others = elements[: len(elements) - len(own)]
        known = before.setdefault(key, others)
        if (own and elements[-len(own) :] != own) or others != known:
            text = f"{_name(txn.op)} does not see its own effects on {key!r}"
            found.append(Anomaly("internal", text, (txn.op,)))
    return found


def _elements(txn: Txn, txns: Sequence[Txn], writers: dict[Name, int]) -> list[Anomaly]:
    """Nothing that nobody appended, or that failed, and nothing twice."""
    found: list[Anomaly] = []
    for key, elements, _ in txn.reads:
        if len(set(elements)) != len(elements):
            twice = next(e for e in elements if elements.count(e) > 1)
            text = f"{_name(txn.op)} sees {show(twice)} of {key!r} twice"
            found.append(Anomaly("duplicate-element", text, (txn.op,)))
        for element in elements:
            if (key, element) not in writers:
                text = f"{_name(txn.op)} sees {show(element)} in {key!r}, which nobody appended"
                found.append(Anomaly("phantom-element", text, (txn.op,)))
                continue
            writer = txns[writers[key, element]]
            if writer.op.outcome == "fail":
                text = f"{_name(txn.op)} sees {show(element)} of {_name(writer.op)}, which failed"
                found.append(Anomaly("G1a", text, (writer.op, txn.op)))
        found += _halfway(txn, key, elements, txns, writers)
    return found


def _halfway(
    txn: Txn, key: Any, elements: Sequence[Element], txns: Sequence[Txn], writers: dict[Name, int]
) -> list[Anomaly]:
    """The last element seen is the last its transaction appended."""
    last = elements[-1] if elements else None
    writer = txns[writers[key, last]] if (key, last) in writers else txn
    if writer is txn or writer.appends[key][-1] == last:
        return []
    text = f"{_name(txn.op)} sees {key!r} as it was in the middle of {_name(writer.op)}"
    return [Anomaly("G1b", text, (writer.op, txn.op))]


# --- the order of each list -----------------------------------------------------------------------


@dataclass(slots=True)
class Order:
    """The longest list seen of a key, and by whom."""

    elements: tuple[Element, ...]
    reader: Operation


def _orders(txns: Sequence[Txn]) -> tuple[dict[Any, Order], list[Anomaly]]:
    """Every list seen is a beginning of the longest one."""
    orders: dict[Any, Order] = {}
    for txn in txns:
        for key, elements, _ in txn.reads:
            if key not in orders or len(elements) > len(orders[key].elements):
                orders[key] = Order(elements, txn.op)
    found: list[Anomaly] = []
    for txn in txns:
        for key, elements, _ in txn.reads:
            order = orders[key]
            if elements != order.elements[: len(elements)]:
                text = (
                    f"{_name(txn.op)} and {_name(order.reader)} see {key!r} in orders that exclude "
                    f"each other"
                )
                found.append(Anomaly("incompatible-order", text, (txn.op, order.reader)))
    return orders, found


def _lost(txns: Sequence[Txn], orders: dict[Any, Order]) -> list[Anomaly]:
    """An acknowledged element is in every list that was read after it was acknowledged."""
    places = {key: {e: n for n, e in enumerate(o.elements)} for key, o in orders.items()}
    latest: dict[Any, Read] = {}
    readers: dict[Any, Operation] = {}
    for txn in txns:
        for read in txn.reads:
            if read.key not in readers or txn.op.invoked > readers[read.key].invoked:
                latest[read.key], readers[read.key] = read, txn.op
    found: list[Anomaly] = []
    for txn in txns:
        if txn.op.outcome != "ok":
            continue
        for key, elements in txn.appends.items():
            reader = readers.get(key)
            if reader is None or reader.invoked <= txn.op.ended:
                continue
            for element in elements:
                if element in places[key] or element in latest[key].elements:
                    continue
                text = (
                    f"{show(element)} was acknowledged by {_name(txn.op)} and is in no list of "
                    f"{key!r}, though {_name(reader)} began later"
                )
                found.append(Anomaly("lost-element", text, (txn.op, reader)))
    return found


# --- dependencies ---------------------------------------------------------------------------------


def _graph(txns: list[Txn], writers: dict[Name, int], orders: dict[Any, Order]) -> Graph:
    """Edges between transactions. Behind the last element seen of each key stands a node for all
    that was acknowledged and never seen: numbers from `len(txns)` on."""
    spare = {key: len(txns) + number for number, key in enumerate(orders)}
    graph = Graph(len(txns) + len(spare))
    unseen = _unseen(txns, orders)
    for key, order in orders.items():
        chain = [writers.get((key, element)) for element in order.elements]
        for n, (one, other) in enumerate(pairwise(chain)):
            if one is not None and other is not None:
                why = f"appended {show(order.elements[n + 1])} behind {show(order.elements[n])}"
                graph.add(one, other, "ww", f"{why} of {key!r}")
        last = chain[-1] if chain else None
        if last is not None and last not in unseen[key]:
            graph.add(last, spare[key], "ww", f"what was never seen of {key!r} is behind")
        for number in unseen[key]:
            graph.add(spare[key], number, "ww", f"appended to {key!r} what was never seen")
    for number, txn in enumerate(txns):
        for read in txn.reads:
            _reads(graph, number, read, writers, orders[read.key])
            if len(read.elements) < len(orders[read.key].elements):
                continue
            mine = number in unseen[read.key]
            for target in unseen[read.key] if mine else (spare[read.key],):
                graph.add(number, target, "rw", f"did not see the rest of {read.key!r}")
    cycles.real_time(graph, [txn.op for txn in txns])
    return graph


def _unseen(txns: list[Txn], orders: dict[Any, Order]) -> dict[Any, list[int]]:
    """By key: who was acknowledged and appended what nobody saw. It is behind all that was seen."""
    seen = {key: set(order.elements) for key, order in orders.items()}
    unseen: dict[Any, list[int]] = {key: [] for key in orders}
    for number, txn in enumerate(txns):
        if txn.op.outcome != "ok":
            continue
        for key, elements in txn.appends.items():
            if key in seen and any(element not in seen[key] for element in elements):
                unseen[key].append(number)
    return unseen


def _reads(graph: Graph, number: int, read: Read, writers: dict[Name, int], order: Order) -> None:
    """The last writer it saw comes before it; the next writer after it."""
    count = len(read.elements) - len(read.own)
    writer = writers.get((read.key, read.elements[count - 1])) if count > 0 else None
    if writer is not None:
        graph.add(writer, number, "wr", f"saw its append to {read.key!r}")
    behind = len(read.elements)
    if behind < len(order.elements):
        writer = writers.get((read.key, order.elements[behind]))
        if writer is not None:
            graph.add(number, writer, "rw", f"did not see its append to {read.key!r}")


# --- small counterexamples ------------------------------------------------------------------------


def _smallest(operations: Sequence[Operation], anomaly: Anomaly) -> list[Operation]:
    """As few transactions as show an anomaly of the same kind, once all others and their elements
    are taken out of every list."""

    def fails(kept: Sequence[Operation]) -> bool:
        found, _ = _anomalies(project(kept))
        return any(one.kind == anomaly.kind for one in found)

    if anomaly.kind == "phantom-element":
        return list(anomaly.operations)
    orders, _ = _orders([_take_apart(op) for op in operations])
    keys = {key for op in anomaly.operations for key in _take_apart(op).touched()}
    witnesses = {orders[key].reader for key in keys if key in orders}
    for some in (set(anomaly.operations) | witnesses, set(operations[:PROJECTED_OPERATIONS_MAX])):
        start = sorted(some, key=lambda op: op.invoked)
        if fails(start):
            return project(shrink.minimise(start, fails, shrink.Tries(TRIES_MAX)))
    return list(anomaly.operations)


def project(operations: Sequence[Operation]) -> list[Operation]:
    """The history of these operations alone: of the lists they saw, only what they appended."""
    txns = [_take_apart(op) for op in operations]
    names = {(key, e) for txn in txns for key, elements in txn.appends.items() for e in elements}
    kept: list[Operation] = []
    for op in operations:
        if op.outcome != "ok" or op.f == "append":
            kept.append(op)
        elif op.f == "read":
            kept.append(replace(op, result=_only(op.key, op.result, names)))
        else:
            answers = [
                [*step[:2], _only(step[1], step[2], names)] if step[0] == "r" else step
                for step in cast("list[list[Any]]", op.result)
            ]
            kept.append(replace(op, result=answers))
    return kept


def _only(key: Any, elements: Any, names: set[Name]) -> list[Any]:
    return [e for e in cast("list[Any]", elements or []) if (key, freeze(e)) in names]


def _name(op: Operation) -> str:
    return f"{describe(op)!r} ({op.where})"
