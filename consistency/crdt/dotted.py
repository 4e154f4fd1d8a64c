"""Stores of the form dot -> payload, and their join.

The law of this file: a dot alive here is always in the context. `put_dot` and `drop_dot` are the
only doors; a kind that keeps an index overrides both. Joining costs what the other side holds and
what its context overlaps with ours: a delta joins a large store without walking through it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from quorate.consistency.crdt.base import Crdt
from quorate.consistency.crdt.values import listed, named, natural
from quorate.consistency.versions.context import CausalContext, Spans, inside
from quorate.core.codec import Malformed

P = TypeVar("P")


class Dotted(Crdt, Generic[P]):
    """dots[actor][seq] = payload; no empty inner dict."""

    __slots__ = ("dots",)

    dots: dict[int, dict[int, P]]

    def __init__(self, context: CausalContext | None = None) -> None:
        self.context = CausalContext() if context is None else context
        self.dots = {}

    # --- the doors --------------------------------------------------------------------------------

    def put_dot(self, actor: int, seq: int, payload: P) -> None:
        held = self.dots.get(actor)
        if held is None:
            self.dots[actor] = {seq: payload}
        else:
            held[seq] = payload

    def drop_dot(self, actor: int, seq: int) -> None:
        held = self.dots[actor]
        del held[seq]
        if not held:
            del self.dots[actor]

    def settle(self) -> None:
        """Called when a join has put and dropped all it wanted."""

    def same_dot(self, actor: int, seq: int, mine: P, theirs: P) -> bool:
        """Both have the dot alive. Whether joining the payloads changed ours."""
        return False

    # --- operations -------------------------------------------------------------------------------

    def remove_dot(self, actor: int, seq: int, seen: CausalContext) -> None:
        """Drop a dot and let the delta say that it was seen."""
        self.drop_dot(actor, seq)
        seen.add_interval(actor, seq - 1, seq)

    def remove_all(self, seen: CausalContext) -> None:
        for actor, held in list(self.dots.items()):
            for seq in sorted(held):
                self.remove_dot(actor, seq, seen)

    # --- join -------------------------------------------------------------------------------------

    def join_store(self, other: Dotted[P]) -> bool:
        changed = self._drop_seen(other) if self.dots else False
        mine, dots = self.context.spans, self.dots
        for actor, held in other.dots.items():
            spans, ours = mine.get(actor), dots.get(actor)
            for seq, payload in held.items():
                if ours is not None and seq in ours:
                    if self.same_dot(actor, seq, ours[seq], payload):
                        changed = True
                elif spans is None or not inside(spans, seq):
                    self.put_dot(actor, seq, payload)
                    changed = True
        if changed:
            self.settle()
        return changed

    def _drop_seen(self, other: Dotted[P]) -> bool:
        """Drop what the other side has seen and no longer holds."""
        dots, mine, theirs = self.dots, self.context.spans, other.context.spans
        dropped = False
        for actor in list(dots if len(dots) < len(theirs) else theirs):
            held, spans = dots.get(actor), theirs.get(actor)
            if held is None or spans is None or spans[0] >= mine[actor][-1]:
                continue
            kept = other.dots.get(actor, {})
            for seq in overlap(held, spans, mine[actor][-1]):
                if seq not in kept:
                    self.drop_dot(actor, seq)
                    dropped = True
        return dropped

    def is_empty(self) -> bool:
        return not self.dots

    def is_bare(self) -> bool:
        return not self.dots

    # --- wire -------------------------------------------------------------------------------------

    def pack(self, payload: P) -> Any:
        """One payload as a plain value."""
        return payload

    def unpack(self, packed: Any) -> P:
        """The inverse. Raises Malformed."""
        raise NotImplementedError

    def body(self, names: Mapping[int, int], *, alive: bool = False) -> list[Any]:
        """[index of actor, [step, payload, step, payload, ...], ...]: the first step counts down
        from the actor's high in the context, the next from the seq before."""
        out: list[Any] = []
        pack, spans = self.pack, self.context.spans
        for actor in sorted(self.dots):
            held = self.dots[actor]
            at = spans[actor][-1]
            flat: list[Any] = []
            for seq in sorted(held, reverse=True):
                flat.append(at - seq)
                flat.append(pack(held[seq]))
                at = seq
            out.append(names[actor])
            out.append(flat)
        return out

    def load(self, body: list[Any], actors: list[int], depth: int) -> None:
        if len(body) % 2:
            raise Malformed(f"a {self.kind} must come in pairs of actor and dots")
        before = -1
        for at in range(0, len(body), 2):
            actor = named(body[at], actors)
            if body[at] <= before:
                raise Malformed(f"the actors of a {self.kind} must be ascending")
            before = body[at]
            self._load_actor(actor, listed(body[at + 1], "the dots of an actor"))
        self.settle()

    def _load_actor(self, actor: int, flat: list[Any]) -> None:
        spans = self.context.spans[actor]
        seq = spans[-1]
        if not flat or len(flat) % 2:
            raise Malformed("the dots of an actor must be pairs of step and payload, at least one")
        for at in range(0, len(flat), 2):
            seq -= natural(flat[at], "the step to a dot", 1 if at else 0)
            if not inside(spans, seq):
                raise Malformed("a dot lies outside of the causal context")
            self.put_dot(actor, seq, self.unpack(flat[at + 1]))


def overlap(held: Mapping[int, Any], spans: Spans, high: int) -> list[int]:
    """The seqs of `held`, all of them <= `high`, that lie in `spans`; no more work than the
    smaller of the two."""
    total = 0
    for at in range(0, len(spans), 2):
        if spans[at] < high:
            total += min(spans[at + 1], high) - spans[at]
    if total >= len(held):
        return [seq for seq in held if inside(spans, seq)]
    return [
        seq
        for at in range(0, len(spans), 2)
        for seq in range(spans[at] + 1, min(spans[at + 1], high) + 1)
        if seq in held
    ]
