"""The commands of a cache: a computation takes off, lands, fails or is given up; entries go.

The law of this file: every step is one transaction that names what it found, so of two that try
the same step one has no effect. A computation's record hangs on a lease of its host, whose
revision makes it the only one; what was decided against (invalidated, taken over) can never land.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from quorate.consistency.layers.looking import Look
from quorate.consistency.layers.records import (
    ENTRY_MARK,
    FLIGHT_MARK,
    Entry,
    Failure,
    Flight,
    Seen,
    encode_entry,
    encode_failure,
    encode_flight,
)
from quorate.core.errors import LeaseExpired, QuorateError
from quorate.core.group.group import Group
from quorate.core.group.leases import Lease, Leases
from quorate.core.machine import commands, results
from quorate.core.machine.commands import Command

FLIGHT_ID_BYTES = 12
RELEASE_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 1.0
RELEASE_PAUSE_S = 0.2


class Applied(NamedTuple):
    """Where a step was applied; `held`: the group was as the step assumed."""

    term: int
    index: int  # type: ignore[assignment]  # pyright: ignore[reportIncompatibleMethodOverride]
    revision: int
    held: bool


class Flights:
    """The steps of one cache. All raise `Unavailable` as any command does."""

    def __init__(self, group: Group, leases: Leases, namespace: str, lease_s: float) -> None:
        self._group = group
        self._leases = leases
        self._ns = namespace
        self.lease_s = lease_s
        self._lease: Lease | None = None
        self._granting: asyncio.Task[Lease] | None = None
        self._releasing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.live: set[bytes] = set()
        """Ids of the computations that run here: any other record of this host is given up."""

    async def lease(self) -> Lease:
        """The lease on which this host's computations hang; granted when first needed, anew after
        a loss."""
        if self._lease is not None and not self._lease.lost:
            return self._lease
        if self._granting is None or self._granting.done():
            granting = self._leases.grant(self.lease_s)
            self._granting = asyncio.get_running_loop().create_task(granting, name="cache lease")
            self._granting.add_done_callback(_retrieve)
        self._lease = lease = await asyncio.shield(self._granting)
        return lease

    def new_flight(self) -> Flight:
        return Flight(self._group.rng.randbytes(FLIGHT_ID_BYTES), self._group.host_id)

    # --- steps -----------------------------------------------------------------------------------

    async def take_off(
        self,
        key: str,
        flight: Flight,
        lease: Lease,
        *,
        look: Look,
        depends_on: Sequence[Seen],
    ) -> Applied | None:
        """Begin to compute, if nobody else did since the caller looked and no dependency moved.
        None: the lease is gone."""
        compares = [
            self._revision(ENTRY_MARK + key, look.entry_revision),
            self._revision(FLIGHT_MARK + key, look.flight_revision),
            *_unmoved(depends_on),
        ]
        encoded = encode_flight(flight)
        then = [commands.put(FLIGHT_MARK + key, encoded, lease.id, self._ns)]
        try:
            return await self._do(compares, then, len(encoded))
        except LeaseExpired:
            self._lease = None
            return None

    async def land(self, key: str, flight_revision: int, entry: Entry) -> Applied:
        """Keep what was computed, unless it was invalidated or a dependency moved meanwhile."""
        compares = [
            self._revision(FLIGHT_MARK + key, flight_revision),
            *_unmoved(entry.depends_on),
        ]
        encoded = encode_entry(entry)
        then = [
            commands.put(ENTRY_MARK + key, encoded, 0, self._ns),
            commands.delete(FLIGHT_MARK + key, self._ns),
        ]
        return await self._do(compares, then, len(encoded))

    async def fail(self, key: str, flight_revision: int, failure: Failure) -> Applied:
        """Tell whoever waits that the computation failed, and keep nothing."""
        encoded = encode_failure(failure)
        then = [
            commands.put(FLIGHT_MARK + key, encoded, 0, self._ns),
            commands.delete(FLIGHT_MARK + key, self._ns),
        ]
        compares = [self._revision(FLIGHT_MARK + key, flight_revision)]
        return await self._do(compares, then, len(encoded))

    async def invalidate(self, key: str, timeout: float | None) -> Applied:
        """Remove the entry and the right of a running computation to land."""
        then = [
            commands.delete(ENTRY_MARK + key, self._ns),
            commands.delete(FLIGHT_MARK + key, self._ns),
        ]
        return await self._do([], then, 0, timeout)

    async def drop(self, key: str, revision: int) -> bool:
        """Remove an entry if it is still that one. Whether it was there."""
        then = [commands.delete(ENTRY_MARK + key, self._ns)]
        done = await self._do([self._revision(ENTRY_MARK + key, revision)], then, 0)
        return done.held

    def release_soon(self, key: str, flight: Flight) -> None:
        """Give a computation up, in a task of its own: others may begin at once."""
        self.live.discard(flight.id)
        if self._closed:
            return  # the lease is given up, and the record with it
        task = asyncio.get_running_loop().create_task(self._release(key, flight))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def _release(self, key: str, flight: Flight) -> None:
        """Until it is certain: while this host lives, its lease does not run out."""
        encoded = encode_flight(flight)
        mark = FLIGHT_MARK + key
        compare = commands.compare(mark, "value", "=", encoded, self._ns)
        while not self._group.stopped:
            try:
                await self._do([compare], [commands.delete(mark, self._ns)], 0, RELEASE_TIMEOUT_S)
                return
            except QuorateError:
                await asyncio.sleep(RELEASE_PAUSE_S)

    async def close(self, *, give_up: bool) -> None:
        """Stop; `give_up`: the lease too, and with it what hangs on it, so that others need not
        wait for its end."""
        self._closed = True
        tasks: list[asyncio.Task[Any]] = [*self._releasing]
        tasks += [self._granting] if self._granting is not None else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        lease, self._lease = self._lease, None
        hangs = bool(self.live) and lease is not None and not lease.lost
        if give_up and hangs and lease is not None and not self._group.stopped:
            try:
                await lease.revoke(timeout=CLOSE_TIMEOUT_S)
            except QuorateError:
                return  # it runs out by itself

    # --- how -------------------------------------------------------------------------------------

    def _revision(self, stored: str, revision: int) -> Command:
        return commands.compare(stored, "mod", "=", revision, self._ns)

    async def _do(
        self,
        compares: list[Command],
        then: list[Command],
        size_bytes: int,
        timeout: float | None = None,
    ) -> Applied:
        command = commands.txn(compares, then)
        size = size_bytes + 128 + 64 * (len(compares) + len(then))
        index, term, answer = await self._group.propose(command, size, timeout)
        results.raise_for(answer, "cache")
        return Applied(term, index, answer[0], bool(answer[1]))


def _unmoved(depends_on: Sequence[Seen]) -> list[Command]:
    return [
        commands.compare(seen.key, "mod", "=", seen.revision, seen.namespace) for seen in depends_on
    ]


def _retrieve(task: asyncio.Task[Lease]) -> None:
    """Whoever waited was told; nobody waiting is no news for the log."""
    if not task.cancelled():
        task.exception()
