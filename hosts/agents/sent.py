"""A message of this host, from the call that made it to its end.

The law of this file: it ends at its deadline by itself; whoever gives up waiting takes it back, if
it was not begun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.hosts.agents.mailbox import Message
from quorate.hosts.agents.routes import Route

if TYPE_CHECKING:
    from quorate.hosts.agents.calls import Calls
    from quorate.hosts.agents.turns import Turn


class Sent(Message):
    """A message of this host: it ends at its deadline by itself."""

    __slots__ = ("bucket", "calls", "peer", "route", "target", "tells_before", "turn")

    def __init__(self, calls: Calls, target: str, kind: str, method: str, **more: Any) -> None:
        super().__init__(kind, method, **more)
        self.calls = calls
        self.target = target
        self.bucket: dict[Any, None] | None = None
        self.peer = ""
        """The host it was sent to; empty while it is on this one."""
        self.route: Route | None = None
        """The way it went, while it is not known to have arrived."""
        self.tells_before = 0
        self.turn: Turn | None = None
        """The turn that waits for it."""

    def on_deadline(self, now: float) -> None:
        self.bucket = None
        me: Any = self
        self.calls.on_late(me)

    def abandon(self) -> None:
        """Nobody waits any more: it is not begun, if it was not."""
        if not self.ended:
            self.calls.finder.forget(self, came_back=True)
            self.on_end = None
            future, self.future = self.future, None
            self.end(True, None)
            self.future = future

    def end(self, ok: bool, value: object) -> None:
        if self.bucket is not None:
            self.bucket.pop(self, None)
            self.bucket = None
        turn = self.turn
        if turn is not None:
            self.turn = None
            left = turn.waits_for.get(self.target, 0) - 1
            if left > 0:
                turn.waits_for[self.target] = left
            else:
                turn.waits_for.pop(self.target, None)
        super().end(ok, value)
