"""A process under measurement: started in a group of its own, given orders, and certainly ended.

The law of this file: every order has a deadline; `end` kills the whole group and waits for it; what
a process wrote to standard error is kept and quoted when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import quorate

LINE_BYTES_MAX = 16 * 1024 * 1024
QUOTE_CHARACTERS_MAX = 2_000


def _import_path() -> str:
    """Where the processes find quorate: where this one did, before what the user has set."""
    own = str(Path(quorate.__file__).parent.parent)
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))


class ChildFailed(Exception):
    """A measured process ended, refused an order, or did not answer in time."""


class Child:
    """One process. Make it with `Child.start`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, stderr: Path) -> None:
        self.name = name
        self.pid = process.pid
        self.hello: dict[str, Any] = {}
        self._process = process
        self._stderr = stderr
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ids = iter(range(1, 1 << 62))
        self._reader: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        stderr: Path,
        timeout_s: float = 30.0,
        speaks: bool = True,
    ) -> Child:
        """Start `command`; with `speaks` wait for its hello line. Raises `ChildFailed`."""
        guard = shutil.which("setpriv")
        prefix = [] if speaks or guard is None else [guard, "--pdeathsig", "KILL"]
        with stderr.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *prefix,
                *command,
                stdin=asyncio.subprocess.PIPE if speaks else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if speaks else errors,
                stderr=errors,
                start_new_session=True,
                limit=LINE_BYTES_MAX,
                env={**os.environ, "PYTHONPATH": _import_path()},
            )
        child = cls(name, process, stderr)
        if speaks:
            ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            child._waiting[0] = ready
            child._reader = asyncio.create_task(child._read())
            try:
                async with asyncio.timeout(timeout_s):
                    child.hello = await ready
            except BaseException as error:
                await child.end()
                if isinstance(error, TimeoutError):
                    text = f"{name} was not ready in {timeout_s:g} s{child._quote()}"
                    raise ChildFailed(text) from error
                raise
        return child

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def check_alive(self) -> None:
        """Raise `ChildFailed`, with the last it said, if it has ended."""
        if not self.alive:
            raise ChildFailed(f"{self.name} ended{self._quote()}")

    async def order(self, do: str, *, timeout_s: float = 30.0, **fields: Any) -> Any:
        """Give an order and wait for its answer. Raises `ChildFailed`."""
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        stdin = self._process.stdin
        if stdin is None or not self.alive:
            raise ChildFailed(f"{self.name} is not running{self._quote()}")
        try:
            stdin.write((json.dumps({"id": number, "do": do, **fields}) + "\n").encode())
            await stdin.drain()
            async with asyncio.timeout(timeout_s):  # 3.11's wait_for can swallow a cancellation
                return await answer
        except TimeoutError as error:
            text = f"{self.name} did not answer {do!r} in {timeout_s:g} s{self._quote()}"
            raise ChildFailed(text) from error
        except ConnectionError as error:
            raise ChildFailed(f"{self.name} ended during {do!r}{self._quote()}") from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        while line := await stdout.readline():
            try:
                message: dict[str, Any] = json.loads(line)
            except ValueError:
                continue  # a library's print is not an answer
            future = self._waiting.get(message.get("id", 0))
            if future is None or future.done():
                continue
            if "hello" in message:
                future.set_result(message["hello"])
            elif message["ok"]:
                future.set_result(message["answer"])
            else:
                future.set_exception(ChildFailed(f"{self.name}: {message['error']}"))
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ChildFailed(f"{self.name} ended{self._quote()}"))

    def kill_nowait(self) -> None:
        """kill -9 of the whole group, without waiting."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self, *, gently_s: float = 0.0) -> None:
        """End the process: by the order `stop` if `gently_s` is given, then with kill -9."""
        if gently_s and self.alive:
            with contextlib.suppress(ChildFailed, TimeoutError):
                await self.order("stop", timeout_s=gently_s)
                async with asyncio.timeout(gently_s):
                    await self._process.wait()
        self.kill_nowait()
        await self._process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
            for future in self._waiting.values():
                if future.done() and not future.cancelled():
                    future.exception()  # it was seen: nobody waits for it any more
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _quote(self) -> str:
        with contextlib.suppress(OSError):
            text = self._stderr.read_text(errors="replace").strip()
            return f"; it said: …{text[-QUOTE_CHARACTERS_MAX:]}" if text else ""
        return ""


async def end_all(children: Sequence[Child], *, gently_s: float = 0.0) -> None:
    """End them all at the same time."""
    await asyncio.gather(*(child.end(gently_s=gently_s) for child in children))
