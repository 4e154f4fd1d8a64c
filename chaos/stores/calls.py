"""What clients asked and were told: the material of every verdict; and what a session carries.

The law: a call is invoked once and ends at most once, as `ok`, `no` (certainly not applied, or a
read that was not served) or `unknown`; written values are unique; a dot is recorded with the update
that was made under it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["pending", "ok", "no", "unknown"]
Kind = Literal["put", "delete", "operate", "get", "strong_put", "strong_get", "promote", "update"]
Level = Literal["local", "eventual", "session", "bounded", "strong", "crdt"]
INFINITY = float("inf")
Dot = tuple[int, int]
Vector = dict[int, int]

WRITES: tuple[Kind, ...] = ("put", "delete", "operate", "strong_put", "promote", "update")


@dataclass(slots=True)
class Token:
    """What a session wrote and saw: dots, the highest stamp, and the strong plane's index."""

    vector: Vector = field(default_factory=Vector)
    stamp: int = 0
    index: int = 0

    def copy(self) -> Token:
        return Token(dict(self.vector), self.stamp, self.index)

    def see(self, vector: Vector, stamp: int, index: int) -> None:
        for actor, seq in vector.items():
            if seq > self.vector.get(actor, 0):
                self.vector[actor] = seq
        self.stamp = max(self.stamp, stamp)
        self.index = max(self.index, index)


@dataclass(slots=True)
class Seen:
    """What a read showed: the value, which plane it came from, the dots of a register's entries,
    everything that the key's state had seen (`context`), and what the session must find again
    (`saw`)."""

    value: Any
    dots: list[Dot]
    context: Vector
    saw: Vector
    stamp: int
    strong_revision: int = 0
    """The revision of the strong record as it stood; 0: none."""
    plane: Literal["local", "strong", "none"] = "none"


@dataclass(slots=True, eq=False)
class Call:
    """One call of a client. Times are virtual seconds."""

    id: int
    session: str
    host: str
    kind: Kind
    level: Level
    store: str
    key: str
    called: float
    deadline: float
    operation: tuple[str, str, list[Any]] | None = None
    """(CRDT kind, op, arguments)"""
    value: Any = None
    own: Any = None
    """The number that this call adds or removes."""
    durable: bool = True
    wait_for: int = 1
    bound_ms: int = 0
    bound_versions: int = 0
    expected: int | None = None
    returned: float = INFINITY
    outcome: Outcome = "pending"
    reason: str = ""
    dot: Dot | None = None
    dots: int = 1
    """How many dots the update took, the last of them `dot`."""
    overwrote: Vector = field(default_factory=Vector)
    """The context of the key when a register was written."""
    stamp: int = 0
    index: int = 0
    """Where a strong call stands in the strong log."""
    seen: Seen | None = None
    token: Token | None = None
    """The session's token when the call was made."""
    excused: str = ""
    """Why the update may be gone: every disk that held it was lost."""

    @property
    def writes(self) -> bool:
        return self.kind in WRITES


@dataclass(slots=True)
class Calls:
    """All calls in the order in which they were made."""

    all: list[Call] = field(default_factory=list[Call])
    events: list[tuple[Call, bool]] = field(default_factory=list[tuple[Call, bool]])
    """Beginnings (False) and ends (True), in the order in which they happened."""
    by_dot: dict[Dot, Call] = field(default_factory=dict[Dot, Call])
    """The update that each dot names: by its last dot."""

    def begin(self, call: Call) -> None:
        self.all.append(call)
        self.events.append((call, False))

    def end(self, call: Call) -> None:
        self.events.append((call, True))

    def acknowledged(self) -> list[Call]:
        """Updates of the local plane whose client was told that they are durable."""
        return [call for call in self.all if call.outcome == "ok" and call.dot and call.durable]
