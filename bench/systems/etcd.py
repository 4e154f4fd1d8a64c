"""etcd: three members on loopback with their data on the same disk, driven by its own Go client.

The law of this file: etcd is given its defaults and the client its makers write; the client is a
process of its own (etcd cannot be embedded in Python), built once with `go build` into the user's
cache. What that costs on two cores is part of the figure, and the report says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from quorate.bench.child import Child, ChildFailed, end_all
from quorate.bench.load import Load
from quorate.bench.systems.base import HOSTS, LEADER_POLL_S, Missing, System, Work
from quorate.core.wire.ports import free_addresses

CLIENT = Path(__file__).parent.parent / "peers" / "etcd_load"
BUILD_TIMEOUT_S = 600.0
START_TIMEOUT_S = 30.0
LOAD_GRACE_S = 30.0


def client_binary() -> Path:
    """The built load client; built if its source changed. Raises `Missing`."""
    sources = [CLIENT / name for name in ("main.go", "go.mod", "go.sum")]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quorate-bench"
    binary = cache / f"etcd_load-{digest}"
    if binary.exists():
        return binary
    go = shutil.which("go")
    if go is None:
        raise Missing("its load client is built with Go, which is not on PATH: install Go")
    cache.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [go, "build", "-trimpath", "-o", str(binary), "."],
            cwd=CLIENT,
            check=True,
            capture_output=True,
            timeout=BUILD_TIMEOUT_S,
        )
    except subprocess.CalledProcessError as error:
        text = error.stderr.decode(errors="replace")[-500:]
        raise Missing(f"its load client does not build: {text}") from error
    except subprocess.TimeoutExpired as error:
        raise Missing(f"its load client did not build in {BUILD_TIMEOUT_S:g} s") from error
    return binary


def etcd_version() -> str:
    """What the etcd on PATH says it is."""
    out = subprocess.run(
        ["etcd", "--version"], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    return out.splitlines()[0].removeprefix("etcd Version: ")


class Etcd(System):
    """Three etcd members and one load client."""

    name = "etcd"
    durable = "synced to disk by a majority"
    synced = True
    outside = True

    def __init__(self) -> None:
        super().__init__()
        self._urls: dict[str, str] = {}
        self._client: Child | None = None

    @classmethod
    def check(cls) -> None:
        if shutil.which("etcd") is None:
            raise Missing("etcd is not on PATH: apt-get install etcd-server")
        client_binary()

    @classmethod
    def configuration(cls) -> dict[str, Any]:
        client = next(
            (
                line.split()[1]
                for line in (CLIENT / "go.mod").read_text().splitlines()
                if line.strip().startswith("go.etcd.io/etcd/client/v3 ")
            ),
            "unknown",
        )
        return {
            "version": etcd_version(),
            "hosts": "three processes on 127.0.0.1, default settings, logging errors only",
            "load": f"from outside: one process, etcd's own Go client {client}, one connection per "
            "128 in flight and member, dialled to the member the load names",
            "reads": "linearizable range (the default)",
        }

    async def start(self, folder: Path) -> None:
        addresses = free_addresses(6)
        self._urls = {h: f"http://{a}" for h, a in zip(HOSTS, addresses[:3], strict=True)}
        peers = {h: f"http://{a}" for h, a in zip(HOSTS, addresses[3:], strict=True)}
        cluster = ",".join(f"{host}={url}" for host, url in peers.items())
        try:
            for host in HOSTS:
                options = {
                    "name": host,
                    "data-dir": str(folder / host),
                    "listen-client-urls": self._urls[host],
                    "advertise-client-urls": self._urls[host],
                    "listen-peer-urls": peers[host],
                    "initial-advertise-peer-urls": peers[host],
                    "initial-cluster": cluster,
                    "initial-cluster-state": "new",
                    "initial-cluster-token": folder.name,
                    "logger": "zap",
                    "log-level": "error",
                }
                self.children[host] = await Child.start(
                    host,
                    ["etcd", *(f"--{key}={value}" for key, value in options.items())],
                    stderr=folder / f"{host}.stderr",
                    speaks=False,
                )
            self._client = await self.start_client(folder)
            await self.leader()
        except BaseException:
            await self.stop()
            raise

    async def start_client(self, folder: Path) -> Child:
        """The process that carries the load."""
        command = [str(client_binary())]
        return await Child.start("etcd_load", command, stderr=folder / "client.stderr")

    async def leader(self) -> str:
        until = time.monotonic() + START_TIMEOUT_S
        last: Exception = ChildFailed("etcd has no leader")
        while time.monotonic() < until:
            for child in self.children.values():
                child.check_alive()
            try:
                for host, row in (await self._status()).items():
                    if row["leads"]:
                        return host
            except ChildFailed as error:
                last = error
            await asyncio.sleep(LEADER_POLL_S)
        raise last

    async def _status(self) -> dict[str, dict[str, Any]]:
        assert self._client is not None
        endpoints = list(self._urls.values())
        rows = await self._client.order("status", endpoints=endpoints, timeout_s=15.0)
        return {host: rows[url] for host, url in self._urls.items()}

    async def _load_at(self, hosts: list[str], work: Work) -> Load:
        assert self._client is not None
        row = await self._client.order(
            "load",
            timeout_s=work.warmup_s + work.seconds + LOAD_GRACE_S,
            endpoints=[self._urls[host] for host in hosts],
            **work.fields(work.in_flight),
        )
        return Load.from_json(row)

    async def stop(self) -> None:
        children, self.children = list(self.children.values()), {}
        if self._client is not None:
            children.append(self._client)
            self._client = None
        await end_all(children)
