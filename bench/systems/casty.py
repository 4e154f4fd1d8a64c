"""casty: three nodes on loopback, each a process with the load inside, in a Python of their own.

The law of this file: casty's defaults; uvloop beside it, because that is faster and ours has it.
Its states are in the memory of three nodes; "stored" is the same with its own SQL store, a SQLite
file on the measured disk that all three nodes reach.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from quorate.bench import peer_python
from quorate.bench.child import Child, end_all
from quorate.bench.systems.agent_system import AgentSystem
from quorate.bench.systems.base import HOSTS
from quorate.core.wire.ports import free_addresses

PEER = peer_python.Peer("casty", ("casty==0.30.2", "uvloop>=0.21,<1"), ("3.13", "3.12"))
WORKER = Path(__file__).parent.parent / "peers" / "casty_worker.py"
START_TIMEOUT_S = 30.0
LEAVE_TIMEOUT_S = 40.0


class Casty(AgentSystem):
    """Three nodes."""

    name = "casty"
    durable = "states in the memory of a majority of three nodes; stored: and in SQLite"
    synced = False
    ops = ("ask", "strong", "stored")
    drains = True
    lacks = {  # noqa: RUF012 - a constant
        "moves": "an actor moves when a node joins or leaves; none can be ordered to move",
    }

    def __init__(self) -> None:
        self.children = {}
        self._addresses: dict[str, str] = {}
        self._folder = Path()

    @classmethod
    def check(cls) -> None:
        peer_python.interpreter(PEER)

    @classmethod
    def agent_configuration(cls) -> dict[str, Any]:
        python = peer_python.interpreter(PEER)
        return {
            "version": f"{peer_python.installed_version(python, 'casty')} (Rust core), "
            f"{peer_python.python_version(python)}, "
            f"uvloop {peer_python.installed_version(python, 'uvloop')}",
            "hosts": "three processes on 127.0.0.1, ActorSystem and Cluster with their defaults",
            "load": "inside the processes, Ref.ask; the same generator as ours",
            "local": "keys that its ring places on the host of the caller",
            "strong state": "state.set: in memory of a majority of three, nothing on a disk",
            "stored state": "durable='write' with stores.SQL on SQLite, its own defaults",
            "drain": "an orderly end of the ActorSystem: it has no other",
        }

    async def start(self, folder: Path) -> None:
        self._folder = folder
        self._addresses = dict(zip(HOSTS, free_addresses(len(HOSTS)), strict=True))
        try:
            await asyncio.gather(*(self._start_host(host) for host in HOSTS))
            await self._ready()
        except BaseException:
            await self.stop()
            raise

    async def _start_host(self, host: str) -> None:
        store = self._folder / "store.sqlite"
        settings = {
            "id": host,
            "listen": self._addresses[host],
            "peers": self._addresses,
            "store": f"sqlite://{store}?mode=rwc",
        }
        self.children[host] = await Child.start(
            host,
            [str(peer_python.interpreter(PEER)), str(WORKER), json.dumps(settings)],
            stderr=self._folder / f"{host}.stderr",
            timeout_s=START_TIMEOUT_S,
        )

    async def _ready(self) -> None:
        hosts = tuple(self.children)
        await self.all("ready", hosts, within_s=START_TIMEOUT_S, timeout_s=START_TIMEOUT_S + 5)

    async def kill_host(self, host: str) -> None:
        await self.children.pop(host).end()

    async def renew_host(self, host: str) -> None:
        if host in self.children:  # it left in order: the process is still there
            await self.children.pop(host).end()
        await self._start_host(host)
        await self._ready()

    async def stop(self) -> None:
        children, self.children = list(self.children.values()), {}
        await end_all(children)
