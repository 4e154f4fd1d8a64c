"""How the harness speaks to a process it measures: one JSON object per line, orders in on standard
input, answers out on standard output.

The law of this file: every order `{"id", "do", ...}` gets exactly one answer
`{"id", "ok": true, "answer"}` or `{"id", "ok": false, "error"}`; orders may overlap; the end of
standard input is the order to end, so that nothing outlives the harness.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

Order = dict[str, Any]
Handler = Callable[[Order], Awaitable[Any]]


def say(message: dict[str, Any]) -> None:
    """One line to the harness, in one write."""
    os.write(sys.stdout.fileno(), (json.dumps(message) + "\n").encode())


async def obey(handlers: dict[str, Handler], hello: dict[str, Any]) -> None:
    """Say hello, then serve orders until standard input ends or the order `stop` is done."""
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[Order | None] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(orders.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(orders.put_nowait, None)

    threading.Thread(target=read, daemon=True, name="orders").start()
    running: set[asyncio.Task[None]] = set()
    say({"hello": hello, "pid": os.getpid()})
    while (order := await orders.get()) is not None:
        if order["do"] == "stop":
            say({"id": order["id"], "ok": True, "answer": None})
            break
        task = loop.create_task(_serve(handlers, order))
        running.add(task)
        task.add_done_callback(running.discard)
    for task in running:
        task.cancel()


async def _serve(handlers: dict[str, Handler], order: Order) -> None:
    handler = handlers.get(order["do"])
    try:
        if handler is None:
            raise LookupError(f"no order {order['do']!r}; there are {', '.join(sorted(handlers))}")
        say({"id": order["id"], "ok": True, "answer": await handler(order)})
    except Exception as error:
        say({"id": order["id"], "ok": False, "error": f"{type(error).__name__}: {error}"})
