"""What a read shows of a key's state and of its strong record: the newer of both planes.

The law: plain functions of values; by stamp, the strong plane wins ties; a CRDT is never mixed with
a register.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.stores.calls import Seen
from quorate.chaos.stores.strong import Record
from quorate.consistency.replica.states import REGISTER, KeyState, RegisterState, state_of
from quorate.core import codec


def merged_view(state: KeyState | None, record: Record | None) -> Seen:
    """What a local read gives. `record.value` is [stamp, value]."""
    local = _local_view(state)
    if record is None:
        return local
    stamp, value = record.value
    if local.plane == "none" or stamp >= local.stamp:
        return Seen(value, local.dots, local.context, stamp, record.revision, "strong")
    local.strong_revision = record.revision
    return local


def _local_view(state: KeyState | None) -> Seen:
    if state is None:
        return Seen(None, [], {}, 0)
    if isinstance(state, RegisterState):
        assert state.kind == REGISTER
        return _register_view(state)
    context = state.crdt.context
    seen = {actor: context.high(actor) for actor in context.actors()}
    return Seen(state.crdt.value(), [], seen, state.stamp, 0, "local")


def _register_view(state: RegisterState) -> Seen:
    winner = state.winner
    dots = [(entry.actor, entry.seq) for entry in state.entries]
    context: dict[int, int] = dict(state.context)
    for entry in state.entries:
        for actor, seq in (entry.deps or {}).items():
            context[actor] = max(seq, context.get(actor, 0))
    value = None
    if winner is not None and winner.value is not None:
        value = codec.decode_value(winner.value)
    return Seen(value, dots, context, state.stamp, 0, "local" if dots else "none")


def view_of_wire(state: Any, record: Any) -> Seen:
    """The same, of what another host answered."""
    return merged_view(
        None if state is None else state_of(state), None if record is None else Record(*record)
    )
