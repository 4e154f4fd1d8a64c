"""Elections: one leader at a time, each with a higher term.

The law of this file: the term is the leader's fencing token. `observe` shows the latest leader, not
every one there was: it is for following, the history is in the event log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from quorate.core import codec
from quorate.core.errors import LockLost, Stopped
from quorate.core.group.claims import Claim, Claims
from quorate.core.group.kv import Level
from quorate.core.machine import commands, results
from quorate.core.machine.records import ElectionRecord


class Leader(NamedTuple):
    """Who leads an election; `term` 0 and `value` None: nobody."""

    term: int
    value: Any
    candidates: int
    """How many others stand in line."""


def leader_of(record: ElectionRecord | None) -> Leader:
    if record is None:
        return Leader(0, None, 0)
    value = codec.decode_value(record.value) if record.value else None
    return Leader(record.term, value, len(record.candidates))


class Leadership(Claim):
    """A campaign, to be entered with `async with`; inside the block this caller leads.

    The body is cancelled when the leadership is lost, and the block raises `LockLost`.
    """

    kind = "election"

    @property
    def term(self) -> int:
        """The fencing token of this leadership; 0 while not leading."""
        return self._token

    async def __aenter__(self) -> Leadership:
        await self._enter()
        return self

    async def proclaim(self, value: Any, *, timeout: float | None = None) -> None:
        """Change the value the observers see. Raises `LockLost` if somebody else leads by now."""
        if self._token == 0:
            raise LockLost(f"election {self.name!r}: not leading")
        encoded = codec.encode_value(value)
        command = commands.election_proclaim(self.name, self._token, encoded)
        _, _, answer = await self._group.propose(command, len(encoded) + 64, timeout)
        results.raise_for(answer, f"election {self.name!r}")

    async def resign(self) -> None:
        """Give up the leadership now; the block may go on without it."""
        if self._lease is not None:
            self._lease.no_longer(self._on_lost)
        release = self._give_up()
        if release is not None:
            await release


class Election:
    """`host.election(name)`."""

    def __init__(self, claims: Claims, name: str) -> None:
        self._claims = claims
        self._group = claims.group
        self.name = name

    def campaign(
        self,
        value: Any = None,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        wait: bool = True,
    ) -> Leadership:
        """Stand for election, proclaiming `value`; enter the result with `async with`.

        `ttl` in seconds: an own lease, None: the host's session lease. `timeout`: how long to
        stand in line in seconds, None: without end."""
        encoded = b"" if value is None else codec.encode_value(value)
        return Leadership(
            self._claims, self.name, ttl=ttl, timeout=timeout, value=encoded, wait=wait
        )

    async def leader(
        self, *, level: Level = "linearizable", timeout: float | None = None
    ) -> Leader:
        """Who leads now."""
        machine = await self._group.read_point(level, timeout)
        return leader_of(machine.election(self.name))

    async def observe(self) -> AsyncIterator[Leader]:
        """The present leader, then every change this host sees; raises `Stopped` when the host
        stops."""
        seen: tuple[int, bytes] | None = None
        while True:
            if self._group.broken is not None:
                raise self._group.broken
            record = self._group.machine.election(self.name)
            now = (0, b"") if record is None else (record.term, record.value)
            if now != seen:
                seen = now
                yield leader_of(record)
                continue
            if self._group.stopped:
                raise Stopped("the host is stopped or stopping")
            await self._group.advance.wait()
