"""A host: one member of a cluster, in one process, with everything it needs.

The law of this file: the life of a host and the face it shows. It starts once, stops once and
within a bounded time, whatever happens meanwhile. A host that meets a broken law or a failing disk
takes itself out of service and says why; it never repairs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from quorate.core.errors import (
    ConfigError,
    InvariantBroken,
    NotCommitted,
    QuorateError,
    Stopped,
    Timeout,
    UsageError,
)
from quorate.hosts.config import Settings, check_host_id, make_settings
from quorate.hosts.face import HostFace
from quorate.hosts.folder import DataFolder, known_host
from quorate.hosts.interpreter import tune_interpreter
from quorate.hosts.members import Members
from quorate.hosts.runtime import Runtime, is_wildcard
from quorate.hosts.seams import Seams
from quorate.hosts.status import status_of

T = TypeVar("T")
State = Literal["new", "starting", "running", "stopping", "stopped", "failed"]
WIND_DOWN_STEP_S = 1.0
READY_RETRY_S = 0.05


class Host(HostFace):
    """One host. Use it with `async with`, or call `start` and `stop`.

    `data` is its folder; everything else is in `quorate.hosts.config.Settings`. Raises
    `ConfigError` at once; `start` raises `ConfigError` (an address that cannot be used),
    `WrongDataFolder`, `CorruptStorage`, `StorageFailed`."""

    def __init__(self, host_id: str, *, data: str | Path, **settings: Any) -> None:
        self.id = check_host_id(host_id)
        self.data = Path(data)
        self.settings: Settings = make_settings(settings)
        peers = self.settings.peers
        if peers and host_id not in peers and not self.settings.join:
            raise ConfigError(
                f"peers does not name this host {host_id!r} (it names {', '.join(sorted(peers))}); "
                "add it, or set join=True to join a running cluster"
            )
        own = peers.get(host_id)
        self._listen = own if own and "listen" not in settings else self.settings.listen
        self.seams = Seams()
        self.state: State = "new"
        self.failure: QuorateError | None = None
        self.admin_address: str | None = None
        self._admin: Any = None
        self._runtime: Runtime | None = None
        self._ended: asyncio.Future[QuorateError | None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._announcing: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, data: str | Path, *, host_id: str | None = None, **settings: Any) -> Host:
        """A host from its data folder alone: a new folder becomes a group of one, which can grow
        later.

        The id is the one the folder knows, otherwise `host_id`, otherwise the folder's name.
        """
        path = Path(data)
        return cls(known_host(path) or host_id or path.name.lower(), data=path, **settings)

    # --- starting --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the folder, listen, and take part. Returns when listening; see `ready`."""
        if self.state != "new":
            raise UsageError(f"host {self.id!r} is {self.state}: make a new Host to start again")
        self.state = "starting"
        if self.settings.tune_interpreter:
            tune_interpreter()
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        try:
            faults = self.seams.faults
            folder = DataFolder(self.data, self.id, self.settings, loop, faults)
            try:
                runtime = Runtime(
                    self.id,
                    self.settings,
                    self._listen,
                    folder=folder,
                    loop=loop,
                    on_fatal=self._on_fatal,
                    clock=self.seams.clock,
                )
            except BaseException:
                folder.close(flush=False)
                raise
            self._runtime = runtime
            me: Any = self
            self.members = Members(me)
            await runtime.start()
            await self._start_admin()
            self._announce(runtime)
        except BaseException:
            await self.stop()
            raise
        if self.state == "starting":
            self.state = "running"

    def _announce(self, runtime: Runtime) -> None:
        """A host that moved tells the group where it is dialled now."""
        address = self.settings.peers.get(self.id) or self.address
        own = runtime.configuration.get(self.id)
        if own is not None and own.address != address and not is_wildcard(address):
            work = self.members.announce(address)
            self._announcing = asyncio.get_running_loop().create_task(work, name="announce")

    async def _start_admin(self) -> None:
        if self.settings.admin is None:
            return
        from quorate.hosts.admin import start_admin  # aiohttp is loaded only where it is used

        me: Any = self
        self._admin = await start_admin(me, self.settings.admin, self.settings.admin_token)
        self.admin_address = self._admin.address

    def _on_fatal(self, error: BaseException) -> None:
        """Out of service, for good: nothing is sent, persisted or applied from here on."""
        if self.failure is not None or self.state == "stopped":
            return
        self.failure = _as_quorate(error, self.id)
        if self.state != "stopping":
            self.state = "failed"
        if self._runtime is not None:
            self._runtime.be_quiet(self.failure)
            if self.state == "failed":  # whoever follows this host must notice at once
                work = self._runtime.mesh.close()
                self._leaving = asyncio.get_running_loop().create_task(work, name="leave")
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(self.failure)

    # --- how it is -------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise what keeps this host from serving, if anything does."""
        if self.failure is not None:
            raise self.failure
        if self.state not in ("starting", "running"):
            raise Stopped(f"host {self.id!r} is {self.state}")

    async def ready(self, timeout: float = 10.0) -> None:
        """Return once this host can serve: it knows a leader and has applied a fresh read point.

        Raises `Timeout` (or the last reason), or what stopped the host. `timeout` in seconds.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        error: QuorateError = Timeout(f"host {self.id!r} is not ready after {timeout:g} s")
        while (left := until - loop.time()) > 0:
            self.check()
            try:
                await self.group.reads.wait_read_point(left)
                return
            except NotCommitted as unavailable:
                error = unavailable
            await asyncio.sleep(min(READY_RETRY_S, max(0.0, until - loop.time())))
        self.check()
        raise error

    async def wait_until(self, look: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """Wait until `look()` is not None; it is asked again when the leader or the members
        change."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, timeout_s)):
                while (found := look()) is None:
                    self.check()
                    await self.runtime.changes.wait()
                return found
        raise Timeout(what)

    def status(self) -> dict[str, Any]:
        """What this host knows of itself and the group; plain values, without asking anybody."""
        me: Any = self
        return status_of(me)

    def statistics(self) -> dict[str, Any]:
        """Counters of every part."""
        return {} if self._runtime is None else self._runtime.statistics()

    # --- orders ----------------------------------------------------------------------------------

    async def transfer_leadership(
        self, to: str | None = None, *, timeout: float | None = None
    ) -> str:
        """Hand the leadership to `to` (None: whoever is furthest); returns who leads then.

        Raises `MembershipRefused`, `NoLeader`, `NotCommitted`, `Timeout`.
        """
        return await self.members.transfer(to, self.group.seconds(timeout))

    async def snapshot(self, *, timeout: float = 60.0) -> dict[str, Any]:
        """Make a snapshot of this host's state: {id, index, term, size_bytes, sha256}."""
        self.check()
        try:
            async with asyncio.timeout(timeout):
                return await self.runtime.folder.make_snapshot()
        except TimeoutError as error:
            if isinstance(error, QuorateError):
                raise
            raise Timeout(f"the snapshot was not made within {timeout:g} s") from None

    # --- stopping --------------------------------------------------------------------------------

    async def wait_stopped(self) -> QuorateError | None:
        """Return when the host stopped: the error that stopped it, or None if it was told to."""
        if self._ended is None:
            raise UsageError(f"host {self.id!r} was not started")
        return await asyncio.shield(self._ended)

    async def stop(self, *, hand_over: bool = True) -> None:
        """Give up leases and leadership, end all calls, flush, close; within `stop_timeout_s`.

        `hand_over=False`: give nothing up (all hosts stop). Safe to call twice.
        A cancellation does not leave it half done: it is finished first, then the cancellation
        goes on."""
        await self._stop(graceful=self.state == "running", hand_over=hand_over)

    async def kill(self) -> None:
        """Stop as a crash would: nothing is handed over, nothing is flushed. For tests."""
        await self._stop(graceful=False)

    async def _stop(self, *, graceful: bool, hand_over: bool = False) -> None:
        if self.state in ("new", "stopped"):
            return
        if self._stopping is None:
            work = self._take_down(graceful, hand_over)
            self._stopping = asyncio.get_running_loop().create_task(work, name=f"stop {self.id}")
        try:
            await asyncio.shield(self._stopping)
        except asyncio.CancelledError:
            await asyncio.wait([self._stopping])
            raise

    async def _take_down(self, graceful: bool, hand_over: bool) -> None:
        self.state = "stopping"
        if self._announcing is not None:
            self._announcing.cancel()
        for task in (self._announcing, self._leaving):
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)
        if self._admin is not None:
            admin, self._admin = self._admin, None
            with suppress(Exception):  # whatever the admin server does, the host stops
                async with asyncio.timeout(WIND_DOWN_STEP_S):
                    await admin.close()
        runtime = self._runtime
        try:
            if runtime is not None:
                if graceful and hand_over:
                    await runtime.agents.leave(self.settings.drain_timeout_s)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.settings.stop_timeout_s):
                            await self._wind_down(runtime)
                await runtime.close(flush=graceful and self.failure is None)
        finally:
            self.state = "stopped" if self.failure is None else "failed"
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)

    async def _wind_down(self, runtime: Runtime) -> None:
        """Leave in good order: what was held is given up, somebody else leads."""
        await runtime.claims.stop()
        with suppress(QuorateError):
            await runtime.leases.revoke_session(timeout=WIND_DOWN_STEP_S)
        if runtime.group.leads and len(runtime.configuration.voters) > 1:
            with suppress(QuorateError):
                await self.members.transfer(None, WIND_DOWN_STEP_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return f"<Host {self.id!r} {self.state}>"


def _as_quorate(error: BaseException, host_id: str) -> QuorateError:
    if isinstance(error, QuorateError):
        return error
    broken = InvariantBroken(f"host {host_id!r} stopped itself: {type(error).__name__}: {error}")
    broken.__cause__ = error
    return broken
