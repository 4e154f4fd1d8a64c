"""The agents of the stories."""

from __future__ import annotations

import asyncio
from typing import Any

import quorate


class Shop(quorate.Agent):
    """Sells; counts strongly what it sold, and roughly who looked."""

    kind = "people.Shop"

    async def sell(self, count: int = 1) -> int:
        sold = await self.state.get("sold", default=0) + count
        await self.state.put("sold", sold, consistency="strong")
        return sold

    async def look(self) -> None:
        await self.state.pn_counter("looks").increment()

    async def sell_and_fail(self) -> None:
        await self.state.put("sold", 1_000_000, consistency="strong")
        await self.state.put("note", "never")
        await self.state.pn_counter("looks").increment(1_000_000)
        raise ValueError("no more bread")

    async def write(self, key: str, value: Any) -> None:
        await self.state.put(key, value)

    @quorate.shared
    async def report(self) -> dict[str, Any]:
        return {
            "sold": await self.state.get("sold", default=0),
            "looks": await self.state.pn_counter("looks").value() or 0,
            "note": await self.state.get("note"),
            "host": self.host_id,
            "epoch": self.epoch,
        }

    @quorate.shared
    async def write_in_a_shared_turn(self) -> None:
        await self.state.put("note", "forbidden")


class Scribe(quorate.Agent):
    """Remembers in memory what it was told, in order."""

    kind = "people.Scribe"

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.gate: asyncio.Event | None = None

    async def note(self, line: Any) -> int:
        self.lines.append(line)
        return len(self.lines)

    @quorate.shared
    async def read(self) -> list[Any]:
        return self.lines

    async def who(self) -> list[Any]:
        caller = self.caller
        return [] if caller is None else list(caller)

    async def hold(self) -> str:
        """Runs until `release`."""
        self.gate = asyncio.Event()
        await self.gate.wait()
        return "released"

    @quorate.shared
    async def overlap(self) -> str:
        """A shared turn that waits for another one."""
        self.gate = self.gate or asyncio.Event()
        await self.gate.wait()
        return "overlapped"

    @quorate.shared
    async def open(self) -> None:
        self.gate = self.gate or asyncio.Event()
        self.gate.set()

    async def ask_of(self, other: str, method: str, *args: Any) -> Any:
        return await getattr(self.agents.get(other), method)(*args)

    async def tell_to(self, other: str, *lines: Any) -> None:
        for line in lines:
            self.agents.get(other).tell.note(line)

    async def raise_error(self, text: str) -> None:
        raise LookupError(text)

    async def odd_answer(self) -> object:
        return object()

    async def on_checkpoint(self) -> Any:
        return self.lines

    async def on_restore(self, value: Any) -> None:
        self.lines = value


class Circle(Scribe):
    """All have begun before any of them asks the next one."""

    kind = "people.Circle"
    arrived = 0

    async def meet(self, following: str, count: int) -> Any:
        Circle.arrived += 1
        while Circle.arrived < count:  # noqa: ASYNC110 - the others are turns of other agents
            await asyncio.sleep(0)
        return await self.agents.get(following).options(timeout=10).note("round")


class Small(quorate.Agent):
    """Two messages may wait, no more."""

    kind = "people.Small"
    mailbox_messages_max = 2

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[int] = []

    async def hold(self) -> None:
        await self.gate.wait()

    async def note(self, number: int) -> None:
        self.seen.append(number)

    async def read(self) -> list[int]:
        return self.seen


class Patient(Small):
    """Asks wait where `Small` refuses them."""

    kind = "people.Patient"
    mailbox_full = "wait"


class Starts(quorate.Agent):
    """Counts its own starts and activations, in its state."""

    kind = "people.Starts"

    async def on_start(self) -> None:
        if self.args.get("fail"):
            raise RuntimeError("cannot start")
        await self.state.put("starts", 1 + await self.state.get("starts", default=0))

    async def on_activate(self) -> None:
        await self.state.put("activations", 1 + await self.state.get("activations", default=0))

    async def counts(self) -> list[int]:
        return [await self.state.get("starts"), await self.state.get("activations")]

    async def end(self) -> str:
        await self.stop("enough")
        return "bye"


class Impatient(quorate.Agent):
    """Its turns are interrupted soon."""

    kind = "people.Impatient"
    turn_timeout_s = 0.3

    async def forever(self) -> None:
        await self.state.put("note", "never")
        await asyncio.Event().wait()

    async def note(self) -> Any:
        return await self.state.get("note")


class Keeps(quorate.Agent):
    """Its state outlives it."""

    kind = "people.Keeps"
    keep_state = True

    async def put(self, value: int) -> None:
        await self.state.put("value", value, consistency="strong")

    async def get(self) -> Any:
        return await self.state.get("value")


class Degraded(Shop):
    kind = "people.Degraded"
    partition = "degraded"


class Split(Shop):
    kind = "people.Split"
    partition = "split_brain"


ALL = (Circle, Shop, Scribe, Small, Patient, Starts, Impatient, Keeps, Degraded, Split)
