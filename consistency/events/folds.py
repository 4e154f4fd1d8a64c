"""Folds and their snapshots: when one may be used, and which are worth keeping. Pure.

The law of this file: a snapshot is a cache and never truth. It belongs to one fold: its name, the
version its author gives it and a fingerprint of its code and start value, so that a changed fold
is never fed an old state. It may be used only if every event that it does not hold comes after
every event that it holds; a late event from a healed partition makes it useless, not wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from types import CodeType
from typing import Any, Final, NamedTuple, cast

from quorate.consistency.events.event import Event, Version, counted, covers
from quorate.core import codec
from quorate.core.errors import UsageError

FORMAT: Final = 1
SLOTS: Final = 4
STATE_BYTES_MAX: Final = 512 * 1024

FoldFunction = Callable[[Any, Event], Any]
"""(state, event) -> the next state; plain, not a coroutine. It may change the state it is given."""
Order = tuple[int, str, int]


class Snapshot(NamedTuple):
    """The state of a fold after all events of `version`."""

    version: Version
    last: Order
    """The order of the last of them."""
    state: bytes

    @property
    def events(self) -> int:
        """How many events it holds."""
        return counted(self.version)


def fold_id(
    fold: FoldFunction, initial: bytes, *, name: str | None, version: int, view: str
) -> str:
    """What the snapshots of a fold are kept under: 32 hex digits. `view`: which strands it sees."""
    own = name or getattr(fold, "__qualname__", type(fold).__qualname__)
    hashed = blake2b(digest_size=16)
    for part in (own, str(version), view):
        hashed.update(part.encode() + b"\0")
    hashed.update(initial + b"\0")
    method = fold if hasattr(fold, "__code__") else type(fold).__dict__.get("__call__")
    code = getattr(method, "__code__", None)
    if isinstance(code, CodeType):
        _hash_code(hashed, code)
    return hashed.hexdigest()


def _hash_code(hashed: Any, code: CodeType) -> None:
    hashed.update(code.co_code)
    hashed.update(repr(code.co_names).encode())
    for const in code.co_consts:
        if isinstance(const, CodeType):
            _hash_code(hashed, const)
        elif isinstance(const, frozenset):
            hashed.update(repr(sorted(map(repr, cast("frozenset[Any]", const)))).encode())
        else:
            hashed.update(repr(const).encode())


def to_row(snapshot: Snapshot) -> list[Any]:
    flat = [part for pair in sorted(snapshot.version.items()) for part in pair]
    return [FORMAT, flat, list(snapshot.last), snapshot.state]


def from_row(row: Any) -> Snapshot | None:
    """The snapshot in a kept row; None for anything else: it is folded again."""
    try:
        form, flat, (stamp, strand, number), state = row
        version = dict(zip(flat[::2], flat[1::2], strict=True))
        good = form == FORMAT and isinstance(state, bytes) and isinstance(stamp, int)
        if not good or version.get(strand) != number:
            return None
        return Snapshot(version, (stamp, strand, number), state)
    except (TypeError, ValueError, AttributeError):
        return None


def encoded_state(state: Any) -> bytes | None:
    """The state as bytes; None if it cannot be kept."""
    try:
        data = codec.encode_value(state)
    except UsageError:
        return None
    return data if len(data) <= STATE_BYTES_MAX else None


class Target(NamedTuple):
    """The version to rebuild: everything up to a stamp, and within a version (None: no bound)."""

    stamp: int | None = None
    version: Version | None = None

    def takes(self, event: Event) -> bool:
        if self.stamp is not None and event.stamp > self.stamp:
            return False
        return self.version is None or event.number <= self.version.get(event.strand, 0)


def usable(snapshot: Snapshot, target: Target, following: Mapping[str, Order]) -> bool:
    """Whether a rebuild may go on from here. `following`: per strand, the order of the first event
    that the snapshot does not hold."""
    if target.stamp is not None and snapshot.last[0] > target.stamp:
        return False
    if target.version is not None and not covers(target.version, snapshot.version):
        return False
    return all(order > snapshot.last for order in following.values())


def slot_for(kept: Sequence[Snapshot | None], count: int) -> int:
    """Which slot a new snapshot of so many events takes: an empty one, one of as many events, or
    the one whose loss leaves the smallest hole, as a ratio, in what is kept."""
    for slot, one in enumerate(kept):
        if one is None or one.events == count:
            return slot
    rows = sorted((one.events, slot) for slot, one in enumerate(kept) if one is not None)
    counts = sorted([*(row[0] for row in rows), count])

    def hole(row: tuple[int, int]) -> float:
        at = counts.index(row[0])
        if at == len(counts) - 1:
            return float("inf")  # the newest stays
        return counts[at + 1] / max(1, counts[at - 1] if at else 1)

    return min(rows, key=hole)[1]


class Pace:
    """When to take a snapshot during a fold: after `every` events, and then ever more rarely, so
    that a long fold is not spent on snapshots."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._folded = 0
        self._next = every

    def folded(self) -> bool:
        """One more event was folded; whether now is the time."""
        self._folded += 1
        if self._folded < self._next:
            return False
        self._next = self._folded + max(self._every, self._folded // 4)
        return True

    @property
    def since_start(self) -> int:
        return self._folded
