"""The parent's side of the worker processes: start, read, order, kill.

The law of this file: a process started here is ended here, whatever happens; what a worker said
before it was killed is read to the last whole line. Nothing is decided here about what the lines
mean.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from quorate.hosts.demo import lines

STOP_S = 10.0
OnEvent = Callable[[str, dict[str, Any]], None]
"""(host id, event)"""


class WorkerProcess:
    """One worker. `on_event` gets every line it says."""

    def __init__(
        self, host_id: str, process: asyncio.subprocess.Process, on_event: OnEvent
    ) -> None:
        self.host_id = host_id
        self._process = process
        self._on_event = on_event
        self._reading = asyncio.ensure_future(self._read())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            event = lines.decode(line)
            if event is not None:
                self._on_event(self.host_id, event)

    def order(self, do: str, **fields: Any) -> None:
        """Tell the worker to `do` something; a dead one is not told."""
        if self.alive and self._process.stdin is not None:
            with suppress(ConnectionError):
                self._process.stdin.write(lines.order(do, **fields))

    async def wait(self) -> int:
        """Wait until it ends, and has been read to the end; its exit code."""
        code = await self._process.wait()
        await self._reading
        return code

    async def kill(self) -> None:
        """kill -9, then read what it had said."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)
        await self.wait()

    async def stop(self) -> int:
        """Ask it to stop, kill it if it does not; its exit code."""
        self.order("stop")
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                code = await self._process.wait()
        except TimeoutError:
            await self.kill()
            return -signal.SIGKILL
        await self._reading
        return code


async def start_worker(
    settings: Mapping[str, Any],
    on_event: OnEvent,
    *,
    log: Path,
    module: str = "quorate.hosts.demo.worker",
) -> WorkerProcess:
    """Start the worker of `settings` (see `worker.py` and `level_worker.py`); what it writes to
    standard error goes to `log`."""
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
        )
    return WorkerProcess(str(settings["host"]["host_id"]), process, on_event)


def child_environment() -> dict[str, str]:
    """This process's environment, with this package importable wherever the child starts."""
    root = str(Path(sys.modules["quorate"].__path__[0]).resolve().parent)
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
