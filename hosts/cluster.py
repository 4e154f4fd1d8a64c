"""A whole cluster in one process: real sockets on loopback, real LMDB in a temporary folder.

The law of this file: for trying out and for tests. It starts, kills and restarts hosts; what they
do is theirs.
"""

from __future__ import annotations

import asyncio
import shutil
import string
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quorate.core.errors import ConfigError, Timeout, UsageError
from quorate.core.wire.ports import free_addresses
from quorate.hosts.host import Host

HOSTS_MAX = 9
LEADER_POLL_S = 0.01


class Cluster:
    """`async with quorate.Cluster.local(3) as cluster:`; `cluster.hosts["a"]`, `await
    cluster.leader()`."""

    def __init__(self, count: int, folder: str | Path | None, settings: dict[str, Any]) -> None:
        if not 1 <= count <= HOSTS_MAX:
            raise ConfigError(f"a local cluster has 1 to {HOSTS_MAX} hosts, not {count!r}")
        self._own_folder = folder is None
        self.folder = Path(folder) if folder is not None else Path(tempfile.mkdtemp("quorate"))
        self._settings = settings
        self.peers = dict(zip(string.ascii_lowercase, free_addresses(count), strict=False))
        self.hosts: dict[str, Host] = {}
        """The hosts that run now, by id."""

    @classmethod
    def local(cls, count: int = 3, *, folder: str | Path | None = None, **settings: Any) -> Cluster:
        """So many hosts named a, b, c, ...; `settings` are handed to each. The folder goes with
        the cluster unless given."""
        return cls(count, folder, settings)

    def make(self, host_id: str, **more: Any) -> Host:
        """A host of this cluster, not started."""
        settings = {**self._settings, **more}
        peers = settings.pop("peers", self.peers)
        return Host(host_id, data=self.folder / host_id, peers=peers, **settings)

    async def start(self) -> None:
        """Start all hosts and wait until they serve."""
        try:
            for host_id in self.peers:
                self.hosts[host_id] = self.make(host_id)
                await self.hosts[host_id].start()
            await self.ready()
        except BaseException:
            await self.stop()
            raise

    async def ready(self, timeout: float = 10.0) -> None:
        """Wait until all hosts that run serve."""
        await asyncio.gather(*(host.ready(timeout) for host in self.hosts.values()))

    async def leader(self, timeout: float = 10.0) -> Host:
        """The host that leads and that a majority of the others follows. Raises `Timeout`."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout
        while True:
            running = list(self.hosts.values())
            for host in running:
                term = host.group.term
                agree = sum(h.group.leader == host.id and h.group.term == term for h in running)
                if host.group.leads and agree > len(host.configuration.voters) // 2:
                    return host
            if loop.time() > until:
                raise Timeout(f"no leader after {timeout:g} s")
            await asyncio.sleep(LEADER_POLL_S)

    async def kill(self, host: Host | str) -> None:
        """Stop a host as a crash would."""
        await self._take(host).kill()

    async def stop_host(self, host: Host | str) -> None:
        """Stop a host in good order."""
        await self._take(host).stop()

    def _take(self, host: Host | str) -> Host:
        host_id = host if isinstance(host, str) else host.id
        if host_id not in self.hosts:
            raise UsageError(f"host {host_id!r} does not run; running: {', '.join(self.hosts)}")
        return self.hosts.pop(host_id)

    async def restart(self, host_id: str, **more: Any) -> Host:
        """Start a host again from its folder, or a new one with `join=True` and `listen=`."""
        if host_id in self.hosts:
            await self.stop_host(host_id)
        host = self.hosts[host_id] = self.make(host_id, **more)
        await host.start()
        return host

    async def stop(self) -> None:
        """Stop all hosts and remove the folder, if it is this cluster's own."""
        hosts, self.hosts = list(self.hosts.values()), {}
        await asyncio.gather(*(host.stop(hand_over=False) for host in hosts))
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

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
