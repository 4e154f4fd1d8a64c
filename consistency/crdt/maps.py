"""A map from text to nested CRDTs of any kind, all under one causal context.

The law of this file: a key is there while something in it is alive. `remove` resets what it saw in
the key, so a concurrent update of the key survives, with nothing but what the removal did not see.
A key has one kind; where hosts that could not see each other made it two, both are kept, everybody
shows the one with the lower code, and `mixed()` names the key.

A delta, and deltas joined with each other, know the only keys they are about (`touched`): joining
them looks at no other. A state is about all keys. Only a delta that was made here says so in its
wire form (`fresh`): what was read and became the state of a host must have a state's bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

from quorate.consistency.crdt.base import BY_CODE, BY_KIND, Crdt, UnknownType
from quorate.consistency.crdt.limits import MAP_DEPTH_MAX, MAP_KEY_BYTES_MAX, MAP_KEYS_MAX
from quorate.consistency.crdt.values import listed
from quorate.consistency.versions.context import CausalContext
from quorate.core.codec import Malformed
from quorate.core.errors import LimitExceeded, UsageError, WrongType


class OrMap(Crdt):
    """update(key, kind, op, args), remove(key), clear, reset. The value is a dict, by key."""

    __slots__ = ("children", "fresh", "touched")
    kind = "or_map"
    code = 9
    ops: ClassVar[Mapping[str, tuple[int, int]]] = {
        "update": (4, 4),
        "remove": (1, 1),
        "clear": (0, 0),
        "reset": (0, 0),
    }
    whole_ops: ClassVar[frozenset[str]] = frozenset({"reset", "clear"})

    def __init__(self, context: CausalContext | None = None) -> None:
        super().__init__(context)
        self.children: dict[str, dict[int, Crdt]] = {}
        self.touched: frozenset[str] | None = None
        self.fresh = False

    # --- reading ----------------------------------------------------------------------------------

    def shown(self, key: str) -> Crdt | None:
        """What is at `key`: of the kinds alive there the one with the lowest code."""
        kinds = self.children.get(key, {})
        return next((kinds[code] for code in sorted(kinds) if not kinds[code].is_empty()), None)

    def value(self) -> dict[str, Any]:
        pairs = ((key, self.shown(key)) for key in sorted(self.children))
        return {key: child.value() for key, child in pairs if child is not None}

    def mixed(self) -> list[str]:
        """The keys that were made as two kinds apart, and still hold both."""
        return [
            key
            for key, kinds in sorted(self.children.items())
            if sum(not child.is_empty() for child in kinds.values()) > 1
        ]

    def is_empty(self) -> bool:
        return not any(self.shown(key) for key in self.children)

    def is_bare(self) -> bool:
        return not self.children

    # --- operations -------------------------------------------------------------------------------

    @classmethod
    def dots_needed(cls, op: str, args: list[Any]) -> int:
        kind: type[Crdt] = cls
        for _ in range(MAP_DEPTH_MAX + 1):
            if kind is not cls or op != "update":
                return super().dots_needed(op, args) if kind is cls else kind.dots_needed(op, args)
            super().dots_needed(op, args)
            key, name, op, args = args
            _check_key(key)
            found = BY_KIND.get(name) if type(name) is str else None
            if found is None:
                raise UnknownType(f"no CRDT is called {name!r:.60}, for the key {key!r:.60}")
            kind = found
        raise LimitExceeded(f"maps in maps go {MAP_DEPTH_MAX} deep at most")

    def operate(self, op: str, args: list[Any], actor: int, seq: int, stamp: int) -> Self:
        delta = super().operate(op, args, actor, seq, stamp)
        self.touched, self.fresh = None, False
        return delta

    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: OrMap
    ) -> None:
        if op == "update":
            self._update(args[0], args[1], args[2], args[3], actor, seq, stamp, delta)
        elif op == "remove":
            _check_key(args[0])
            self._reset(args, actor, seq, stamp, delta)
            delta.touched, delta.fresh = frozenset(args), True
        else:
            self._reset(list(self.children), actor, seq, stamp, delta)

    def _update(
        self,
        key: str,
        kind: str,
        op: str,
        args: list[Any],
        actor: int,
        seq: int,
        stamp: int,
        delta: OrMap,
    ) -> None:
        shown = self.shown(key)
        if shown is None and len(self.children) >= MAP_KEYS_MAX and key not in self.children:
            raise LimitExceeded(f"a map has at most {MAP_KEYS_MAX} keys")
        if shown is not None and shown.kind != kind:
            raise WrongType(f"the key {key!r:.60} is a {shown.kind}, not a {kind}")
        made = BY_KIND[kind]
        child = self.children.get(key, {}).get(made.code) or made(self.context)
        part = made(delta.context)
        child.apply_op(op, args, actor, seq, stamp, part)
        self._keep(key, child)
        delta._keep(key, part)
        delta.touched, delta.fresh = frozenset((key,)), True

    def _reset(self, keys: Iterable[str], actor: int, seq: int, stamp: int, delta: OrMap) -> None:
        for key in keys:
            for child in list(self.children.get(key, {}).values()):
                part = type(child)(delta.context)
                child.apply_op("reset", [], actor, seq, stamp, part)
                self._keep(key, child)
                delta._keep(key, part)

    def _keep(self, key: str, child: Crdt) -> None:
        """Hold `child` while there is anything in it."""
        kinds = self.children.setdefault(key, {})
        if child.is_bare():
            kinds.pop(child.code, None)
        else:
            kinds[child.code] = child
        if not kinds:
            del self.children[key]

    # --- join -------------------------------------------------------------------------------------

    def join_store(self, other: OrMap) -> bool:
        keys: Iterable[str] | None = other.touched
        if other.touched is None or self.touched is None:
            self.touched, self.fresh = None, False
        else:
            self.touched |= other.touched  # two deltas: still about no other keys
        if keys is None:
            keys = [*self.children, *(key for key in other.children if key not in self.children)]
        changed = False
        for key in keys:
            ours, theirs = self.children.get(key, {}), other.children.get(key, {})
            for code in {*ours, *theirs}:
                made = BY_CODE[code]
                child = ours.get(code) or made(self.context)
                if child.join_store(theirs.get(code) or made(other.context)):
                    self._keep(key, child)
                    changed = True
        return changed

    # --- wire: [[key, code, body, ...] by key and code]; a fresh delta adds [keys only touched] ---

    def body(self, names: Mapping[int, int], *, alive: bool = False) -> list[Any]:
        flat: list[Any] = []
        for key in sorted(self.children):
            kinds = self.children[key]
            for code in sorted(kinds):
                if not (alive and kinds[code].is_empty()):
                    flat += (key, code, kinds[code].body(names, alive=alive))
        if alive:
            return [flat]
        if self.touched is not None and self.fresh:
            return [flat, sorted(self.touched - self.children.keys())]
        return [flat]

    def load(self, body: list[Any], actors: list[int], depth: int) -> None:
        if depth > MAP_DEPTH_MAX:
            raise Malformed(f"maps in maps go {MAP_DEPTH_MAX} deep at most")
        if len(body) not in (1, 2):
            raise Malformed("an or_map must have its keys, and may have those touched")
        flat = listed(body[0], "the keys of an or_map")
        if len(flat) % 3:
            raise Malformed("an or_map must come in threes: key, code and body")
        before = ("", -1)
        for at in range(0, len(flat), 3):
            key, code = _key(flat[at]), flat[at + 1]
            made = BY_CODE.get(code) if type(code) is int else None
            if made is None:
                raise UnknownType(f"no CRDT has the code {code!r:.60}")
            if (key, code) <= before:
                raise Malformed("the keys of an or_map must be ascending")
            before = (key, code)
            child = made(self.context)
            child.load(listed(flat[at + 2], "the body of a CRDT"), actors, depth + 1)
            if child.is_bare():
                raise Malformed("a key of an or_map holds nothing")
            self.children.setdefault(key, {})[code] = child
        if len(body) == 2:
            only = [_key(key) for key in listed(body[1], "the keys touched")]
            self.touched = frozenset((*self.children, *only))


def _check_key(key: object) -> None:
    """Raises UsageError unless `key` is a text that can be encoded and is not too long."""
    if type(key) is not str:
        raise UsageError(f"a key of an or_map must be a str, not {type(key).__name__}")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise UsageError(f"a key of an or_map is not valid Unicode: {error}") from error
    if size > MAP_KEY_BYTES_MAX:
        raise LimitExceeded(f"a key of {size} bytes: {MAP_KEY_BYTES_MAX} are the most")


def _key(key: object) -> str:
    if type(key) is not str or len(key) > MAP_KEY_BYTES_MAX:
        raise Malformed("a key of an or_map must be a short text")
    return key
