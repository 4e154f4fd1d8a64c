"""Holding something as long as a lease lives: what locks and elections have in common.

The law of this file: a claim is (lease, owner), with an owner drawn at random for every claim, so
no two claims are ever taken for one. Whoever leaves (done, out of time, cancelled) leaves the line
or gives up what it holds, in the background if it must, within a bounded time; whatever is not
given up runs out with the lease. The body that runs under a claim is cancelled when the lease is
lost."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Literal

from quorate.core.errors import LeaseExpired, LockLost, QuorateError, Refused, Stopped, Timeout
from quorate.core.group.group import Group
from quorate.core.group.leases import Lease, Leases
from quorate.core.group.scope import CancelScope
from quorate.core.machine import commands, results
from quorate.core.machine.commands import Command
from quorate.core.machine.records import ElectionRecord, LockRecord

RELEASE_TIMEOUT_S = 2.0
OWNER_BYTES = 12

Kind = Literal["lock", "election"]


class Claims:
    """What the claims of one host share, and the releases that go on after their blocks were
    left."""

    def __init__(self, group: Group, leases: Leases) -> None:
        self.group = group
        self.leases = leases
        self._releasing: set[asyncio.Task[None]] = set()
        self.held = 0

    def release_soon(self, task: asyncio.Task[None]) -> None:
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def stop(self) -> None:
        """Let the releases that are on their way end; each has its own deadline."""
        if self._releasing:
            await asyncio.gather(*self._releasing, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {"held": self.held, "releasing": len(self._releasing)}


class Claim:
    """One try to hold a lock or to lead, as an async context manager.

    `ttl`: an own lease of so many seconds; None: the host's session lease. `timeout`: how long to
    stand in line in seconds; None: without end."""

    kind: Kind = "lock"

    def __init__(
        self,
        claims: Claims,
        name: str,
        *,
        ttl: float | None,
        timeout: float | None,
        value: bytes = b"",
        wait: bool = True,
    ) -> None:
        self._claims = claims
        self._group = claims.group
        self.name = name
        self._ttl = ttl
        self._timeout = timeout
        self._value = value
        self._wait = wait
        self._owner = b""
        self._lease: Lease | None = None
        self._scope = CancelScope()
        self._token = 0

    @property
    def lost(self) -> bool:
        """No longer held, or never was."""
        return self._lease is None or self._token == 0 or bool(self._lease.lost)

    # --- the block -------------------------------------------------------------------------------

    async def _enter(self) -> None:
        if self._lease is not None:
            raise RuntimeError(f"this {self.kind} object is in use; make another one")
        self._owner = self._group.rng.randbytes(OWNER_BYTES)
        try:
            async with asyncio.timeout(self._timeout):
                await self._take()
        except TimeoutError as error:
            self._give_up()
            if isinstance(error, QuorateError):
                raise
            raise Timeout(
                f"{self.kind} {self.name!r}: not granted within {self._timeout} s"
            ) from None
        except BaseException:
            self._give_up()
            raise
        assert self._lease is not None
        self._scope = CancelScope()
        self._scope.enter()
        self._claims.held += 1
        self._lease.when_lost(self._on_lost)

    async def _take(self) -> None:
        leases = self._claims.leases
        if self._ttl is None:
            self._lease = await leases.session()
        else:
            self._lease = await leases.grant(self._ttl)
        _, _, answer = await self._group.propose(self._acquire_command(), 128, None)
        _, token, place = results.raise_for(answer, f"{self.kind} {self.name!r}")
        if token == 0 and place < 0:
            raise Refused(f"{self.kind} {self.name!r} is held by another")
        self._token = token or await self._wait_in_line()

    async def _wait_in_line(self) -> int:
        """Look at the local state whenever it moves on, until this claim holds or is gone."""
        assert self._lease is not None
        me = (self._lease.id, self._owner)
        while True:
            if self._group.broken is not None:
                raise self._group.broken
            if self._group.stopped:
                raise Stopped("the host is stopped or stopping")
            record = self._record()
            if record is not None and (record.lease, record.owner) == me:
                return record.token if isinstance(record, LockRecord) else record.term
            waiting = (
                ()
                if record is None
                else record.waiters
                if isinstance(record, LockRecord)
                else record.candidates
            )
            if self._lease.lost or all((one.lease, one.owner) != me for one in waiting):
                raise LeaseExpired(
                    f"{self.kind} {self.name!r}: the lease ended while waiting in line"
                )
            await self._group.advance.wait()

    async def _leave(self, raised: type[BaseException] | None) -> None:
        """Leave the block: give up what is held, and say so if it was lost before."""
        lease = self._lease
        if lease is not None:
            lease.no_longer(self._on_lost)
        self._claims.held -= 1
        try:
            error = await self._scope.leave(raised)
        finally:
            release = self._give_up()
        if error is not None:
            raise error
        if release is not None:
            await asyncio.shield(release)

    def _on_lost(self, why: str) -> None:
        self._scope.trip(lambda: LockLost(f"{self.kind} {self.name!r} is lost: {why}"))

    # --- giving up -------------------------------------------------------------------------------

    def _give_up(self) -> asyncio.Task[None] | None:
        """Start giving up, in a task of its own: the block may be left by a cancellation."""
        lease, self._lease, self._token = self._lease, None, 0
        if lease is None:
            return None
        task = asyncio.get_running_loop().create_task(
            self._release(lease), name=f"release {self.kind} {self.name}"
        )
        self._claims.release_soon(task)
        return task

    async def _release(self, lease: Lease) -> None:
        try:
            if self._ttl is not None:
                await lease.revoke(timeout=RELEASE_TIMEOUT_S)
            else:
                await self._group.propose(self._release_command(lease.id), 64, RELEASE_TIMEOUT_S)
        except QuorateError:
            return  # it runs out with the lease

    # --- the two kinds ---------------------------------------------------------------------------

    def _acquire_command(self) -> Command:
        assert self._lease is not None
        lease, owner = self._lease.id, self._owner
        if self.kind == "lock":
            return commands.lock_acquire(self.name, lease, owner, wait=self._wait)
        return commands.election_campaign(self.name, lease, self._value, owner, wait=self._wait)

    def _release_command(self, lease: int) -> Command:
        if self.kind == "lock":
            return commands.lock_release(self.name, lease, self._owner)
        return commands.election_resign(self.name, lease, self._owner)

    def _record(self) -> LockRecord | ElectionRecord | None:
        machine = self._group.machine
        if self.kind == "lock":
            return machine.lock(self.name)
        return machine.election(self.name)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._leave(kind)
