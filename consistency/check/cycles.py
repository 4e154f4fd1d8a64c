"""Cycles of dependencies between transactions, and their names.

The law of this file: a graph of `ww`, `wr`, `rw` and `rt` edges in, anomalies out, the strongest
first. Names after Adya 1999: G0 only writes, G1c writes and reads seen, G-single one read that
missed a write, G2 several of them; `-realtime` if the cycle needs the order of real time too.
"""

from __future__ import annotations

from collections.abc import Sequence

from quorate.consistency.check.graph import Edge, Graph
from quorate.consistency.check.history import Operation
from quorate.consistency.check.timeline import describe
from quorate.consistency.check.verdict import Anomaly

CYCLES_TRIED_MAX = 200
WRITES = frozenset({"ww"})
SEEN = frozenset({"ww", "wr"})
ALL = frozenset({"ww", "wr", "rw"})
TIMED = frozenset({"rt"})


def check(graph: Graph, operations: Sequence[Operation], *, real: int) -> list[Anomaly]:
    """The worst cycle of every component. Nodes from `real` on stand for no operation."""
    found: list[Anomaly] = []
    told: set[int] = set()
    for kinds, single, name in (
        (WRITES, False, "G0"),
        (SEEN, False, "G1c"),
        (SEEN, True, "G-single"),
        (ALL, False, "G2"),
        (WRITES | TIMED, False, "G0-realtime"),
        (SEEN | TIMED, False, "G1c-realtime"),
        (SEEN | TIMED, True, "G-single-realtime"),
        (ALL | TIMED, False, "G2-realtime"),
    ):
        wanted = kinds | {"rw"} if single else kinds
        for component in graph.components(frozenset(wanted)):
            if told & set(component):
                continue
            cycle = _cycle(graph, set(component), kinds, single=single)
            if cycle is not None:
                told |= set(component)
                found.append(_anomaly(name, cycle, operations, real))
    return found


def _cycle(
    graph: Graph, inside: set[int], kinds: frozenset[str], *, single: bool
) -> list[Edge] | None:
    """A short cycle in the component: with `single`, of one `rw` edge and otherwise `kinds`."""
    rare = "rw" if single or "rw" in kinds else "wr" if "wr" in kinds else "ww"
    if not single and not any(
        edge.kind == rare for node in inside for edge in graph.edges[node] if edge.target in inside
    ):
        rare = "rt" if "rt" in kinds else "ww"
    firsts = (
        edge
        for node in sorted(inside)
        for edge in graph.edges[node]
        if edge.kind == rare and edge.target in inside
    )
    return graph.cycle(
        firsts, lambda edge: edge.kind in kinds and edge.target in inside, CYCLES_TRIED_MAX
    )


def _anomaly(name: str, cycle: list[Edge], operations: Sequence[Operation], real: int) -> Anomaly:
    nodes = [edge.source for edge in cycle if edge.source < real]
    labels = {node: f"T{number + 1}" for number, node in enumerate(nodes)}
    parts: list[str] = []
    for edge in cycle:
        source = labels.get(edge.source, "(the unseen)")
        target = labels.get(edge.target, "(the unseen)")
        parts.append(f"{source} -{edge.kind}-> {target}" + (f" ({edge.why})" if edge.why else ""))
    told = "; ".join(
        f"{labels[n]} = {describe(operations[n])} ({operations[n].where})" for n in nodes
    )
    return Anomaly(name, f"{', '.join(parts)}. {told}", tuple(operations[n] for n in nodes))


def real_time(graph: Graph, operations: Sequence[Operation]) -> None:
    """Edges from what had ended to what began then, as few as have the same closure: a finished
    operation leaves the frontier once something that began after it has ended too."""
    events = [(op.invoked, 0, n) for n, op in enumerate(operations)]
    events += [(op.ended, 1, n) for n, op in enumerate(operations) if op.outcome == "ok"]
    frontier: dict[int, int] = {}
    for position, kind, number in sorted(events):
        if kind == 0:
            if operations[number].outcome != "fail":
                for before in frontier:
                    graph.add(before, number, "rt", "ended before it began")
            continue
        invoked = operations[number].invoked
        frontier = {n: ended for n, ended in frontier.items() if ended > invoked}
        frontier[number] = position
