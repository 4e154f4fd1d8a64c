"""Leases for owners that are no agents: sessions and tasks of this host.

The law of this file: what owns agents has one lease, from the first thing that it owns until it
ends; the group ends what the lease owned with it, in one command. The lease is given up the moment
the owner ends, and runs out by itself when this process does. What has ended owns nothing any more.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from quorate.consistency.store.session import Session
from quorate.core import codec
from quorate.core.errors import OwnerDead, QuorateError, Timeout
from quorate.core.group.leases import Lease, Leases
from quorate.core.machine import commands, results
from quorate.hosts.agents.kin import reasons

if TYPE_CHECKING:
    from quorate.hosts.agents.world import AgentWorld

Owner = Session | asyncio.Task[Any]

OWNER_LEASE_S: Final = 3.0
REVOKE_TIMEOUT_S: Final = 2.0
TEXTS_KEPT: Final = 10_000
NAMESPACE: Final = "quorate"
PREFIX: Final = "owner/"
"""kv rows on the owners' leases: what stands behind each."""


class _Holding:
    """One owner."""

    __slots__ = ("granting", "lease", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.lease: Lease | None = None
        self.granting: asyncio.Task[Lease] | None = None


class OwnerLeases:
    """One per host."""

    def __init__(self, world: AgentWorld) -> None:
        self._world = world
        self._group = world.group
        self._leases = Leases(world.group, session_ttl_s=OWNER_LEASE_S)
        self._held: dict[Owner, _Holding] = {}
        self._texts: OrderedDict[int, str] = OrderedDict()
        """lease -> what stands behind it, as far as that was ever seen here."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sessions = 0
        self._stopped = False

    # --- one owner --------------------------------------------------------------------------------

    async def lease_of(self, owner: Owner, until: float) -> Lease:
        """The lease of an owner that lives, granted now if it had none. Raises `OwnerDead`,
        `Unavailable`."""
        self._check(owner)
        holding = self._held.get(owner)
        if holding is None:
            holding = self._held[owner] = _Holding(self._text(owner))
            self._follow(owner)
        if holding.lease is not None and not holding.lease.lost:
            return holding.lease
        if holding.granting is None or holding.granting.done():
            left_s = until - self._group.clock.monotonic()
            if left_s <= 0:
                raise Timeout(f"{holding.text} got no lease in time; nothing was changed")
            holding.granting = self._spawn(self._grant(holding, left_s))
        lease = await asyncio.shield(holding.granting)
        self._check(owner)  # it may have ended meanwhile: then the lease was given up
        return lease

    def _text(self, owner: Owner) -> str:
        if isinstance(owner, Session):
            self._sessions += 1
            return reasons.session_text(self._sessions, self._world.host_id)
        return reasons.task_text(owner.get_name(), self._world.host_id)

    def _check(self, owner: Owner) -> None:
        over = owner.closed if isinstance(owner, Session) else owner.done()
        if over or self._stopped:
            what = "session" if isinstance(owner, Session) else f"task {owner.get_name()!r}"
            raise OwnerDead(f"the {what} has ended: it can own nothing")

    def _follow(self, owner: Owner) -> None:
        if isinstance(owner, Session):
            owner.when_closed(lambda: self._end(owner))
        else:
            owner.add_done_callback(lambda task: self._on_task_done(task))

    async def _grant(self, holding: _Holding, timeout_s: float) -> Lease:
        lease = await self._leases.grant(OWNER_LEASE_S, timeout=timeout_s)
        holding.lease = lease
        try:
            data = codec.encode_value(holding.text)
            command = commands.put(f"{PREFIX}{lease.id}", data, lease.id, NAMESPACE)
            _, _, answer = await self._group.propose(command, len(data) + 32, timeout_s)
            results.raise_for(answer, f"row of {holding.text}")
        except QuorateError:
            pass  # it owns all the same; reasons name the lease by its number then
        self._remember(lease.id, holding.text)
        return lease

    # --- its end ----------------------------------------------------------------------------------

    def _on_task_done(self, task: asyncio.Task[Any]) -> None:
        holding = self._held.get(task)
        if holding is None or self._stopped:
            return
        error = None if task.cancelled() else task.exception()
        holding.text = reasons.task_end(holding.text, error, cancelled=task.cancelled())
        if holding.lease is not None:
            self._remember(holding.lease.id, holding.text)
        self._spawn(self._end(task))

    async def _end(self, owner: Owner) -> None:
        """Give the lease up: what it owned loses this owner at once."""
        holding = self._held.pop(owner, None)
        if holding is None:
            return
        lease = holding.lease
        with suppress(QuorateError):  # it is not kept alive any more, so it runs out
            if lease is None and holding.granting is not None:
                lease = await asyncio.shield(holding.granting)
            if lease is not None and not lease.lost:
                await lease.revoke(timeout=REVOKE_TIMEOUT_S)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = self._world.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_end)
        return task

    def _on_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told

    # --- words ------------------------------------------------------------------------------------

    def learn(self, leases: Iterable[int]) -> None:
        """Agents of this host are owned by these leases: keep what stands behind them."""
        for lease in leases:
            if lease not in self._texts:
                row = self._group.machine.kv_get(f"{PREFIX}{lease}", NAMESPACE)
                if row is not None:
                    self._remember(lease, str(codec.decode_value(row.value)))

    def _remember(self, lease: int, text: str) -> None:
        self._texts[lease] = text
        while len(self._texts) > TEXTS_KEPT:
            self._texts.popitem(last=False)

    def text_of(self, lease: int) -> str | None:
        """What stands behind a lease, if that was ever seen here."""
        return self._texts.get(lease)

    # --- news -------------------------------------------------------------------------------------

    def on_leases_gone(self, gone: list[int]) -> None:
        self._leases.on_gone(gone)

    def on_leader(self) -> None:
        self._leases.on_leader()

    def on_snapshot_installed(self) -> None:
        self._leases.on_snapshot_installed()

    async def leave(self, timeout_s: float) -> None:
        """The process ends in good order: so do its owners."""
        leases = [one.lease for one in self._held.values() if one.lease is not None]
        self._stopped = True
        self._held.clear()
        work = [lease.revoke(timeout=timeout_s) for lease in leases if not lease.lost]
        await asyncio.gather(*work, return_exceptions=True)  # those that fail run out

    def stop(self) -> None:
        """Grant and renew nothing any more. Safe to call twice."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def wait_stopped(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._leases.stop()

    def statistics(self) -> dict[str, Any]:
        return {"owners": len(self._held), **self._leases.statistics()}
