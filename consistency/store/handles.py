"""Typed handles: a key that holds a CRDT, with the operations of its type.

The law of this file: names and arguments only; what an operation does is in `consistency/crdt`. A
handle has no state: two handles of one key are the same. Every update takes `UpdateOptions` (its
level is crdt) and gives a `Receipt`; every `value()` takes `ReadOptions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any, Protocol, Unpack

from quorate.consistency.store.options import ReadOptions, UpdateOptions
from quorate.consistency.store.receipts import Receipt
from quorate.core.errors import UsageError


class Place(Protocol):
    """Where a CRDT lives: a key of a store, or a field of a map."""

    async def operate(
        self, kind: str, op: str, args: list[Any], **options: Unpack[UpdateOptions]
    ) -> Receipt: ...

    async def value(self, kind: str, **options: Unpack[ReadOptions]) -> Any: ...

    def __str__(self) -> str: ...


class CrdtStore(Protocol):
    """What a handle needs of a store."""

    name: str

    async def operate(
        self, key: str, kind: str, op: str, args: list[Any], **options: Unpack[UpdateOptions]
    ) -> Receipt: ...

    async def read_crdt(self, key: str, kind: str, **options: Unpack[ReadOptions]) -> Any: ...


class KeyPlace:
    """A key of a store."""

    def __init__(self, store: CrdtStore, key: str) -> None:
        self.store = store
        self.key = key

    async def operate(
        self, kind: str, op: str, args: list[Any], **options: Unpack[UpdateOptions]
    ) -> Receipt:
        return await self.store.operate(self.key, kind, op, args, **options)

    async def value(self, kind: str, **options: Unpack[ReadOptions]) -> Any:
        return await self.store.read_crdt(self.key, kind, **options)

    def __str__(self) -> str:
        return f"{self.store.name}/{self.key}"


class FieldPlace:
    """A field of a map, which may itself be a field."""

    def __init__(self, map_: Place, field: str) -> None:
        self.map = map_
        self.field = field

    async def operate(
        self, kind: str, op: str, args: list[Any], **options: Unpack[UpdateOptions]
    ) -> Receipt:
        return await self.map.operate("or_map", "update", [self.field, kind, op, args], **options)

    async def value(self, kind: str, **options: Unpack[ReadOptions]) -> Any:
        whole: dict[str, Any] = await self.map.value("or_map", **options) or {}
        return whole.get(self.field)

    def __str__(self) -> str:
        return f"{self.map}[{self.field!r}]"


class Handle:
    """What all handles have in common. `empty`: the value where nothing was ever written."""

    kind = ""
    empty: Any = None

    def __init__(self, store: CrdtStore | None, key: str, place: Place | None = None) -> None:
        if place is None:
            if store is None:
                raise UsageError("a handle needs a store or a place")
            place = KeyPlace(store, key)
        self.key = key
        self._place = place

    async def value(self, **options: Unpack[ReadOptions]) -> Any:
        """The merged value."""
        found = await self._place.value(self.kind, **options)
        return type(self).fresh() if found is None else found

    @classmethod
    def fresh(cls) -> Any:
        return copy(cls.empty)

    async def reset(self, **options: Unpack[UpdateOptions]) -> Receipt:
        """Back to the beginning, as far as it was seen here; what others do meanwhile stays."""
        return await self._operate("reset", [], options)

    async def _operate(self, op: str, args: list[Any], options: UpdateOptions) -> Receipt:
        return await self._place.operate(self.kind, op, args, **options)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._place}>"


class GCounter(Handle):
    """A counter that only grows."""

    kind = "g_counter"
    empty = 0

    async def increment(self, by: int = 1, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("increment", [by], options)


class PnCounter(GCounter):
    """A counter that goes up and down."""

    kind = "pn_counter"

    async def decrement(self, by: int = 1, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("decrement", [by], options)


class GSet(Handle):
    """A set that only grows. `value()` is a list in a fixed order."""

    kind = "g_set"
    empty: Any = []  # noqa: RUF012 - copied when given out

    async def add(self, element: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("add", [element], options)

    async def contains(self, element: Any, **options: Unpack[ReadOptions]) -> bool:
        return element in await self.value(**options)


class TwoPhaseSet(GSet):
    """A set whose removed elements never come back."""

    kind = "two_phase_set"

    async def remove(self, element: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("remove", [element], options)


class OrSet(TwoPhaseSet):
    """A set in which an addition wins over a removal that did not see it."""

    kind = "or_set"

    async def clear(self, **options: Unpack[UpdateOptions]) -> Receipt:
        """Remove every element seen here."""
        return await self._operate("clear", [], options)


class LwwRegister(Handle):
    """A value; the last write wins."""

    kind = "lww_register"

    async def set(self, value: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("set", [value], options)


class MvRegister(Handle):
    """A value; of concurrent writes all are kept: `value()` is the list of them."""

    kind = "mv_register"
    empty: Any = []  # noqa: RUF012 - copied when given out

    async def set(self, value: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        """Write in place of all values seen here."""
        return await self._operate("set", [value], options)


class Flag(Handle):
    """True or False; enabling wins over a disabling that did not see it."""

    kind = "ew_flag"
    empty = False

    async def enable(self, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("enable", [], options)

    async def disable(self, **options: Unpack[UpdateOptions]) -> Receipt:
        return await self._operate("disable", [], options)


class Sequence(Handle):
    """A list that several hosts edit: what was inserted together stays together."""

    kind = "sequence"
    empty: Any = []  # noqa: RUF012 - copied when given out

    async def insert(self, index: int, *items: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        """Insert items so that the first of them has this index."""
        return await self._operate("insert", [index, list(items)], options)

    async def append(self, item: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        """Insert an item at the end."""
        return await self._operate("append", [item], options)

    async def set(self, index: int, item: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        """Put an item in place of another; it survives a deletion that did not see it."""
        return await self._operate("set", [index, item], options)

    async def delete(self, index: int, count: int = 1, **options: Unpack[UpdateOptions]) -> Receipt:
        """Delete `count` items from this index on."""
        return await self._operate("delete", [index, count], options)


class OrMap(Handle):
    """A map from texts to CRDTs; updating a field wins over a removal that did not see it.

    `cart.counter("qty")`, `cart.set("tags")`, `cart.flag("paid")`, `cart.map("address")`,
    `cart.sequence("notes")` and `cart["title"]` (a register, the last write wins) are handles of
    its fields; `await cart.value()` is the whole map as a dict."""

    kind = "or_map"
    empty: Any = {}  # noqa: RUF012 - copied when given out

    def _field(self, field: str, handle: type[Any]) -> Any:
        if type(field) is not str or not field:
            raise UsageError(f"a field of a map is a text that is not empty, not {field!r}")
        return handle(None, field, FieldPlace(self._place, field))

    def __getitem__(self, field: str) -> LwwRegister:
        """The field as a register: `await cart["title"].set("x")`."""
        return self._field(field, LwwRegister)

    def __iter__(self) -> Iterable[str]:
        raise TypeError("a map lives on other hosts too: `for field in await cart.value()`")

    def counter(self, field: str) -> PnCounter:
        """The field as a counter."""
        return self._field(field, PnCounter)

    def set(self, field: str) -> OrSet:
        """The field as a set."""
        return self._field(field, OrSet)

    def flag(self, field: str) -> Flag:
        """The field as a flag."""
        return self._field(field, Flag)

    def register(self, field: str) -> MvRegister:
        """The field as a register that keeps concurrent values."""
        return self._field(field, MvRegister)

    def map(self, field: str) -> OrMap:
        """The field as a map."""
        return self._field(field, OrMap)

    def sequence(self, field: str) -> Sequence:
        """The field as a sequence."""
        return self._field(field, Sequence)

    async def put(self, field: str, value: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        """Write a field as a register: the same as `cart[field].set(value)`."""
        return await self[field].set(value, **options)

    async def clear(self, **options: Unpack[UpdateOptions]) -> Receipt:
        """Remove every field seen here."""
        return await self._operate("clear", [], options)

    async def remove(self, field: str, **options: Unpack[UpdateOptions]) -> Receipt:
        """Remove a field with all that was seen in it here."""
        return await self._operate("remove", [field], options)
