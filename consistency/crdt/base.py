"""What every CRDT is: a store of dots and a causal context, joined by one rule.

The law of this file: a state says "of all dots in my context, these are alive, and they mean this".
Joining two states keeps a dot that both have alive, drops one that either has seen and no longer
holds, and takes over one that was never seen. Nothing else ever removes anything, so there are no
tombstones to collect here, and any mix of deltas and whole states joins to the same result.

No clock, no chance, no IO: who acts, when and with which seq is handed in.

Source: Almeida, Shoker, Baquero, "Delta State Replicated Data Types" (2018), sections 7 and 8.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from quorate.consistency.crdt.values import count_text
from quorate.consistency.versions.context import GREATEST_SEQ, CausalContext
from quorate.core.codec import Malformed
from quorate.core.errors import InvariantBroken, UsageError, WrongType

BY_KIND: Final[dict[str, type[Crdt]]] = {}
BY_CODE: Final[dict[int, type[Crdt]]] = {}


class UnknownType(UsageError):
    """No CRDT of that kind exists here."""


class Crdt(ABC):
    """The base of all kinds. Not safe for threads; every change is in place.

    A CRDT inside an or_map shares the context of the outermost one: `child.context is map.context`.
    """

    __slots__ = ("context",)

    kind: ClassVar[str]
    code: ClassVar[int]
    ops: ClassVar[Mapping[str, tuple[int, int]]]
    """The name of each operation, and how many arguments it takes at least and at most."""
    whole_ops: ClassVar[frozenset[str]] = frozenset({"reset"})
    """Operations that remove everything seen: their delta carries the whole context."""

    context: CausalContext

    def __init__(self, context: CausalContext | None = None) -> None:
        self.context = CausalContext() if context is None else context

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "kind" in cls.__dict__ and BY_KIND.setdefault(cls.kind, cls) is cls:
            BY_CODE[cls.code] = cls

    # --- for everybody ----------------------------------------------------------------------------

    @classmethod
    def dots_needed(cls, op: str, args: list[Any]) -> int:
        """How many seqs `op` uses. Raises UsageError for an unknown op or a wrong number of
        arguments."""
        takes = cls.ops.get(op)
        if takes is None:
            known = ", ".join(sorted(cls.ops))
            raise UsageError(f"{cls.kind} has no operation {op!r:.60}: it has {known}")
        if type(args) is not list or not takes[0] <= len(args) <= takes[1]:
            raise UsageError(f"{cls.kind}.{op} takes {count_text(*takes)} in a list")
        return 1

    def operate(self, op: str, args: list[Any], actor: int, seq: int, stamp: int) -> Self:
        """Do `op` here and now; returns the delta, to be joined elsewhere by `merge`.

        `seq` is the last of `dots_needed(op, args)` dots of `actor`, all of them never used before.
        Raises UsageError (also WrongType, LimitExceeded) and has then changed nothing;
        InvariantBroken if the dots were used before.
        """
        first = seq - self.dots_needed(op, args)
        context = self.context
        spans = context.spans.get(actor)
        low = spans[-1] if spans else first
        if low > first:
            raise InvariantBroken(f"dot {seq} of actor {actor} lies below its last one, {low}")
        delta = self.__class__()
        seen = delta.context
        if op in self.whole_ops:
            seen.spans = dict(context.spans)
        self.apply_op(op, args, actor, seq, stamp, delta)
        seen.add_interval(actor, low, seq)
        context.join(seen)
        return delta

    def merge(self, other: Crdt) -> bool:
        """Join `other`, a delta or a whole state, into this. Whether anything changed.

        Raises WrongType if it is of another kind.
        """
        if other.kind != self.kind:
            raise WrongType(f"a {other.kind} cannot be merged into a {self.kind}")
        changed = self.join_store(other)
        return self.context.join(other.context) or changed

    def brief(self) -> list[Any]:
        """`wire()`, or a shorter form of it that `decode` and `merge_wire` take as well: for deltas
        on their way, where a list in a list costs more than the numbers in it."""
        return self.wire()

    @classmethod
    def from_brief(cls, brief: list[Any]) -> list[Any]:
        """The wire form of a brief one. Raises Malformed."""
        raise Malformed(f"a {cls.kind} must come as [code, context, body]")

    def merge_wire(self, wire: Any) -> bool | None:
        """Join what `wire()` gave where that can be done by hand, for speed: whether anything
        changed. None: it cannot, and nothing was done; use `merge(decode(wire))`."""
        return None

    def wire(self) -> list[Any]:
        """[code, context, body], plain values; equal sets of updates give equal bytes."""
        spans = self.context.spans
        if len(spans) == 1:
            names = dict.fromkeys(spans, 0)
        else:
            names = {actor: at for at, actor in enumerate(sorted(spans))}
        return [self.code, self.context.wire(), self.body(names)]

    def essence(self) -> list[Any]:
        """[code, body], what is alive told without the context: replicas that show the same and
        were collected at different times have this in common. Canonical, not for decoding."""
        context = self.context
        spans = context.spans
        context.spans = dict.fromkeys(spans, (0, GREATEST_SEQ))
        try:
            return [self.code, self.body({actor: actor for actor in spans}, alive=True)]
        finally:
            context.spans = spans

    def collect(self, stable: Mapping[int, int]) -> bool:
        """Everything up to `stable` was applied by every replica: forget what only served those who
        had not. Whether anything changed. Here: the gaps of the context below the cut."""
        return self.context.close(stable)

    @abstractmethod
    def value(self) -> Any:
        """The value for the user: plain and CBOR-able; equal states give equal values."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether nothing is alive: the value is that of a new one."""

    # --- for the kinds ----------------------------------------------------------------------------

    @abstractmethod
    def apply_op(
        self, op: str, args: list[Any], actor: int, seq: int, stamp: int, delta: Any
    ) -> None:
        """Check everything, then change the store of `self` and build that of `delta`, whose
        context takes the dots that were seen and removed. Must not touch `self.context`."""

    @abstractmethod
    def join_store(self, other: Any) -> bool:
        """Join the store by both contexts, before these are joined. Whether anything changed."""

    @abstractmethod
    def is_bare(self) -> bool:
        """Whether the store holds nothing at all, dead or alive."""

    @abstractmethod
    def body(self, names: Mapping[int, int], *, alive: bool = False) -> list[Any]:
        """The store as plain values; `names` gives every actor of the context its index. `alive`:
        without what was reset or removed."""

    @abstractmethod
    def load(self, body: list[Any], actors: list[int], depth: int) -> None:
        """The inverse of `body` into this empty store. Raises Malformed."""
