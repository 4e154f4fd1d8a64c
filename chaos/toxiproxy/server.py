"""One Toxiproxy server: started on a free port, watched, replaced when it hangs, ended.

The law of this file: the server process started here is ended here, and the kernel ends it if this
process dies first. What the proxies should be is remembered here (`remember`), because a server
that hangs cannot be asked any more: `revive` kills it and makes the same proxies, with the same
ports and toxics, in a new one. The admin port is reachable outside all proxies.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from quorate.chaos.lab.children import die_with_parent
from quorate.chaos.toxiproxy.api import Proxy, ToxiproxyApi, ToxiproxyError, ToxiproxyHung
from quorate.chaos.toxiproxy.install import require_server
from quorate.core.wire.ports import free_ports

START_S = 10.0
END_S = 2.0
ASK_AGAIN_S = 0.02
STARTS_MAX = 3


class ToxiproxyServer:
    """A server of our own. `async with`, or `start` and `stop`. `log`: the file for what it says
    (None: nowhere)."""

    def __init__(self, binary: Path | None = None, *, log: Path | None = None) -> None:
        self.address = ""
        self.revivals = 0
        self._binary = binary
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._api: ToxiproxyApi | None = None
        self._wanted: dict[str, Proxy] = {}
        self._reviving = asyncio.Lock()

    @property
    def api(self) -> ToxiproxyApi:
        """Its API. Raises `ToxiproxyHung` when it was not started."""
        if self._api is None:
            raise ToxiproxyHung("this Toxiproxy server was not started, or is being replaced")
        return self._api

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Find or build the server, start it, wait until it answers. Raises `ToxiproxyMissing`,
        `ToxiproxyError`."""
        if self.alive:
            return
        if self._binary is None:
            self._binary = await require_server()
        for attempt in range(STARTS_MAX):
            try:
                await self._launch()
                return
            except ToxiproxyError:  # somebody took the port in between: try another one
                await self.stop()
                if attempt == STARTS_MAX - 1:
                    raise
            except BaseException:
                await self.stop()
                raise

    async def _launch(self) -> None:
        [port] = free_ports(1)
        self.address = f"127.0.0.1:{port}"
        command = [str(self._binary), "-host", "127.0.0.1", "-port", str(port), "-proxy-metrics"]
        if self._log is None:
            self._process = await self._spawn(command, asyncio.subprocess.DEVNULL)
        else:
            with self._log.open("ab") as log:
                self._process = await self._spawn(command, log)
        self._api = ToxiproxyApi(self.address)
        try:
            async with asyncio.timeout(START_S):
                await self._answered()
        except TimeoutError:
            text = f"the Toxiproxy server did not answer within {START_S:g} s at {self.address}"
            raise ToxiproxyHung(text) from None

    @staticmethod
    async def _spawn(command: list[str], output: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,  # pyright: ignore[reportArgumentType]  # a file or a constant
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    async def _answered(self) -> None:
        while True:
            if not self.alive:
                code = None if self._process is None else self._process.returncode
                raise ToxiproxyError(
                    f"the Toxiproxy server at {self.address} ended with {code} at once: is the "
                    f"port taken?"
                )
            with suppress(ToxiproxyHung):
                await self.api.version()
                return
            await asyncio.sleep(ASK_AGAIN_S)

    async def healthy(self) -> bool:
        """Whether it answers within its deadline."""
        if not self.alive:
            return False
        try:
            await self.api.version()
        except ToxiproxyError:
            return False
        return True

    def remember(self, proxy: Proxy) -> None:
        """What this proxy should be from now on, toxics included."""
        self._wanted[proxy.name] = proxy

    def forget(self, name: str) -> None:
        self._wanted.pop(name, None)

    @property
    def wanted(self) -> dict[str, Proxy]:
        return dict(self._wanted)

    async def revive(self) -> None:
        """Kill the server and make the remembered proxies in a new one; every connection through
        it is cut. Several callers at once share one revival."""
        seen = self.revivals
        async with self._reviving:
            if self.revivals != seen:
                return
            await self.stop()
            await self.start()
            self.revivals += 1
            proxies = list(self._wanted.values())
            if proxies:
                off = [Proxy(p.name, p.listen, p.upstream, False) for p in proxies]
                await self.api.populate(off)
            for proxy in proxies:  # toxics first, so that nothing passes unhurt
                for toxic in proxy.toxics:
                    await self.api.add_toxic(proxy.name, toxic)
                if proxy.enabled:
                    await self.api.update_proxy(proxy.name, enabled=True)

    async def stop(self) -> None:
        """End it. Safe to call twice."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(END_S):
                    await process.wait()
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._process = None

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
