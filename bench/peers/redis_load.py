"""The load on Redis, in a process of its own: SET and GET over a few connections, each with many
commands in flight.

The law of this file: a waited write is a SET and a `WAIT` on the same connection, and is
acknowledged when so many replicas have it in memory. `WAIT` holds up its connection, so writes that
come while one runs share the next (`Waited`): a group commit, the quickest honest way. A read that
finds nothing is an error.

Run by the harness: `python -m quorate.bench.peers.redis_load`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from quorate.bench.lines import Order, obey
from quorate.bench.load import closed_loop
from quorate.bench.peers.resp import Connection, RespError, connect
from quorate.hosts.cli.loop import run as run_loop

CONNECTIONS_MAX = 8
WAIT_TIMEOUT_MS = 5000


class Waited:
    """Writes on one connection that are acknowledged when `replicas` have them in memory."""

    def __init__(self, connection: Connection, replicas: int) -> None:
        self._connection = connection
        self._wait = (b"WAIT", b"%d" % replicas, b"%d" % WAIT_TIMEOUT_MS)
        self._replicas = replicas
        self._queued: list[tuple[bytes, bytes, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None

    def put(self, key: bytes, value: bytes) -> asyncio.Future[None]:
        """Queue a write for the next group. It raises `RespError`, `ConnectionError`."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queued.append((key, value, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._groups())
        return done

    async def _groups(self) -> None:
        while self._queued:
            group, self._queued = self._queued, []
            answers = [self._connection.send(b"SET", key, value) for key, value, _ in group]
            waited = self._connection.send(*self._wait)
            said = await asyncio.gather(*answers, waited, return_exceptions=True)
            short = _short(said[-1], self._replicas)
            for (_, _, done), answer in zip(group, said, strict=False):
                error = answer if isinstance(answer, BaseException) else short
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)


def _short(answer: object, replicas: int) -> BaseException | None:
    """What is wrong with the answer of `WAIT`: it counts the replicas, and does not fail."""
    if isinstance(answer, BaseException):
        return answer
    if isinstance(answer, int) and answer >= replicas:
        return None
    return RespError(f"{answer} of {replicas} replicas within {WAIT_TIMEOUT_MS} ms")


async def load(order: Order) -> dict[str, Any]:
    """A closed loop of `op` "put" or "get" at `address`; `replicas` 0: not waited for."""
    in_flight: int = order["in_flight"]
    count = min(in_flight, CONNECTIONS_MAX)
    connections = [await connect(order["address"]) for _ in range(count)]
    try:
        done = await closed_loop(
            operation(order, connections),
            in_flight=in_flight,
            warmup_s=order["warmup_s"],
            seconds=order["seconds"],
        )
    finally:
        for connection in connections:
            connection.close()
    return done.to_json()


def operation(order: Order, connections: list[Connection]) -> Callable[[int], Awaitable[object]]:
    """What the load calls: over all keys, and over all connections in turn."""
    keys = [b"bench/%06d" % n for n in range(order["keys"])]
    count, over = len(keys), len(connections)
    if order["op"] == "get":

        async def get(n: int) -> object:
            found = await connections[n % over].send(b"GET", keys[n % count])
            if found is None:
                raise LookupError("no such key")
            return found

        return get
    value = os.urandom(order["value_bytes"])
    if not order["replicas"]:
        return lambda n: connections[n % over].send(b"SET", keys[n % count], value)
    waited = [Waited(connection, order["replicas"]) for connection in connections]
    return lambda n: waited[n % over].put(keys[n % count], value)


async def info(order: Order) -> dict[str, str]:
    """The lines of `INFO` of one section, at `address`."""
    connection = await connect(order["address"])
    try:
        said = await connection.send(b"INFO", order["section"].encode())
    finally:
        connection.close()
    text = said.decode() if isinstance(said, bytes) else ""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


async def _serve() -> None:
    await obey({"load": load, "info": info}, {})


def main() -> None:
    run_loop(_serve())


if __name__ == "__main__":
    main()
