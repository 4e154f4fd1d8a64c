"""When a lease has run out: the leader's view. Pure; only the leader keeps one, and nothing of it
is replicated.

The law of this file: a lease may end late, never early. Its holder counts the TTL from before it
sent the grant or keepalive; the clock here counts from after the leader saw it, and a little longer
(`drift_ratio`, for clocks that run at different speed). So the holder always knows first that it
may have lost the lease.

Keepalives are not in the log. That is safe because:

* A keepalive counts only when the leader, after receiving it, confirmed by ReadIndex that it still
  leads. So no other leader can have begun, and restarted its leases, before the keepalive was sent.
* A new leader gives every lease its full TTL again, from the moment it has applied all entries of
  earlier terms (ReadIndex waits for these as well), so what it does not know of earlier keepalives
  can only make leases longer.
* Once an expiry was proposed here, keepalives for that lease are refused: the command may commit at
  any time. It carries the term it was decided in and is void in an entry of another one, because a
  proposer re-sends what is unanswered and the next leader may have extended the lease meanwhile.
  What commits of an earlier term is applied before the new leader answers its first keepalive.
* The command names the lease's generation, so it cannot hit a later lease with the same id.

Times are monotonic seconds of the leader, handed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from quorate.core.machine.commands import Command, lease_expire
from quorate.core.machine.effects import LeaseChange
from quorate.core.machine.records import LeaseRecord

PROPOSE_AGAIN_S = 1.0


@dataclass(slots=True)
class _Running:
    ttl_s: float
    generation: int
    deadline: float
    proposed: bool = False


class LeaseClock:
    """Deadlines of all leases, while leading. The heap holds one (possibly outdated) deadline per
    lease.
    """

    def __init__(
        self, *, drift_ratio: float = 0.01, propose_again_s: float = PROPOSE_AGAIN_S
    ) -> None:
        self._stretch = 1.0 + drift_ratio
        self._propose_again_s = propose_again_s
        self._running: dict[int, _Running] = {}
        self._heap: list[tuple[float, int, int]] = []
        self._term = 0
        self._keepalives_total = 0
        self._proposed_total = 0

    def on_become_leader(self, now: float, leases: Iterable[LeaseRecord], *, term: int = 0) -> None:
        """Leading in `term`, and all entries of earlier terms are applied: every lease starts
        anew.
        """
        self.on_lose_leadership()
        self._term = term
        for lease in leases:
            self._heap.append(self._start(lease.id, lease.ttl_ms, lease.generation, now))
        heapify(self._heap)

    def on_lose_leadership(self) -> None:
        self._running.clear()
        self._heap.clear()

    def on_changes(self, now: float, changes: Iterable[LeaseChange]) -> None:
        """What the machine did to leases (`Machine.lease_changes`)."""
        for lease, ttl_ms, generation in changes:
            if ttl_ms:
                self.on_granted(lease, ttl_ms, generation, now)
            else:
                self.on_gone(lease)

    def on_granted(self, lease: int, ttl_ms: int, generation: int, now: float) -> None:
        heappush(self._heap, self._start(lease, ttl_ms, generation, now))

    def on_gone(self, lease: int) -> None:
        self._running.pop(lease, None)

    def keepalive(self, lease: int, now: float) -> bool:
        """Start the lease's time again; False if it is unknown here or its expiry was proposed."""
        running = self._running.get(lease)
        if running is None or running.proposed:
            return False
        running.deadline = now + running.ttl_s * self._stretch
        self._keepalives_total += 1
        return True

    def due(self, now: float) -> list[Command]:
        """Expiry commands to propose now. One that does not take effect is due again a
        while later.
        """
        commands: list[Command] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            _, lease, generation = heappop(heap)
            running = self._running.get(lease)
            if running is None or running.generation != generation:
                continue
            if running.deadline <= now:
                running.proposed = True
                running.deadline = now + self._propose_again_s
                self._proposed_total += 1
                commands.append(lease_expire(lease, generation, self._term))
            heappush(heap, (running.deadline, lease, generation))
        return commands

    def next_due(self) -> float | None:
        """When to ask `due` again: not after the first deadline, perhaps before it."""
        return self._heap[0][0] if self._heap else None

    def remaining_s(self, lease: int, now: float) -> float | None:
        """What is left of a lease as the leader counts; None if it is unknown here."""
        running = self._running.get(lease)
        return None if running is None else max(0.0, running.deadline - now)

    def _start(
        self, lease: int, ttl_ms: int, generation: int, now: float
    ) -> tuple[float, int, int]:
        """Returns what the heap must hold."""
        ttl_s = ttl_ms / 1000
        deadline = now + ttl_s * self._stretch
        self._running[lease] = _Running(ttl_s, generation, deadline)
        return (deadline, lease, generation)

    def statistics(self) -> dict[str, object]:
        return {
            "leases_running": len(self._running),
            "keepalives_total": self._keepalives_total,
            "expiries_proposed_total": self._proposed_total,
        }
