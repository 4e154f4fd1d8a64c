"""A client over HTTP in a process of its own: aiohttp, connections kept alive, one session.

The law of this file: it knows HTTP, and what a request is says a dialect. An answer that is not 200
is an error. HTTP/1.1 has one request in flight on a connection, so there are as many connections as
requests in flight, up to `CONNECTIONS_MAX`; what waits for one is timed as well.

Run by the harness: `python -m quorate.bench.peers.http_load`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from quorate.bench.lines import Order, obey
from quorate.bench.load import closed_loop
from quorate.bench.peers.dialects import DIALECTS, Request
from quorate.hosts.cli.loop import run as run_loop

CONNECTIONS_MAX = 256
CALL_TIMEOUT_S = 20.0
TEXT_CHARACTERS_MAX = 300


class Refused(Exception):
    """An answer that is not 200."""


def session(connections: int) -> aiohttp.ClientSession:
    """A session with at most so many connections, kept alive."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=CALL_TIMEOUT_S),
    )


async def ask(http: aiohttp.ClientSession, url: str, request: Request) -> bytes:
    """The body of the answer. Raises `Refused`, `aiohttp.ClientError`, `TimeoutError`."""
    async with http.request(
        request.method, url + request.path, data=request.body, headers=request.headers
    ) as answer:
        body = await answer.read()
        if answer.status != 200:
            text = body.decode(errors="replace")[:TEXT_CHARACTERS_MAX]
            raise Refused(f"{answer.status}: {text}")
        return body


async def load(order: Order) -> dict[str, Any]:
    """A closed loop of `op` "put" or "get" in `dialect`, shared out over `urls`."""
    in_flight: int = order["in_flight"]
    async with session(min(in_flight, CONNECTIONS_MAX)) as http:
        done = await closed_loop(
            operation(order, http),
            in_flight=in_flight,
            warmup_s=order["warmup_s"],
            seconds=order["seconds"],
        )
    return done.to_json()


def operation(order: Order, http: aiohttp.ClientSession) -> Callable[[int], Awaitable[object]]:
    """What the load calls: over all keys, and over all addresses in turn."""
    dialect, urls = DIALECTS[order["dialect"]], order["urls"]
    keys = [f"bench/{n:06d}" for n in range(order["keys"])]
    count, over = len(keys), len(urls)
    if order["op"] == "get":

        async def get(n: int) -> object:
            request = dialect.get(keys[n % count])
            return dialect.value(await ask(http, urls[n % over], request))

        return get
    value = os.urandom(order["value_bytes"])

    async def put(n: int) -> object:
        return await ask(http, urls[n % over], dialect.put(keys[n % count], value))

    return put


async def post(order: Order) -> Any:
    """The JSON answer to a POST of `body` (JSON) at `url` + `path`."""
    request = Request("POST", order["path"], json.dumps(order["body"]).encode(), {})
    async with session(1) as http:
        return json.loads(await ask(http, order["url"], request))


async def _serve() -> None:
    await obey({"load": load, "post": post}, {})


def main() -> None:
    run_loop(_serve())


if __name__ == "__main__":
    main()
