"""The processes of a scene with agents: started, ordered, hurt and ended; all they say is kept.

The law of this file: three real hosts, and the resource outside of the cluster, which is this
process; what may be concluded is in `agent_record.py`. Used by the demonstration and by the live
tests; it shows nothing and prints nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from quorate.core.errors import InvariantBroken, Timeout
from quorate.core.wire.ports import free_addresses
from quorate.hosts.demo.agent_record import (
    Ack,
    AgentLedger,
    AgentVerdict,
    judge_lines,
)
from quorate.hosts.demo.workers import WorkerProcess, start_worker

START_S, CALL_S = 20.0, 15.0
NEVER = float("inf")
Answer = dict[str, Any]


class AgentScene:
    """Hosts with agents in `folder`. Use it as `async with AgentScene(folder) as scene`."""

    def __init__(
        self, folder: Path, *, hosts: Sequence[str] = ("a", "b", "c"), **settings: Any
    ) -> None:
        self.hosts = tuple(hosts)
        self.ledger = AgentLedger()
        self.up: list[str] = []
        """Hosts that were started and not ended."""
        self.lines: list[tuple[str, int, float, float, str]] = []
        """Lines for scribes that ended: sender, number, began, ended, error."""
        self._folder = folder
        self._settings = settings
        self._secret = secrets.token_hex(16)
        self._addresses = dict(zip(hosts, free_addresses(len(hosts)), strict=True))
        self._processes: dict[str, WorkerProcess] = {}
        self._waiting: dict[int, tuple[str, asyncio.Future[Answer]]] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._number = 0
        self._errors: list[str] = []
        self._news = asyncio.Event()
        self.ledger.on_ack = self._on_ack

    async def __aenter__(self) -> AgentScene:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            for host in self.hosts:
                await self.start(host)
            await self.wait_ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        for host in self.up:
            self.signal(host, signal.SIGCONT)
        await asyncio.gather(
            *(process.stop() for process in self._processes.values()), return_exceptions=True
        )

    # --- processes --------------------------------------------------------------------------------

    async def start(self, host: str) -> None:
        """Start a host, or start it again."""
        self._ready[host] = asyncio.Event()
        settings = {
            "host": {
                "host_id": host,
                "data": str(self._folder / host),
                "listen": self._addresses[host],
                "peers": self._addresses,
                "secret": self._secret,
                **self._settings,
            }
        }
        self._processes[host] = await start_worker(
            settings,
            self._on_event,
            log=self._folder / f"{host}.log",
            module="quorate.hosts.demo.agent_worker",
        )
        self.up.append(host)

    async def wait_ready(self) -> None:
        """All hosts that are up may run agents, and know that of each other."""
        await self.all("ready", START_S + 5, within_s=START_S, hosts=len(self.up))

    def signal(self, host: str, number: int) -> float:
        """Send a signal; when that was."""
        process = self._processes[host]
        if process.alive:
            os.kill(process.pid, number)
        return time.monotonic()

    async def kill(self, host: str) -> float:
        """kill -9; when that was. What it had said is taken down."""
        at = self.signal(host, signal.SIGKILL)
        await self._end(host)
        return at

    async def terminate(self, host: str) -> int:
        """SIGTERM, and wait until it has left in good order; its exit code."""
        self.signal(host, signal.SIGTERM)
        return await self._end(host)

    async def _end(self, host: str) -> int:
        code = await self._processes[host].wait()
        self.up.remove(host)
        for number, (asked, waiting) in list(self._waiting.items()):
            if asked == host and not waiting.done():
                waiting.set_exception(Timeout(f"host {host} ended"))
                self._waiting.pop(number, None)
        return code

    # --- orders -----------------------------------------------------------------------------------

    async def ask(self, host: str, do: str, timeout_s: float = CALL_S, **fields: Any) -> Answer:
        """Order a host to do something; its answer. Raises `Timeout`, `InvariantBroken`."""
        self._number += 1
        number = self._number
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = host, answer
        fields.setdefault("within_s", timeout_s)
        try:
            async with asyncio.timeout(timeout_s + 1.0):
                await self._ready[host].wait()
                self.check()
                self._processes[host].order(do, id=number, **fields)
                return await answer
        except TimeoutError as error:
            if isinstance(error, Timeout):
                raise
            raise Timeout(f"host {host} did not answer {do!r} within {timeout_s:g} s") from None
        finally:
            self._waiting.pop(number, None)

    async def must(self, host: str, do: str, timeout_s: float = CALL_S, **fields: Any) -> Answer:
        """The same; raises `InvariantBroken` if the host could not do it."""
        answer = await self.ask(host, do, timeout_s, **fields)
        if not answer["ok"]:
            raise InvariantBroken(f"host {host}, {do}: {answer['error']}: {answer['text']}")
        return answer

    async def all(self, do: str, timeout_s: float = CALL_S, **fields: Any) -> dict[str, Answer]:
        """The same of every host that is up, at the same time."""
        hosts = list(self.up)
        rows = await asyncio.gather(*(self.must(host, do, timeout_s, **fields) for host in hosts))
        return dict(zip(hosts, rows, strict=True))

    def check(self) -> None:
        """Raise what a host said when it gave up."""
        if self._errors:
            raise InvariantBroken("; ".join(self._errors))

    async def wait_for(self, holds: Callable[[], bool], timeout_s: float, what: str) -> float:
        """Wait until it holds; looks whenever somebody said something. When that was."""
        until = time.monotonic() + timeout_s
        while not holds():
            self.check()
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise Timeout(f"waited {timeout_s:g} s for {what}")
            self._news.clear()
            try:
                async with asyncio.timeout(min(left_s, 0.25)):
                    await self._news.wait()
            except TimeoutError:
                continue
        return time.monotonic()

    # --- agents -----------------------------------------------------------------------------------

    async def start_agents(self, cls: str, names: Sequence[str], **fields: Any) -> float:
        """Start agents, from all hosts; how many seconds it took."""
        began = time.monotonic()
        hosts = list(self.up)
        await asyncio.gather(
            *(
                self.must(
                    host, "start", START_S * 2, cls=cls, names=names[n :: len(hosts)], **fields
                )
                for n, host in enumerate(hosts)
            )
        )
        return time.monotonic() - began

    async def where(self, prefix: str, by: str = "") -> dict[str, str]:
        """name -> host of all agents whose name begins so, as the host `by` knows."""
        rows = (await self.must(by or self.up[0], "where", prefix=prefix))["rows"]
        return {name: host for name, host, *_ in rows}

    async def leader(self) -> str:
        return str((await self.must(self.up[0], "status"))["leader"])

    async def load(
        self,
        names: Sequence[str] = (),
        *,
        rate: float = 0,
        ship_every: int = 0,
        hosts: Iterable[str] = (),
    ) -> None:
        """Callers on the hosts for all names, `rate` calls per second together; none: stop it."""
        hosts = list(hosts or self.up)
        each = rate / len(hosts)
        await asyncio.gather(
            *(
                self.must(host, "load", 45, names=list(names), rate=each, ship_every=ship_every)
                for host in hosts
            )
        )

    async def totals(self, names: Sequence[str]) -> dict[str, int | None]:
        """The strong total of each name, from its agent."""
        answer = await self.must(self.up[0], "dump", 20, names=list(names))
        return dict(answer["totals"])

    async def verdict(self, names: Sequence[str], scribes: Sequence[str] = ()) -> AgentVerdict:
        """End the load and judge everything that was said. Each of `scribes` has the lines of the
        senders whose names begin with its own."""
        await self.load()
        verdict = self.ledger.verify(await self.totals(names))
        for scribe in scribes:
            lines = (await self.must(self.up[0], "read", name=scribe))["lines"]
            answered: dict[str, list[int]] = {}
            for sender, number, _, _, error in self.lines:
                if not error and sender.startswith(f"{scribe}/"):
                    answered.setdefault(sender, []).append(number)
            judge_lines(lines, answered, verdict)
        return verdict

    # --- what the workers say ---------------------------------------------------------------------

    def _on_event(self, host: str, event: Answer) -> None:
        kind = event["k"]
        if kind == "calls":
            self.ledger.on_calls(host, event)
            self.lines += [tuple(row) for row in event.get("lines", ())]
        elif kind == "effect":
            self.ledger.on_effect(host, event)
        elif kind == "ready":
            self._ready[host].set()
        elif kind == "error":
            self._errors.append(f"host {host}: {event['text']}")
            self._ready[host].set()
        elif kind == "answer":
            _, waiting = self._waiting.pop(event["id"], ("", None))
            if waiting is not None and not waiting.done():
                waiting.set_result(event)
        self._news.set()

    def _on_ack(self, name: str, ack: Ack) -> None:
        self._news.set()


def spread(places: dict[str, str]) -> dict[str, int]:
    """How many agents each host has."""
    return dict(sorted(Counter(places.values()).items()))


async def recovered(
    scene: AgentScene, names: Sequence[str], epochs: dict[str, int], at: float, within_s: float
) -> list[float]:
    """Wait until each of `names` was answered by a newer epoch; seconds since `at`, of each."""
    again = {name: epochs.get(name, 0) for name in names}
    waiting = set(names)

    def all_answered() -> bool:
        for name in list(waiting):
            acks = scene.ledger.acks.get(name)
            if acks and acks[-1].epoch > again[name]:
                waiting.discard(name)
        return not waiting

    await scene.wait_for(all_answered, within_s, "all agents to answer again")
    found = scene.ledger.answered_again(again, at)
    return [seconds if seconds is not None else NEVER for seconds in found.values()]
