"""A resource outside of the cluster that takes fenced effects: the server in the parent, and the
way to it from a worker.

The law of this file: an effect of (name, token) is accepted if no higher token was seen for that
name, else refused; every accepted one has its place in one order. The way to the resource does not
go through the cut links: who is cut off from the cluster can still do harm here. Beside that, it
keeps values that callers leave for others (`give`, `take`), each taken once: what a user carries
from one host to another.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from quorate.core.errors import OutcomeUnknown, Refused, Unavailable

LINE_BYTES_MAX = 1 << 16
ANSWER_S = 2.0


class Effect(NamedTuple):
    """An accepted effect."""

    name: str
    token: int
    by: str
    place: int
    """Its place among all accepted effects."""


@dataclass(slots=True)
class Ledger:
    """What the resource decides by. Pure."""

    highest: dict[str, int]
    accepted: list[Effect]
    refused: int = 0
    left: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    """What was given and not taken, by name."""

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer to one line of a caller."""
        name, do = str(asked["name"]), str(asked["do"])
        if do == "give":
            self.left.setdefault(name, []).append(asked["value"])
            return {}
        if do == "take":
            waiting = self.left.get(name)
            return {"value": waiting.pop(0) if waiting else None}
        place, highest = self.take(name, int(asked["token"]), str(asked["by"]))
        return {"place": place, "highest": highest}

    def take(self, name: str, token: int, by: str) -> tuple[int, int]:
        """(place, highest token); place 0: refused."""
        highest = self.highest.get(name, 0)
        if token < highest:
            self.refused += 1
            return 0, highest
        self.highest[name] = token
        self.accepted.append(Effect(name, token, by, len(self.accepted) + 1))
        return len(self.accepted), token


class ResourceServer:
    """The resource, on a free port of loopback."""

    def __init__(self, on_effect: Callable[[Effect], None] | None = None) -> None:
        self.ledger = Ledger({}, [])
        self._on_effect = on_effect
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        assert self._server is not None, "start it first"
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LINE_BYTES_MAX)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, ValueError, KeyError):
            while line := await reader.readline():
                asked: dict[str, Any] = json.loads(line)
                answer = self.ledger.answer(asked)
                if answer.get("place") and self._on_effect is not None:
                    self._on_effect(self.ledger.accepted[-1])
                writer.write(json.dumps({"id": asked["id"], **answer}).encode() + b"\n")
        self._writers.discard(writer)
        writer.close()


class Resource:
    """A worker's way to the resource. Many callers share one connection."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._door = asyncio.Lock()
        self._sent = 0

    async def effect(self, name: str, token: int, by: str) -> Effect:
        """Do something to the resource under the token. Raises `Refused` (a later holder has been
        here), `OutcomeUnknown`, `Unavailable`."""
        answer = await self._ask({"do": "effect", "name": name, "token": token, "by": by})
        if not answer["place"]:
            raise Refused(f"{name!r}: token {token} is below {answer['highest']}")
        return Effect(name, token, by, int(answer["place"]))

    async def give(self, name: str, value: Any) -> None:
        """Leave a value (of JSON) for whoever takes it."""
        await self._ask({"do": "give", "name": name, "value": value})

    async def take(self, name: str) -> Any:
        """The oldest value left under the name, which is then gone; None if there is none."""
        return (await self._ask({"do": "take", "name": name}))["value"]

    async def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        writer = await self._connected()
        self._sent += 1
        number = self._sent
        waiter = self._waiting[number] = asyncio.get_running_loop().create_future()
        writer.write(json.dumps({"id": number, **asked}).encode() + b"\n")
        try:
            async with asyncio.timeout(ANSWER_S):
                return await waiter
        except TimeoutError:
            raise OutcomeUnknown(f"the resource did not answer to {asked['name']!r}") from None
        finally:
            self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        if self._address is None:
            raise Unavailable("this run has no resource outside", outcome="not_applied")
        async with self._door:
            if self._writer is None or self._writer.is_closing():
                host, port = self._address.rsplit(":", 1)
                try:
                    reader, self._writer = await asyncio.open_connection(host, int(port))
                except OSError as error:
                    text = f"the resource is not reached: {error}"
                    raise Unavailable(text, outcome="not_applied") from error
                self._reading = asyncio.ensure_future(self._read(reader))
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                answer: dict[str, Any] = json.loads(line)
                waiter = self._waiting.get(int(answer["id"]))
                if waiter is not None and not waiter.done():
                    waiter.set_result(answer)
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_exception(OutcomeUnknown("the resource hung up"))

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
