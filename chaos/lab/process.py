"""One host process: started, ordered, paused, killed, read to the last line.

The law of this file: a process started here is ended here, whatever happens, and the kernel ends it
if this process dies first; what it said before it was killed is read to the last whole line. What
the lines mean is not known here, except that an answer belongs to the order with its `id`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from quorate.chaos.lab.children import LabError, die_with_parent
from quorate.hosts.demo import lines
from quorate.hosts.demo.workers import child_environment

STOP_S = 15.0
ORDER_S = 5.0
WORKER = "quorate.chaos.lab.worker"

OnEvent = Callable[[str, dict[str, Any]], None]
"""(host id, event)"""


class HostDown(LabError):
    """The process does not run, or did not answer in time."""


class HostProcess:
    """One worker process. `on_event` gets every line it says, answers included."""

    def __init__(
        self, host_id: str, process: asyncio.subprocess.Process, on_event: OnEvent
    ) -> None:
        self.host_id = host_id
        self.ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        """What it said when it was ready; `HostDown` when it ended before."""
        self.paused = False
        self._process = process
        self._on_event = on_event
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._said = ""
        self._reading = asyncio.ensure_future(self._read())
        self.ready.add_done_callback(lambda done: done.cancelled() or done.exception())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                event = lines.decode(line)
                if event is not None:
                    self._take(event)
        finally:
            gone = HostDown(f"the process of host {self.host_id!r} ended{self._said}")
            for future in (self.ready, *self._asked.values()):
                if not future.done():
                    future.set_exception(gone)

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.get("k")
        if kind == "ready" and not self.ready.done():
            self.ready.set_result(event)
        elif kind == "error":
            self._said = f": {event.get('text')}"
        elif kind == "answer":
            asked = self._asked.get(int(event.get("id", 0)))
            if asked is not None and not asked.done():
                asked.set_result(event)
        self._on_event(self.host_id, event)

    # --- orders -----------------------------------------------------------------------------------

    def tell(self, do: str, **fields: Any) -> None:
        """Order without waiting; a dead process is not told."""
        if self.alive and self._process.stdin is not None:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(lines.order(do, **fields))

    async def order(self, do: str, timeout_s: float = ORDER_S, **fields: Any) -> dict[str, Any]:
        """Order, and wait for the answer, which may say `ok: false`. Raises `HostDown`."""
        if not self.alive:
            raise HostDown(f"host {self.host_id!r} does not run")
        number = next(self._ids)
        asked: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        try:
            self.tell(do, id=number, **fields)
            async with asyncio.timeout(timeout_s):
                return await asked
        except TimeoutError:
            text = f"host {self.host_id!r} did not answer {do!r} within {timeout_s:g} s"
            raise HostDown(text) from None
        finally:
            del self._asked[number]

    # --- signals ----------------------------------------------------------------------------------

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def pause(self) -> None:
        """SIGSTOP: it stands still, and its sockets stay open."""
        self.signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)
        self.paused = False

    async def wait(self) -> int:
        """Wait until it ends, and has been read to the end; its exit code."""
        code = await self._process.wait()
        await self._reading
        return code

    async def kill(self) -> None:
        """kill -9, then read what it had said."""
        self.signal(signal.SIGKILL)
        await self.wait()

    async def terminate(self, within_s: float = STOP_S) -> int:
        """SIGTERM, so that it leaves in good order; kill -9 if it takes too long. Its exit code."""
        self.resume()
        self.signal(signal.SIGTERM)
        return await self._end(within_s)

    async def stop(self, within_s: float = STOP_S) -> int:
        """Say `stop` and close its input; kill -9 if it takes too long. Its exit code."""
        self.resume()
        self.tell("stop")
        if self._process.stdin is not None:
            self._process.stdin.close()
        return await self._end(within_s)

    async def _end(self, within_s: float) -> int:
        try:
            async with asyncio.timeout(within_s):
                return await self.wait()
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL


async def start_process(
    host_id: str,
    settings: Mapping[str, Any],
    on_event: OnEvent,
    *,
    log: Path,
    module: str = WORKER,
) -> HostProcess:
    """Start `python -m module '<settings>'`; what it writes to standard error goes to `log`."""
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            json.dumps(settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=lines.LINE_BYTES_MAX,
            env=child_environment(),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    return HostProcess(host_id, process, on_event)
