"""Sets: one that only grows, one where adding wins, one where removing is for ever.

The law of this file: an element is its bytes; each `add` gives it a new dot in place of those seen,
so an element is alive while an add of it is alive that no removal saw. Values come out as a list
sorted by bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar

from quorate.consistency.crdt.dotted import Dotted
from quorate.consistency.crdt.limits import ELEMENT_BYTES_MAX, SET_ELEMENTS_MAX
from quorate.consistency.crdt.values import element_bytes, value_bytes
from quorate.consistency.versions.context import CausalContext
from quorate.core.codec import Malformed, decode_value
from quorate.core.errors import LimitExceeded

Dots = tuple[tuple[int, int], ...]


class _Elements(Dotted[bytes]):
    """dots[actor][seq] = element; elements[element] = its dots, mostly one."""

    __slots__ = ("elements",)

    def __init__(self, context: CausalContext | None = None) -> None:
        super().__init__(context)
        self.elements: dict[bytes, Dots] = {}

    def put_dot(self, actor: int, seq: int, payload: bytes) -> None:
        super().put_dot(actor, seq, payload)
        self.elements[payload] = (*self.elements.get(payload, ()), (actor, seq))

    def drop_dot(self, actor: int, seq: int) -> None:
        element = self.dots[actor][seq]
        super().drop_dot(actor, seq)
        dots = self.elements[element]
        if len(dots) == 1:
            del self.elements[element]
        else:
            self.elements[element] = tuple(dot for dot in dots if dot != (actor, seq))

    def renew(self, element: bytes, actor: int, seq: int, delta: _Elements) -> None:
        """Give `element` a new dot in place of all it has."""
        self.discard(element, delta.context)
        self.put_dot(actor, seq, element)
        delta.put_dot(actor, seq, element)

    def discard(self, element: bytes, seen: CausalContext) -> None:
        for actor, seq in self.elements.get(element, ()):
            self.remove_dot(actor, seq, seen)

    def check_room(self, element: bytes) -> None:
        if len(self.elements) >= SET_ELEMENTS_MAX and element not in self.elements:
            raise LimitExceeded(f"a {self.kind} has at most {SET_ELEMENTS_MAX} elements")

    def unpack(self, packed: Any) -> bytes:
        return value_bytes(packed, "an element")

    def value(self) -> list[Any]:
        return [decode_value(element) for element in sorted(self.elements)]


class OrSet(_Elements):
    """Adding wins over a concurrent removal. add(x), remove(x), clear, reset."""

    __slots__ = ()
    kind = "or_set"
    code = 5
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {
        "add": (1, 1),
        "remove": (1, 1),
        "clear": (0, 0),
        "reset": (0, 0),
    }
    whole_ops: ClassVar[frozenset[str]] = frozenset({"reset", "clear"})

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: _Elements
    ) -> None:
        if not args:
            self.remove_all(delta.context)
            return
        element = element_bytes(args[0], ELEMENT_BYTES_MAX, "an element")
        if op == "add":
            self.check_room(element)
            self.renew(element, actor, seq, delta)
        else:
            self.discard(element, delta.context)


class GSet(OrSet):
    """Only grows. add(x); reset takes away what was seen."""

    __slots__ = ()
    kind = "g_set"
    code = 3
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {"add": (1, 1), "reset": (0, 0)}


_ALIVE = b"+"
_GONE = b"-"
_DIGEST_BYTES = 16


def _gone(element: bytes) -> bytes:
    """The mark of a removed element: its bytes if they are fewer than those of a digest."""
    if len(element) < _DIGEST_BYTES:
        return _GONE + element
    return _GONE + blake2b(element, digest_size=_DIGEST_BYTES).digest()


class TwoPhaseSet(_Elements):
    """What was removed is gone for ever: adding it again, also concurrently, has no effect.
    add(x), remove(x) of what is there, reset (which forgets the removals it saw as well).

    Two sets of dots in one: "+" and the element for what was added, "-" and a mark of at most 16
    bytes for what was removed. An add that no removal saw stays in hiding behind the mark.
    """

    __slots__ = ()
    kind = "two_phase_set"
    code = 4
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {
        "add": (1, 1),
        "remove": (1, 1),
        "reset": (0, 0),
    }

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: _Elements
    ) -> None:
        if op == "reset":
            self.remove_all(delta.context)
            return
        element = element_bytes(args[0], ELEMENT_BYTES_MAX, "an element")
        alive, gone = _ALIVE + element, _gone(element)
        if gone in self.elements:
            return
        if op == "add":
            self.check_room(alive)
            self.renew(alive, actor, seq, delta)
        elif alive in self.elements:
            self.discard(alive, delta.context)
            self.renew(gone, actor, seq, delta)

    def unpack(self, packed: Any) -> bytes:
        if type(packed) is bytes:
            if packed[:1] == _ALIVE:
                value_bytes(packed[1:], "an element")
                return packed
            if packed[:1] == _GONE and len(packed) <= 1 + _DIGEST_BYTES:
                return packed
        raise Malformed("an element of a two_phase_set must be marked as added or removed")

    def value(self) -> list[Any]:
        elements = self.elements
        return [
            decode_value(marked[1:])
            for marked in sorted(elements)
            if marked[:1] == _ALIVE and _gone(marked[1:]) not in elements
        ]
