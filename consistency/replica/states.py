"""The state of one key, and the join of two: registers by dotted version vectors, CRDTs by their
own law.

The law of this file: values in, values out; nothing here knows of disks, peers or time. Join is
commutative, associative and idempotent; contexts only grow. A register entry that the other side's
context covers and that the other side does not hold was overwritten there (Preguica, Baquero,
Almeida, Fonte, Goncalves 2010, "Dotted version vectors").

A register's context dictionaries are shared and never changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, cast

from quorate.consistency.crdt import Crdt, decode
from quorate.core import codec
from quorate.core.codec import Malformed

REGISTER = "register"
ENTRIES_MAX = 4096
BESIDE_LOGS = 1 << 52
"""Actors from here on have no log: their dots came in deltas made beforehand (`join_delta`), and
where those stand in the logs of hosts is among the state's deps."""
GROUP = 0
"""The strong plane among the actors of `deps`; its sequence is an index of the group's log."""
_HEAD = b"\x83" + codec.dumps(REGISTER)
"""CBOR: an array of three, of which the first is the kind."""
Vector = dict[int, int]


class RegisterEntry(NamedTuple):
    """One written value, or a tombstone (`value` None). (actor, seq) is its dot."""

    actor: int
    seq: int
    stamp: int
    value: bytes | None
    deps: Vector | None = None
    """What the writing session had written and seen, also of the group (`GROUP`)."""


class RegisterState:
    """The values that nobody has overwritten, and every dot that was seen."""

    __slots__ = ("context", "digest", "entries", "lsn")
    kind = REGISTER

    def __init__(self, entries: list[RegisterEntry], context: Vector, lsn: int = 0) -> None:
        self.entries = entries
        self.context = context
        self.lsn = lsn
        """The commit group of the last change; synced when the replica's `synced_lsn` is at it."""
        self.digest: int | None = None
        """What the Merkle tree holds for this key; None: nothing."""

    @property
    def stamp(self) -> int:
        """The highest stamp of a present entry."""
        return max((entry.stamp for entry in self.entries), default=0)

    @property
    def winner(self) -> RegisterEntry | None:
        """The entry that last-write-wins shows: the highest (stamp, actor, seq)."""
        entries = self.entries
        if len(entries) == 1:
            return entries[0]
        return max(entries, key=rank, default=None)

    @property
    def is_dead(self) -> bool:
        """Only tombstones."""
        return all(entry.value is None for entry in self.entries)

    def covered_by(self, cut: Mapping[int, int]) -> bool:
        """Whether every dot that was ever seen here is within `cut`."""
        return all(seq <= cut.get(actor, 0) for actor, seq in self.context.items())

    def merge(self, entries: list[RegisterEntry], context: Vector) -> bool:
        """Join with another state; True if anything changed."""
        mine, own = self.entries, self.context
        if len(entries) == 1 and all(e.seq <= context.get(e.actor, 0) for e in mine):
            new = entries[0]  # the common case: it overwrites all that is here
            if own.get(new.actor, 0) < new.seq:
                self.entries = entries
                self.context = joined(own, context)
                return True
        kept = [
            entry
            for entry in mine
            if entry.seq > context.get(entry.actor, 0) or has_dot(entries, entry)
        ]
        fresh = [entry for entry in entries if entry.seq > own.get(entry.actor, 0)]
        context = joined(own, context)
        if not fresh and len(kept) == len(mine) and context == own:
            return False
        self.entries = sorted(kept + fresh) if fresh else kept
        self.context = context
        return True

    def reduce(self) -> list[RegisterEntry]:
        """Keep the winner only; the losers are given back. Safe because whoever wrote after seeing
        an entry has a higher stamp than it."""
        winner = self.winner
        losers = [entry for entry in self.entries if entry is not winner]
        if winner is not None:
            self.entries = [winner]
        return losers

    def drop_covered(self, cut: Mapping[int, int]) -> bool:
        """Remove entries with dots within `cut`; True if any was."""
        kept = [entry for entry in self.entries if entry.seq > cut.get(entry.actor, 0)]
        changed = len(kept) != len(self.entries)
        self.entries = kept
        return changed

    def wire(self) -> list[Any]:
        """Canonical: equal states give equal bytes."""
        return [REGISTER, self._rows(), flat(self.context)]

    def _rows(self) -> list[Any]:
        entries = self.entries
        return [
            [e.actor, e.seq, e.stamp, e.value, None if e.deps is None else flat(e.deps)]
            for e in (sorted(entries) if len(entries) > 1 else entries)
        ]

    def encode(self) -> tuple[bytes, bytes]:
        """What replicas with the same updates have in common (the entries; contexts may differ by
        what was collected when), and the bytes of `wire`."""
        rows = codec.dumps(self._rows())
        return rows, b"".join((_HEAD, rows, codec.dumps(flat(self.context))))


