"""What leaves for each peer in one turn of the loop: one message, however many envelopes.

The law of this file: envelopes for one peer leave in the order in which they were put in. What
certainly did not leave is told to who put it in, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.core.errors import QuorateError
from quorate.core.wire.limits import Lane
from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.world import AgentWorld

Unsent = Callable[[], object]


def _nothing() -> None:
    return None


def _unread(envelope: wire.Envelope) -> None:
    return None


class Outbox:
    """One per host."""

    def __init__(self, world: AgentWorld) -> None:
        self._call_soon = world.loop.call_soon
        self._send = world.send
        self._host_id = world.host_id
        self.to_self: Callable[[wire.Envelope], None] = _unread
        """Takes what is for this host itself."""
        self._waiting: dict[str, list[tuple[wire.Envelope, Unsent]]] = {}
        self._planned = False
        self.envelopes = self.batches = self.unsent = 0

    def add(self, peer: str, envelope: wire.Envelope, unsent: Unsent = _nothing) -> None:
        """Put an envelope into the peer's batch; `unsent()` if it could not leave."""
        if peer == self._host_id:
            self._call_soon(self.to_self, envelope)
            return
        waiting = self._waiting.get(peer)
        if waiting is None:
            self._waiting[peer] = [(envelope, unsent)]
        else:
            waiting.append((envelope, unsent))
        if not self._planned:
            self._planned = True
            self._call_soon(self.flush)

    def flush(self) -> None:
        """Send everything that waits."""
        self._planned = False
        everything, self._waiting = self._waiting, {}
        for peer, rows in everything.items():
            for start, stop in _cuts(rows):
                self._send_some(peer, rows[start:stop])

    def _send_some(self, peer: str, rows: list[tuple[wire.Envelope, Unsent]]) -> None:
        message: dict[str, Any] = {"type": wire.TYPE, "b": [envelope for envelope, _ in rows]}
        try:
            left = self._send(peer, message, Lane.NORMAL)
        except QuorateError:
            left = False
        if left:
            self.batches += 1
            self.envelopes += len(rows)
            return
        self.unsent += len(rows)
        for _, unsent in rows:
            unsent()

    def statistics(self) -> dict[str, object]:
        return {
            "envelopes_total": self.envelopes,
            "batches_total": self.batches,
            "unsent_total": self.unsent,
        }


def _cuts(rows: list[tuple[wire.Envelope, Unsent]]) -> list[tuple[int, int]]:
    """Where to cut into batches within the limits."""
    if len(rows) <= 16:
        sizes = sum(_size(envelope) for envelope, _ in rows)
        if sizes <= wire.BATCH_BYTES_MAX:
            return [(0, len(rows))]
    cuts: list[tuple[int, int]] = []
    start = size_bytes = 0
    for at, (envelope, _) in enumerate(rows):
        size_bytes += _size(envelope)
        full = size_bytes > wire.BATCH_BYTES_MAX or at - start >= wire.BATCH_ENVELOPES_MAX
        if full and at > start:
            cuts.append((start, at))
            start, size_bytes = at, _size(envelope)
    cuts.append((start, len(rows)))
    return cuts


def _size(envelope: wire.Envelope) -> int:
    """About how many bytes it takes: the body is what counts."""
    kind = envelope[0]
    if kind <= wire.TELL:
        return len(envelope[5])
    if kind == wire.REPLY:
        return len(envelope[2])
    if kind in (wire.FORWARD, wire.RETURNED):
        return _size(envelope[3])
    return 0
