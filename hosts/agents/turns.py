"""One turn of an agent: a message being handled, and what it wants to change.

The law of this file: a turn is open while its method runs and closed before its reply leaves;
whatever it writes is kept in its buffer until then. `current_turn` says whose turn the running code
is part of; tasks made in a turn are part of it until it is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quorate.hosts.agents.activation import Activation
    from quorate.hosts.agents.mailbox import Message
    from quorate.hosts.agents.state.buffer import TurnBuffer

Mark = list[Any]
"""What a commit does beside writing: see `core.machine.agent_commit`."""


class Turn:
    """`level`: the consistency that the caller asked for (`options(consistency=)`), or None."""

    __slots__ = (
        "activation",
        "buffer",
        "chain",
        "closed",
        "committing",
        "level",
        "marks",
        "message",
        "on_closed",
        "shared",
        "started_at",
        "until",
        "waits_for",
    )

    def __init__(
        self, activation: Activation, message: Message, started_at: float, *, shared: bool
    ) -> None:
        self.activation = activation
        self.message = message
        self.shared = shared
        self.level: str | None = message.level
        self.chain: tuple[str, ...] = (*message.chain, activation.name)
        """The agents that wait while this turn runs, itself included: asks carry it along."""
        self.buffer: TurnBuffer | None = None
        self.marks: list[Mark] = []
        self.on_closed: list[Callable[[], object]] = []
        """Called when the turn is over, however it ended."""
        self.closed = False
        self.committing = False
        """Its commit is on its way: an interruption leaves it unknown whether it happened."""
        self.started_at = started_at
        self.until = 0.0
        """When it is interrupted (monotonic); 0: never."""
        self.waits_for: dict[str, int] = {}
        """The agents this turn waits for an answer of, with how many of them."""

    def close(self) -> None:
        """It is over."""
        self.closed = True
        if self.on_closed:
            told, self.on_closed = self.on_closed, []
            for callback in told:
                callback()


current_turn: ContextVar[Turn | None] = ContextVar("quorate_turn", default=None)
