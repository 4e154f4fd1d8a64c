"""Transactions as they are written: `If(version("k") == 3), Then(put("k", 1)), Else(get("k"))`.
Pure.

The law of this file: these are descriptions, nothing is sent by making one. A key that does not
exist has version, revision and lease 0 and the value None. All compares must hold for `Then` to be
done, otherwise `Else` is; either way at one revision, all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from quorate.core import codec
from quorate.core.errors import UsageError
from quorate.core.machine import commands
from quorate.core.machine.commands import Command, Operator, Target


@dataclass(frozen=True, slots=True)
class Compare:
    """One condition. Made by comparing `version(key)` and its kin, or by `exists(key)`."""

    key: str
    target: Target
    operator: Operator
    operand: int | bytes | bool | None

    def __bool__(self) -> bool:
        raise UsageError(
            "a compare is decided by the group, not here: hand it to If(...), several of them "
            "separated by commas instead of `and`"
        )

    def __invert__(self) -> Compare:
        """`~exists(key)`"""
        opposite: dict[Operator, Operator] = {"=": "!=", "!=": "="}
        if self.operator not in opposite:
            raise UsageError(f"{self.operator} cannot be negated: write the compare the other way")
        return Compare(self.key, self.target, opposite[self.operator], self.operand)

    def to_command(self, ns: str) -> Command:
        return commands.compare(self.key, self.target, self.operator, self.operand, ns)


class Subject:
    """What can be compared: a number or the value of a key."""

    __slots__ = ("_encode", "_key", "_target")

    def __init__(self, key: str, target: Target, encode: Callable[[Any], Any]) -> None:
        self._key = key
        self._target: Target = target
        self._encode = encode

    def _compare(self, operator: Operator, operand: Any) -> Compare:
        return Compare(self._key, self._target, operator, self._encode(operand))

    def __eq__(self, other: object) -> Compare:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._compare("=", other)

    def __ne__(self, other: object) -> Compare:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._compare("!=", other)

    def __lt__(self, other: Any) -> Compare:
        return self._compare("<", other)

    def __gt__(self, other: Any) -> Compare:
        return self._compare(">", other)

    __hash__ = None  # type: ignore[assignment]


def _number(operand: Any) -> int:
    if type(operand) is not int:
        raise UsageError(
            f"versions and revisions are compared with an int, not {type(operand).__name__}"
        )
    return operand


def _encoded(operand: Any) -> bytes | None:
    return None if operand is None else codec.encode_value(operand)


def version(key: str) -> Subject:
    """How often the key was written since it was created; 0 if it does not exist."""
    return Subject(key, "version", _number)


def revision(key: str) -> Subject:
    """The revision of the key's last write; 0 if it does not exist."""
    return Subject(key, "mod", _number)


def created(key: str) -> Subject:
    """The revision at which the key was created; 0 if it does not exist."""
    return Subject(key, "create", _number)


def value(key: str) -> Subject:
    """The key's value; `== None` holds for a key that does not exist (and for no stored value: a
    stored None is not a missing key)."""
    return Subject(key, "value", _encoded)


def exists(key: str) -> Compare:
    """The key exists; `~exists(key)`: it does not."""
    return Compare(key, "exists", "=", True)


@dataclass(frozen=True, slots=True)
class Put:
    """Write a value."""

    key: str
    encoded: bytes
    lease: int = 0

    def to_command(self, ns: str) -> Command:
        return commands.put(self.key, self.encoded, self.lease, ns)


@dataclass(frozen=True, slots=True)
class Get:
    """Read a key at the transaction's revision, before what the transaction writes after it."""

    key: str

    def to_command(self, ns: str) -> Command:
        return commands.get(self.key, ns)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete a key; no error if it does not exist."""

    key: str

    def to_command(self, ns: str) -> Command:
        return commands.delete(self.key, ns)


Operation = Put | Get | Delete


def put(key: str, value: Any, *, lease: int = 0) -> Put:
    """For `Then` and `Else`: write `value`, any value CBOR can hold."""
    return Put(key, codec.encode_value(value), lease)


def get(key: str) -> Get:
    """For `Then` and `Else`: read; the record is in the transaction's results."""
    return Get(key)


def delete(key: str) -> Delete:
    """For `Then` and `Else`: delete."""
    return Delete(key)


class _Part:
    """The operations or compares of one part of a transaction."""

    __slots__ = ("parts",)

    def __init__(self, *parts: Any) -> None:
        for part in parts:
            self._check(part)
        self.parts: tuple[Any, ...] = parts

    def _check(self, part: Any) -> None:
        if not isinstance(part, Put | Get | Delete):
            raise UsageError(
                f"{type(self).__name__} takes put(...), get(...) and delete(...), not {part!r}"
            )

    def to_commands(self, ns: str) -> list[Command]:
        return [part.to_command(ns) for part in self.parts]


class If(_Part):
    """All of these must hold; no compare at all holds always."""

    __slots__ = ()

    def _check(self, part: Any) -> None:
        if not isinstance(part, Compare):
            raise UsageError(
                f'If takes compares such as version("key") == 3 or exists("key"), not {part!r}'
            )


class Then(_Part):
    """Done if all compares hold."""

    __slots__ = ()


class Else(_Part):
    """Done if a compare does not hold."""

    __slots__ = ()


def transaction(ns: str, parts: Sequence[Any]) -> tuple[Command, Sequence[Any], Sequence[Any]]:
    """The command of `If, Then, Else` in any order, at most one of each; and the two lists of
    operations."""
    found: dict[type[Any], _Part] = {}
    for part in parts:
        kind = cast(type[Any], type(part))
        if kind not in (If, Then, Else):
            raise UsageError(
                f"a transaction is made of If(...), Then(...), Else(...), not {part!r}"
            )
        if kind in found:
            raise UsageError(f"a transaction has one {kind.__name__}(...) at most")
        found[kind] = part
    then, otherwise = found.get(Then, Then()), found.get(Else, Else())
    command = commands.txn(
        found.get(If, If()).to_commands(ns), then.to_commands(ns), otherwise.to_commands(ns)
    )
    return command, then.parts, otherwise.parts
