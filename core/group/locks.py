"""Locks: `async with host.lock("rebuild", ttl=10) as lock: ... lock.token`.

The law of this file: a lock without its token promises nothing. The token only grows; whatever the
lock protects must refuse a smaller one than it has seen (T43).
"""

from __future__ import annotations

from quorate.core.group.claims import Claim


class Lock(Claim):
    """A lock to be taken with `async with`.

    Entering raises `Timeout` (not granted in time; nobody stands in line any more), `Refused`
    (held by another, with `wait=False`) and what any command raises. When the lock is lost inside
    the block, the body is cancelled and the block raises `LockLost`."""

    kind = "lock"

    @property
    def token(self) -> int:
        """The fencing token: grows with every grant of this lock; 0 while not held."""
        return self._token

    async def __aenter__(self) -> Lock:
        await self._enter()
        return self
