"""One host of the scene of the levels, as a process: it does what its parent orders and tells what
came of it.

The law of this file: every order is one call of the public API; the answer says what the call gave
or raised, and whether it happened, and nothing is tried again. Orders overlap. Each line of the
parent is `{"do", "id", ...}`, each answer `{"k": "answer", "id", ...}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from quorate.consistency.store.levels import bounded
from quorate.consistency.store.receipts import Receipt
from quorate.core.errors import QuorateError
from quorate.hosts.cli.loop import run as run_loop
from quorate.hosts.demo import lines
from quorate.hosts.host import Host

STORE = "carts"
KEY = "ann"
COUNTER = "likes"
BOUND_MS = 500
NAMES = ("ready", "write", "read", "status", "noticed", "report", "promote", "token")
Answer = dict[str, Any]


class LevelWorker:
    """A host and the orders of the scene."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._store = host.store(STORE, resolver="lww")
        self._likes = self._store.pn_counter(COUNTER)
        self._session = host.session()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Obey until the parent says stop or goes away."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        tell(lines.encode("ready", host=self._host.id, pid=os.getpid(), t=time.monotonic()))
        handlers: dict[str, Callable[[Answer], Awaitable[Answer]]] = {
            name: getattr(self, name) for name in NAMES
        }
        while line := await reader.readline():
            order = lines.decode(line) or {}
            if order.get("do") == "stop":
                return
            handler = handlers.get(str(order.get("do")))
            if handler is not None:
                task = asyncio.ensure_future(self._answer(handler, order))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _answer(self, handler: Callable[[Answer], Awaitable[Answer]], order: Answer) -> None:
        began = time.monotonic()
        try:
            answer = {"ok": True, **await handler(order)}
        except QuorateError as error:
            name, text = type(error).__name__, str(error)
            answer = {"ok": False, "error": name, "text": text, "outcome": error.outcome}
        took_ms = round((time.monotonic() - began) * 1000, 1)
        tell(lines.encode("answer", id=order["id"], took_ms=took_ms, **answer))

    # --- orders -----------------------------------------------------------------------------------

    async def ready(self, order: Answer) -> Answer:
        await self._host.ready(order["within_s"])
        await self._session.ready()
        return {}

    async def write(self, order: Answer) -> Answer:
        """Write the key at a level; a counter is incremented at the level crdt."""
        level, timeout = order["level"], order["within_s"]
        if level == "crdt":
            return shown(await self._likes.increment(order["by"], timeout=timeout))
        value = order["value"]
        if level == "session":
            put = self._store.put(
                KEY, value, consistency="session", session=self._session, timeout=timeout
            )
        else:
            put = self._store.put(KEY, value, consistency=level, timeout=timeout)
        return shown(await put)

    async def read(self, order: Answer) -> Answer:
        """Read the key at a level; `crdt` reads the counter, locally. A `token` is the session of
        somebody else."""
        level, timeout = order["level"], order["within_s"]
        if level == "crdt":
            return {"value": await self._likes.value(timeout=timeout)}
        if level == "session":
            token = order.get("token")
            session = self._session if token is None else self._host.session(bytes.fromhex(token))
            value = await self._store.get(KEY, level="session", session=session, timeout=timeout)
            return {"value": value}
        wanted: Any = bounded(ms=BOUND_MS) if level == "bounded" else level
        return {"value": await self._store.get(KEY, level=wanted, timeout=timeout)}

    async def token(self, order: Answer) -> Answer:
        return {"token": self._session.token.hex()}

    async def promote(self, order: Answer) -> Answer:
        return shown(await self._store.promote(KEY, timeout=order["within_s"]))

    async def status(self, order: Answer) -> Answer:
        return {"state": self._host.partition.state}

    async def noticed(self, order: Answer) -> Answer:
        """Wait until this host knows that it reaches no host of `gone`, and all others; with the
        number of its newest report, which may be of its start."""
        partition = self._host.partition
        async for _ in partition.events(after=0):
            if set(partition.status().unreachable) == set(order["gone"]):
                break
        newest = max((report["number"] for report in partition.reports()), default=0)
        return {"state": partition.state, "report": newest}

    async def report(self, order: Answer) -> Answer:
        """The first reconciliation report behind number `after` that was not interrupted (the one
        behind such a one goes on), once it is closed."""
        number = order["after"] + 1
        while (report := await self._host.partition.wait_report(number))["outcome"] != "complete":
            number += 1
        return {"report": json.loads(json.dumps(report, default=str))}


def shown(receipt: Receipt) -> Answer:
    """A receipt as plain values."""
    return {
        "achieved": receipt.achieved,
        "version": list(receipt.version),
        "term": receipt.term,
        "index": receipt.index,
        "replicas": list(receipt.replicas),
        "durable": receipt.durable,
        "epoch": receipt.epoch,
    }


def tell(line: bytes) -> None:
    """Write a line to the parent, whole; a parent that is gone ends this process."""
    view = memoryview(line)
    try:
        while view:
            view = view[os.write(1, view) :]
    except BrokenPipeError:
        os._exit(1)


async def main(settings: Answer) -> int:
    """Run the host of `settings["host"]` until it is told to stop."""
    try:
        async with Host(**settings["host"]) as host:
            with suppress(asyncio.CancelledError):
                await LevelWorker(host).serve()
    except QuorateError as error:
        tell(lines.encode("error", text=f"{type(error).__name__}: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_loop(main(json.loads(sys.argv[1]))))
