"""Messages that found nobody.

The law of this file: every message without an answer that could not be handled is counted here, and
the last ones are kept to be looked at. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from quorate.hosts.agents.mailbox import Message


class DeadLetter(NamedTuple):
    """A message that was not handled."""

    at: float
    """Seconds since the epoch."""
    target: str
    method: str
    kind: str
    sender: str
    """The agent that sent it, or the host of the program."""
    why: str


class DeadLetters:
    """The last `kept_max`; `total` counts all."""

    def __init__(self, kept_max: int) -> None:
        self._kept: deque[DeadLetter] = deque(maxlen=kept_max)
        self.total = 0

    def add(self, at: float, target: str, message: Message, why: str) -> None:
        self.total += 1
        sender = message.sender
        who = "" if sender is None else sender.name or f"host {sender.host}"
        self._kept.append(DeadLetter(at, target, message.method, message.kind, who, why))

    def all(self) -> list[DeadLetter]:
        """The oldest first."""
        return list(self._kept)

    def about(self, target: str) -> list[DeadLetter]:
        return [letter for letter in self._kept if letter.target == target]
