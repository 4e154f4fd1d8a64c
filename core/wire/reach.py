"""Who was heard, when, and how far away: the measurements of one peer. Pure.

A ping travels on the link to the peer and its pong on the peer's link to us, so a round trip needs
both directions; an ack comes back on the connection of the ping, so it proves that one link alone.
Smoothing as TCP does it (RFC 6298, 2.3).
"""

from __future__ import annotations

from typing import Final

PENDING_PINGS_MAX: Final = 16


class Reach:
    """The measurements of one peer; all times are monotonic seconds."""

    def __init__(self) -> None:
        self.rtt_s: float | None = None
        self.rtt_last_s: float | None = None
        """The last round trip alone, not smoothed."""
        self.rtt_at_s: float | None = None
        """When the last pong came."""
        self.acknowledged_at_s: float | None = None
        """When the last ack or pong came: proof that our link to the peer carries."""
        self.heard_at_s: float | None = None
        """When the last byte came on the peer's link to us."""
        self._pending: dict[int, float] = {}
        self._number = 0

    def ping(self, now_s: float) -> int:
        """The number of a new ping."""
        self._number += 1
        self._pending[self._number] = now_s
        if len(self._pending) > PENDING_PINGS_MAX:
            del self._pending[next(iter(self._pending))]
        return self._number

    def on_pong(self, number: int, now_s: float) -> None:
        """A pong of an unknown number (old, or made up) counts for nothing."""
        sent = self._pending.pop(number, None)
        if sent is None:
            return
        sample = self.rtt_last_s = now_s - sent
        self.rtt_s = sample if self.rtt_s is None else self.rtt_s * 0.875 + sample * 0.125
        self.rtt_at_s = self.acknowledged_at_s = now_s

    def on_ack(self, number: int, now_s: float) -> None:
        """The peer read our ping; whether its own link to us carries, this does not say."""
        if 0 < number <= self._number:
            self.acknowledged_at_s = now_s

    def silent_s(self, since_s: float, now_s: float) -> float:
        """For how long nothing was acknowledged on a link that is up since `since_s`."""
        return now_s - max(since_s, self.acknowledged_at_s or since_s)

    def forget_pings(self) -> None:
        """Pings on their way are lost with the link, or were answered while this host slept."""
        self._pending.clear()
