"""The order of messages from this host to one agent, also while the agent moves. Pure.

The law of this file: messages for one agent leave in the order in which they were sent. A route
remembers where the last ones went and whether all of them have certainly arrived there; only a
quiet route may be pointed elsewhere at once. Otherwise the new ones are held until a flush, sent
behind the old ones along the old way, has come out at the agent.
"""

from __future__ import annotations

from collections import deque

from quorate.hosts.agents.mailbox import Message


class Route:
    """Where the messages of this host to one agent go, and what is not known to have arrived."""

    __slots__ = ("asks", "epoch", "host", "tells", "tells_seen", "used_at")

    def __init__(self, host: str, epoch: int) -> None:
        self.host = host
        self.epoch = epoch
        self.asks = 0
        """Asks on their way or being answered."""
        self.tells = 0
        """Tells sent this way."""
        self.tells_seen = 0
        """Of these, how many certainly arrived: an ask sent after them was answered."""
        self.used_at = 0.0

    @property
    def quiet(self) -> bool:
        """Everything sent this way has arrived."""
        return self.asks == 0 and self.tells == self.tells_seen

    def on_answered(self, tells_before: int) -> None:
        """An ask was answered that had been sent after so many tells."""
        self.asks -= 1
        self.tells_seen = max(self.tells_seen, tells_before)


class Hold:
    """Messages for one agent that wait until it is known where they go."""

    __slots__ = ("closed", "fresh", "returned", "returned_by", "told")

    def __init__(self) -> None:
        self.returned: deque[Message] = deque()
        """Those that came back: they go first, in the order in which they had been sent."""
        self.fresh: deque[Message] = deque()
        self.returned_by: dict[str, None] = {}
        """The hosts that gave something back, and were not flushed since."""
        self.closed: dict[str, None] = {}
        """The hosts that gave something back: they take nothing until they are told to."""
        self.told: tuple[str, int] = ("", 0)
        """(host, epoch) of the latest place that was told with what came back."""

    def take(self) -> list[Message]:
        """All that still want an answer, in order."""
        came_back = sorted(self.returned, key=lambda message: message.id)
        found = [m for queue in (came_back, self.fresh) for m in queue if not m.ended]
        self.returned.clear()
        self.fresh.clear()
        return found

    def __len__(self) -> int:
        return len(self.returned) + len(self.fresh)

    def messages(self) -> list[Message]:
        return [*self.returned, *self.fresh]
