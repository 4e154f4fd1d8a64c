"""The product's replica with a witness at its door: the watch is told of every update that is made.

The law: nothing is changed. Plants are subclasses of this class.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.stores.calls import Made, Vector
from quorate.consistency.replica.replica import StoreReplica, Update
from quorate.consistency.replica.states import CrdtState, KeyState, RegisterState
from quorate.core import codec


class SimReplica(StoreReplica):
    """See the law above. Its hooks are a `StoreHost`."""

    hooks: Any

    def put(self, store: str, key: str, value: bytes | None, **options: Any) -> Update:
        seen = self.seen(store, key)
        update = super().put(store, key, value, **options)
        plain = None if value is None else codec.decode_value(value)
        self._made(update, plain, seen, is_delete=value is None)
        return update

    def operate(
        self, store: str, key: str, kind: str, op: str, args: list[Any], **options: Any
    ) -> Update:
        seen, told = self.seen(store, key), args
        state = self.read(store, key)
        if kind == "sequence" and op == "delete" and isinstance(state, CrdtState):
            told = state.crdt.value()[args[0] : args[0] + 1]
        update = super().operate(store, key, kind, op, args, **options)
        self._made(update, [kind, op, told], seen, is_delete=op == "reset")
        return update

    def seen(self, store: str, key: str) -> Vector:
        """What the key has seen. Where it is not there, but everything of it should be, that is all
        that was ever collected: every owner had applied it, but for those whose disk is newer."""
        state = self.read(store, key)
        if state is not None:
            return context_of(state)
        complete = self.owns(store, key) and self.whole(self.partition_of(store, key))
        applied = self.applied if complete else {}
        collected: Vector = self.hooks.collected()
        return {a: min(seq, applied[a]) for a, seq in collected.items() if a in applied}

    def _made(self, update: Update, value: Any, seen: Vector, *, is_delete: bool) -> None:
        dot = (self.actor, update.seq)
        host = self.hooks
        host.on_made(
            Made(
                self.host_id,
                update.store,
                update.key,
                dot,
                update.stamp,
                value,
                is_delete,
                seen,
                0.0,
            )
        )


def context_of(state: KeyState) -> Vector:
    """Of each actor, the last update that this key's state has seen."""
    if isinstance(state, RegisterState):
        return dict(state.context)
    context = state.crdt.context
    return {actor: context.high(actor) for actor in context.actors()}
