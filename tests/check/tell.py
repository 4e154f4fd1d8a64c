"""Telling a small history in a test: one call an operation, times as they come.

The law of this file: no judgement; what is told is paired by the product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from quorate.consistency.check.history import Event, History, merge, pair
from quorate.consistency.check.models import Options, check
from quorate.consistency.check.verdict import Verdict

Told = list[Event]


def did(
    process: int | str,
    start: float,
    end: float,
    f: str,
    value: Any = None,
    result: Any = None,
    *,
    key: str | None = "x",
    type: str = "ok",
    **more: Any,
) -> Told:
    """An operation that was answered, by default with ok."""
    return [
        Event("invoke", process, float(start), f, key, value),
        Event(type, process, float(end), value=result, **more),  # type: ignore[arg-type]
    ]


def lost(
    process: int | str, start: float, f: str, value: Any = None, *, key: str = "x", **more: Any
) -> Told:
    """An operation that nobody answered."""
    return [Event("invoke", process, float(start), f, key, value, **more)]


def failed(
    process: int | str, start: float, end: float, f: str, value: Any = None, **more: Any
) -> Told:
    return did(process, start, end, f, value, type="fail", **more)


def write(process: int | str, start: float, end: float, value: Any, **more: Any) -> Told:
    return did(process, start, end, "write", value, **more)


def read(process: int | str, start: float, end: float, result: Any, **more: Any) -> Told:
    return did(process, start, end, "read", None, result, **more)


def cas(
    process: int | str, start: float, end: float, old: Any, new: Any, result: bool, **more: Any
) -> Told:
    return did(process, start, end, "cas", [old, new], result, **more)


def txn(process: int | str, start: float, end: float, *steps: list[Any]) -> Told:
    """Steps of a list transaction; a read is given with what it saw."""
    asked = [[*step[:2], None] if step[0] == "r" else step for step in steps]
    return did(process, start, end, "txn", asked, [list(step) for step in steps], key=None)


def kv_txn(
    process: int | str,
    start: float,
    end: float,
    compare: list[Any],
    then: list[Any],
    held: bool,
    results: list[Any],
    otherwise: list[Any] | None = None,
) -> Told:
    value = {"compare": compare, "then": then, "else": otherwise or []}
    return did(process, start, end, "txn", value, {"held": held, "results": results}, key=None)


def history(*told: Told) -> History:
    return pair(merge(*told))


class Case(NamedTuple):
    """A history whose verdict is known, and from where."""

    name: str
    source: str
    model: str
    told: list[Told]
    verdict: str
    kinds: frozenset[str] = frozenset()
    options: Mapping[str, Any] = {}

    def judge(self) -> Verdict:
        return check(self.model, history(*self.told), Options(**self.options))


def held(model: str, name: str, source: str, *told: Told, **options: Any) -> Case:
    return Case(name, source, model, list(told), "held", frozenset(), options)


def broken(model: str, kind: str, name: str, source: str, *told: Told, **options: Any) -> Case:
    return Case(name, source, model, list(told), "broken", frozenset(kind.split()), options)


def unknown(model: str, name: str, source: str, *told: Told, **options: Any) -> Case:
    return Case(name, source, model, list(told), "unknown", frozenset(), options)
