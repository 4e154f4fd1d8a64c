"""Directed graphs with kinds of edges: components and short cycles, in linear time.

The law of this file: nodes are numbers, edges have one kind; nothing here knows what a kind means.
Components after Tarjan 1972, without recursion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Edge(NamedTuple):
    """`source` comes before `target`; `why` says so to a person."""

    source: int
    target: int
    kind: str
    why: str


class Graph:
    """Edges by their source."""

    __slots__ = ("edges",)

    def __init__(self, nodes: int) -> None:
        self.edges: list[list[Edge]] = [[] for _ in range(nodes)]

    def add(self, source: int, target: int, kind: str, why: str = "") -> None:
        if source != target:
            self.edges[source].append(Edge(source, target, kind, why))

    def components(self, kinds: frozenset[str]) -> list[list[int]]:
        """Strongly connected components of more than one node, over edges of `kinds`."""
        count = len(self.edges)
        index = [0] * count
        low = [0] * count
        waiting: list[int] = []
        on_stack = [False] * count
        found: list[list[int]] = []
        number = 0
        for start in range(count):
            if index[start]:
                continue
            work: list[tuple[int, int]] = [(start, 0)]
            while work:
                node, at = work.pop()
                if at == 0:
                    number += 1
                    index[node] = low[node] = number
                    waiting.append(node)
                    on_stack[node] = True
                edges = self.edges[node]
                while at < len(edges):
                    edge = edges[at]
                    at += 1
                    if edge.kind not in kinds:
                        continue
                    if not index[edge.target]:
                        work.append((node, at))
                        work.append((edge.target, 0))
                        break
                    if on_stack[edge.target]:
                        low[node] = min(low[node], index[edge.target])
                else:
                    if low[node] == index[node]:
                        self._close(node, waiting, on_stack, found)
                    if work:
                        above = work[-1][0]
                        low[above] = min(low[above], low[node])
        return found

    @staticmethod
    def _close(node: int, waiting: list[int], on_stack: list[bool], found: list[list[int]]) -> None:
        component: list[int] = []
        while True:
            last = waiting.pop()
            on_stack[last] = False
            component.append(last)
            if last == node:
                break
        if len(component) > 1:
            found.append(component)

    def path(self, source: int, target: int, allowed: Callable[[Edge], bool]) -> list[Edge] | None:
        """A shortest path over allowed edges, or None."""
        came: dict[int, Edge | None] = {source: None}
        queue = deque([source])
        while queue:
            node = queue.popleft()
            for edge in self.edges[node]:
                if edge.target in came or not allowed(edge):
                    continue
                came[edge.target] = edge
                if edge.target == target:
                    return _walk(came, target)
                queue.append(edge.target)
        return None

    def cycle(
        self, firsts: Iterable[Edge], allowed: Callable[[Edge], bool], tries_max: int
    ) -> list[Edge] | None:
        """The shortest cycle found that begins with one of `firsts` and goes on over allowed
        edges."""
        best: list[Edge] | None = None
        for number, first in enumerate(firsts):
            if number >= tries_max:
                break
            rest = self.path(first.target, first.source, allowed)
            if rest is not None and (best is None or len(rest) + 1 < len(best)):
                best = [first, *rest]
                if len(best) == 2:
                    break
        return best


def _walk(came: dict[int, Edge | None], target: int) -> list[Edge]:
    path: list[Edge] = []
    edge = came[target]
    while edge is not None:
        path.append(edge)
        edge = came[edge.source]
    return path[::-1]
