"""A cluster of host processes whose every link goes through a proxy of its own.

The law of this file: what it started it ends, whatever happened in between; `heal` makes everything
as new (links, paused hosts, hosts that are down). It knows who runs and who was stopped, and what
hurt was done to a host from inside, so that it can be taken back; it judges nothing.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quorate.chaos.lab.children import LabError
from quorate.chaos.lab.links import Links, Pair
from quorate.chaos.lab.process import ORDER_S, WORKER, HostDown, HostProcess, start_process
from quorate.chaos.toxiproxy.server import ToxiproxyServer
from quorate.core.wire.ports import free_ports

OnEvent = Callable[[str, dict[str, Any]], None]
START_S = 20.0
ASK_S = 1.0
HEAL_S = 12.0
ASK_AGAIN_S = 0.05
LOG_LINES_SHOWN = 12


class LabCluster:
    """Hosts `hosts` (the founders) and `learners` (which are added once the founders serve).

    `settings` are keywords of every `Host`; `plant` and `worker` go to the worker processes, which
    run `module`. `on_event(host, event)` gets every line a host says. Without a `server` it starts
    one of its own. Raises `LabError`, `ToxiproxyMissing`, `ToxiproxyError` on the way in."""

    def __init__(
        self,
        folder: Path,
        *,
        hosts: Sequence[str],
        learners: Sequence[str] = (),
        settings: Mapping[str, Any] | None = None,
        plant: str | None = None,
        on_event: OnEvent,
        server: ToxiproxyServer | None = None,
        worker: Mapping[str, Any] | None = None,
        module: str = WORKER,
    ) -> None:
        self.folder = folder
        self.founders = tuple(hosts)
        self.learners = tuple(learners)
        self.hosts: tuple[str, ...] = (*hosts, *learners)
        self.paused: set[str] = set()
        self.inside: dict[str, set[str]] = {}
        """Hurts done inside a host (by their `which`) that have not been taken back."""
        self.events: dict[str, dict[str, Any]] = {}
        """The last `status` line of each host."""
        self._settings = dict(settings or {})
        self._plant = plant
        self._worker = dict(worker or {})
        self._module = module
        self._on_event = on_event
        self._own_server = server is None
        self._server = server or ToxiproxyServer(log=folder / "toxiproxy.log")
        self._processes: dict[str, HostProcess] = {}
        self._lives = dict.fromkeys(self.hosts, 0)
        self._joining = set(learners)
        self._ending: set[str] = set()
        """Hosts that were told to end and may not have ended yet."""
        self._starting = {host: asyncio.Lock() for host in self.hosts}
        self._links: Links | None = None
        self.addresses: dict[str, str] = {}

    # --- life -------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        (self.folder / "hosts").mkdir(parents=True, exist_ok=True)
        (self.folder / "data").mkdir(exist_ok=True)
        try:
            await self._server.start()
            count = len(self.hosts)
            ports = free_ports(count * count)
            self.addresses = {h: f"127.0.0.1:{ports.pop()}" for h in self.hosts}
            self._links = Links(self._server, self.addresses, ports, self._bytes_carried)
            await self._links.open()
            await self._together(self.start_host, self.founders)
            if self.learners:
                await self._add_learners()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        """Nothing left running, whatever happens; a cancellation waits until it is done."""
        work = asyncio.ensure_future(self._end_all())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def _end_all(self) -> None:
        processes = list(self._processes.values())
        await asyncio.gather(*(one.stop() for one in processes), return_exceptions=True)
        with suppress(LabError):
            if self._links is not None and not self._own_server:
                await self._links.close()
        if self._own_server:
            await self._server.stop()

    async def _add_learners(self) -> None:
        await self._together(self.start_host, self.learners)
        leader = await self.leader(START_S)
        for learner in self.learners:
            address = self.addresses[learner]
            answer = await self.order(
                leader,
                "fault",
                START_S,
                which="add",
                member=learner,
                address=address,
                role="learner",
            )
            if not answer.get("ok"):
                raise LabError(f"learner {learner!r} was not added: {answer.get('text')}")

    # --- what is there ----------------------------------------------------------------------------

    @property
    def links(self) -> Links:
        """Raises `LabError` outside of `async with`."""
        if self._links is None:
            raise LabError("the cluster was not started")
        return self._links

    @property
    def server(self) -> ToxiproxyServer:
        return self._server

    @property
    def up(self) -> set[str]:
        """Hosts whose process runs, paused or not."""
        return {h for h, process in self._processes.items() if process.alive}

    @property
    def down(self) -> set[str]:
        return set(self.hosts) - self.up

    @property
    def answering(self) -> list[str]:
        """Hosts that run and are not paused, in order."""
        return [h for h in self.hosts if h in self.up and h not in self.paused]

    def standing(self, host: str) -> bool:
        """Whether its process is stopped by a signal, as the kernel says."""
        pid = self.pid(host)
        if pid is None:
            return False
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return host in self.paused
        return stat.rpartition(")")[2].split()[0] in ("T", "t")

    def pid(self, host: str) -> int | None:
        process = self._processes.get(host)
        return process.pid if process is not None and process.alive else None

    def lives(self, host: str) -> int:
        """How often it was started."""
        return self._lives[host]

    def log_of(self, host: str) -> Path:
        return self.folder / "hosts" / f"{host}.log"

    def data_of(self, host: str) -> Path:
        return self.folder / "data" / host

    # --- hosts ------------------------------------------------------------------------------------

    def _arguments(self, host: str) -> dict[str, Any]:
        founders = {h: self.addresses[h] for h in self.founders}
        dialled = self.links.dialled
        keywords: dict[str, Any] = {
            **self._settings,
            "host_id": host,
            "data": str(self.data_of(host)),
            "listen": self.addresses[host],
            "peers": founders,
            "dial": {other: dialled[host, other] for other in self.hosts if other != host},
        }
        if host in self._joining:
            keywords["join"] = True
        return {
            "workload": "",
            "seed": 0,
            "peers": list(self.hosts),
            **self._worker,
            "host": keywords,
            "plant": self._plant,
            "incarnation": self._lives[host],
        }

    async def start_host(self, host: str) -> None:
        """Start it and return when it listens; nothing when it runs. Raises `LabError` with the
        end of its log."""
        async with self._starting[host]:
            if host in self._ending and host in self.up:
                await self._processes[host].terminate()
            self._ending.discard(host)
            if host not in self.up:
                await self._start(host)

    async def _start(self, host: str) -> None:
        self._lives[host] += 1
        self.inside.pop(host, None)
        self.paused.discard(host)
        log = self.log_of(host)
        process = await start_process(
            host, self._arguments(host), self._take, log=log, module=self._module
        )
        self._processes[host] = process
        try:
            async with asyncio.timeout(START_S):
                await asyncio.shield(process.ready)
        except (TimeoutError, HostDown) as error:
            await process.kill()
            why = str(error) or f"not ready within {START_S:g} s"
            raise LabError(f"host {host!r} did not start: {why}\n{_tail(log)}") from error

    def _take(self, host: str, event: dict[str, Any]) -> None:
        if event.get("k") == "status":
            self.events[host] = event
        self._on_event(host, event)

    async def kill(self, host: str) -> None:
        """kill -9."""
        process = self._process(host)
        if process is not None:
            self.paused.discard(host)
            self._ending.add(host)
            await process.kill()

    async def terminate(self, host: str) -> int:
        """SIGTERM: it leaves in good order. Its exit code; 0 when it does not run."""
        process = self._process(host)
        if process is None:
            return 0
        self.paused.discard(host)
        self._ending.add(host)
        return await process.terminate()

    async def restart(self, host: str) -> None:
        """kill -9, then start."""
        await self.kill(host)
        await self.start_host(host)

    async def wipe(self, host: str) -> None:
        """kill -9, and forget everything it had on disk; it starts as a stranger that waits to be
        added."""
        await self.kill(host)
        shutil.rmtree(self.data_of(host), ignore_errors=True)
        self._joining.add(host)

    def pause(self, host: str) -> None:
        """SIGSTOP."""
        process = self._process(host)
        if process is not None:
            process.pause()
            self.paused.add(host)

    def resume(self, host: str) -> None:
        """SIGCONT."""
        process = self._process(host)
        if process is not None:
            process.resume()
        self.paused.discard(host)

    def _process(self, host: str) -> HostProcess | None:
        if host not in self.hosts:
            raise LabError(f"there is no host {host!r}")
        process = self._processes.get(host)
        return process if process is not None and process.alive else None

    # --- orders -----------------------------------------------------------------------------------

    async def order(
        self, host: str, do: str, timeout_s: float = ORDER_S, **fields: Any
    ) -> dict[str, Any]:
        """Its answer, which may be `ok: false`. Raises `HostDown` without one."""
        process = self._process(host)
        if process is None:
            raise HostDown(f"host {host!r} does not run")
        return await process.order(do, timeout_s, **fields)

    async def statuses(self) -> dict[str, dict[str, Any]]:
        """What each host that answers says of itself now."""
        found: dict[str, dict[str, Any]] = {}

        async def one(host: str) -> None:
            with suppress(HostDown):
                found[host] = await self.order(host, "status", ASK_S)

        await self._together(one, self.answering)
        return found

    async def look(self) -> dict[str, dict[str, Any]]:
        """What each host that answers counts, see `hurts.look`."""
        found: dict[str, dict[str, Any]] = {}

        async def one(host: str) -> None:
            with suppress(HostDown):
                answer = await self.order(host, "fault", ASK_S, which="look")
                if answer.get("ok"):
                    found[host] = answer

        await self._together(one, self.answering)
        return found

    async def _bytes_carried(self) -> Mapping[Pair, int]:
        carried = dict.fromkeys(self.links.pairs, 0)
        for host, seen in (await self.look()).items():
            for peer, count in seen.get("heard", {}).items():
                carried[str(peer), host] = int(count)
        return carried

    async def leader(self, within_s: float = 5.0) -> str:
        """Who leads: it says so itself, under the highest term. Raises `LabError`."""
        until = time.monotonic() + within_s
        while True:
            said = await self.statuses()
            leading = [h for h, one in said.items() if one.get("role") == "leader"]
            if leading:
                return max(leading, key=lambda h: int(said[h].get("term") or 0))
            if time.monotonic() > until:
                raise LabError(f"nobody leads after {within_s:g} s")
            await asyncio.sleep(ASK_AGAIN_S)

    async def ready(self, within_s: float) -> None:
        """Every host runs, answers, and can serve. Raises `LabError`."""

        async def one(host: str) -> None:
            until = time.monotonic() + within_s
            while True:
                left = max(0.1, until - time.monotonic())
                answer = await self.order(host, "ready", left + 1.0, within_s=left)
                if answer.get("ok"):
                    return
                if time.monotonic() > until:
                    text = answer.get("text") or answer.get("error")
                    raise LabError(f"host {host!r} is not ready after {within_s:g} s: {text}")

        await self._together(one, self.hosts)

    async def heal(self) -> None:
        """All links as new, all resumed, no hurt left inside, all hosts started."""
        for host in list(self.paused):
            self.resume(host)
        await self.links.heal()
        for host, hurts in list(self.inside.items()):
            if hurts and host in self.up:
                with suppress(HostDown):
                    drained = "drain" in hurts
                    await self.order(host, "fault", HEAL_S, which="heal", undrain=drained)
        self.inside.clear()
        await self._together(self.start_host, sorted(self.down))

    @staticmethod
    async def _together(work: Callable[[str], Any], hosts: Sequence[str]) -> None:
        """For all at once; every one ends before the first failure is raised."""
        ended = await asyncio.gather(*(work(h) for h in hosts), return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome


def _tail(log: Path) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-LOG_LINES_SHOWN:])
