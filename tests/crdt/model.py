"""What a CRDT should show, told from the history of its operations, without dots or contexts.

An operation adds some things under its own id and takes away the ids that it saw. A host shows what
was added and not taken away by the operations it heard of. Nothing else is known here.
"""

from __future__ import annotations

from typing import Any

from quorate.core.codec import encode_value

Id = tuple[int, int]
CODES = ["", "g_counter", "pn_counter", "g_set", "two_phase_set", "or_set", "lww_register"]
CODES += ["mv_register", "ew_flag", "or_map", "sequence"]
COUNTERS = ("g_counter", "pn_counter")


class Model:
    """The history of one thing of one kind, and the effect of one operation on it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.adds: dict[Id, Any] = {}
        self.kills: set[Id] = set()
        self.retired: set[Id] = set()
        self.parts: dict[tuple[str, str], Model] = {}

    def absorb(self, other: Model) -> None:
        self.adds.update(other.adds)
        self.kills |= other.kills
        self.retired |= other.retired
        for at, part in other.parts.items():
            self.parts.setdefault(at, Model(part.kind)).absorb(part)

    def alive(self) -> dict[Id, Any]:
        return {at: what for at, what in self.adds.items() if at not in self.kills}

    def is_alive(self) -> bool:
        return bool(self.alive()) or any(part.is_alive() for part in self.parts.values())

    def shown(self, key: str) -> str | None:
        """The kind shown at a key of a map."""
        kinds = [kind for (at, kind), part in self.parts.items() if at == key and part.is_alive()]
        return min(kinds, key=CODES.index) if kinds else None

    # --- effects ----------------------------------------------------------------------------------

    def effect(
        self, op: str, args: list[Any], at: Id, stamp: int, value: Any, whole: bool = True
    ) -> Model:
        """What `op` with the last dot `at` does; `value` is what its maker saw."""
        made = Model(self.kind)
        if op in ("reset", "clear"):
            self._reset(made, at, stamp, whole)
        elif self.kind in COUNTERS:
            self._count(made, args[0] if op == "increment" else -args[0], at)
        elif self.kind == "or_map":
            self._map(made, op, args, at, stamp, value)
        elif self.kind == "sequence":
            self._sequence(made, op, args, at, stamp, value)
        else:
            self._simple(made, op, args, at, stamp)
        return made

    def _reset(self, made: Model, at: Id, stamp: int, whole: bool) -> None:
        for key, part in self.parts.items():
            made.parts[key] = part.effect("reset", [], at, stamp, None, whole)
        if whole:
            made.adds, made.kills = dict(self.adds), {*self.adds, *self.kills}
        elif self.kind in COUNTERS:
            made.adds = {i: what for i, what in self.adds.items() if i not in self.retired}
            made.kills = set(made.adds)
        else:
            made.kills = set(self.alive())

    def _count(self, made: Model, amount: int, at: Id) -> None:
        own = {i: w for i, w in self.adds.items() if i[0] == at[0] and i not in self.retired}
        entries: dict[int, list[Id]] = {}
        for i, (_, entry) in own.items():
            entries.setdefault(entry, []).append(i)
        newest = max(entries, default=0)
        if newest and max(entries[newest]) not in self.kills:
            made.adds = {i: own[i] for i in entries[newest]}
            made.kills = self.kills & set(made.adds)
            made.adds[at] = (amount, newest)
            return
        made.adds[at] = (amount, at[1])
        for ids in entries.values():
            if max(ids) in self.kills:
                made.retired |= set(ids)
                made.kills |= set(ids)

    def _map(self, made: Model, op: str, args: list[Any], at: Id, stamp: int, value: Any) -> None:
        if op == "remove":
            for (key, kind), part in self.parts.items():
                if key == args[0]:
                    made.parts[key, kind] = part.effect("reset", [], at, stamp, None, False)
            return
        key, kind, inner, inner_args = args
        part = self.parts.get((key, kind), Model(kind))
        seen = (value or {}).get(key)
        made.parts[key, kind] = part.effect(inner, inner_args, at, stamp, seen, False)

    def _sequence(
        self, made: Model, op: str, args: list[Any], at: Id, stamp: int, value: Any
    ) -> None:
        if op in ("insert", "append"):
            items = args[1] if op == "insert" else args
            for step, item in enumerate(items):
                made.adds[at[0], at[1] - len(items) + 1 + step] = (*item, 0)
            return
        gone = [value[args[0]][0]] if op == "set" else [i for i, _ in value[args[0] :][: args[1]]]
        made.kills = {i for i, what in self.alive().items() if what[0] in gone}
        if op == "set":
            made.adds[at] = (*args[1], stamp)

    def _simple(self, made: Model, op: str, args: list[Any], at: Id, stamp: int) -> None:
        what = known_by(args[0]) if args else b""
        alive = self.alive()
        if self.kind == "two_phase_set":
            if (b"-", what) in alive.values():
                return
            same = {i for i, w in alive.items() if w == (b"+", what)}
            if op == "add" or same:
                made.kills = same
                made.adds[at] = (b"+" if op == "add" else b"-", what)
            return
        made.kills = {i for i, w in alive.items() if not args or op == "set" or w == what}
        if op == "set":
            made.adds[at] = (stamp, what)
        elif op in ("add", "enable"):
            made.adds[at] = what

    # --- what is shown ----------------------------------------------------------------------------

    def value(self) -> Any:
        """Comparable with `seen` of the CRDT's value."""
        alive = self.alive()
        if self.kind in COUNTERS:
            return sum(amount for amount, _ in alive.values())
        if self.kind == "or_map":
            keys = sorted({key for key, _ in self.parts})
            kinds = {key: self.shown(key) for key in keys}
            return {k: self.parts[k, kind].value() for k, kind in kinds.items() if kind}
        if self.kind == "ew_flag":
            return bool(alive)
        if self.kind == "lww_register":
            return max(((w[0], i, w[1]) for i, w in alive.items()), default=(0, 0, None))[2]
        if self.kind == "mv_register":
            return sorted({what for _, what in alive.values()})
        if self.kind == "two_phase_set":
            gone = {what for mark, what in alive.values() if mark == b"-"}
            return sorted({what for mark, what in alive.values() if mark == b"+"} - gone)
        if self.kind == "sequence":
            last = {
                what[0]: max((w[2], i, w[1]) for i, w in alive.items() if w[0] == what[0])
                for what in alive.values()
            }
            return {item: version for item, (_, _, version) in last.items()}
        return sorted(set(alive.values()))


def known_by(value: Any) -> bytes:
    """The bytes of a value, whatever the order of its keys."""
    return encode_value(dict(sorted(value.items())) if isinstance(value, dict) else value)


def seen(kind: str, value: Any, part: Model | None = None) -> Any:
    """The value of a CRDT in the form of `Model.value`; `part` tells the kinds of a map's keys."""
    if kind in ("or_set", "g_set", "two_phase_set", "mv_register"):
        return [encode_value(item) for item in value]
    if kind == "lww_register":
        return None if value is None else encode_value(value)
    if kind == "sequence":
        return dict(value)
    if kind == "or_map" and part is not None:
        kinds = {key: part.shown(key) for key in value}
        return {
            key: seen(kinds[key] or "", inner, part.parts.get((key, kinds[key] or "")))
            for key, inner in value.items()
        }
    return value
