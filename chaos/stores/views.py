"""What a read shows, as a verdict needs it: the product's view of both planes, decoded.

The law: the planes are laid over each other by the product (`consistency/store/views.py`), never
here; this only takes the answer apart.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.stores.calls import Seen
from quorate.chaos.stores.strong import Record
from quorate.consistency.replica.states import KeyState, RegisterState, Vector, state_of
from quorate.consistency.store.merging import Merger
from quorate.consistency.store.receipts import GROUP
from quorate.consistency.store.views import view_of
from quorate.consistency.strong import ABSENT, StrongRecord
from quorate.core import codec

Merge = Any


def strong_record(record: Record | None) -> StrongRecord:
    """The oracle's record as the product knows it. `record.value` is [stamp, value]."""
    if record is None:
        return ABSENT
    stamp, value = record.value
    return StrongRecord(stamp, codec.encode_value(value), record.version)


def shown(
    state: KeyState | None,
    record: Record | None,
    merge: Merge | None = None,
    collected: Vector | None = None,
) -> Seen:
    """What a local read gives. `collected`: what a key that is not there has seen all the same."""
    merger = None if merge is None else Merger(merge)
    view = view_of(state, strong_record(record), merger)
    value = None if view.value is None else codec.decode_value(view.value)
    plane = "none"
    if view.version is not None:
        plane = "strong" if view.version.actor == GROUP else "local"
    entries = state.entries if isinstance(state, RegisterState) else []
    return Seen(
        value,
        [(entry.actor, entry.seq) for entry in entries],
        context_of(state, collected),
        view.saw,
        view.stamp,
        0 if record is None else record.revision,
        plane,
    )


def context_of(state: KeyState | None, collected: Vector | None) -> Vector:
    """Of each actor, the last update that this key's state has seen."""
    if state is None:
        return dict(collected or {})
    if isinstance(state, RegisterState):
        return dict(state.context)
    context = state.crdt.context
    return {actor: context.high(actor) for actor in context.actors()}


def shown_wire(
    state: Any, record: Any, merge: Merge | None = None, collected: Vector | None = None
) -> Seen:
    """The same, of what another host answered."""
    return shown(
        None if state is None else state_of(state),
        None if record is None else Record(*record),
        merge,
        collected,
    )