class CrdtState:
    """A CRDT, the highest stamp of an update that it contains, and what the sessions that made its
    updates had written and seen."""

    __slots__ = ("crdt", "deps", "digest", "lsn", "stamp")

    def __init__(self, crdt: Crdt, stamp: int, deps: Vector | None = None, lsn: int = 0) -> None:
        self.crdt = crdt
        self.stamp = stamp
        self.deps = deps or {}
        self.lsn = lsn
        self.digest: int | None = None

    @property
    def kind(self) -> str:
        return self.crdt.kind

    @property
    def is_dead(self) -> bool:
        return self.crdt.is_empty()

    def covered_by(self, cut: Mapping[int, int]) -> bool:
        """Whether every dot that was ever seen here is within `cut`."""
        context, beside = self.crdt.context, False
        for actor in context.spans:
            if actor >= BESIDE_LOGS:
                beside = True
            elif context.high(actor) > cut.get(actor, 0):
                return False
        if not beside:
            return True
        return all(a == GROUP or seq <= cut.get(a, 0) for a, seq in self.deps.items())

    def merge(self, other: CrdtState) -> bool:
        """Join another state or delta; True if anything changed."""
        changed = self.crdt.merge(other.crdt)
        return self.took(other.stamp, other.deps) or changed

    def took(self, stamp: int, deps: Vector | None) -> bool:
        """An update with this stamp and these deps is contained; True if that is news."""
        news = stamp > self.stamp
        if news:
            self.stamp = stamp
        if deps and any(seq > self.deps.get(actor, 0) for actor, seq in deps.items()):
            self.deps = joined(self.deps, deps)
            news = True
        return news

    def wire(self) -> list[Any]:
        """Canonical: equal states give equal bytes."""
        parts = [self.crdt.kind, self.stamp, self.crdt.wire()]
        return [*parts, flat(self.deps)] if self.deps else parts

    def encode(self) -> tuple[bytes, bytes]:
        """What replicas with the same updates have in common (what is alive, and how far each
        actor's updates were seen), and the bytes of `wire`."""
        context = self.crdt.context
        highs = flat({actor: context.high(actor) for actor in context.spans})
        return codec.dumps([self.crdt.essence(), highs]), codec.dumps(self.wire())


KeyState = RegisterState | CrdtState


def rank(entry: RegisterEntry) -> tuple[int, int, int]:
    """The order of last-write-wins: the stamp, then the actor, then the sequence."""
    return (entry.stamp, entry.actor, entry.seq)


def has_dot(entries: list[RegisterEntry], wanted: RegisterEntry) -> bool:
    return any(e.actor == wanted.actor and e.seq == wanted.seq for e in entries)


def joined(one: Vector, other: Vector) -> Vector:
    """The pointwise maximum; one of the two themselves where it covers the other."""
    for actor, seq in one.items():
        if seq > other.get(actor, 0):
            break
    else:
        return other
    result = dict(one)
    for actor, seq in other.items():
        if seq > result.get(actor, 0):
            result[actor] = seq
    return result


def flat(vector: Mapping[int, int]) -> list[int]:
    """A vector as [actor, seq, actor, seq, ...] in order of the actors."""
    result: list[int] = []
    for actor in sorted(vector):
        result += (actor, vector[actor])
    return result


def vector_of(value: Any) -> Vector:
    """A vector from its flat list. Raises `Malformed`."""
    if not isinstance(value, list) or len(cast(list[Any], value)) % 2:
        raise Malformed("a vector must be a list of actor, seq pairs")
    numbers = cast(list[Any], value)
    for number in numbers:
        if type(number) is not int or not 0 < number < 1 << 63:
            raise Malformed(f"a vector holds {number!r} where an actor or a sequence must be")
    return dict(zip(numbers[::2], numbers[1::2], strict=True))


