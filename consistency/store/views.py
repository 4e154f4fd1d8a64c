"""What a reader sees of a key: both planes laid over each other. Pure.

The law of this file (DESIGN §5, mixed levels on one key): a strong read sees the strong record and
nothing else; any other read sees whichever is newer by stamp, the record or the local state, the
record on a tie. Entries of the local plane that are older than the record are hidden by it. Several
concurrent values that are left are merged by the store's function, or shown as siblings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from quorate.consistency.replica.states import (
    GROUP,
    CrdtState,
    KeyState,
    RegisterEntry,
    RegisterState,
    rank,
)
from quorate.consistency.store.merging import MergeFailed
from quorate.consistency.store.receipts import Version
from quorate.consistency.strong import ABSENT, StrongRecord
from quorate.core import codec
from quorate.core.errors import Siblings, TooManySiblings

REGISTER = "register"
Merge = Callable[[list[bytes]], bytes]
Vector = dict[int, int]


class View(NamedTuple):
    """A key as one host sees it."""

    type: str
    exists: bool
    value: bytes | None
    """Encoded; None if it does not exist."""
    version: Version | None
    """None: nothing is known of the key."""
    siblings: tuple[bytes, ...]
    """All concurrent values, the newest first."""
    conflict: str
    """Why no single value can be told; "" if one can (then it is in `value`)."""
    saw: Vector
    """The updates that were looked at, and what their writers had seen."""
    stamp: int
    """The highest stamp of all that was looked at."""

    def to_plain(self) -> list[Any]:
        saw = [number for pair in sorted(self.saw.items()) for number in pair]
        version = None if self.version is None else list(self.version)
        return [
            self.type,
            self.exists,
            self.value,
            version,
            list(self.siblings),
            self.conflict,
            saw,
            self.stamp,
        ]

    @classmethod
    def from_plain(cls, plain: Any) -> View:
        """Raises `ValueError` or `TypeError` for what is not a view."""
        kind, exists, value, version, siblings, conflict, saw, stamp = plain
        if not (value is None or type(value) is bytes) or type(exists) is not bool:
            raise ValueError("not a view")
        if not all(type(one) is bytes for one in siblings) or not all(
            type(number) is int for number in (*saw, stamp, *(version or ()))
        ):
            raise ValueError("not a view")
        return cls(
            str(kind),
            exists,
            value,
            None if version is None else Version(*version),
            tuple(siblings),
            str(conflict),
            dict(zip(saw[::2], saw[1::2], strict=True)),
            stamp,
        )


NOTHING = View(REGISTER, False, None, None, (), "", {}, 0)


def strong_view(record: StrongRecord) -> View:
    """What a strong read sees."""
    if not record.version:
        return NOTHING
    value = record.value
    return View(
        REGISTER,
        value is not None,
        value,
        Version(GROUP, record.version, record.stamp),
        () if value is None else (value,),
        "",
        {},
        record.stamp,
    )


def view_of(
    state: KeyState | None, record: StrongRecord = ABSENT, merge: Merge | None = None
) -> View:
    """What any other read sees. `merge`: the store's function; None: siblings are kept."""
    if state is None:
        return strong_view(record)
    if isinstance(state, CrdtState):
        return strong_view(record) if _hides(record, state.stamp) else _crdt_view(state)
    return _register_view(state, record, merge)


def _hides(record: StrongRecord, stamp: int) -> bool:
    return record.version > 0 and record.stamp >= stamp


def _crdt_view(state: CrdtState) -> View:
    crdt = state.crdt
    saw = {actor: crdt.context.high(actor) for actor in crdt.context.actors()}
    value = codec.encode_value(crdt.value())
    actor, seq = max(saw.items(), default=(0, 0))
    version = Version(actor, seq, state.stamp)
    for at, last in state.deps.items():
        saw[at] = max(last, saw.get(at, 0))
    alive = not crdt.is_empty()
    return View(state.kind, alive, value, version, (value,), "", saw, state.stamp)


def _register_view(state: RegisterState, record: StrongRecord, merge: Merge | None) -> View:
    entries = state.entries
    saw = seen_of(entries)
    if record.version:
        entries = [entry for entry in entries if entry.stamp > record.stamp]
    if not entries:
        shown = strong_view(record)
        return shown._replace(saw=saw) if saw else shown
    if len(entries) == 1:
        entry = entries[0]
        value = entry.value
        siblings = () if value is None else (value,)
        version = Version(entry.actor, entry.seq, entry.stamp)
        return View(REGISTER, value is not None, value, version, siblings, "", saw, entry.stamp)
    return _concurrent_view(sorted(entries, key=rank, reverse=True), saw, merge)


def _concurrent_view(newest_first: list[RegisterEntry], saw: Vector, merge: Merge | None) -> View:
    """Several entries, of which nobody overwrote another. Tombstones give way to values."""
    living = [entry for entry in newest_first if entry.value is not None]
    top = living[0] if living else newest_first[0]
    version = Version(top.actor, top.seq, top.stamp)
    values = tuple(entry.value for entry in living if entry.value is not None)
    distinct = tuple(dict.fromkeys(values))
    stamp = newest_first[0].stamp
    value = top.value
    conflict = ""
    if len(distinct) > 1:
        if merge is None:
            conflict = f"it has {len(distinct)} concurrent values"
        else:
            try:
                value = merge(sorted(distinct))
            except MergeFailed as failed:
                conflict = f"its {len(distinct)} concurrent values are kept apart: {failed}"
    return View(REGISTER, bool(living), value, version, distinct, conflict, saw, stamp)


def seen_of(entries: list[RegisterEntry]) -> Vector:
    """The dots of these entries, and what their writers had seen: what a reader's session must
    find wherever it reads next (monotonic reads, writes follow reads)."""
    if len(entries) == 1 and not entries[0].deps:
        return {entries[0].actor: entries[0].seq}
    saw: Vector = {}
    for entry in entries:
        if entry.seq > saw.get(entry.actor, 0):
            saw[entry.actor] = entry.seq
        for actor, seq in (entry.deps or {}).items():
            if seq > saw.get(actor, 0):
                saw[actor] = seq
    return saw


def siblings_error(what: str, view: View, siblings_max: int) -> Siblings | TooManySiblings:
    """Why a key has no single value."""
    if len(view.siblings) > siblings_max:
        return TooManySiblings(
            f"{what} has {len(view.siblings)} concurrent values, more than "
            f"siblings_max={siblings_max}; siblings() shows them all, put one value in their place"
        )
    return Siblings(
        f"{what}: {view.conflict}; read them with siblings() and put one value",
        [codec.decode_value(value) for value in view.siblings],
    )
