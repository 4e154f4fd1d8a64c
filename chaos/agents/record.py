"""What was called, handled and done in a run, as an onlooker sees it who knows everything.

The law: a call begins once and ends once; a turn is written down where it begins, by the agent
itself, with the number of the message that its sender gave it; nothing is judged here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

Outcome = Literal["pending", "ok", "no", "unknown"]
INFINITY = float("inf")
Source = str
"""Who sends: `program <host>.<life>`, or `agent <name>.<epoch>`."""


@dataclass(slots=True, eq=False)
class AgentCall:
    """One call of a program. Times are virtual seconds."""

    id: int
    kind: str
    host: str
    incarnation: int
    name: str
    called: float
    deadline: float
    plan: dict[str, Any] = field(default_factory=dict[str, Any])
    returned: float = INFINITY
    outcome: Outcome = "pending"
    reason: str = ""
    value: Any = None

    @property
    def is_message(self) -> bool:
        return self.kind in ("ask", "tell")


@dataclass(slots=True, eq=False)
class TurnRow:
    """One message that an agent began to handle."""

    name: str
    life: int
    epoch: int
    host: str
    incarnation: int
    source: Source
    number: int
    message: int
    """The id of the call, or of the message that an agent sent."""
    began: float
    ended: float = INFINITY
    """When its method returned; infinite if it never did."""
    caller_over: bool = False
    """The activation that sent it was over, as was known here when it arrived."""


@dataclass(slots=True)
class Act:
    """Something done at once, on the strength of `fence.check()` alone."""

    at: float
    name: str
    life: int
    token: int
    host: str


@dataclass(slots=True)
class Effect:
    """Something done at the register outside, which accepted its token."""

    at: float
    name: str
    token: int
    turn: TurnRow


@dataclass(slots=True)
class Activated:
    """An activation came up."""

    at: float
    name: str
    life: int
    epoch: int
    host: str
    started: bool
    """It was `on_start` that ran."""


@dataclass(slots=True)
class Record:
    """Everything of one run, in the order in which it happened."""

    calls: dict[int, AgentCall] = field(default_factory=dict[int, AgentCall])
    turns: list[TurnRow] = field(default_factory=list[TurnRow])
    acts: list[Act] = field(default_factory=list[Act])
    effects: list[Effect] = field(default_factory=list[Effect])
    refused_effects: int = 0
    activated: list[Activated] = field(default_factory=list[Activated])
    restored: list[tuple[str, int, int, int]] = field(
        default_factory=list[tuple[str, int, int, int]]
    )
    """(name, life, epoch of the checkpoint, epoch of the place where it was restored)"""
    ids: count[int] = field(default_factory=lambda: count(1))
    _numbers: dict[tuple[Source, str], int] = field(default_factory=dict[tuple[Source, str], int])

    def number(self, source: Source, target: str) -> int:
        """The number of the next message of `source` to `target`."""
        key = (source, target)
        self._numbers[key] = found = self._numbers.get(key, 0) + 1
        return found

    def begin(self, call: AgentCall) -> AgentCall:
        self.calls[call.id] = call
        return call
