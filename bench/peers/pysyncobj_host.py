"""One plain PySyncObj node in a process of its own, with the load inside.

The law of this file: PySyncObj is used as its documentation says: a `SyncObj` with replicated
methods, its own `TCPTransport`, its own tick thread, journal and full dump on disk. It has no
linearizable read but one through the log, so that is what a read is. The load issues the next
operation from the completion callback, inside the tick thread: no thread is woken per operation,
which is the best a user can do.

Run by the harness: `python -m quorate.bench.peers.pysyncobj_host '{"own", "others", "folder", …}'`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from array import array
from collections.abc import Callable
from typing import Any

from pysyncobj import SyncObj, SyncObjConf, replicated  # pyright: ignore[reportUnknownVariableType]

from quorate.bench.histogram import Histogram
from quorate.bench.lines import Order, obey
from quorate.bench.load import Load

GRACE_S = 10.0


class Store(SyncObj):  # type: ignore[misc]
    """A replicated dict, and a read that goes through the log."""

    def __init__(self, own: str, others: list[str], conf: Any) -> None:
        super().__init__(own, others, conf)  # pyright: ignore[reportUnknownMemberType]
        self._values: dict[str, bytes] = {}

    @replicated  # pyright: ignore[reportUntypedFunctionDecorator]
    def put(self, key: str, value: bytes) -> int:
        self._values[key] = value
        return len(value)

    @replicated  # pyright: ignore[reportUntypedFunctionDecorator]
    def read(self, key: str) -> bytes | None:
        return self._values.get(key)


class ClosedLoop:
    """N operations in flight, each completion starting the next one."""

    def __init__(self, issue: Callable[[int, Any], None], order: Order, done: Callable[[], object]):
        self._issue = issue
        self._done = done
        self._number = 0
        self.open = 0
        self.samples = array("q")
        self.errors = 0
        self.error = ""
        self.begin = time.perf_counter_ns() + int(order["warmup_s"] * 1e9)
        self.end = self.begin + int(order["seconds"] * 1e9)

    def start(self, in_flight: int) -> None:
        self.open = in_flight
        for _ in range(in_flight):
            self._next()

    def _next(self) -> None:
        started = time.perf_counter_ns()
        self._number += 1

        def on_done(result: Any, error: int) -> None:
            now = time.perf_counter_ns()
            if error:
                self.errors += 1
                self.error = f"PySyncObj FAIL_REASON {error}"
            elif self.begin <= now < self.end:
                self.samples.append(now - started)
            if now < self.end:
                self._next()
                return
            self.open -= 1
            if not self.open:
                self._done()

        self._issue(self._number, on_done)

    def result(self) -> Load:
        window_s = (self.end - self.begin) / 1e9
        return Load(
            len(self.samples), self.errors, window_s, Histogram.of(self.samples), self.error
        )


class Node:
    """The orders a PySyncObj node understands."""

    def __init__(self, store: Store) -> None:
        self._store: Any = store

    async def status(self, order: Order) -> dict[str, Any]:
        leader = self._store._getLeader()
        return {
            "leads": bool(self._store._isLeader()),
            "leader": None if leader is None else str(leader),
            "ready": bool(self._store.isReady()),
        }

    async def load(self, order: Order) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        finished = asyncio.Event()
        value = os.urandom(order["value_bytes"])
        keys = [f"bench/{n:06d}" for n in range(order["keys"])]

        def put(n: int, callback: Any) -> None:
            self._store.put(keys[n % len(keys)], value, callback=callback)

        def read(n: int, callback: Any) -> None:
            self._store.read(keys[n % len(keys)], callback=callback)

        work = ClosedLoop(
            put if order["op"] == "put" else read,
            order,
            lambda: loop.call_soon_threadsafe(finished.set),
        )
        work.start(order["in_flight"])
        try:
            await asyncio.wait_for(finished.wait(), order["warmup_s"] + order["seconds"] + GRACE_S)
        except TimeoutError:  # it never calls some callbacks back (a known fault of it)
            work.errors += work.open
            work.error = f"{work.open} operations never ended"
        return work.result().to_json()


async def serve(settings: dict[str, Any]) -> None:
    folder = settings["folder"]
    conf = SyncObjConf(
        journalFile=os.path.join(folder, "journal"),
        fullDumpFile=os.path.join(folder, "dump"),
        autoTick=True,
        **settings["conf"],
    )
    store = Store(settings["own"], settings["others"], conf)
    node = Node(store)
    await obey({"status": node.status, "load": node.load}, {"own": settings["own"]})
    os._exit(0)  # its tick thread is not asked: nothing here is worth saving


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
