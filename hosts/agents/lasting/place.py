"""What durable work must know of the host, and of the turn it runs in.

The law of this file: names, and the one check whether something can be added to the turn that runs;
nothing here acts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quorate.core.errors import UsageError
from quorate.hosts.agents.turns import Turn, current_turn

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.activation import Activation


@dataclass(frozen=True, slots=True)
class Place:
    """One host, as the engine knows it."""

    lease: Callable[[], int]
    """Under which it runs agents; 0 while there is none."""
    valid: Callable[[], bool]
    """Whether it may act for its agents now."""
    placed_here: Callable[[AgentRecord], bool]
    """Whether the binding is to this host under its present lease."""
    bring_up: Callable[[str], Activation]
    """The activation of an agent that is placed here, brought up if it is not in memory. Raises
    `QuorateError`."""


def open_turn(activation: Activation, what: str) -> Turn:
    """The turn of this agent that runs now and may change something. Raises `UsageError`."""
    turn = current_turn.get()
    name = activation.name
    if turn is None or turn.activation is not activation or turn.closed:
        raise UsageError(f"agent {name!r}: {what} belongs to a turn of the agent; none runs here")
    if turn.shared:
        raise UsageError(f"agent {name!r}: {what} changes something: a @shared method may not")
    if turn.committing:
        raise UsageError(f"agent {name!r}: {what} came when the turn was being committed")
    if activation.anonymous:
        raise UsageError(f"agent {name!r}: {what} is for agents with a name")
    return turn
