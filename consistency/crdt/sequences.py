"""A list that many edit at once.

The law of this file: an item stands at its place for ever (`places.py`); it is alive while a dot of
it is. `set` gives it a new dot in place of those seen, so of concurrent `set`s the last by stamp is
shown, and a `set` survives a deletion that did not see it. Nothing of a deleted item stays.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from collections.abc import Sequence as Items
from typing import Any, ClassVar, cast

from quorate.consistency.crdt.dotted import Dotted
from quorate.consistency.crdt.limits import (
    ELEMENT_BYTES_MAX,
    INSERT_ITEMS_MAX,
    PATH_LEVELS_MAX,
    SEQUENCE_ITEMS_MAX,
)
from quorate.consistency.crdt.places import LEVEL, Place, between
from quorate.consistency.crdt.runs import read_items, write_items
from quorate.consistency.crdt.values import element_bytes
from quorate.consistency.versions.context import CausalContext
from quorate.core.codec import decode_value
from quorate.core.errors import LimitExceeded, UsageError

Item = tuple[Place, int, bytes]
"""(place, stamp of the `set` or 0, value)"""
_FEW = 64


class Sequence(Dotted[Item]):
    """insert(index, items), append(item), delete(index, count=1), set(index, value), reset."""

    __slots__ = ("_added", "_gone", "cells", "order")
    kind = "sequence"
    code = 10
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {
        "insert": (2, 2),
        "append": (1, 1),
        "delete": (1, 2),
        "set": (2, 2),
        "reset": (0, 0),
    }

    def __init__(self, context: CausalContext | None = None) -> None:
        super().__init__(context)
        self.order: list[Place] = []
        self.cells: dict[Place, tuple[tuple[int, int], ...]] = {}
        self._added: list[Place] = []
        self._gone: set[Place] = set()

    # --- the doors --------------------------------------------------------------------------------

    def put_dot(self, actor: int, seq: int, payload: Item) -> None:
        super().put_dot(actor, seq, payload)
        place = payload[0]
        cell = self.cells.get(place)
        if cell is not None:
            self.cells[place] = (*cell, (actor, seq))
            return
        self.cells[place] = ((actor, seq),)
        if place in self._gone:
            self._gone.discard(place)
        else:
            self._added.append(place)

    def drop_dot(self, actor: int, seq: int) -> None:
        place = self.dots[actor][seq][0]
        super().drop_dot(actor, seq)
        rest = tuple(dot for dot in self.cells[place] if dot != (actor, seq))
        if rest:
            self.cells[place] = rest
        else:
            del self.cells[place]
            self._gone.add(place)

    def settle(self) -> None:
        """Bring `order` up to date with `cells`."""
        order, added, gone = self.order, self._added, self._gone
        if len(added) + len(gone) > _FEW:
            order = [place for place in order if place not in gone]
            order += added
            order.sort()
            self.order = order
        else:
            for place in gone:
                del order[bisect_left(order, place)]
            for place in added:
                insort(order, place)
        self._added, self._gone = [], set()

    # --- operations -------------------------------------------------------------------------------

    @classmethod
    def dots_needed(cls, op: str, args: list[Any]) -> int:
        super().dots_needed(op, args)
        if op != "insert":
            return 1
        items = args[1]
        if type(items) not in (list, tuple) or not items:
            raise UsageError("sequence.insert takes a list of at least one item")
        count = len(cast("list[Any]", items))
        if count > INSERT_ITEMS_MAX:
            raise LimitExceeded(f"one insert takes at most {INSERT_ITEMS_MAX} items, not {count}")
        return count

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: Sequence
    ) -> None:
        size = len(self.order)
        if op == "insert":
            self._insert(_index(args[0], size + 1), args[1], actor, seq, delta)
        elif op == "append":
            self._insert(size, args, actor, seq, delta)
        elif op == "set":
            self._set(_index(args[0], size), args[1], actor, seq, stamp, delta)
        elif op == "delete":
            at = _index(args[0], size)
            count = args[1] if len(args) > 1 else 1
            if type(count) is not int or not 1 <= count <= size - at:
                raise UsageError(f"sequence.delete: there are {size - at} items from {at} on")
            for place in self.order[at : at + count]:
                for dot in self.cells[place]:
                    self.remove_dot(*dot, delta.context)
            del self.order[at : at + count]
            self._gone = set()
        else:
            self.remove_all(delta.context)
            self.settle()

    def _insert(self, at: int, items: Items[Any], actor: int, seq: int, delta: Sequence) -> None:
        size, order = len(self.order), self.order
        if size + len(items) > SEQUENCE_ITEMS_MAX:
            raise LimitExceeded(f"a sequence has at most {SEQUENCE_ITEMS_MAX} items")
        values = [element_bytes(item, ELEMENT_BYTES_MAX, "an item") for item in items]
        left = order[at - 1] if at else ()
        right = order[at] if at < size else ()
        first = seq - len(values) + 1
        places = between(left, right, actor, first, len(values))
        if len(places[0]) > PATH_LEVELS_MAX * LEVEL:
            raise LimitExceeded(
                f"items were put between each other more than {PATH_LEVELS_MAX} levels deep: "
                "insert elsewhere, or write the list anew"
            )
        for dot, (place, value) in enumerate(zip(places, values, strict=True), first):
            self.put_dot(actor, dot, (place, 0, value))
            delta.put_dot(actor, dot, (place, 0, value))
        order[at:at] = places
        self._added = []
        delta.settle()

    def _set(
        self, at: int, value: object, actor: int, seq: int, stamp: int, delta: Sequence
    ) -> None:
        place = self.order[at]
        item = (place, stamp, element_bytes(value, ELEMENT_BYTES_MAX, "an item"))
        for dot in self.cells[place]:
            self.remove_dot(*dot, delta.context)
        self.put_dot(actor, seq, item)
        delta.put_dot(actor, seq, item)
        delta.settle()

    # --- reading ----------------------------------------------------------------------------------

    def value(self) -> list[Any]:
        dots = self.dots
        found: list[Any] = []
        for place in self.order:
            cell = self.cells[place]
            actor, seq = cell[0]
            if len(cell) > 1:
                _, actor, seq = max((dots[a][s][1], a, s) for a, s in cell)
            found.append(decode_value(dots[actor][seq][2]))
        return found

    # --- wire -------------------------------------------------------------------------------------

    def body(self, names: Mapping[int, int], *, alive: bool = False) -> list[Any]:
        return write_items(self.order, self.cells, self.dots, names)

    def load(self, body: list[Any], actors: list[int], depth: int) -> None:
        for actor, seq, item in read_items(body, actors, self.context):
            self.put_dot(actor, seq, item)
        self.order, self._added = self._added, []


def _index(index: object, size: int) -> int:
    if type(index) is not int or not 0 <= index < size:
        raise UsageError(f"sequence: {index!r:.60} is no index: it goes from 0 to {size - 1}")
    return index
