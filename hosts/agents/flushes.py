"""Flushes: is anything of this host still on its way to an agent?

The law of this file: a flush goes the way that messages went, behind them, and is answered by every
host on it, up to where the agent is now; what was sent before it has then arrived or has come back.
No answer in time means that something may still come.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from quorate.hosts.agents import envelope as wire
from quorate.hosts.agents.outbox import Outbox

if TYPE_CHECKING:
    from quorate.hosts.agents.world import AgentWorld

FLUSH_TIMEOUT_S: Final = 1.0


class _Flush:
    __slots__ = ("answers", "hops", "waiter")

    def __init__(self, waiter: asyncio.Future[bool]) -> None:
        self.waiter = waiter
        self.answers: set[int] = set()
        """Of the hosts on the way, the first is 0."""
        self.hops = -1
        """The number of the last host on the way; -1 while it is not known."""


class Flushes:
    """One per host."""

    def __init__(self, world: AgentWorld, outbox: Outbox) -> None:
        self._world = world
        self._outbox = outbox
        self._waiting: dict[int, _Flush] = {}
        self._token = world.group.rng.getrandbits(40) << 20

    async def ask(self, target: str, host: str) -> bool:
        """Whether `host`, and whoever it hands things on to, has said that nothing for `target` is
        on its way any more."""
        world = self._world
        if host != world.host_id and not world.is_up(host):
            return False
        self._token += 1
        token = self._token
        flush = self._waiting[token] = _Flush(world.loop.create_future())
        parts = [wire.FLUSH, token, target, world.host_id, 0, 0]
        self._outbox.add(host, parts, lambda: self._end(token, False))
        timer = world.loop.call_later(FLUSH_TIMEOUT_S, self._end, token, False)
        try:
            return await flush.waiter
        finally:
            timer.cancel()
            self._waiting.pop(token, None)

    def on_flushed(self, token: int, hops: int, last: bool) -> None:
        """The answer of a host on the way."""
        flush = self._waiting.get(token)
        if flush is None:
            return
        flush.answers.add(hops)
        if last:
            flush.hops = hops
        if len(flush.answers) == flush.hops + 1:
            self._end(token, True)

    def open(self, target: str, host: str, upto: int) -> None:
        """Tell `host` that what comes from now on is in order again: everything up to this number
        is in its sender's hands."""
        self._outbox.add(host, [wire.OPEN, target, self._world.host_id, 0, 0, upto])

    def _end(self, token: int, answered: bool) -> None:
        flush = self._waiting.pop(token, None)
        if flush is not None and not flush.waiter.done():
            flush.waiter.set_result(answered)

    def stop(self) -> None:
        """Nobody waits any more."""
        for token in list(self._waiting):
            self._end(token, False)
