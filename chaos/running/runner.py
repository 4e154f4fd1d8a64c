"""One run from its first process to its verdict.

The law of this file: hosts, setup, load, calm, faults, heal, calm, end of the load, final reads,
check, report, in this order; whatever happens in between (an error, Ctrl-C), everything is healed
and ended and what was seen until then is judged and written. A run that was cut short is never
held.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from quorate.chaos.lab.children import LabError
from quorate.chaos.lab.cluster import LabCluster
from quorate.chaos.lab.resource import Effect, ResourceServer
from quorate.chaos.nemesis.nemesis import Nemesis
from quorate.chaos.nemesis.schedule import check_plan, plan_of
from quorate.chaos.nemesis.validate import reasons_against
from quorate.chaos.running import verdicts
from quorate.chaos.running.ending import body_of, write_page
from quorate.chaos.running.folder import RunFolder
from quorate.chaos.running.internals import Internals
from quorate.chaos.running.options import FAST, RunOptions, RunResult
from quorate.chaos.running.progress import Progress, Say, quiet
from quorate.chaos.workloads.catalogue import workload_of
from quorate.core.errors import QuorateError, UsageError
from quorate.hosts.config import make_settings

READY_S = 30.0
SETUP_S = 30.0
ORDER_S = 5.0
UNLOAD_S = 15.0
SETTLE_S = 1.0
FINAL_S = 60.0
SAY_EVERY_S = 2.0
LOOK_EVERY_S = 5.0
LOOKED_AT_EVENTS_MAX = 20_000
ERRORS_MAX = 200
DOUBTS_MAX = 10
SECRET = "the laboratory runs on loopback only"


class Run:
    """One run. Make it, `await run.go()`. Raises `UsageError` for options that cannot be."""

    def __init__(self, options: RunOptions, say: Say = quiet) -> None:
        self.options = options
        self.workload = workload_of(options.workload)
        self._plan = plan_of(options.nemesis)
        check_plan(self._plan, options.host_ids)
        lacking = self._plan.needs - self.workload.has
        if lacking:
            raise UsageError(
                f"{options.nemesis!r} needs a workload with {', '.join(sorted(lacking))}, and "
                f"{options.workload!r} has none"
            )
        self._settings = {**FAST, **self.workload.settings, **options.settings}
        make_settings(self._settings)
        self._say = say
        self.folder = RunFolder.make(
            Path(options.folder), self.workload.name or "own", options.nemesis, options.seed
        )
        self.progress = Progress(time.monotonic)
        self.cluster: LabCluster | None = None
        self.admins: dict[str, str] = {}
        """Where each host's admin API listens, if it has one."""
        self.faults: list[dict[str, Any]] = []
        self._resource = ResourceServer(self._on_effect)
        self._internals = Internals()
        self._errors: list[tuple[str, str]] = []
        self._doubts: list[str] = []
        self._loading = False
        self._calm: tuple[float, float] = (0.0, 0.0)
        self.nemesis: Nemesis | None = None
        self._story: asyncio.Task[Any] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.failure: BaseException | None = None

    # --- the story --------------------------------------------------------------------------------

    async def go(self) -> RunResult:
        """The whole run. A cancellation ends it early: everything is ended and written, and the
        result says `interrupted`."""
        self._story = asyncio.current_task()
        interrupted = False
        try:
            async with self.opened():
                await self._act()
        except asyncio.CancelledError as error:
            interrupted, self.failure = self.failure is None, self.failure or error
            if self._story is not None:
                self._story.uncancel()
            if interrupted:
                self._doubts.append("the run was interrupted")
        except (QuorateError, OSError, TimeoutError) as error:
            self._fail(error)
        try:
            return await self._finish(interrupted)
        except OSError as error:  # there is no room even for the result
            self._fail(error)
            return RunResult("invalid", [], 0, 0.0, 0, self.folder.path, self._doubts, interrupted)

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[LabCluster]:
        """The cluster, ready and set up, and its end."""
        options = self.options
        await self._resource.start()
        try:
            cluster = LabCluster(
                self.folder.path,
                hosts=options.host_ids,
                settings={**self._settings, "secret": SECRET},
                plant=options.plant,
                on_event=self._on_event,
                worker={
                    "workload": options.workload,
                    "seed": options.seed,
                    "resource": self._resource.address,
                },
            )
            self.progress.enter("start")
            async with cluster:
                self.cluster = cluster
                self._tell_state(cluster)
                try:
                    await cluster.ready(READY_S)
                    await self._must(cluster.order(cluster.hosts[0], "setup", SETUP_S), "setup")
                    yield cluster
                finally:
                    await self._end_tasks()
                    self.folder.state(None)
        finally:
            await self._resource.stop()

    async def _act(self) -> None:
        self._spawn(self._talk())
        self._spawn(self._look())
        await self.load()
        await self.calm()
        await self.hurt(self.options.seconds)
        await self.heal()
        await self.rest(self.options.calm_s)
        await self.unload()
        await self.read_finally()

    async def load(self) -> None:
        """Let the clients of every host begin, and of those that start later."""
        assert self.cluster is not None, "the cluster is not open"
        self._loading = True
        await asyncio.gather(*(self._load(host) for host in self.cluster.hosts))

    async def rest(self, seconds: float) -> None:
        self.progress.enter("calm", seconds)
        await asyncio.sleep(seconds)

    async def calm(self) -> None:
        """Before the faults: what is done here says whether there is any traffic."""
        began = time.monotonic()
        await self.rest(self.options.calm_s)
        self._calm = (began, time.monotonic())

    async def hurt(self, seconds: float) -> None:
        """Faults for so long, all taken back at the end."""
        assert self.cluster is not None, "the cluster is not open"
        self.progress.enter("faults", seconds)
        self.nemesis = Nemesis(
            self.cluster, self._plan, random.Random(self.options.seed), self._on_fault
        )
        await self.nemesis.run(seconds)

    async def heal(self) -> None:
        """Everything as new, and serving."""
        assert self.cluster is not None, "the cluster is not open"
        self.progress.enter("heal")
        await self.cluster.heal()
        await self.cluster.ready(READY_S)

    async def unload(self) -> None:
        """No new operations; the end of those in flight."""
        assert self.cluster is not None, "the cluster is not open"
        self.progress.enter("end")
        self._loading = False
        hosts = self.cluster.hosts
        orders = [self.cluster.order(host, "unload", UNLOAD_S) for host in hosts]
        await asyncio.gather(*(self._must(order, "unload") for order in orders))
        await asyncio.sleep(SETTLE_S)

    async def read_finally(self) -> None:
        """The final reads of every host."""
        assert self.cluster is not None, "the cluster is not open"
        orders = [self.cluster.order(host, "final", FINAL_S) for host in self.cluster.hosts]
        await asyncio.gather(*(self._must(order, "final reads") for order in orders))

    def _fail(self, error: BaseException) -> None:
        """The laboratory cannot go on."""
        if self.failure is None:
            self.failure = error
            self._doubts.insert(0, f"the laboratory failed: {type(error).__name__}: {error}")

    async def _must(self, order: Awaitable[dict[str, Any]], what: str) -> None:
        """An order that has to be obeyed; if not, the run is in doubt, and goes on."""
        try:
            answer = await order
        except LabError as error:
            answer = {"ok": False, "text": str(error)}
        if not answer.get("ok"):
            self._doubts.append(f"{what}: {answer.get('text') or answer.get('error')}")

    async def _load(self, host: str) -> None:
        """Let the clients of a host begin, if they are to."""
        if self._loading and self.cluster is not None:
            told = {"rate": self.options.rate, "clients": self.options.clients}
            with suppress(LabError):
                await self.cluster.order(host, "load", ORDER_S, **told)

    # --- what is told -----------------------------------------------------------------------------

    def _on_event(self, host: str, event: dict[str, Any]) -> None:
        kind = event.get("k")
        if kind == "op":
            body = {name: value for name, value in event.items() if name != "k"}
            self.progress.on_event(str(body.get("type")))
            try:
                self.folder.event(body)
            except OSError as error:  # a disk that is full: what cannot be written proves nothing
                self._fail(error)
                if self._story is not None:
                    self._story.cancel()
        elif kind == "ready":
            self.admins[host] = str(event.get("admin"))
            self._internals.on_start(host)
            if self._loading:
                self._spawn(self._load(host))
        elif kind == "status":
            self._internals.on_status(host, event)
        elif kind == "error" and len(self._errors) < ERRORS_MAX:
            self._errors.append((host, str(event.get("text"))))
            if event.get("what") == "workload" and len(self._doubts) < DOUBTS_MAX:
                self._doubts.append(f"the workload made a mistake: {event.get('text')}")

    def _on_fault(self, event: dict[str, Any]) -> None:
        self.faults.append(event)
        self.folder.fault(event)
        self.progress.on_fault(event)
        where = " ".join(map(str, event.get("hosts") or ()))
        self._say(f"{event.get('phase'):>5} {event.get('name')} {where}".rstrip())

    def _on_effect(self, effect: Effect) -> None:
        self.folder.effect({**effect._asdict(), "t": time.monotonic()})

    def _tell_state(self, cluster: LabCluster) -> None:
        self.folder.state(
            {
                "pid": os.getpid(),
                "folder": str(self.folder.path),
                "hosts": list(cluster.hosts),
                "toxiproxy": cluster.server.address,
                "admin": {},
            }
        )

    # --- beside the story -------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        self._loading = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _talk(self) -> None:
        while True:
            await asyncio.sleep(SAY_EVERY_S)
            self._say(self.progress.line())

    async def _look(self) -> None:
        """Judge what there is so far, now and then, to show violations early."""
        while sum(self.progress.outcomes.values()) < LOOKED_AT_EVENTS_MAX:
            await asyncio.sleep(LOOK_EVERY_S)
            found = await asyncio.to_thread(self._judge_so_far)
            self.progress.violations = max(self.progress.violations, found)

    def _judge_so_far(self) -> int:
        with suppress(Exception):  # a line may be half written; the end of the run looks again
            judged = verdicts.ask(self.workload.check, self.folder.history())
            return sum(len(verdict.anomalies) for verdict in judged)
        return 0

    # --- the end ----------------------------------------------------------------------------------

    async def _finish(self, interrupted: bool) -> RunResult:
        history = self.folder.close()
        self.progress.enter("check")
        judged = await asyncio.to_thread(verdicts.ask, self.workload.check, history)
        if self._internals.count:
            judged.append(self._internals.verdict())
        judged += verdicts.judge_hosts(self._errors)
        options = self.options
        begun = sum(event.get("phase") == "begin" for event in self.faults)
        per_s = verdicts.per_second(history, *self._calm)
        found = verdicts.summary(
            judged,
            per_s=per_s,
            met_nobody=verdicts.missed(history, verdicts.fault_spans(self.faults)),
            against=reasons_against(self._plan, self.faults),
            doubts=self._doubts,
        )
        count = len(verdicts.acknowledged(history))
        result = RunResult(
            found.word,
            found.verdicts,
            count,
            per_s,
            begun,
            self.folder.path,
            found.notes,
            interrupted,
        )
        more = {
            "promise": self.workload.promise,
            "calm": list(self._calm),
            "outcomes": dict(self.progress.outcomes),
            "toxiproxy_revivals": 0 if self.cluster is None else self.cluster.server.revivals,
            "errors": [f"{host}: {text}" for host, text in self._errors],
        }
        self.folder.result(body_of(options, result, more))
        if options.report:
            await asyncio.to_thread(write_page, self.folder.path)
        if result.verdict == "held":
            self.folder.drop_data()
        return result


async def run(options: RunOptions, say: Say = quiet) -> RunResult:
    """Make one run. Cancelled, it ends and writes everything before it raises."""
    result = await Run(options, say).go()
    if result.interrupted:
        raise asyncio.CancelledError
    return result
