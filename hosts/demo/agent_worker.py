"""One host with agents on it, as a process: callers, orders, and what came of both.

The law of this file: what is tried is told before it is sent, and what came of it at once after, so
that a kill -9 here takes no evidence with it; whether something was lost is decided by the parent.
Nothing is tried again. Each order of the parent is `{"do", "id", ...}`, each answer `{"k":
"answer", "id", ...}`; orders overlap. SIGTERM stops the callers and then the host, in good order.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from quorate.core.errors import AgentNotFound, QuorateError, Timeout
from quorate.hosts.cli.loop import run as run_loop
from quorate.hosts.demo import agent_cast, lines
from quorate.hosts.demo.level_worker import tell
from quorate.hosts.host import Host

NAMES = (
    *("ready", "start", "load", "idle", "probe", "stream", "proclaim", "move", "drain", "undrain"),
    *("where", "end", "close", "call", "dump", "read", "gone", "status"),
)
POLL_S = 0.01
START_CALLS_MAX = 64
CALL_S = 10.0
SHIP_S = 0.005
PAGE_ROWS = 2000
Answer = dict[str, Any]


class Tally:
    """What was tried and what came of it, told in one line per turn of the loop."""

    def __init__(self) -> None:
        self._tries: list[str] = []
        self._acks: list[list[Any]] = []
        self._failed: list[list[Any]] = []
        self._lines: list[list[Any]] = []
        self._planned = False

    def tried(self, name: str) -> None:
        self._tries.append(name)
        self._plan()

    def acked(self, name: str, sold: list[int], began: float) -> None:
        self._acks.append([name, *sold, began, time.monotonic()])
        self._plan()

    def failed(self, name: str, error: BaseException, began: float) -> None:
        outcome = error.outcome if isinstance(error, QuorateError) else "unknown"
        row = [name, type(error).__name__, outcome, str(error)[:300], began, time.monotonic()]
        self._failed.append(row)
        self._plan()

    def streamed(self, sender: str, number: int, began: float, error: str) -> None:
        self._lines.append([sender, number, began, time.monotonic(), error])
        self._plan()

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._planned = False
        fields: Answer = {
            "tries": self._tries,
            "acks": self._acks,
            "failed": self._failed,
            "lines": self._lines,
        }
        self._tries, self._acks, self._failed, self._lines = [], [], [], []
        tell(lines.encode("calls", **{name: rows for name, rows in fields.items() if rows}))


class AgentWorker:
    """A host, its callers, and the pipe to the parent."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._agents = host.agents
        self._tally = Tally()
        self._callers: set[asyncio.Task[None]] = set()
        self._streaming = ""
        self._inflight = 0
        self._loading = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = asyncio.Event()
        self.hand_over = False

    async def serve(self) -> None:
        """Obey until the parent says stop, goes away, or sends SIGTERM."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._on_terminate)
        for cls in agent_cast.ALL:
            self._agents.register(cls)
        tell(lines.encode("ready", host=self._host.id, pid=os.getpid(), t=time.monotonic()))
        obeying = self._spawn(self._obey())
        await self._ended.wait()
        obeying.cancel()
        self._loading, self._streaming = False, ""
        with suppress(QuorateError):
            await self.idle({"within_s": CALL_S})
        for task in (*self._callers, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._callers, *self._tasks, return_exceptions=True)

    def _on_terminate(self) -> None:
        self.hand_over = True
        self._ended.set()

    async def _obey(self) -> None:
        reader = asyncio.StreamReader(limit=lines.LINE_BYTES_MAX)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        handlers: dict[str, Callable[[Answer], Awaitable[Answer]]] = {
            name: getattr(self, name) for name in NAMES
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
        ended = time.monotonic()
        took_ms = round((ended - began) * 1000, 1)
        tell(lines.encode("answer", id=order["id"], began=began, took_ms=took_ms, **answer))

    # --- callers ----------------------------------------------------------------------------------

    async def load(self, order: Answer) -> Answer:
        """A caller for each of `names`, all of them together `rate` calls per second; every
        `ship_every`-th call of one is an act outside. Without names: no load any more."""
        self._loading = False
        for caller in self._callers:
            if caller.get_name() == "waits":
                caller.cancel()
        await self.idle({"within_s": CALL_S * 2})
        names, rate = list(order.get("names", ())), float(order.get("rate", 0) or 1)
        self._loading = bool(names)
        every_s = len(names) / rate
        for position, name in enumerate(names):
            delay_s = every_s * position / len(names)
            caller = asyncio.ensure_future(
                self._call_often(name, every_s, delay_s, int(order.get("ship_every", 0)))
            )
            self._callers.add(caller)
            caller.add_done_callback(self._callers.discard)
        return {"callers": len(names)}

    async def _call_often(self, name: str, every_s: float, delay_s: float, ship: int) -> None:
        me, made = asyncio.current_task(), 0
        assert me is not None
        next_at = time.monotonic() + delay_s
        while True:
            me.set_name("waits")
            await asyncio.sleep(max(0.0, next_at - time.monotonic()))
            if not self._loading:
                return
            me.set_name("calls")
            next_at = max(next_at + every_s, time.monotonic())
            made += 1
            if ship and made % ship == 0:
                with suppress(QuorateError):
                    await self._agents.get(name).options(timeout=CALL_S).ship(SHIP_S)
            else:
                await self._sell(name, CALL_S)

    async def _sell(self, name: str, timeout_s: float) -> bool:
        """One sale; whether it was acknowledged."""
        with suppress(QuorateError):
            await self._told(name, self._agents.get(name).options(timeout=timeout_s).sell)
            return True
        return False

    async def idle(self, order: Answer) -> Answer:
        """Wait until no call is on its way."""
        until = time.monotonic() + order["within_s"]
        while self._inflight:
            if time.monotonic() > until:
                raise Timeout(f"{self._inflight} calls are still on their way")
            await asyncio.sleep(POLL_S)
        return {}

    async def probe(self, order: Answer) -> Answer:
        """One sale of each of `names`, all at once."""
        timeout_s = float(order["within_s"])
        done = await asyncio.gather(*(self._sell(name, timeout_s) for name in order["names"]))
        return {"answered": sum(done)}

    async def stream(self, order: Answer) -> Answer:
        """Numbers for a scribe, `rate` per second, without waiting for its answers; no name: no
        more of them, and wait for those on their way."""
        self._streaming = str(order.get("name", ""))
        if self._streaming:
            self._spawn(self._stream(self._streaming, float(order["rate"]), order["sender"]))
        return await self.idle({"within_s": CALL_S * 2}) if not self._streaming else {}

    async def _stream(self, name: str, rate: float, sender: str) -> None:
        proxy, number, began = self._agents.get(name).options(timeout=CALL_S), 0, time.monotonic()
        while self._streaming == name:
            number += 1
            self._inflight += 1
            answer = proxy.ask.write(sender, number).future
            answer.add_done_callback(partial(self._on_line, sender, number, time.monotonic()))
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))

    def _on_line(self, sender: str, number: int, at: float, answer: asyncio.Future[Any]) -> None:
        self._inflight -= 1
        error = "cancelled" if answer.cancelled() else answer.exception()
        self._tally.streamed(sender, number, at, "" if error is None else repr(error)[:200])

    async def proclaim(self, order: Answer) -> Answer:
        """Have a herald act for a while."""
        proxy = self._agents.get(order["name"]).options(timeout=order["within_s"])
        work = partial(proxy.proclaim, order["listener"], order["times"], order["pause_s"])
        return {"sold": await self._told(order["name"], work)}

    async def _told(self, name: str, sale: Callable[[], Awaitable[list[int]]]) -> list[int]:
        """Make a sale, told before and after."""
        began = time.monotonic()
        self._inflight += 1
        self._tally.tried(name)
        try:
            sold = await sale()
        except QuorateError as error:
            self._tally.failed(name, error, began)
            raise
        finally:
            self._inflight -= 1
        self._tally.acked(name, sold, began)
        return sold

    # --- orders -----------------------------------------------------------------------------------

    async def ready(self, order: Answer) -> Answer:
        """This host may run agents, and knows `hosts` others that may."""
        until = time.monotonic() + order["within_s"]
        await self._host.ready(order["within_s"])
        await self._agents.ready(until - time.monotonic())
        kinds = [cls.kind for cls in agent_cast.ALL]
        while any(len(self._agents.classes().get(kind, ())) < order["hosts"] for kind in kinds):
            if time.monotonic() > until:
                raise Timeout(f"only these are known: {self._agents.classes()}")
            await asyncio.sleep(POLL_S)
        return {}

    async def start(self, order: Answer) -> Answer:
        """Start agents of a class under `names`, where there is room, or on the host `on`."""
        limit = asyncio.Semaphore(START_CALLS_MAX)
        more: Answer = {"hints": {"host": order["on"]}} if order.get("on") else {}

        async def one(name: str) -> None:
            async with limit:
                await self._agents.start(
                    agent_cast.BY_NAME[order["cls"]],
                    name,
                    owner=order.get("owner"),
                    timeout=order["within_s"],
                    **more,
                )

        await asyncio.gather(*(one(name) for name in order["names"]))
        return {"started": len(order["names"])}

    async def call(self, order: Answer) -> Answer:
        """One sale of one shop, answered in full."""
        proxy = self._agents.get(order["name"]).options(timeout=order["within_s"])
        return {"sold": await self._told(order["name"], proxy.sell)}

    async def move(self, order: Answer) -> Answer:
        place = await self._agents.move(order["name"], order["to"], timeout=order["within_s"])
        return {"host": place.host, "epoch": place.epoch}

    async def drain(self, order: Answer) -> Answer:
        return {"moved": await self._agents.drain(order.get("which"), timeout=order["within_s"])}

    async def undrain(self, order: Answer) -> Answer:
        await self._agents.undrain(order.get("which"), timeout=order["within_s"])
        return {}

    async def end(self, order: Answer) -> Answer:
        return {"stopped": await self._agents.stop(order["name"], "ended by hand")}

    async def close(self, order: Answer) -> Answer:
        """Have an owner end itself."""
        await self._agents.get(order["name"]).options(timeout=order["within_s"]).close()
        return {}

    async def gone(self, order: Answer) -> Answer:
        """Wait until none of `names` lives, as far as this host knows; when that was."""
        until = time.monotonic() + order["within_s"]
        while any(self._agents.look(name) is not None for name in order["names"]):
            if time.monotonic() > until:
                raise Timeout("some of them still live")
            await asyncio.sleep(POLL_S / 2)
        return {"at": time.monotonic()}

    async def where(self, order: Answer) -> Answer:
        """[name, host, epoch, status] of all agents whose name begins with `prefix`."""
        await self._host.group.read_point("linearizable", order["within_s"])
        rows: list[list[Any]] = []
        after = ""
        while page := self._agents.list(prefix=order["prefix"], limit=PAGE_ROWS, after=after):
            rows += [[one.name, one.host, one.epoch, one.status] for one in page]
            after = page[-1].name
        return {"rows": rows}

    async def dump(self, order: Answer) -> Answer:
        """The strong total of each of `names`, from the agent itself; None: it does not live."""

        async def one(name: str) -> int | None:
            with suppress(AgentNotFound):
                return await self._agents.get(name).options(timeout=order["within_s"]).total()
            return None

        totals = await asyncio.gather(*(one(name) for name in order["names"]))
        return {"totals": dict(zip(order["names"], totals, strict=True))}

    async def read(self, order: Answer) -> Answer:
        """What a scribe has written down."""
        proxy = self._agents.get(order["name"]).options(timeout=order["within_s"])
        return {"lines": await proxy.read()}

    async def status(self, order: Answer) -> Answer:
        """What this host knows of itself; for people who look for a fault."""
        shown = json.dumps(self._host.statistics()["agents"], default=str)
        return {"leader": self._host.status()["leader"], "agents": json.loads(shown)}


async def main(settings: Answer) -> int:
    """Run the host of `settings["host"]` until it is told to stop."""
    host = Host(**settings["host"])
    try:
        await host.start()
        worker = AgentWorker(host)
        try:
            with suppress(asyncio.CancelledError):
                await worker.serve()
        finally:
            await host.stop(hand_over=worker.hand_over)
    except QuorateError as error:
        tell(lines.encode("error", text=f"{type(error).__name__}: {error}"))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_loop(main(json.loads(sys.argv[1]))))
