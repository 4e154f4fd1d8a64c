"""The agents of quorate under measurement.

The law of this file: what a user would write, with the options of the class left as they are but
where a question names another. The same things as in `peers/casty_actors`.
"""

from __future__ import annotations

import os
from typing import Any

import quorate

IDLE_AFTER_S = 2.0
VALUE_BYTES = 100
VALUE = os.urandom(VALUE_BYTES)
PIECE_BYTES = 64 * 1024
TURN_BYTES = 512 * 1024


class Echo(quorate.Agent):
    """Answers what it was asked; writes state at the level that was named."""

    kind = "bench.Echo"

    async def ask_number(self, n: int) -> int:
        return n

    async def strong(self, n: int) -> int:
        await self.state.put("value", VALUE, consistency="strong")
        return n

    async def eventual(self, n: int) -> int:
        await self.state.put("value", VALUE)
        return n


class Sleeper(quorate.Agent):
    """A named agent that nobody needs."""

    kind = "bench.Sleeper"
    idle_after_s = IDLE_AFTER_S

    async def ask_number(self, n: int) -> int:
        return n


class Counter(quorate.Agent):
    """Counts in its strong state; says where it runs."""

    kind = "bench.Counter"

    async def bump(self) -> list[Any]:
        count = int(await self.state.get("count", default=0)) + 1
        await self.state.put("count", count, consistency="strong")
        return [self.host_id, count]


class Heavy(quorate.Agent):
    """Has state in the store, or in memory, and moves with it."""

    kind = "bench.Heavy"

    async def fill_store(self, size_bytes: int) -> None:
        """In pieces, at the class's own level, and no more in one turn than it may write."""
        before = len(await self.state.keys("piece/"))
        for n, start in enumerate(range(0, size_bytes, PIECE_BYTES), before):
            piece = os.urandom(min(PIECE_BYTES, size_bytes - start))
            await self.state.put(f"piece/{n:04}", piece)

    async def fill_memory(self, size_bytes: int) -> None:
        self.data = os.urandom(size_bytes)

    async def held_bytes(self) -> int:
        """How much it has now, wherever it is."""
        found = await self.state.keys("piece/")
        stored = [await self.state.get(key) for key in found]
        return sum(len(piece) for piece in stored) + len(getattr(self, "data", b""))

    async def ask_number(self, n: int) -> int:
        return n

    async def on_checkpoint(self) -> Any:
        return getattr(self, "data", None)

    async def on_restore(self, value: Any) -> None:
        if value is not None:
            self.data = value


CLASSES = (Echo, Sleeper, Counter, Heavy)
BY_PREFIX: dict[str, type[quorate.Agent]] = {
    "echo": Echo,
    "sleeper": Sleeper,
    "counter": Counter,
    "heavy": Heavy,
}
"""The part of a name before its first slash or dash -> the class."""
