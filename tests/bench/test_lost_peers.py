"""A peer that does not start, or fails, is named with its reason, and the run goes on."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from quorate.bench.child import Child, ChildFailed
from quorate.bench.plan import QUICK
from quorate.bench.questions.base import Context
from quorate.bench.systems.base import Missing, System
from quorate.bench.systems.raft_group import RaftGroup
from quorate.bench.systems.redis import Redis


class NoSuch(Redis):
    """A Redis that is given an option it does not know."""

    name = "no-such"

    async def _start_host(self, folder: Path, host: str) -> Child:
        command = ["sh", "-c", "echo 'Bad directive: no-such'; exit 1"]
        return await Child.start(host, command, stderr=folder / host, speaks=False)


class Ours(RaftGroup):
    async def start(self, folder: Path) -> None:
        raise ChildFailed("ours")


def context(folder: Path, *systems: type[System]) -> Context:
    return Context(QUICK, list(systems), [], folder, lambda _: None, random.Random(1))


def ask(run: Context, kind: type[System]) -> list[str]:
    """The systems that were reached."""
    reached: list[str] = []

    async def story() -> None:
        async with run.unless_lost(kind), run.running(kind) as system:
            reached.append(system.name)

    asyncio.run(story())
    return reached


def test_a_peer_that_does_not_start_is_named_with_what_it_said(tmp_path: Path) -> None:
    run = context(tmp_path, RaftGroup, NoSuch)
    assert ask(run, NoSuch) == []
    assert "Bad directive: no-such" in run.lost["no-such"]
    assert run.systems == [RaftGroup]
    assert list(tmp_path.iterdir()) == []


def test_a_peer_that_fails_later_is_named_and_asked_the_next_question(tmp_path: Path) -> None:
    run = context(tmp_path, RaftGroup, NoSuch)

    async def story() -> None:
        async with run.unless_lost(NoSuch):
            raise ChildFailed("too slow")

    asyncio.run(story())
    assert run.lost == {"no-such": "too slow"}
    assert run.systems == [RaftGroup, NoSuch]


def test_what_is_ours_must_start(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="ours"):
        ask(context(tmp_path, Ours), Ours)


def test_redis_is_driven_as_it_says_where_it_is_installed(tmp_path: Path) -> None:
    try:
        Redis.check()
    except Missing as missing:
        pytest.skip(str(missing))

    async def story() -> dict[str, Any]:
        system = Redis()
        try:
            await system.start(tmp_path)
            return await system.info("a", "persistence")
        finally:
            await system.stop()

    said = asyncio.run(story())
    assert said["aof_enabled"] == "1"
    assert said["rdb_bgsave_in_progress"] == "0"
