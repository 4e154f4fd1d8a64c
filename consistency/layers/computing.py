"""One computation: it takes off, runs in the caller's task, and lands or fails.

The law of this file: whatever ends it (a value, an exception, a cancellation, a lost lease), its
record in the group is gone or being given up when the call returns, so that the next caller is
never kept waiting by nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any, NamedTuple

from quorate.consistency.layers.flights import Applied, Flights
from quorate.consistency.layers.looking import Look, Looking
from quorate.consistency.layers.options import CacheOptions, Wanted
from quorate.consistency.layers.records import Entry, Failure, Flight, Seen, describe
from quorate.core import codec
from quorate.core.errors import LimitExceeded, QuorateError, Unavailable
from quorate.core.group.group import Group
from quorate.core.group.leases import Lease
from quorate.core.group.scope import CancelScope

Compute = Callable[[], Awaitable[Any]] | Callable[[], Any]


class LeaseGone(QuorateError):
    """The computation was cancelled because another host may begin."""


class Plan(NamedTuple):
    """What one call asked for; times in seconds."""

    ttl_s: float
    stale_s: float
    error_ttl_s: float
    depends_on: tuple[Wanted, ...]


class Computing:
    """The computations of one cache on one host."""

    def __init__(
        self, group: Group, options: CacheOptions, flights: Flights, looking: Looking
    ) -> None:
        self._group = group
        self.options = options
        self._flights = flights
        self._looking = looking
        self.counts = dict.fromkeys(("computed", "failed", "taken_over", "not_kept"), 0)

    async def compute(
        self, key: str, fn: Compute, plan: Plan, look: Look, begun: Callable[[], object]
    ) -> tuple[bool, Any]:
        """(True, the value) if it was computed here; (False, None): somebody was faster, or the
        lease was lost: look again. `begun()` is called once the group knows who computes. Raises
        what `fn` raises."""
        lease = await self._flights.lease()
        seen = self._looking.seen_now(self._group.machine, plan.depends_on)
        flight = self._flights.new_flight()
        self._flights.live.add(flight.id)
        gone = False
        try:
            try:
                started = await self._flights.take_off(
                    key, flight, lease, look=look, depends_on=seen
                )
            finally:
                begun()
            if started is None or not started.held:
                gone = True  # there is nothing to give up
                return False, None
            self.counts["taken_over"] += look.flight is not None
            try:
                value = await self._run(fn, lease)
                entry = self._entry(self._encoded(value), plan.ttl_s, plan.stale_s, seen)
            except LeaseGone:
                return False, None
            except Exception as error:
                gone = await self._tell_failure(key, flight, started, plan, seen, error)
                raise
            gone = await self._land(key, started, entry)
            self.counts["computed"] += 1
            return True, value
        finally:
            if gone:
                self._flights.live.discard(flight.id)
            else:
                self._flights.release_soon(key, flight)

    async def _run(self, fn: Compute, lease: Lease) -> Any:
        """Run the function; it is cancelled when the lease is lost."""
        scope = CancelScope()

        def on_lost(why: str) -> None:
            scope.trip(lambda: LeaseGone(why))

        scope.enter()
        lease.when_lost(on_lost)
        raised: type[BaseException] | None = None
        try:
            found: Any = fn()
            return await found if isawaitable(found) else found
        except BaseException as error:
            raised = type(error)
            raise
        finally:
            lease.no_longer(on_lost)
            lost = await scope.leave(raised)
            if lost is not None:
                raise lost from None

    def _encoded(self, value: Any) -> bytes:
        encoded = codec.encode_value(value)
        if len(encoded) > self.options.value_bytes_max:
            most = self.options.value_bytes_max
            raise LimitExceeded(f"the value has {len(encoded)} bytes, {most} at most")
        return encoded

    def _entry(
        self,
        encoded: bytes,
        ttl_s: float,
        stale_s: float,
        seen: Sequence[Seen],
        *,
        failed: bool = False,
    ) -> Entry:
        life_s = ttl_s * (1 - self.options.jitter_ratio * self._group.rng.random())
        at_ms, ttl_ms = self._looking.wall_ms(), max(1, int(life_s * 1000))
        host = self._group.host_id
        return Entry(encoded, failed, at_ms, ttl_ms, int(stale_s * 1000), host, tuple(seen))

    async def _land(self, key: str, started: Applied, entry: Entry) -> bool:
        """Keep the entry; the caller has its value either way. Whether the record of the
        computation is gone for certain."""
        try:
            done = await self._flights.land(key, started.revision, entry)
        except Unavailable:
            self.counts["not_kept"] += 1
            return False
        self.counts["not_kept"] += not done.held
        return done.held

    async def _tell_failure(
        self,
        key: str,
        flight: Flight,
        started: Applied,
        plan: Plan,
        seen: Sequence[Seen],
        error: Exception,
    ) -> bool:
        self.counts["failed"] += 1
        kind, text = describe(error)
        try:
            if plan.error_ttl_s > 0:
                encoded = codec.encode_value([kind, text])
                entry = self._entry(encoded, plan.error_ttl_s, 0.0, seen, failed=True)
                done = await self._flights.land(key, started.revision, entry)
            else:
                failure = Failure(flight.id, kind, text)
                done = await self._flights.fail(key, started.revision, failure)
        except Unavailable:
            return False
        return done.held
