"""Leases as their holder sees them, and the one keepalive stream of a host.

The law of this file: all leases of a host are renewed by one loop, in as few messages as possible;
whoever stands on a lease is told once when it is lost, by the holder's own clock
(`lease_hold.py`), by the leader's answer, or by the replicated expiry, whichever comes first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from quorate.core.errors import LeaseExpired, QuorateError, UsageError
from quorate.core.group.group import Group
from quorate.core.group.lease_hold import LeaseHold
from quorate.core.machine import commands, results

KEEPALIVE = "keepalive"
TTL_MIN_S = 0.5
"""Shorter ones would be lost at every election."""
LEASES_PER_MESSAGE_MAX = 1000
TOGETHER_RATIO = 0.5
"""A keepalive takes along the leases that are due within this share of a third of their ttl."""


class Lease:
    """A lease this host holds and renews until `revoke` or loss."""

    def __init__(self, leases: Leases, hold: LeaseHold) -> None:
        self._leases = leases
        self._hold = hold
        self._listeners: dict[Callable[[str], None], None] = {}

    @property
    def id(self) -> int:
        return self._hold.lease

    @property
    def ttl(self) -> float:
        """Seconds."""
        return self._hold.ttl_s

    @property
    def lost(self) -> str:
        """Why it is lost; empty while it is held."""
        self._hold.check(self._leases.now())
        return self._hold.lost

    @property
    def remaining(self) -> float:
        """Seconds for which the holder may rely on it without another keepalive; 0 when lost."""
        return 0.0 if self.lost else max(0.0, self._hold.valid_until - self._leases.now())

    def when_lost(self, listener: Callable[[str], None]) -> None:
        """Call `listener(why)` once when the lease is lost; at once if it is."""
        if self._hold.lost:
            listener(self._hold.lost)
        else:
            self._listeners[listener] = None

    def no_longer(self, listener: Callable[[str], None]) -> None:
        """Take a listener back."""
        self._listeners.pop(listener, None)

    def become_lost(self) -> None:
        """Tell the listeners; called by the stream, once."""
        listeners, self._listeners = self._listeners, {}
        for listener in listeners:
            listener(self._hold.lost)

    async def revoke(self, *, timeout: float | None = None) -> None:
        """End it and everything that hangs on it; no error if it is gone already."""
        await self._leases.revoke(self, timeout=timeout)

    def __repr__(self) -> str:
        return f"<Lease {self.id} ttl={self.ttl:g}s {'lost' if self._hold.lost else 'held'}>"


class Leases:
    """`host.leases`: grant, revoke, and the host's own session lease."""

    def __init__(self, group: Group, *, session_ttl_s: float) -> None:
        self._group = group
        self._session_ttl_s = session_ttl_s
        self._session: Lease | None = None
        self._granting: asyncio.Task[Lease] | None = None
        self._held: dict[int, tuple[Lease, LeaseHold]] = {}
        self._stream: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopped = False
        self._counts = dict.fromkeys(("granted", "lost", "keepalives", "unanswered"), 0)

    def now(self) -> float:
        return self._group.clock.monotonic()

    async def grant(self, ttl: float, *, timeout: float | None = None) -> Lease:
        """A new lease of `ttl` seconds, kept alive by this host until it is revoked or lost."""
        if not ttl >= TTL_MIN_S:
            raise UsageError(f"ttl must be at least {TTL_MIN_S} seconds, not {ttl!r}")
        wanted = self._group.new_id()
        sent_at = self.now()
        _, _, answer = await self._group.propose(
            commands.lease_grant(int(ttl * 1000), wanted), 32, timeout
        )
        results.raise_for(answer, "lease")
        return self._hold(wanted, ttl, sent_at)

    def _hold(self, lease: int, ttl_s: float, sent_at: float) -> Lease:
        hold = LeaseHold(lease, ttl_s, confirmed_at=sent_at)
        held = Lease(self, hold)
        self._held[lease] = (held, hold)
        self._counts["granted"] += 1
        self._wake.set()
        if (self._stream is None or self._stream.done()) and not self._stopped:
            self._stream = asyncio.get_running_loop().create_task(self._renew(), name="leases")
        return held

    async def session(self, *, timeout: float | None = None) -> Lease:
        """The lease of this host, shared by all that want it; granted when first asked for, and
        anew after a loss."""
        if self._session is not None and not self._session.lost:
            return self._session
        if self._granting is None or self._granting.done():
            granting = self.grant(self._session_ttl_s, timeout=timeout)
            self._granting = asyncio.get_running_loop().create_task(granting, name="session lease")
            self._granting.add_done_callback(_retrieve)
        session: Lease = await asyncio.shield(self._granting)
        self._session = session
        return session

    async def revoke(self, lease: Lease, *, timeout: float | None = None) -> None:
        self._held.pop(lease.id, None)
        _, _, answer = await self._group.propose(commands.lease_revoke(lease.id), 16, timeout)
        if results.failure_code(answer) != "lease_expired":
            results.raise_for(answer, f"lease {lease.id}")

    async def revoke_session(self, *, timeout: float | None = None) -> None:
        """Give up the session lease, if there is one: what hangs on it is free at once."""
        session, self._session = self._session, None
        if session is not None and not session.lost:
            await self.revoke(session, timeout=timeout)

    def require(self, lease: Lease | int | None) -> int:
        """The id of a lease that may be built on. Raises `LeaseExpired` for one that is lost here
        already."""
        if isinstance(lease, Lease):
            if lease.lost:
                raise LeaseExpired(f"lease {lease.id} is lost: {lease.lost}")
            return lease.id
        return lease or 0

    # --- news ------------------------------------------------------------------------------------

    def on_gone(self, leases: Iterable[int]) -> None:
        """The group applied the end of these leases."""
        for lease in leases:
            found = self._held.get(lease)
            if found is not None:
                found[1].on_refused()
                self._lose(found[0])

    def on_leader(self) -> None:
        """A new leader: whoever waits for an answer of the old one asks again at once."""
        for _, hold in self._held.values():
            hold.tried_at = 0.0
        self._wake.set()

    def on_snapshot_installed(self) -> None:
        """Entries were skipped: look which of our leases the new state still has."""
        machine = self._group.machine
        self.on_gone([lease for lease in list(self._held) if machine.lease(lease) is None])

    def _lose(self, lease: Lease) -> None:
        if self._held.pop(lease.id, None) is not None:
            self._counts["lost"] += 1
            lease.become_lost()

    # --- the stream ------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Renew what is due, until nothing is held."""
        while self._held and not self._stopped:
            now = self.now()
            for lease, hold in list(self._held.values()):
                if not hold.check(now):
                    self._lose(lease)
            self._ask_for_due(now)
            if not self._held:
                break
            at = min(min(hold.due_at, hold.valid_until) for _, hold in self._held.values())
            self._wake.clear()
            timer = self._group.scheduler.call_later(max(0.001, at - now), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    def _ask_for_due(self, now: float) -> None:
        holds = [hold for _, hold in self._held.values()]
        if not any(hold.due_at <= now for hold in holds):
            return
        due = [hold for hold in holds if hold.due_at <= now + TOGETHER_RATIO * hold.ttl_s / 3]
        leader = self._group.leader
        for hold in due:
            hold.on_sent(now)
        if leader is None:
            return
        for start in range(0, len(due), LEASES_PER_MESSAGE_MAX):
            some = due[start : start + LEASES_PER_MESSAGE_MAX]
            task = asyncio.get_running_loop().create_task(self._ask(leader, some, now))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, leader: str, holds: list[LeaseHold], sent_at: float) -> None:
        """One keepalive; silence and refusals only mean that the next one comes sooner."""
        timeout_s = max(0.01, min(hold.valid_until for hold in holds) - sent_at)
        self._counts["keepalives"] += 1
        try:
            answer: Any = await self._group.requests.ask(
                leader, KEEPALIVE, [[hold.lease for hold in holds]], timeout_s
            )
        except QuorateError:
            self._counts["unanswered"] += 1
            return
        alive = set(answer) if isinstance(answer, list) else set[Any]()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        for hold in holds:
            if hold.lease in alive:
                hold.on_confirmed(sent_at)
            else:
                self.on_gone([hold.lease])
        self._wake.set()

    async def stop(self) -> None:
        """Stop renewing. The leases run out by themselves unless they were revoked."""
        self._stopped = True
        all_tasks: list[asyncio.Task[Any] | None] = [self._stream, self._granting, *self._asking]
        tasks = [task for task in all_tasks if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lease, hold in list(self._held.values()):
            hold.lost = hold.lost or "the host stopped"
            self._lose(lease)

    def statistics(self) -> dict[str, object]:
        return {
            "held": len(self._held),
            **{f"{name}_total": count for name, count in self._counts.items()},
        }


def _retrieve(task: asyncio.Task[Lease]) -> None:
    """Whoever waited was told; nobody waiting is no news for the log."""
    if not task.cancelled():
        task.exception()