def deps_of(value: Any) -> Vector:
    """What an update depends on, from its flat list: a vector, also of the group. Raises
    `Malformed`."""
    if isinstance(value, list) and cast(list[Any], value)[:1] == [GROUP]:
        strong, rest = cast(list[Any], value)[1:2], cast(list[Any], value)[2:]
        return {GROUP: vector_of([1, *strong])[1], **vector_of(rest)}
    return vector_of(value)


def vector_from(value: Any) -> Vector:
    """A vector from a message: a map, or a flat list. Raises `Malformed`."""
    if isinstance(value, list):
        return vector_of(value)
    if not isinstance(value, dict):
        raise Malformed("a vector must be a map of actor to sequence")
    vector = cast(dict[Any, Any], value)
    for actor, seq in vector.items():
        if type(actor) is not int or type(seq) is not int or actor <= 0 or seq < 0:
            raise Malformed("a vector must be a map of actor to sequence")
    return cast(Vector, vector)


def entry_of(row: Any) -> RegisterEntry:
    """A register entry from outside. Raises `Malformed`."""
    if isinstance(row, list) and len(cast(list[Any], row)) == 5:
        actor, seq, stamp, value, deps = cast(list[Any], row)
        if (
            type(actor) is type(seq) is type(stamp) is int
            and 0 < actor < 1 << 63
            and 0 < seq < 1 << 63
            and 0 <= stamp < 1 << 64
            and (value is None or isinstance(value, bytes))
        ):
            return RegisterEntry(actor, seq, stamp, value, None if deps is None else deps_of(deps))
    raise Malformed("a register entry must be [actor, seq, stamp, value, deps]")


def state_of(wire: Any) -> KeyState:
    """A key's state from its wire form. Raises `Malformed`, `UnknownType`."""
    parts = cast(list[Any], wire) if isinstance(wire, list) else []
    if len(parts) not in (3, 4) or not isinstance(parts[0], str):
        raise Malformed("a key's state must be [kind, ...] with three or four parts")
    if parts[0] == REGISTER and len(parts) == 3:
        rows = parts[1]
        if not isinstance(rows, list) or len(cast(list[Any], rows)) > ENTRIES_MAX:
            raise Malformed("a register's entries must be a list")
        entries = sorted(entry_of(row) for row in cast(list[Any], rows))
        context = vector_of(parts[2])
        if any(e.seq > context.get(e.actor, 0) for e in entries):
            raise Malformed("a register's context does not cover its entries")
        return RegisterState(entries, context)
    if type(parts[1]) is not int or not 0 <= parts[1] < 1 << 64:
        raise Malformed("the stamp of a state must be a number of 64 bits")
    crdt = decode(parts[2])
    if crdt.kind != parts[0]:
        raise Malformed(f"a state says {parts[0]!r} and holds a {crdt.kind!r}")
    return CrdtState(crdt, parts[1], deps_of(parts[3]) if len(parts) == 4 else None)


def state_on_disk(wire: Any) -> KeyState:
    """A key's state that this replica wrote itself and whose checksum held, so that what a register
    consists of need not be looked at one by one. Raises as `state_of`, or `TypeError` and its kind
    for what is no state at all."""
    if len(wire) != 3 or wire[0] != REGISTER:
        return state_of(wire)
    _, rows, context = wire
    entries = [
        RegisterEntry(actor, seq, stamp, value, None if deps is None else _pairs(deps))
        for actor, seq, stamp, value, deps in rows
    ]
    return RegisterState(entries, _pairs(context))


def _pairs(flat: list[int]) -> Vector:
    if len(flat) == 2:
        return {flat[0]: flat[1]}
    return dict(zip(flat[::2], flat[1::2], strict=True))


Side = Literal["mine", "theirs"]


def stronger_kind(mine: str, theirs: str) -> Side:
    """Which of two types a key keeps when hosts apart created it as both: the first by name."""
    return "mine" if mine < theirs else "theirs"
