"""What hurts a host from inside, on a host in this process: it hurts, it is counted, it heals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from quorate.chaos.lab import hurts
from quorate.core.errors import QuorateError, StorageFailed, UsageError
from quorate.hosts.host import Host

FAST = {"heartbeat_s": 0.05, "election_min_s": 0.25, "election_max_s": 0.5}


def told(folder: Path, story: Callable[[Host], Awaitable[None]], *, prepared: bool = True) -> None:
    async def run() -> None:
        host = Host("a", data=folder, **FAST)
        if prepared:
            hurts.prepare(host)
        async with asyncio.timeout(60), host:
            await host.ready(20)
            await host.kv.put("k", 1)
            await story(host)

    asyncio.run(run())


def test_a_full_disk_refuses_and_has_room_again(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        await hurts.hurt(host, {"which": "disk-full"})
        with pytest.raises(QuorateError):
            await host.kv.put("k", 2, timeout=1.0)
        assert (await hurts.hurt(host, {"which": "heal"}))["commits_hurt"] >= 1
        await host.ready(20)
        await host.kv.put("k", 3, timeout=10.0)
        assert await host.kv.get("k") == 3

    told(tmp_path, story)


def test_an_fsync_that_fails_takes_the_host_out_of_service(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        await hurts.hurt(host, {"which": "fsync-fails"})
        with pytest.raises(QuorateError):
            await host.kv.put("k", 2, timeout=5.0)
        assert isinstance(await host.wait_stopped(), StorageFailed)

    told(tmp_path, story)


def test_a_slow_disk_is_slow(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        await hurts.hurt(host, {"which": "fsync-slow", "delay_ms": 150})
        began = time.monotonic()
        await host.kv.put("k", 2)
        assert time.monotonic() - began >= 0.14
        assert (await hurts.hurt(host, {"which": "look"}))["commits_hurt"] >= 1
        await hurts.hurt(host, {"which": "heal"})

    told(tmp_path, story)


def test_the_wall_clock_jumps_and_the_other_one_does_not(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        before, clock = time.monotonic(), host.runtime.clock
        await hurts.hurt(host, {"which": "clock-jump", "by_s": -3600.0})
        assert clock.wall() < time.time() - 3500 and clock.monotonic() - before < 100
        assert (await hurts.hurt(host, {"which": "look"}))["ahead_s"] == -3600.0
        await hurts.hurt(host, {"which": "heal"})
        assert abs(clock.wall() - time.time()) < 5

    told(tmp_path, story)


def test_a_compaction_shortens_the_log(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        for number in range(60):
            await host.kv.put("k", number)
        base = host.driver.journal.base_index
        answer = await hurts.hurt(host, {"which": "compaction", "keep_entries": 4})
        assert answer["done"] == 1 and answer["index"] >= 60
        async with asyncio.timeout(20):
            while host.driver.journal.base_index <= base:
                await host.kv.put("k", -1)
        look = await hurts.hurt(host, {"which": "look"})
        assert look["base"] > base and look["role"] == "leader"
        assert look["members"] == [["a", "voter"]] and look["heard"] == {}

    told(tmp_path, story)


def test_an_unknown_hurt_and_a_host_that_was_not_prepared(tmp_path: Path) -> None:
    async def story(host: Host) -> None:
        with pytest.raises(UsageError, match="known are"):
            await hurts.hurt(host, {"which": "earthquake"})
        with pytest.raises(UsageError, match="not prepared"):
            await hurts.hurt(host, {"which": "disk-full"})

    told(tmp_path, story, prepared=False)
