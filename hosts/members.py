"""`host.members`: who belongs to the group, and changing it from any host.

The law of this file: only the leader changes members, one change at a time; any host may be asked
and forwards. A change that may have been made and may not is told as `OutcomeUnknown`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from quorate.core.errors import (
    MembershipRefused,
    NoLeader,
    NotCommitted,
    NotFound,
    OutcomeUnknown,
    QuorateError,
    Refused,
    Timeout,
    Unavailable,
)
from quorate.core.group.requests import Reply
from quorate.core.raft.members import Change, Member, changed
from quorate.core.wire import address as addresses
from quorate.hosts.config import check_host_id

if TYPE_CHECKING:
    from quorate.hosts.host import Host

CHANGE = "change_members"
TRANSFER = "transfer"
RETRY_S = 0.1
CHANGE_TIMEOUT_S = 10.0
ANNOUNCE_TIMEOUT_S = 2.0

T = TypeVar("T")
Role = Literal["voter", "learner"]


class Members:
    """List, add, remove, replace and promote members. `timeout` in seconds, 10 by default."""

    def __init__(self, host: Host) -> None:
        self._host = host
        host.group.requests.handle(CHANGE, self._on_change)
        host.group.requests.handle(TRANSFER, self._on_transfer)

    def list(self) -> list[Member]:
        """The members as this host knows them, sorted by id."""
        return list(self._host.configuration.members)

    def get(self, host_id: str) -> Member | None:
        return self._host.configuration.get(host_id)

    async def add(
        self, host_id: str, address: str, *, role: Role = "voter", timeout: float | None = None
    ) -> Member:
        """Add a host. A voter joins as a learner and votes once it has caught up; returns when it
        does.

        Start the new host with `join=True` and the present members as its `peers`. Raises
        `MembershipRefused`; `Unavailable` with the outcome `applied` if it was added but did not
        catch up in time (it is promoted later by itself)."""
        check_host_id(host_id)
        addresses.parse(address)
        seconds = CHANGE_TIMEOUT_S if timeout is None else timeout
        until = asyncio.get_running_loop().time() + seconds
        first = "learner" if role == "learner" else "staging"
        await self._change(Change("add", host_id, address, first), seconds)
        left = until - asyncio.get_running_loop().time()
        return await self._wait_role(host_id, role, left)

    async def promote(self, host_id: str, *, timeout: float | None = None) -> Member:
        """Let a learner vote."""
        seconds = CHANGE_TIMEOUT_S if timeout is None else timeout
        await self._change(Change("promote", host_id), seconds)
        return await self._wait_role(host_id, "voter", seconds)

    async def remove(self, host_id: str, *, timeout: float | None = None) -> None:
        """Remove a member, which may be the leader or this host itself. It learns of it and
        refuses calls."""
        if self.get(host_id) is None:
            known = ", ".join(member.id for member in self.list())
            raise NotFound(f"host {host_id!r} is not a member; members are {known or 'none'}")
        seconds = CHANGE_TIMEOUT_S if timeout is None else timeout
        await self._change(Change("remove", host_id), seconds)

    async def readdress(self, host_id: str, address: str, *, timeout: float | None = None) -> None:
        """Tell the group a member's new address."""
        addresses.parse(address)
        seconds = CHANGE_TIMEOUT_S if timeout is None else timeout
        await self._change(Change("readdress", host_id, address), seconds)

    async def announce(self, address: str) -> None:
        """Keep asking for this host's own new address until the group knows it."""
        while (own := self.get(self._host.id)) is not None and own.address != address:
            with suppress(QuorateError):
                await self.readdress(self._host.id, address, timeout=ANNOUNCE_TIMEOUT_S)
            await asyncio.sleep(RETRY_S)

    async def replace(
        self, old: str, new: str, address: str, *, timeout: float | None = None
    ) -> Member:
        """Add `new` as a voter, wait until it has caught up, then remove `old`."""
        if self.get(old) is None:
            raise NotFound(f"host {old!r} is not a member")
        member = self.get(new)
        if member is None or member.role != "voter":
            member = await self.add(new, address, timeout=timeout)
        await self.remove(old, timeout=timeout)
        return member

    async def transfer(self, to: str | None, timeout_s: float) -> str:
        """Hand the leadership to `to` (None: whoever is furthest); returns who leads then."""
        group = self._host.group
        before = group.leader
        until = asyncio.get_running_loop().time() + timeout_s
        await self.ask_leader(TRANSFER, [to], timeout_s)

        def successor() -> str | None:
            wanted = group.leader == to if to is not None else group.leader != before
            return group.leader if wanted else None

        left = until - asyncio.get_running_loop().time()
        what = "the leadership was handed over, but no new leader is known here yet"
        return await self._seen(successor, left, what)

    async def _wait_role(self, host_id: str, role: str, timeout_s: float) -> Member:
        def found() -> Member | None:
            member = self.get(host_id)
            return member if member is not None and member.role == role else None

        what = f"host {host_id!r} has not become a {role} yet; it will once it has caught up"
        return await self._seen(found, timeout_s, what)

    async def _seen(self, look: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """What was ordered is done; wait until it shows here. Out of time, the outcome is
        `applied`."""
        try:
            return await self._host.wait_until(look, timeout_s, what)
        except Timeout as error:
            raise Unavailable(str(error), outcome="applied") from None

    # --- asking the leader -----------------------------------------------------------------------

    async def _change(self, change: Change, timeout_s: float) -> None:
        row = [change.kind, change.id, change.address, change.role]
        await self.ask_leader(CHANGE, row, timeout_s)

    async def ask_leader(self, method: str, args: list[Any], timeout_s: float) -> Any:
        """Ask whoever leads, again while nobody does; ends by the deadline.

        Raises `MembershipRefused`, `NoLeader`, `OutcomeUnknown`.
        """
        group = self._host.group
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        error: QuorateError = NoLeader("no leader is known")
        while (left := until - loop.time()) > 0:
            self._host.check()
            if group.leader is not None:
                try:
                    return await group.requests.ask(group.leader, method, args, left)
                except Refused as refused:
                    raise MembershipRefused(str(refused)) from refused
                except Unavailable as unavailable:
                    if unavailable.outcome != "not_applied":
                        raise
                    error = unavailable
            await asyncio.sleep(min(RETRY_S, max(0.0, until - loop.time())))
        raise error

    # --- being asked, as the leader --------------------------------------------------------------

    def _on_change(self, peer: str, args: list[Any], reply: Reply) -> None:
        kind, host_id, address, role = args
        change = Change(kind, str(host_id), str(address), role)

        def done(error: Exception | None) -> None:
            if isinstance(error, MembershipRefused) and _makes_sense(self._host, change):
                reply(NotCommitted(str(error)))  # only not now: the asker tries again
            else:
                _answer(reply)(error)

        self._host.driver.change_members(change, done)

    def _on_transfer(self, peer: str, args: list[Any], reply: Reply) -> None:
        (target,) = args
        self._host.driver.transfer(target, _answer(reply))


def _makes_sense(host: Host, change: Change) -> bool:
    """The change is right as such; it is refused because of what else is going on."""
    try:
        changed(host.configuration, change)
    except MembershipRefused:
        return False
    return True


def _answer(reply: Reply) -> Callable[[Exception | None], None]:
    def done(error: Exception | None) -> None:
        if error is None:
            reply(True)
        elif isinstance(error, QuorateError):
            reply(error)
        else:
            reply(OutcomeUnknown(str(error)))

    return done
