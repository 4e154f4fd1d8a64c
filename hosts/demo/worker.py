"""One host with a load on it, as a process: `python -m quorate.hosts.demo.worker '{"id": "a",
...}'`.

The law of this file: it tells its parent only what the host acknowledged, and tells it at once. It
never decides whether a write was lost; the parent keeps the record, so that a kill -9 here takes no
evidence with it. Fields of the argument: `host` (the keywords of `Host`), `writers`, `run`,
`value_bytes`, `rate` (writes/s of this worker, 0: as many as it can), `timeout_s`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from quorate.core.errors import QuorateError
from quorate.hosts.cli.loop import run as run_loop
from quorate.hosts.demo import lines
from quorate.hosts.demo.record import COUNTER_MARK
from quorate.hosts.host import Host

REPORT_S = 0.02
STATUS_S = 0.1
REFUSED_PAUSE_S = 0.05
STATUS_FIELDS = ("role", "leader", "term", "commit_index", "applied_index", "last_index")


class Tally:
    """Acknowledgements since the last report, merged into ranges."""

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell = tell
        self._acked: dict[str, list[list[int]]] = {}
        self._unknown: list[list[Any]] = []
        self._refused = 0
        self.term = 0

    def on_acked(self, writer: str, n: int, term: int) -> None:
        if term > self.term:
            self.term = term
            self._tell(lines.encode("term", t=time.monotonic(), term=term))
        ranges = self._acked.setdefault(writer, [])
        if ranges and ranges[-1][1] == n - 1:
            ranges[-1][1] = n
        else:
            ranges.append([n, n])

    def on_unknown(self, writer: str, n: int) -> None:
        self._unknown.append([writer, n])

    def on_refused(self) -> None:
        self._refused += 1

    def report(self) -> None:
        """Tell what was gathered, if anything was."""
        if not (self._acked or self._unknown or self._refused):
            return
        acked = [[writer, *pair] for writer, pairs in self._acked.items() for pair in pairs]
        line = lines.encode(
            "acks",
            t=time.monotonic(),
            term=self.term,
            acked=acked,
            unknown=self._unknown,
            refused=self._refused,
        )
        self._acked, self._unknown, self._refused = {}, [], 0
        self._tell(line)


class Worker:
    """A host, its writers, and the pipe to the parent."""

    def __init__(self, host: Host, settings: dict[str, Any]) -> None:
        self._host = host
        self._id = str(settings["host"]["host_id"])
        self._run = int(settings.get("run", 0))
        self._writers = int(settings.get("writers", 64))
        self._value_bytes = int(settings.get("value_bytes", 100))
        self._rate = float(settings.get("rate", 0))
        self._timeout_s = float(settings.get("timeout_s", 3.0))
        self._loaded = asyncio.Event()
        self._inflight = 0
        self._tally = Tally(self.tell)
        self._tasks: set[asyncio.Task[Any]] = set()

    def tell(self, line: bytes) -> None:
        """Write a line to the parent, whole; a parent that is gone ends this process."""
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(1, view) :]
        except BrokenPipeError:
            os._exit(1)

    async def serve(self) -> None:
        """Write and report until the parent says stop."""
        self.tell(
            lines.encode(
                "ready",
                host=self._id,
                pid=os.getpid(),
                t=time.monotonic(),
                admin=self._host.admin_address,
            )
        )
        background: list[Awaitable[Any]] = [self._report(), self._report_status()]
        for number in range(self._writers):
            counting = number % 16 == 0
            writer = f"{self._id}.{self._run}.{number}{COUNTER_MARK if counting else ''}"
            background.append(self._write(writer, counting=counting))
        self._tasks = {asyncio.ensure_future(task) for task in background}
        try:
            await self._obey()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _obey(self) -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = lines.decode(line) or {}
            if order.get("do") == "load":
                self._loaded.set()
            elif order.get("do") == "pause":
                self._loaded.clear()
                self._tell_if_idle()
            elif order.get("do") == "dump":
                await self._dump(list(order["writers"]))
            elif order.get("do") == "stop":
                return

    async def _write(self, writer: str, *, counting: bool) -> None:
        """One write after the other: acknowledged, unknown (never tried again), or refused (tried
        again)."""
        kv, n, pause_s = self._host.kv, 0, self._writers / self._rate if self._rate else 0.0
        while True:
            await self._loaded.wait()
            key = lines.counter_key(writer) if counting else lines.key_of(writer, n)
            value: Any = n + 1 if counting else lines.value_of(writer, n, self._value_bytes)
            self._inflight += 1
            try:
                receipt = await kv.put(key, value, timeout=self._timeout_s)
            except QuorateError as error:
                if error.outcome == "not_applied":
                    self._tally.on_refused()
                    await asyncio.sleep(REFUSED_PAUSE_S)
                    continue
                self._tally.on_unknown(writer, n)
            else:
                self._tally.on_acked(writer, n, receipt.term)
            finally:
                self._inflight -= 1
                self._tell_if_idle()
            n += 1
            if pause_s:
                await asyncio.sleep(pause_s)

    def _tell_if_idle(self) -> None:
        if self._inflight == 0 and not self._loaded.is_set():
            self._tally.report()
            self.tell(lines.encode("idle", t=time.monotonic()))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self._tally.report()

    async def _report_status(self) -> None:
        while True:
            status = self._host.status()
            known = {name: status.get(name) for name in STATUS_FIELDS}
            self.tell(lines.encode("status", t=time.monotonic(), **known))
            await asyncio.sleep(STATUS_S)

    async def _dump(self, writers: list[str]) -> None:
        """Tell what this host's own copy holds of `writers`."""
        counters: list[list[Any]] = []
        for writer in writers:
            if writer.endswith(COUNTER_MARK):
                record = await self._host.kv.get_record(lines.counter_key(writer), level="local")
                if record is not None:
                    counters.append([writer, record.version, record.value])
                continue
            for thousand in itertools.count():
                prefix = lines.prefix_of(writer, thousand)
                records = await self._host.kv.range(prefix, limit=1000, level="local")
                if not records:
                    break
                items = [[lines.n_of(r.key), r.version, lines.id_of(r.value)] for r in records]
                self.tell(lines.encode("dump", writer=writer, items=items))
        applied = self._host.status()["applied_index"]
        self.tell(lines.encode("dumped", applied_index=applied, counters=counters))


async def main(settings: dict[str, Any]) -> int:
    """Run the worker of `settings` until it is told to stop."""
    try:
        async with Host(**settings["host"]) as host:
            with suppress(asyncio.CancelledError):
                await Worker(host, settings).serve()
    except QuorateError as error:
        sys.stdout.buffer.write(lines.encode("error", text=f"{type(error).__name__}: {error}"))
        sys.stdout.flush()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_loop(main(json.loads(sys.argv[1]))))
