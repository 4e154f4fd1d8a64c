"""A command on its way, as a value: the words the proposer thinks in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from quorate.core.errors import QuorateError
from quorate.core.group.outcomes import Row

COMMAND_OVERHEAD_BYTES = 24
"""What a command costs in a batch beside its arguments: sequence, operation name, list heads."""


@dataclass(frozen=True, slots=True)
class ProposerLimits:
    """Every limit of the proposer; bytes are of encoded commands."""

    batch_ops_max: int = 1024
    batch_bytes_max: int = 256 * 1024
    inflight_ops_max: int = 4096
    inflight_bytes_max: int = 16 * 1024 * 1024
    waiting_ops_max: int = 65_536
    waiting_bytes_max: int = 64 * 1024 * 1024
    silence_s: float = 0.5
    """A command without an answer for this long is sent again."""
    leader_wait_s: float = 3.0
    """Calls fail with `NoLeader` once no leader has been known for this long."""


class Waiter(Protocol):
    """Where the answer goes; an asyncio future, or a stand-in."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: Any, /) -> None: ...


@dataclass(slots=True, eq=False)
class Pending:
    """One command and its caller. `eq=False`: it is its identity."""

    command: tuple[Any, ...]
    """(operation, *arguments), as the machine expects it."""
    size_bytes: int
    waiter: Waiter
    deadline: float
    owner: Any = None
    """The shell, which is told of the deadline."""
    bucket: dict[Any, None] | None = None
    sequence: int = 0
    copies: int = 0
    sends: int = 0
    sent_at: float = 0.0
    refused: Row | None = None
    """Why the last copy was not taken."""

    def on_deadline(self, now: float) -> None:
        self.owner.on_deadline(self, now)


Ended = list[tuple[Pending, QuorateError]]


@dataclass(slots=True, eq=False)
class Batch:
    """Commands that leave together."""

    session: int
    ack_low: int
    members: list[Pending]

    def commands(self) -> list[tuple[Any, ...]]:
        """[(sequence, operation, *arguments), ...]"""
        return [(pending.sequence, *pending.command) for pending in self.members]


@dataclass(slots=True)
class Session:
    """A client session at the group: `opened` once the machine has confirmed it."""

    id: int
    next_sequence: int = 1
    opening: Pending | None = None
    opened: bool = False


@dataclass(slots=True)
class Counters:
    """Totals since the start."""

    submitted: int = 0
    answered: int = 0
    batches: int = 0
    resent: int = 0
    refused: int = 0
    ended_without_answer: int = 0
    sessions: int = 0

    def totals(self) -> dict[str, object]:
        """By name, for statistics."""
        return {
            "submitted_total": self.submitted,
            "answered_total": self.answered,
            "batches_total": self.batches,
            "resent_total": self.resent,
            "refused_total": self.refused,
            "ended_without_answer_total": self.ended_without_answer,
            "sessions_total": self.sessions,
        }
