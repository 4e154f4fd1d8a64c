"""A client of Redis that does what the measurement needs: one connection, any number of commands in
flight, answers in the order of the commands.

The law of this file: RESP2 without arrays, since no command that is measured answers with one.
Commands of one turn of the event loop go out in one write. An answer `-ERR ...` is a `RespError` of
its command alone; bytes that are no RESP break the connection and everything that waits on it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

Answer = bytes | int | str | None
"""A bulk string, an integer, a simple string, or nothing."""
ANSWER_BYTES_MAX = 512 * 1024 * 1024
"""As long as Redis lets a string be."""


class RespError(Exception):
    """Redis refused a command, or what came is not RESP."""


def encoded(*words: bytes) -> bytes:
    """A command as Redis takes it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        parts += [b"$%d\r\n" % len(word), word, b"\r\n"]
    return b"".join(parts)


class Decoder:
    """Bytes in as they come, answers out as they are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Answer | RespError]:
        """The answers that are complete now. Raises `RespError` for what is no answer."""
        buffer = self._buffer
        buffer += data
        found: list[Answer | RespError] = []
        start = 0
        while (end := buffer.find(b"\r\n", start)) >= 0:
            kind, text = bytes(buffer[start : start + 1]), bytes(buffer[start + 1 : end])
            after = end + 2
            if kind == b"$" and (size := _number(text)) >= 0:
                if size > ANSWER_BYTES_MAX:
                    raise RespError(f"an answer of {size} bytes")
                if len(buffer) < after + size + 2:
                    break
                found.append(bytes(buffer[after : after + size]))
                after += size + 2
            elif kind == b"$":
                found.append(None)
            elif kind == b":":
                found.append(_number(text))
            elif kind == b"+":
                found.append(text.decode(errors="replace"))
            elif kind == b"-":
                found.append(RespError(text.decode(errors="replace")))
            else:
                raise RespError(f"not an answer: {bytes(buffer[start:end])[:40]!r}")
            start = after
        del buffer[:start]
        return found


def _number(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise RespError(f"not a number: {text[:40]!r}") from None


class Connection(asyncio.Protocol):
    """One connection. Make it with `connect`."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._out: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lost: Exception | None = None

    def send(self, *words: bytes) -> asyncio.Future[Answer]:
        """Send a command; the future is its answer. It raises `RespError` if Redis refuses, and
        `ConnectionError` if the connection breaks first."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        if self._lost is not None:
            answer.set_exception(ConnectionError(str(self._lost)))
            return answer
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(encoded(*words))
        self._waiting.append(answer)
        return answer

    def close(self) -> None:
        """Close it; what waits ends with `ConnectionError`."""
        if self._transport is not None:
            self._transport.close()

    def _flush(self) -> None:
        data, self._out = b"".join(self._out), []
        if self._transport is not None:
            self._transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            answers = self._decoder.feed(data)
            for answer in answers:
                self._answer(answer)
        except RespError as error:
            self._break(error)

    def _answer(self, answer: Answer | RespError) -> None:
        if not self._waiting:
            raise RespError(f"an answer that nobody asked for: {answer!r:.40}")
        future = self._waiting.popleft()
        if future.done():
            return
        if isinstance(answer, RespError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(exc or ConnectionError("Redis closed the connection"))

    def _break(self, error: Exception) -> None:
        self._lost = self._lost or error
        self.close()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionError(str(error)))


async def connect(address: str) -> Connection:
    """A connection to "host:port". Raises `OSError`."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, int(port))
    return connection
