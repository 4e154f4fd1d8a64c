"""The key-value model with transactions: compares, then one of two lists of operations.

The law of this file: operations and answers are

    get     key            answers the value, None when there is none
    put     key, value     answers the key's version, or nothing
    delete  key            answers whether the key existed, or nothing
    cas     key, [old, new]  answers whether it swapped (no answer value: it did)
    txn     {"compare": [[key, target, operator, operand], ...], "then": [...], "else": [...]}
            of ["put", key, value], ["get", key], ["delete", key]
            answers {"held": bool, "results": [one per operation, as above]}

Targets are `value` (= and !=), `exists` (= and !=) and `version` (= != < >; 1 when created, one
more with every put, 0 when absent). An answer that was not recorded is not checked, but a get is.
Keys that a transaction ties together are judged together; all others alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, cast

from quorate.consistency.check.history import NEVER, MalformedHistory, Operation
from quorate.consistency.check.model import Compiled, Rounds
from quorate.consistency.check.shapes import listed, malformed, pair, rows
from quorate.consistency.check.values import freeze, show
from quorate.consistency.check.verdict import Anomaly
from quorate.consistency.check.wgl import Code, State

ANY = ("any",)
"""The expectation of an answer that was not recorded. No frozen value equals it."""
Slot = tuple[Hashable, int] | None
"""(value, version) of a key; None when there is none."""
Compare = tuple[int, str, str, Hashable]
Do = tuple[str, int, Hashable, Hashable]
"""(put, get or delete; slot; value to put; expected answer)."""
KvCode = tuple[tuple[Compare, ...], tuple[Do, ...], tuple[Do, ...], bool | None]
"""Compares, then, else, and whether the compares held (None: not known)."""
OPERATORS = {"value": ("=", "!="), "exists": ("=", "!="), "version": ("=", "!=", "<", ">")}
SINGLE = ("get", "put", "delete", "cas")


def step(state: State, code: Code) -> State | None:
    """The state after the operation, or None if the state contradicts its answer."""
    slots = cast("tuple[Slot, ...]", state)
    compares, then, otherwise, held = cast("KvCode", code)
    holds = True
    for compare in compares:
        if not _holds(slots, compare):
            holds = False
            break
    if held is not None and holds != held:
        return None
    new: list[Slot] | None = None
    for what, at, value, expected in then if holds else otherwise:
        present = slots[at] if new is None else new[at]
        if what == "get":
            if expected != ANY and (None if present is None else present[0]) != expected:
                return None
            continue
        if new is None:
            new = list(slots)
        if what == "put":
            version = 1 if present is None else present[1] + 1
            new[at] = (value, version)
            if expected not in (ANY, version):
                return None
        else:
            new[at] = None
            if expected not in (ANY, ("bool", present is not None)):
                return None
    return slots if new is None else tuple(new)


def _holds(slots: tuple[Slot, ...], compare: Compare) -> bool:
    at, target, operator, operand = compare
    slot = slots[at]
    present: Any
    if target == "value":
        present = None if slot is None else slot[0]
    elif target == "exists":
        present = ("bool", slot is not None)
    else:
        present = 0 if slot is None else slot[1]
    if operator == "=":
        return present == operand
    if operator == "!=":
        return present != operand
    wanted = cast("int", operand)
    return present < wanted if operator == "<" else present > wanted


class KeyValue:
    """The model."""

    name = "kv"

    def partition(self, operations: Sequence[Operation]) -> list[tuple[str, list[Operation]]]:
        above: dict[Any, Any] = {}

        def root(key: Any) -> Any:
            while above.setdefault(key, key) != key:
                key = above[key]
            return key

        keyed = [(op, keys_of(op)) for op in operations]
        for _, keys in keyed:
            for key in keys[1:]:
                above[root(key)] = root(keys[0])
        parts: dict[Any, list[Operation]] = {}
        names: dict[Any, dict[Any, None]] = {}
        for op, keys in keyed:
            if keys:
                part = root(keys[0])
                parts.setdefault(part, []).append(op)
                names.setdefault(part, {}).update(dict.fromkeys(keys))
        return [(_named(list(names[part])), ops) for part, ops in parts.items()]

    def compile(self, operations: Sequence[Operation]) -> Compiled:
        slots: dict[Any, int] = {}
        for op in operations:
            for key in keys_of(op):
                slots.setdefault(key, len(slots))
        kept = [op for op in operations if op.outcome != "fail"]
        codes = [_code(op, slots) for op in kept]
        useful = _useful(kept, codes)
        reads = [all(do[0] == "get" for do in (*codes[i][1], *codes[i][2])) for i in useful]
        return Compiled(
            [kept[i] for i in useful],
            [codes[i] for i in useful],
            reads,
            (None,) * len(slots),
            step,
        )

    def signs(self, operations: Sequence[Operation]) -> tuple[list[Anomaly], bool]:
        """A value that nobody tried to write."""
        attempted: set[Hashable] = {None}
        codes: list[tuple[Operation, KvCode]] = []
        slots: dict[Any, int] = {}
        for op in operations:
            for key in keys_of(op):
                slots.setdefault(key, len(slots))
        for op in operations:
            if op.outcome != "fail":
                codes.append((op, code := _code(op, slots)))
                attempted.update(do[2] for do in (*code[1], *code[2]) if do[0] == "put")
        found: list[Anomaly] = []
        for op, code in codes:
            for do in (*code[1], *code[2]):
                if do[0] == "get" and do[3] != ANY and do[3] not in attempted:
                    text = f"{op.where} saw a value that nobody wrote"
                    found.append(Anomaly("phantom-value", text, (op,)))
        return found, False

    def removable(self, operations: Sequence[Operation]) -> Rounds:
        """What only looked, one by one; then, where every compare asks for equal values and all of
        them held, single writes of values that nobody saw."""
        compiled = self.compile(operations)
        used = {op.id for op in compiled.operations}
        looked = [op for op, r in zip(compiled.operations, compiled.reads, strict=True) if r]
        first = [[op] for op in operations if op.id not in used] + [[op] for op in looked]
        codes = cast("list[KvCode]", compiled.codes)
        if not _plain(codes):
            return [first]
        seen = _seen(codes)
        blind = [
            [op]
            for op, code in zip(compiled.operations, codes, strict=True)
            if not code[0] and _blind(code, seen) and op.id not in {o.id for o in looked}
        ]
        return [first, blind]


def _named(keys: list[Any]) -> str:
    return f"key {keys[0]!r}" if len(keys) == 1 else f"keys {', '.join(map(repr, keys))}"


def _useful(operations: list[Operation], codes: list[KvCode]) -> list[int]:
    """Leave out what is unknown and cannot matter: reads, and writes nobody saw."""
    plain = _plain(codes)
    seen = _seen(codes) if plain else set[tuple[int, Hashable]]()
    useful: list[int] = []
    for i, (op, code) in enumerate(zip(operations, codes, strict=True)):
        if op.ended == NEVER:
            if all(do[0] == "get" for do in (*code[1], *code[2])):
                continue
            if plain and not code[0] and _blind(code, seen):
                continue
        useful.append(i)
    return useful


def _plain(codes: Sequence[KvCode]) -> bool:
    """Whether leaving out an unseen put can change no answer: nothing asks for versions, existence
    or inequality, and no compare failed or may have failed."""
    for compares, then, otherwise, held in codes:
        if any(target != "value" or operator != "=" for _, target, operator, _ in compares):
            return False
        if compares and held is not True:
            return False
        if any(what != "get" and expected != ANY for what, _, _, expected in (*then, *otherwise)):
            return False
    return True


def _seen(codes: Sequence[KvCode]) -> set[tuple[int, Hashable]]:
    seen: set[tuple[int, Hashable]] = set()
    for compares, then, otherwise, _ in codes:
        seen.update((at, operand) for at, _, _, operand in compares)
        seen.update(
            (at, expected) for what, at, _, expected in (*then, *otherwise) if what == "get"
        )
    return seen


def _blind(code: KvCode, seen: set[tuple[int, Hashable]]) -> bool:
    """Whether it only puts values that nobody saw."""
    return all(what == "put" and (at, value) not in seen for what, at, value, _ in code[1])


# --- reading operations ---------------------------------------------------------------------------


def keys_of(op: Operation) -> list[Any]:
    """The keys an operation touches, each once. Raises `MalformedHistory`."""
    if op.f in SINGLE:
        return [op.key]
    if op.f != "txn":
        raise MalformedHistory(
            f"{op.where}: a key-value store knows get, put, delete, cas and txn, not {op.f!r}"
        )
    compares, then, otherwise = _branches(op)
    keys = [compare[0] for compare in compares] + [do[1] for do in (*then, *otherwise)]
    return list(dict.fromkeys(keys))


def _branches(op: Operation) -> tuple[list[list[Any]], list[list[Any]], list[list[Any]]]:
    body = cast("dict[str, Any]", op.value) if isinstance(op.value, dict) else {"": None}
    if not set(body) <= {"compare", "then", "else"}:
        raise malformed(op, 'a txn takes {"compare": [...], "then": [...], "else": [...]}')
    wanted = "a compare is [key, target, operator, operand]"
    compares = rows(op, body.get("compare", []), wanted, key_at=0)
    for compare in compares:
        target = compare[1] if len(compare) == 4 and isinstance(compare[1], str) else ""
        if target not in OPERATORS or compare[2] not in OPERATORS[target]:
            raise malformed(op, f"{wanted}, not {show(compare)}")
        if target != "value" and not isinstance(compare[3], bool if target == "exists" else int):
            raise malformed(op, f"a compare of {target} cannot be with {show(compare[3])}")
    wanted = "an operation is put, get or delete with its key"
    then = rows(op, body.get("then", []), wanted, key_at=1)
    otherwise = rows(op, body.get("else", []), wanted, key_at=1)
    for do in (*then, *otherwise):
        if do[0] not in ("put", "get", "delete") or len(do) != (3 if do[0] == "put" else 2):
            raise malformed(op, f"{wanted}, not {show(do)}")
    return compares, then, otherwise


def _code(op: Operation, slots: dict[Any, int]) -> KvCode:
    answered = op.outcome == "ok"
    if op.f == "txn":
        return _txn_code(op, slots)
    at = slots[op.key]
    if op.f == "cas":
        expected, new = pair(op, op.value, "cas takes [expected, new]")
        compare = (at, "value", "=", freeze(expected))
        held = op.result is not False if answered else None
        return ((compare,), (("put", at, freeze(new), ANY),), (), held)
    answer = freeze(op.result) if answered else ANY
    if op.f == "put":
        return ((), (_put(at, op.value, answer),), (), None)
    if op.f == "delete":
        return ((), (("delete", at, None, ANY if answer is None else answer),), (), None)
    return ((), (("get", at, None, answer),), (), None)


def _put(at: int, value: Any, expected: Hashable) -> Do:
    return ("put", at, freeze(value), expected if isinstance(expected, int) else ANY)


def _txn_code(op: Operation, slots: dict[Any, int]) -> KvCode:
    compares, then, otherwise = _branches(op)
    held: bool | None = None
    results: list[Any] | None = None
    if op.outcome == "ok":
        answer = cast("dict[str, Any]", op.result) if isinstance(op.result, dict) else {}
        held = answer.get("held")
        if not isinstance(held, bool):
            raise malformed(op, 'a txn answers {"held": true or false, "results": [...]}')
        results = answer.get("results")
        if results is not None:
            wanted = "a txn has one result per operation of the branch it took"
            results = listed(op, results, wanted)
            if len(results) != len(then if held else otherwise):
                raise malformed(op, f"{wanted}, not {show(results)}")
    return (
        tuple((slots[key], target, operator, freeze(x)) for key, target, operator, x in compares),
        _dos(then, slots, results if held else None),
        _dos(otherwise, slots, None if held else results),
        held,
    )


def _dos(
    branch: list[list[Any]], slots: dict[Any, int], results: list[Any] | None
) -> tuple[Do, ...]:
    dos: list[Do] = []
    for number, do in enumerate(branch):
        at = slots[do[1]]
        expected = ANY if results is None else freeze(results[number])
        if do[0] == "put":
            dos.append(_put(at, do[2], expected))
        elif do[0] == "delete":
            dos.append(("delete", at, None, ANY if expected is None else expected))
        else:
            dos.append(("get", at, None, expected))
    return tuple(dos)
