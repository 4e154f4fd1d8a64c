"""What clients did and were told, and what the group did: the material of every verdict.

The law: an operation is invoked once and ends at most once, as `ok`, `no` (certainly not applied)
or `unknown`; values written are unique; what was applied is recorded by log index, from whichever
host applied it first, and every other host must have done the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["add", "set", "cas", "read"]
Outcome = Literal["pending", "ok", "no", "unknown"]
INFINITY = float("inf")


@dataclass(slots=True, eq=False)
class Op:
    """One operation. `add` writes a key of its own; `set`, `cas` and `read` use a register."""

    id: int
    client: str
    kind: Kind
    key: str
    value: str | None
    """What it writes; for a read, what it saw."""
    called: float
    expected: str | None = None
    """The value a `cas` asks for."""
    returned: float = INFINITY
    deadline: float = INFINITY
    outcome: Outcome = "pending"
    index: int = 0
    """Where it was applied, as its client was told; for a read, the index it reflects."""
    revision: int = 0
    swapped: bool = True
    """A `cas` whose compare failed was answered, and wrote nothing."""


@dataclass(slots=True)
class Effect:
    """What the log says of one operation: applied at `index`, as `revision`."""

    op: Op
    index: int
    revision: int
    version: int
    wrote: bool


@dataclass(slots=True)
class History:
    """All operations in the order of their calls, and all effects in the order of the log."""

    ops: list[Op] = field(default_factory=list[Op])
    effects: dict[int, Effect] = field(default_factory=dict[int, Effect])
    """By operation id."""
    names: dict[tuple[int, int], Op] = field(default_factory=dict[tuple[int, int], Op])
    """(session, sequence) -> the operation that travels under it."""

    def invoke(self, op: Op) -> Op:
        self.ops.append(op)
        return op

    def applied(self, index: int, session: int, sequence: int, result: Any) -> str | None:
        """The first host applied this. Returns what is wrong with it, or None."""
        op = self.names.get((session, sequence))
        if op is None:
            return None
        wrote = result[0] != "failed"
        if not wrote and result[1] != "compare_failed":
            return None
        known = self.effects.get(op.id)
        version = result[1] if wrote else 0
        revision = result[0] if wrote else 0
        if known is None:
            self.effects[op.id] = Effect(op, index, revision, version, wrote)
            if op.kind == "add" and wrote and version != 1:
                return f"{op.key} was applied twice: its version is {version}"
            return None
        if (known.revision, known.version, known.wrote) != (revision, version, wrote):
            return f"{op.key} ({op.kind} {op.id}) has two effects: at {known.index} and at {index}"
        return None

    def acknowledged(self) -> list[Op]:
        """Writes whose client was told that they happened."""
        return [op for op in self.ops if op.outcome == "ok" and op.kind != "read" and op.swapped]
