"""Hosts die by kill -9 while they update their stores, and lose their store folders: what was
acknowledged as durable is there afterwards, on every host, byte for byte the same.

Eight kills by default, two hundred with QUORATE_SOAK=1.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from quorate.core.wire.ports import free_addresses
from quorate.hosts.demo.workers import child_environment

SOAK = os.environ.get("QUORATE_SOAK") == "1"
KILLS = 200 if SOAK else 8
HOSTS = ("a", "b", "c")
CONVERGED_S = 20.0


class Town:
    """Three processes and the record of what they said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.peers = dict(zip(HOSTS, free_addresses(3), strict=True))
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.readers: dict[str, asyncio.Task[None]] = {}
        self.runs = 0
        self.acked: set[str] = set()
        self.held: set[str] = set()
        self.added: set[str] = set()
        self.tried = self.counted = 0
        self.errors: list[str] = []
        self.dumps: dict[str, dict[str, Any]] = {}
        self.ready: set[str] = set()

    async def start(self, host: str) -> None:
        self.runs += 1
        parts = {
            "run": self.runs,
            "host": {
                "host_id": host,
                "data": str(self.folder / host),
                "peers": self.peers,
                "secret": "a-shared-secret-for-tests",
            },
        }
        with (self.folder / f"{host}.log").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.live.store_worker", json.dumps(parts)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=child_environment(),
                limit=1 << 26,
            )
        self.processes[host] = process
        self.readers[host] = asyncio.create_task(self._read(host, process))

    async def _read(self, host: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            with suppress(json.JSONDecodeError):  # a line that a kill cut off
                self._take(host, json.loads(line))

    def _take(self, host: str, said: dict[str, Any]) -> None:
        kind = said["kind"]
        if kind in ("acked", "held", "added"):
            getattr(self, kind).add(said["key"])
        elif kind == "trying":
            self.tried += 1
        elif kind == "counted":
            self.counted += 1
        elif kind == "ready":
            self.ready.add(host)
        elif kind == "dump":
            self.dumps[host] = said
        else:
            self.errors.append(said["error"])

    async def order(self, word: str, *hosts: str) -> None:
        for host in hosts or HOSTS:
            stdin = self.processes[host].stdin
            assert stdin is not None
            stdin.write(f"{word}\n".encode())
            await stdin.drain()

    async def kill(self, host: str) -> None:
        self.ready.discard(host)
        self.processes[host].kill()
        await self.processes[host].wait()
        await self.readers[host]

    async def until(self, look: Callable[[], bool], seconds: float, what: str) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while not look():
            assert asyncio.get_running_loop().time() < end, what + self.logs()
            await asyncio.sleep(0.02)

    def logs(self) -> str:
        return "".join(f"\n{p.name}: {p.read_text()[-600:]}" for p in self.folder.glob("*.log"))

    async def converge(self) -> None:
        """Halt, then wait until all hosts show the same."""
        await self.order("halt")
        await asyncio.sleep(0.3)
        end = asyncio.get_running_loop().time() + CONVERGED_S
        while True:
            self.dumps.clear()
            await self.order("dump")
            await self.until(lambda: len(self.dumps) == len(HOSTS), 20, "no dump came")
            if len({dump["root"] for dump in self.dumps.values()}) == 1:
                return
            assert asyncio.get_running_loop().time() < end, "the hosts did not converge"
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        for host, process in self.processes.items():
            if process.returncode is None:
                process.kill()
                await process.wait()
            await self.readers[host]

    def verdict(self, *, wiped: bool = False) -> None:
        for host, dump in self.dumps.items():
            keys = set(dump["keys"])
            assert not self.held - keys, f"{host} lost updates held by two hosts"
            if wiped:
                continue
            assert not self.acked - keys, f"{host} lost {len(self.acked - keys)} acknowledged puts"
            assert not self.added - set(dump["tags"]), f"{host} lost acknowledged elements"
            assert self.counted <= dump["likes"] <= self.tried, "the counter is wrong"


def test_nothing_acknowledged_is_lost_by_kills(tmp_path: Path) -> None:
    asyncio.run(kills(tmp_path, random.Random(os.environ.get("QUORATE_SEED"))))


async def kills(folder: Path, rng: random.Random) -> None:
    town = Town(folder)
    try:
        for host in HOSTS:
            await town.start(host)
        await town.until(lambda: len(town.ready) == 3, 30, "not everybody started")
        await town.order("load")
        done = 0
        while done < KILLS:
            await asyncio.sleep(rng.uniform(0.2, 0.6))
            victims = rng.sample(HOSTS, rng.choice((1, 1, 1, 2, 3)))
            for host in victims:
                await town.kill(host)
            done += len(victims)
            await asyncio.sleep(rng.choice((0.0, 0.3)))
            for host in victims:
                await town.start(host)
            await town.until(lambda: len(town.ready) == 3, 30, "a killed host did not come back")
            await town.order("load")
        await asyncio.sleep(0.3)
        await town.converge()
        assert len(town.acked) > 500, "too little was acknowledged to prove anything"
        assert town.counted > 50
        town.verdict()
    finally:
        await town.close()


def test_a_host_that_lost_its_stores_gets_them_back(tmp_path: Path) -> None:
    asyncio.run(wiped(tmp_path))


async def wiped(folder: Path) -> None:
    town = Town(folder)
    try:
        for host in HOSTS:
            await town.start(host)
        await town.until(lambda: len(town.ready) == 3, 30, "not everybody started")
        await town.converge()
        before = {host: dump["actor"] for host, dump in town.dumps.items()}
        await town.order("load")
        await town.until(lambda: len(town.held) > 100, 30, "some updates held by two")
        await town.kill("b")
        shutil.rmtree(folder / "b" / "stores")
        await town.start("b")
        await town.until(lambda: len(town.ready) == 3, 30, "the wiped host did not come back")
        await town.order("load")
        count = len(town.held)
        await town.until(lambda: len(town.held) > count + 50, 30, "updates after the loss")
        await town.converge()
        town.verdict(wiped=True)
        assert town.dumps["b"]["actor"] != before["b"]
        assert town.dumps["a"]["actor"] == before["a"]
    finally:
        await town.close()


def test_the_check_finds_a_host_that_forgot(tmp_path: Path) -> None:
    """The control: everybody's stores are thrown away at once."""

    async def story() -> None:
        town = Town(tmp_path)
        try:
            for host in HOSTS:
                await town.start(host)
            await town.until(lambda: len(town.ready) == 3, 30, "not everybody started")
            await town.order("load")
            await town.until(lambda: len(town.held) > 50, 30, "some updates")
            for host in HOSTS:
                await town.kill(host)
                shutil.rmtree(tmp_path / host / "stores")
            for host in HOSTS:
                await town.start(host)
            await town.until(lambda: len(town.ready) == 3, 30, "not everybody came back")
            await town.converge()
            with pytest.raises(AssertionError, match="lost"):
                town.verdict()
        finally:
            await town.close()

    asyncio.run(story())
