"""The group as the code above it sees it: commands in, answers out, reads, requests, and news.

The law of this file: it ties the parts of this folder to one driver and one replicated state, and
decides nothing but this: a host that took itself out of service (`broken`) answers no call. All
calls are for the one event loop that owns the host.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any, Protocol, cast

from quorate.core.clock import Clock, Scheduler
from quorate.core.errors import InvariantBroken, QuorateError, UsageError
from quorate.core.group.deadlines import Deadlines
from quorate.core.group.outcomes import Ending
from quorate.core.group.pending import ProposerLimits
from quorate.core.group.reads import Reads
from quorate.core.group.requests import Requests, Send
from quorate.core.group.signal import Advance
from quorate.core.group.submitter import Applied, Submitter
from quorate.core.machine import commands, results
from quorate.core.machine.commands import Command
from quorate.core.machine.machine import Machine

TIMEOUT_MAX_S = 24 * 3600.0
ID_BITS = 63


class GroupDriver(Protocol):
    """The part of the Raft driver that is used here."""

    def submit(self, batch: bytes, on_refused: Callable[[Any], None]) -> None: ...
    def read_index(self, done: Callable[[int | None, Any], None]) -> None: ...


class MachineOwner(Protocol):
    """Where the present machine is found: a snapshot replaces it."""

    @property
    def machine(self) -> Machine: ...


class Group:
    """One host's end of the Raft group."""

    def __init__(
        self,
        *,
        host_id: str,
        owner: MachineOwner,
        send: Send,
        clock: Clock,
        scheduler: Scheduler,
        rng: random.Random,
        make_future: Callable[[], asyncio.Future[Any]],
        limits: ProposerLimits | None = None,
        timeout_s: float = 5.0,
        is_removed: Callable[[], bool] = lambda: True,
        storage_full: Callable[[], bool] = lambda: False,
    ) -> None:
        limits = limits or ProposerLimits()
        self.host_id = host_id
        self.clock = clock
        self.scheduler = scheduler
        self.rng = rng
        self.timeout_s = timeout_s
        self.is_removed = is_removed
        self.leader: str | None = None
        self.term = 0
        self.broken: QuorateError | None = None
        self.stopped = False
        self.quorum_reachable = True
        self._owner = owner
        self._driver: GroupDriver | None = None
        self.deadlines = Deadlines(clock, scheduler)
        self.advance = Advance(make_future)
        self.submitter = Submitter(
            driver=self,
            encode=commands.encode_batch,
            open_command=lambda session: commands.open_session(self.machine.applied_index),
            is_session_expired=results.is_session_expired,
            new_session_id=self.new_id,
            clock=clock,
            scheduler=scheduler,
            deadlines=self.deadlines,
            make_future=make_future,
            limits=limits,
            storage_full=storage_full,
        )
        self.reads = Reads(
            driver=self,
            clock=clock,
            scheduler=scheduler,
            deadlines=self.deadlines,
            make_future=make_future,
            leader_wait_s=limits.leader_wait_s,
        )
        self.requests = Requests(
            host_id=host_id,
            send=send,
            clock=clock,
            deadlines=self.deadlines,
            make_future=make_future,
            run_id=rng.getrandbits(ID_BITS),
        )

    def new_id(self) -> int:
        """A random id for a session or a lease."""
        return self.rng.getrandbits(ID_BITS) or 1

    def bind(self, driver: GroupDriver) -> None:
        """Use `driver` from now on."""
        self._driver = driver

    @property
    def machine(self) -> Machine:
        return self._owner.machine

    @property
    def leads(self) -> bool:
        return self.leader == self.host_id

    # --- calls -----------------------------------------------------------------------------------

    def seconds(self, timeout: float | None) -> float:
        """The deadline of a call in seconds from now; None is the configured one. Raises
        `UsageError`."""
        if timeout is None:
            return self.timeout_s
        if not 0 <= timeout <= TIMEOUT_MAX_S:
            raise UsageError(f"timeout must be 0 to {TIMEOUT_MAX_S:g} seconds, not {timeout!r}")
        return timeout

    async def propose(self, command: Command, size_bytes: int, timeout: float | None) -> Applied:
        """Have a command applied; returns (index, term, answer).

        Raises what `core.group.outcomes` says of each ending, and `UsageError` for a command the
        machine would refuse."""
        if self.broken is not None:
            raise self.broken
        commands.validate(command)
        seconds = self.timeout_s if timeout is None else self.seconds(timeout)
        pending = self.submitter.submit_nowait(command, size_bytes, seconds)
        try:
            return await cast("asyncio.Future[Applied]", pending.waiter)
        except asyncio.CancelledError:
            self.submitter.abandon(pending)
            raise

    async def read_point(self, level: str, timeout: float | None) -> Machine:
        """The machine, fit to answer a read of this level: linearizable, or local (at once,
        possibly stale)."""
        if self.broken is not None:
            raise self.broken
        if level == "linearizable":
            await self.reads.wait_read_point(self.seconds(timeout))
            if self.broken is not None:
                raise self.broken
        elif level != "local":
            raise UsageError(f"level must be 'linearizable' or 'local', not {level!r}")
        return self.machine

    # --- towards the driver ----------------------------------------------------------------------

    def submit(self, batch: bytes, on_refused: Callable[[Any], None]) -> None:
        if self._driver is None:
            raise InvariantBroken("the group is used before its driver is bound")
        self._driver.submit(batch, lambda refusal: on_refused(self._seen_from_here(refusal)))

    def read_index(self, done: Callable[[int | None, Any], None]) -> None:
        if self._driver is None:
            raise InvariantBroken("the group is used before its driver is bound")
        self._driver.read_index(
            lambda index, refusal: done(index, refusal and self._seen_from_here(refusal))
        )

    def _seen_from_here(self, refusal: Any) -> Any:
        """A leader that was removed refuses with REMOVED what a member forwarded to it; the member
        itself goes on."""
        if refusal.name == "REMOVED" and not self.is_removed():
            return "NOT_LEADER"
        return refusal

    # --- news from the driver and the wire -------------------------------------------------------

    def on_applied(self, index: int, term: int, applied: list[tuple[int, int, Any]]) -> None:
        if applied:
            self.submitter.on_applied(index, term, applied)
            self.advance.notify()

    def on_leader(self, leader: str | None, term: int) -> None:
        self.leader, self.term = leader, term
        self.submitter.on_leader_change(leader)
        self.reads.on_leader_change(leader)

    def on_snapshot_installed(self) -> None:
        self.submitter.on_snapshot_installed()
        self.advance.notify()

    def on_quorum(self, reachable: bool) -> None:
        """Whether this host has links to a majority of the voters, itself included."""
        self.quorum_reachable = reachable
        self.submitter.set_quorum_reachable(reachable)
        self.reads.quorum_reachable = reachable

    def on_peer_down(self, peer: str) -> None:
        self.requests.on_peer_down(peer)

    # --- the end ---------------------------------------------------------------------------------

    def break_off(self, error: QuorateError) -> None:
        """Out of service: every call from now on raises `error`; what waits ends."""
        if self.broken is None:
            self.broken = error
            self._end(error, Ending.FAILED_UNSENT)

    def stop(self) -> None:
        """End every call, definitely where that is known. Safe to call twice."""
        if not self.stopped:
            self._end(None, Ending.STOP_UNSENT)

    def _end(self, cause: QuorateError | None, ending: Ending) -> None:
        self.stopped = True
        self.submitter.stop(cause)
        self.reads.stop(ending)
        self.requests.stop()
        self.deadlines.stop()
        self.advance.stop()

    def statistics(self) -> dict[str, object]:
        return {
            "proposer": self.submitter.statistics(),
            "reads": self.reads.statistics(),
            "requests": self.requests.statistics(),
            "deadlines": self.deadlines.statistics(),
            "listeners": self.advance.statistics(),
        }
