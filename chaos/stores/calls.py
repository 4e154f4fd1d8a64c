"""What clients asked and were told, and the updates that hosts made of it: the material of every
verdict.

The law: a call is invoked once and ends at most once, as `ok`, `no` (certainly not applied, or a
read that was not served) or `unknown`; written values are unique; a dot is recorded with the update
that was made under it, by the host that made it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from quorate.consistency.store.receipts import Version

Outcome = Literal["pending", "ok", "no", "unknown"]
Kind = Literal["put", "delete", "operate", "get", "strong_put", "strong_get", "promote", "update"]
Level = Literal["local", "eventual", "session", "bounded", "strong", "crdt"]
INFINITY = float("inf")
Dot = tuple[int, int]
Vector = dict[int, int]

WRITES: tuple[Kind, ...] = ("put", "delete", "operate", "strong_put", "promote", "update")


@dataclass(slots=True)
class Seen:
    """What a read showed."""

    value: Any
    siblings: list[Any]
    version: Version | None
    type: str
    saw: Vector
    """What the session must find wherever it reads next."""
    host: str
    """Who answered."""
    context: Vector
    """What that host's state of the key had seen: which tombstones were collected from it."""


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
    returned: float = INFINITY
    outcome: Outcome = "pending"
    reason: str = ""
    dot: Dot | None = None
    stamp: int = 0
    index: int = 0
    """Where a strong update stands in the strong log."""
    strong_version: int = 0
    """Of the key, after a strong update."""
    holders: tuple[str, ...] = ()
    achieved_durable: bool = False
    seen: Seen | None = None
    served_by: str = ""

    @property
    def writes(self) -> bool:
        return self.kind in WRITES

    @property
    def name(self) -> str:
        return f"{self.store}/{self.key}"


@dataclass(slots=True, eq=False)
class Made:
    """One update of the local plane, as a replica made it."""

    host: str
    store: str
    key: str
    dot: Dot
    """Its last dot, where it took several."""
    stamp: int
    value: Any
    """Decoded; of a CRDT [kind, op, arguments]."""
    is_delete: bool
    overwrote: Vector
    """What the key's state had seen before."""
    at: float
    acked: bool = False
    """A client was told that it is durable."""
    excused: str = ""
    """Why it may be gone: every disk that held it was lost."""

    @property
    def name(self) -> str:
        return f"{self.store}/{self.key}"

    @property
    def sure(self) -> bool:
        """It must be there in the end."""
        return self.acked and not self.excused


@dataclass(slots=True)
class Calls:
    """All calls in the order in which they were made, and all updates by their dots."""

    all: list[Call] = field(default_factory=list[Call])
    events: list[tuple[Call, bool]] = field(default_factory=list[tuple[Call, bool]])
    """Beginnings (False) and ends (True), in the order in which they happened."""
    made: dict[Dot, Made] = field(default_factory=dict[Dot, Made])

    def begin(self, call: Call) -> None:
        self.all.append(call)
        self.events.append((call, False))

    def end(self, call: Call) -> None:
        self.events.append((call, True))
