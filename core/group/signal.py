"""One host-wide "something was applied": wakes everybody who looks at local state for a change.

The law of this file: no payload and no queue, so a slow listener costs no memory; whoever wakes
looks at the state itself. Wake-ups of one turn are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Advance:
    """Wait for the applied state to move on."""

    def __init__(self, make_future: Callable[[], asyncio.Future[None]]) -> None:
        self._make_future = make_future
        self._waiters: dict[asyncio.Future[None], None] = {}
        self._stopped = False

    def notify(self) -> None:
        """State moved on. Free of cost while nobody waits."""
        if self._waiters:
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def wait(self) -> None:
        """Return after the next `notify`; at once when stopped."""
        if self._stopped:
            return
        waiter = self._make_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            self._waiters.pop(waiter, None)

    def stop(self) -> None:
        """Wake everybody for the last time."""
        self._stopped = True
        self.notify()

    def statistics(self) -> dict[str, object]:
        return {"waiting": len(self._waiters)}
