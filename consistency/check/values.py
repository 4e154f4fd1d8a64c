"""Values of a history as things that can be compared, counted and shown; version vectors.

The law of this file: true is not 1, a list is not text, and what is equal as JSON is equal here. A
judge has its own vector arithmetic: it does not trust what it judges.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, cast

Actor = int | str
Versions = Mapping[Actor, int]
"""What a state has seen: of each actor, everything up to that position."""

SHOWN_LETTERS_MAX = 60


def freeze(value: Any) -> Hashable:
    """A hashable stand-in; two stand-ins are equal exactly when the values are the same JSON."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list | tuple):
        return ("list", *(freeze(item) for item in cast("list[Any]", value)))
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return ("dict", frozenset((freeze(name), freeze(item)) for name, item in items))
    if isinstance(value, set | frozenset):
        return ("set", frozenset(freeze(item) for item in cast("set[Any]", value)))
    return cast("Hashable", value)


def show(value: Any) -> str:
    """The value as one short line."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN_LETTERS_MAX else text[: SHOWN_LETTERS_MAX - 1] + "…"


class Numbers:
    """Gives equal values equal small numbers, from 0 on, so that a search compares integers."""

    __slots__ = ("_known", "values")

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self.values: list[Any] = []

    def of(self, value: Any) -> int:
        frozen = freeze(value)
        number = self._known.get(frozen)
        if number is None:
            number = self._known[frozen] = len(self.values)
            self.values.append(value)
        return number


def covers(versions: Versions, wanted: Versions) -> bool:
    """Whether everything in `wanted` is in `versions`."""
    return all(versions.get(actor, 0) >= seq for actor, seq in wanted.items())


def missing(versions: Versions, wanted: Versions) -> dict[Actor, int]:
    """The part of `wanted` that `versions` has not seen."""
    return {actor: seq for actor, seq in wanted.items() if versions.get(actor, 0) < seq}


def join_into(target: dict[Actor, int], more: Versions) -> None:
    """Raise `target` to the least vector that covers both."""
    for actor, seq in more.items():
        if target.get(actor, 0) < seq:
            target[actor] = seq
