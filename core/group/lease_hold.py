"""A lease as its holder may believe in it. Pure.

The law of this file: the holder counts from *before* it sent the keepalive that succeeded, by its
own monotonic clock, and stops believing a margin early. The leader counts from when it received
that keepalive, so with clocks whose rates differ by less than the margin the holder always stops
before the group lets anybody else in (T42, T44). Losing belief is final: a lease is never believed
in again.
"""

from __future__ import annotations

from dataclasses import dataclass

DRIFT_RATIO = 0.05
"""Clock rates may differ by this much, far more than real ones do."""
MARGIN_S = 0.1
"""Time for the holder's code to be stopped, beside the drift."""
ATTEMPTS_PER_PERIOD_MAX = 4
RETRY_MIN_S = 0.05


def margin_s(ttl_s: float) -> float:
    """How long before the end of the lease its holder stops believing in it."""
    return min(ttl_s / 4, MARGIN_S + DRIFT_RATIO * ttl_s)


@dataclass(slots=True)
class LeaseHold:
    """One held lease. Times are monotonic seconds of the holder."""

    lease: int
    ttl_s: float
    confirmed_at: float
    """When the last successful keepalive (or the grant) was *sent*."""
    tried_at: float = 0.0
    lost: str = ""
    """Why it is no longer ours; empty while it is."""

    @property
    def valid_until(self) -> float:
        """From then on the holder must act as if the lease were gone."""
        return self.confirmed_at + self.ttl_s - margin_s(self.ttl_s)

    @property
    def due_at(self) -> float:
        """When the next keepalive should be sent: a third of the ttl after the last success, then
        at short steps until one succeeds."""
        first = self.confirmed_at + self.ttl_s / 3
        return max(first, self.tried_at + self.retry_s)

    @property
    def retry_s(self) -> float:
        """How long to wait for an answer before asking again."""
        return max(RETRY_MIN_S, self.ttl_s / 3 / ATTEMPTS_PER_PERIOD_MAX)

    def on_sent(self, now: float) -> None:
        self.tried_at = now

    def on_confirmed(self, sent_at: float) -> None:
        """The leader confirmed a keepalive that was sent at `sent_at`."""
        if not self.lost:
            self.confirmed_at = max(self.confirmed_at, sent_at)

    def on_refused(self) -> None:
        """The group says that the lease is gone."""
        self.lost = self.lost or "the group says it is gone: it expired or was revoked"

    def check(self, now: float) -> bool:
        """Whether the lease may still be believed in at `now`."""
        if not self.lost and now >= self.valid_until:
            self.lost = (
                f"it could not be renewed in time (last renewed {now - self.confirmed_at:.2f} s "
                f"ago, ttl {self.ttl_s:g} s)"
            )
        return not self.lost
