"""etcd as a Python program reaches it without compiled parts: its JSON gateway, by aiohttp.

The law of this file: the same members as `etcd`, another client. What it measures is mostly the
client and the gateway (each member translates HTTP to gRPC), which is what such a program pays; it
stands beside etcd's own client and never in its place.
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from quorate.bench.child import Child, ChildFailed
from quorate.bench.load import Load
from quorate.bench.peers.http_load import CONNECTIONS_MAX
from quorate.bench.systems.base import LOAD_GRACE_S, Missing, Work
from quorate.bench.systems.etcd import Etcd, etcd_version


class EtcdPython(Etcd):
    """Three etcd members and one Python client."""

    name = "etcd-python"
    variant = True

    @classmethod
    def check(cls) -> None:
        if shutil.which("etcd") is None:
            raise Missing("etcd is not on PATH: apt-get install etcd-server")

    @classmethod
    def configuration(cls) -> dict[str, Any]:
        return {
            "version": etcd_version(),
            "hosts": "as etcd",
            "load": f"from outside: one Python process, aiohttp {version('aiohttp')}, etcd's JSON "
            f"gateway /v3/kv/put and /v3/kv/range, connections kept alive, one for each in flight, "
            f"{CONNECTIONS_MAX} at most",
            "reads": "linearizable range (the default)",
        }

    async def start_client(self, folder: Path) -> Child:
        command = [sys.executable, "-m", "quorate.bench.peers.http_load"]
        return await Child.start("http_load", command, stderr=folder / "client.stderr")

    async def _status(self) -> dict[str, dict[str, Any]]:
        assert self._client is not None
        found: dict[str, dict[str, Any]] = {}
        for host, url in self._urls.items():
            said = await self._client.order(
                "post", url=url, path="/v3/maintenance/status", body={}, timeout_s=15.0
            )
            if not isinstance(said.get("header"), dict):
                raise ChildFailed(f"etcd {host} gave no status: {said}")
            leads = said.get("leader", "0") == said["header"].get("member_id")
            found[host] = {"leads": leads}
        return found

    async def _load_at(self, hosts: list[str], work: Work) -> Load:
        assert self._client is not None
        row = await self._client.order(
            "load",
            timeout_s=work.warmup_s + work.seconds + LOAD_GRACE_S,
            dialect="gateway",
            urls=[self._urls[host] for host in hosts],
            **work.fields(work.in_flight),
        )
        return Load.from_json(row)
