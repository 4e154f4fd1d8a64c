"""Histories by hand, and a page read back as facts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser

from quorate.chaos.report.faults import Fault, Pair
from quorate.chaos.report.recorded import Call, Recorded, recorded
from quorate.consistency.check.history import Operation


def call(
    worker: str,
    start: float,
    end: float | None = None,
    outcome: str = "ok",
    *,
    f: str = "read",
    level: str = "",
) -> Call:
    """One call of `a/1`, whose host is `a`."""
    operation = Operation(0, worker, f, "x", None, 0, start, outcome=outcome, end=end)  # type: ignore[arg-type]
    return Call(worker, worker.split("/")[0], f, level, start, end, outcome, operation)


def fault(
    name: str,
    begin: float,
    end: float | None,
    hosts: tuple[str, ...] = (),
    pairs: tuple[Pair, ...] = (),
    number: int = 1,
) -> Fault:
    return Fault(name, begin, end, hosts, pairs, number=number)


def event(type_: str, process: str, time: float, **fields: object) -> str:
    return json.dumps({"type": type_, "process": process, "time": time, **fields}) + "\n"


def struck(name: str, phase: str, t: float, **fields: object) -> str:
    return json.dumps({"k": "fault", "name": name, "phase": phase, "t": t, **fields}) + "\n"


def record(history: list[str], faults: list[str] | None = None, **run: object) -> Recorded:
    return recorded("by-hand", json.dumps(run) if run else "", history, faults or [])


VOID = {"meta", "br", "link", "input", "hr"}


@dataclass(repr=False)
class Node:
    """An element of a page."""

    tag: str
    attributes: dict[str, str]
    parts: list[Node | str] = field(default_factory=list["Node | str"])
    """Elements and texts, in order."""

    @property
    def children(self) -> list[Node]:
        return [part for part in self.parts if isinstance(part, Node)]

    def all(self, tag: str) -> list[Node]:
        found = [self] if self.tag == tag else []
        return found + [node for child in self.children for node in child.all(tag)]

    def every(self) -> list[Node]:
        return [self, *(node for child in self.children for node in child.every())]

    def by_id(self, name: str) -> Node:
        found = [node for node in self.every() if node.attributes.get("id") == name]
        assert len(found) == 1, f"{len(found)} elements with the id {name!r}"
        return found[0]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words()).split())

    def _words(self) -> list[str]:
        if self.tag in ("style", "script"):
            return []
        parts = [[part] if isinstance(part, str) else part._words() for part in self.parts]
        return [word for words in parts for word in words]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("#", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parse(html: str) -> Node:
    """The page as a tree; fails when a tag is not closed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == [reader.root], f"never closed: {[n.tag for n in reader.open[1:]]}"
    return reader.root
