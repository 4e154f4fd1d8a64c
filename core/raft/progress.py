"""What the leader knows of one follower, and what it may send next. Pure: no clock, no messages, no
log.

The law: a follower is probed until one of our entries is known to match, then entries are pipelined
within limits; any sign that messages were lost goes back to probing from the first entry that is
not known to match. A late answer never moves `match` back and never moves `next` below it (S17).
After etcd's `tracker.Progress`.

    PROBE      one message, then wait for the answer or for `probe_retry_s`
    REPLICATE  many messages in flight, `next` runs ahead of `match`
    SNAPSHOT   the entries it needs are compacted away: chunks instead of entries
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum


class Mode(Enum):
    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


@dataclass(slots=True)
class Transfer:
    """A snapshot on its way to the follower. Offsets in bytes."""

    id: str
    index: int
    size: int
    sent: int = 0
    acked: int = 0
    last_progress: float = 0.0


@dataclass(slots=True)
class Progress:
    """One follower, as the leader sees it."""

    next: int
    match: int = 0
    mode: Mode = Mode.PROBE
    connected: bool = False
    heard_at: float = -1e9
    """When anything of the present term was last heard from it, in the leader's monotonic seconds.
    """
    read_acked: int = 0
    """The newest read round it confirmed."""
    read_sent: int = 0
    """The newest read round that left for it."""
    commit_sent: int = 0
    awaited_index: int = 0
    """Somebody waits until that host has applied this index: its commit is told at once."""
    sent_at: float = -1e9
    probing_since: float | None = None
    """When the unanswered probe left, or None when a probe may leave."""
    in_flight: deque[tuple[int, int]] = field(default_factory=lambda: deque[tuple[int, int]]())
    """(last index, bytes) of each append message that was not answered."""
    in_flight_bytes: int = 0
    transfer: Transfer | None = None

    # --- may something leave? ---------------------------------------------------------------------

    def may_send(self, now: float, retry_s: float, messages_max: int, bytes_max: int) -> bool:
        """Whether an append message with entries may leave now."""
        if not self.connected or self.mode is Mode.SNAPSHOT:
            return False
        if self.mode is Mode.PROBE:
            return self.probing_since is None or now - self.probing_since >= retry_s
        return len(self.in_flight) < messages_max and self.in_flight_bytes < bytes_max

    def sent(self, last: int, size: int, now: float) -> None:
        """An append message with entries up to `last` left (`last` = next - 1 for one without
        entries)."""
        self.sent_at = now
        if self.mode is Mode.PROBE:
            self.probing_since = now
        elif last >= self.next:
            self.in_flight.append((last, size))
            self.in_flight_bytes += size
            self.next = last + 1

    # --- answers ----------------------------------------------------------------------------------

    def on_match(self, match: int) -> bool:
        """Everything up to `match` is on its disk. True when that is news."""
        while self.in_flight and self.in_flight[0][0] <= match:
            self.in_flight_bytes -= self.in_flight.popleft()[1]
        news = match > self.match
        self.match = max(self.match, match)
        self.next = max(self.next, self.match + 1)
        return news

    def on_verified(self) -> None:
        """Our entry before `next` is in its log: leave probing."""
        if self.mode is Mode.PROBE:
            self.become_replicate()

    def on_rejected(self, rejected: int, hint: int) -> bool:
        """Its log does not hold our entry `rejected`; `hint` is where it may agree. True unless the
        answer is stale."""
        if self.mode is Mode.SNAPSHOT or rejected <= self.match:
            return False
        if self.mode is Mode.REPLICATE:
            self.become_probe()
            return True
        if rejected != self.next - 1:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.probing_since = None
        return True

    # --- transitions ------------------------------------------------------------------------------

    def become_probe(self) -> None:
        self.mode = Mode.PROBE
        if self.match:
            self.next = self.match + 1
        self._land()

    def become_replicate(self) -> None:
        self.mode = Mode.REPLICATE
        self._land()

    def become_snapshot(self, transfer: Transfer) -> None:
        self.mode = Mode.SNAPSHOT
        self.transfer = transfer
        self._land()

    def snapshot_installed(self, index: int) -> None:
        self.transfer = None
        self.on_match(index)
        self.next = self.match + 1
        self.become_replicate()

    def snapshot_failed(self) -> None:
        self.transfer = None
        self.become_probe()

    def on_link(self, up: bool) -> None:
        """The link went up or down: what was in flight on it is lost or unknown."""
        self.connected = up
        if self.mode is Mode.SNAPSHOT and self.transfer is not None:
            self.transfer.sent = self.transfer.acked
        elif self.mode is not Mode.SNAPSHOT:
            self.become_probe()

    def _land(self) -> None:
        self.in_flight.clear()
        self.in_flight_bytes = 0
        self.probing_since = None


def committed_by(matches: list[int]) -> int:
    """The highest index that a majority holds, from the durable index of each voter (the leader's
    own included)."""
    if not matches:
        return 0
    return sorted(matches, reverse=True)[len(matches) // 2]
