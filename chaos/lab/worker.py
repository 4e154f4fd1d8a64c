"""One host with clients in it, as a process: `python -m quorate.chaos.lab.worker '<json>'`.

The law of this file: what clients ask and what came of it is told at once, each event one line, so
that a kill -9 here takes no evidence with it; whether a promise was broken is decided by the
parent. Each order of the parent is `{"do", "id", ...}`, each answer `{"k": "answer", "id", ...}`;
orders overlap. SIGTERM stops the clients, then the host in good order; so does `stop` with
`hand_over`. The end of the input is `stop`.

Fields of the argument: `host` (keywords of `Host`), `workload`, `plant`, `seed`, `incarnation`,
`resource` (the address of the resource outside), `peers` (all ids of the run). Lines: `op` (an
event of the history), `ready`, `status`, `answer`, `error`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

from quorate.chaos.lab import hurts
from quorate.chaos.lab.client import Client, open_house
from quorate.chaos.lab.resource import Resource
from quorate.chaos.workloads.catalogue import workload_of
from quorate.chaos.workloads.workload import Workload
from quorate.consistency.check.history import Event
from quorate.consistency.check.lines import dump
from quorate.core.errors import QuorateError
from quorate.hosts.cli.loop import run as run_loop
from quorate.hosts.demo import lines
from quorate.hosts.demo.level_worker import tell
from quorate.hosts.host import Host

STATUS_S = 0.2
STATUS_FIELDS = ("role", "leader", "term", "commit_index", "applied_index", "last_index")
ORDERS = ("ready", "setup", "load", "unload", "final", "status", "fault")
UNLOAD_S = 12.0
ERROR_PAUSE_S = 0.2
Answer = dict[str, Any]


def tell_event(event: Event) -> None:
    """An event of the history, whole and now."""
    tell(b'{"k": "op", ' + dump(event)[1:].encode())


class LabWorker:
    """A host, its clients, and the pipe to the parent."""

    def __init__(self, host: Host, workload: Workload, settings: Answer) -> None:
        self._host = host
        self._workload = workload
        self._seed = int(settings.get("seed", 0))
        self._name = f"{host.id}.{settings.get('incarnation', 1)}"
        self._resource = Resource(settings.get("resource"))
        self._peers = tuple(settings.get("peers") or host.settings.peers)
        self._clients: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loads = 0
        self._loading = False
        self._ended = asyncio.Event()
        self.hand_over = False

    async def serve(self) -> None:
        """Obey until the parent says stop, goes away, or sends SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        open_house(self._client("agent"))
        for cls in self._workload.agents:
            self._host.agents.register(cls)
        tell(
            lines.encode(
                "ready",
                host=self._host.id,
                pid=os.getpid(),
                t=time.monotonic(),
                address=self._host.address,
                admin=self._host.admin_address,
            )
        )
        background = [self._spawn(self._obey()), self._spawn(self._report())]
        await self._ended.wait()
        for task in background:
            task.cancel()
        await self._halt(1.0 if self._host.state == "running" else 0.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._resource.close()

    def _on_terminate(self) -> None:
        self.hand_over = True
        self._ended.set()

    async def _obey(self) -> None:
        reader = asyncio.StreamReader(limit=lines.LINE_BYTES_MAX)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        handlers: dict[str, Callable[[Answer], Awaitable[Answer]]] = {
            name: getattr(self, name) for name in ORDERS
        }
        while line := await reader.readline():
            order = lines.decode(line) or {}
            if order.get("do") == "stop":
                self.hand_over = bool(order.get("hand_over", False))
                break
            handler = handlers.get(str(order.get("do")))
            if handler is not None:
                self._spawn(self._answer(handler, order))
        self._ended.set()

    async def _report(self) -> None:
        while True:
            tell(lines.encode("status", **self._status()))
            if self._host.failure is not None:
                failure = self._host.failure
                tell_error("host", f"stopped itself: {type(failure).__name__}: {failure}")
                self._ended.set()
            await asyncio.sleep(STATUS_S)

    def _status(self) -> Answer:
        status = self._host.status()
        known: Answer = {name: status.get(name) for name in STATUS_FIELDS}
        with suppress(QuorateError):
            known["partition"] = self._host.partition.state
        return {"host": self._host.id, "t": time.monotonic(), **known}

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, handler: Callable[[Answer], Awaitable[Answer]], order: Answer) -> None:
        began = time.monotonic()
        try:
            answer = {"ok": True, **await handler(order)}
        except QuorateError as error:
            name, text = type(error).__name__, str(error)
            answer = {"ok": False, "error": name, "text": text, "outcome": error.outcome}
        except Exception as error:
            text = f"{order.get('do')!r}: {type(error).__name__}: {error}"
            tell_error("order" if order.get("do") == "fault" else "workload", text)
            answer = {"ok": False, "error": type(error).__name__, "text": str(error)}
        took_ms = round((time.monotonic() - began) * 1000, 1)
        tell(lines.encode("answer", id=order.get("id"), took_ms=took_ms, **answer))

    def _client(self, name: str | int) -> Client:
        client_id = f"{self._name}/{name}"
        return Client(
            self._host,
            client_id,
            rng=Random(f"{self._seed}:{client_id}"),
            resource=self._resource,
            sink=tell_event,
            peers=self._peers,
        )

    # --- orders ----------------------------------------------------------------------------------

    async def ready(self, order: Answer) -> Answer:
        """Wait until this host, and what the workload needs of it, can serve."""
        within_s = float(order.get("within_s", 10.0))
        async with asyncio.timeout(within_s + 1):
            await self._host.ready(within_s)
            if self._workload.agents:
                await self._host.agents.ready(within_s)
        return {}

    async def setup(self, order: Answer) -> Answer:
        """What the workload needs before its first operation; on one host, once."""
        await self._workload.setup(self._client("setup"))
        return {}

    async def load(self, order: Answer) -> Answer:
        """`clients` callers, each `rate` operations per second."""
        await self._halt(UNLOAD_S)
        self._loading = True
        self._loads += 1
        count = int(order.get("clients") or self._workload.clients_per_host)
        rate = float(order.get("rate") or self._workload.rate_per_client)
        for number in range(count):
            name = f"{self._loads}-{number}" if self._loads > 1 else str(number)
            task = asyncio.ensure_future(self._call(self._client(name), rate))
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        return {"clients": count}

    async def unload(self, order: Answer) -> Answer:
        """No new operations; returns once those in flight have ended (or were left unknown)."""
        left = await self._halt(float(order.get("within_s", UNLOAD_S)))
        return {"cut_short": left}

    async def final(self, order: Answer) -> Answer:
        """The final reads of this host."""
        self._loads += 1
        await self._workload.final_reads(self._client(f"final-{self._loads}"))
        return {}

    async def status(self, order: Answer) -> Answer:
        return self._status()

    async def fault(self, order: Answer) -> Answer:
        """Hurt this host as `which` says."""
        return dict(await hurts.hurt(self._host, order))

    # --- clients ---------------------------------------------------------------------------------

    async def _call(self, client: Client, rate: float) -> None:
        """One operation after the other, `rate` a second; what was missed is not made up for."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(client.rng.random() / rate)
        while self._loading:
            due = loop.time() + client.rng.uniform(0.5, 1.5) / rate
            try:
                await self._workload.invoke(client)
            except QuorateError:
                await asyncio.sleep(ERROR_PAUSE_S)
            except Exception as error:  # the workload's own mistake: the run is told, and goes on
                where = traceback.format_exc(limit=-3)
                tell_error("workload", f"{client.id}: {type(error).__name__}: {error}\n{where}")
                await asyncio.sleep(ERROR_PAUSE_S)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _halt(self, within_s: float) -> int:
        """End the load; how many callers had to be cut short."""
        self._loading = False
        if not self._clients:
            return 0
        _, running = await asyncio.wait(list(self._clients), timeout=within_s)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return len(running)


def tell_error(what: str, text: str) -> None:
    """Something is wrong with the `host`, the `workload`, or an `order`."""
    tell(lines.encode("error", what=what, text=text[:2000]))


async def main(settings: Answer) -> int:
    """Run the host of `settings["host"]` until it is told to stop."""
    plant = settings.get("plant")
    if plant:
        from quorate.chaos.plants.catalogue import apply

        apply(str(plant))
    try:
        workload = workload_of(str(settings.get("workload", "")))
        host = Host(**settings["host"])
        hurts.prepare(host)
        await host.start()
        worker = LabWorker(host, workload, settings)
        with suppress(asyncio.CancelledError):
            await worker.serve()
        await host.stop(hand_over=worker.hand_over)
    except QuorateError as error:
        tell_error("host", f"{type(error).__name__}: {error}")
        return 1
    return 0 if host.failure is None else 1


if __name__ == "__main__":
    sys.exit(run_loop(main(json.loads(sys.argv[1]))))
