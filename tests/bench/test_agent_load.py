"""The load on agents that all systems share: loads, watches, look-ups; where peers come from."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.bench.__main__ import _questions  # pyright: ignore[reportPrivateUsage]
from quorate.bench.agent_orders import AgentOrders, Call
from quorate.bench.peer_python import Peer, interpreter
from quorate.bench.questions import TOGETHER, about_agents
from quorate.bench.questions.agents_calls import CASES, names_of
from quorate.bench.systems import AGENT_SYSTEMS, NAMES, SYSTEMS
from quorate.bench.systems.base import Missing
from quorate.bench.watch import Watch

WINDOW = {"warmup_s": 0.0, "seconds": 0.05}


class Here(AgentOrders):
    """Agents that are entries of a dictionary."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def call(self, name: str, op: str) -> Call:
        async def ask(n: int) -> int:
            await asyncio.sleep(0)
            self.asked[name] = self.asked.get(name, 0) + 1
            return n

        return ask

    async def make(self, order: dict[str, Any]) -> list[str]:
        return []

    async def start_named(self, name: str) -> object:
        self.asked[name] = 0
        return name

    async def active(self) -> int:
        return 0

    def look_up_once(self, names: list[str]) -> Callable[[str], object]:
        return self.asked.__getitem__

    async def find(self, name: str) -> str:
        return "a"


def test_a_load_is_shared_out_over_the_agents_that_are_named() -> None:
    here = Here()
    names = ["echo/1", "echo/2", "echo/3"]
    row = asyncio.run(here.agent_load({"names": names, "op": "ask", "in_flight": 6, **WINDOW}))
    assert row["ops"] > 0
    assert row["errors"] == 0
    assert set(here.asked) == set(names)
    assert max(here.asked.values()) - min(here.asked.values()) <= 1


def test_named_agents_are_started_once_each_and_looked_up() -> None:
    here = Here()
    order = {"prefix": "sleeper", "first": 10, "count": 25, "in_flight": 4, "wakes": False}
    asyncio.run(here.spawn(order))
    assert sorted(here.asked) == [f"sleeper/{n:06d}" for n in range(10, 35)]
    asyncio.run(here.spawn({**order, "first": 0, "count": 10}))
    asyncio.run(here.spawn({**order, "wakes": True}))
    assert [n for n in range(35) if here.asked[f"sleeper/{n:06d}"]] == list(range(10, 35))
    row = asyncio.run(here.look_up({"prefix": "sleeper", "count": 35, **WINDOW}))
    assert row["ops"] > 0
    with pytest.raises(KeyError):
        asyncio.run(here.look_up({"prefix": "sleeper", "count": 36, **WINDOW}))


class Moving:
    """Agents on host `c` until `move`; what they count is kept, or not."""

    def __init__(self, names: list[str], *, forgets: bool = False) -> None:
        self.host = "c"
        self.counts = dict.fromkeys(names, 0)
        self.forgets = forgets
        self.down = False
        self.failed = asyncio.Event()
        self._enough: tuple[int, asyncio.Event] = (0, asyncio.Event())

    async def answered(self, times: int) -> None:
        """Until each has answered so often."""
        self._enough = (times, asyncio.Event())
        await self._enough[1].wait()

    def move(self) -> None:
        self.down, self.host = False, "a"
        if self.forgets:
            self.counts = dict.fromkeys(self.counts, 0)

    def call(self, name: str) -> Callable[[int], Awaitable[Any]]:
        async def bump(_: int) -> list[Any]:
            await asyncio.sleep(0)
            if self.down:
                self.failed.set()
                raise ConnectionError(f"{name} is nowhere")
            self.counts[name] += 1
            if min(self.counts.values()) >= self._enough[0]:
                self._enough[1].set()
            return [self.host, self.counts[name]]

        return bump


async def watched(moving: Moving) -> tuple[dict[str, Any], dict[str, Any]]:
    """A host dies, its agents come back elsewhere: (the answer of hurry, what was seen)."""
    watch = Watch({name: moving.call(name) for name in moving.counts}, 0.005, 1.0)
    await watch.start(1.0)
    await moving.answered(3)
    moving.down = True
    await moving.failed.wait()
    asyncio.get_running_loop().call_later(0.01, moving.move)
    back = await watch.elsewhere("c", 5.0)
    return back, await watch.stop()


def test_a_watch_sees_when_each_agent_answers_elsewhere() -> None:
    moving = Moving([f"counter/{n}" for n in range(5)])
    back, seen = asyncio.run(watched(moving))
    assert len(back["at_ns"]) == 5
    assert back["missing"] == 0
    assert seen["hosts"] == {"a": 5}
    assert seen["lost"] == 0
    assert seen["failures"] >= 1
    assert seen["errors"][0][0] == "ConnectionError: ... is nowhere"


def test_a_watch_counts_updates_that_were_lost() -> None:
    moving = Moving([f"counter/{n}" for n in range(5)], forgets=True)
    _, seen = asyncio.run(watched(moving))
    assert seen["lost"] == 5


def test_an_agent_that_does_not_come_back_is_missing() -> None:
    async def story() -> dict[str, Any]:
        moving = Moving(["counter/0"])
        watch = Watch({"counter/0": moving.call("counter/0")}, 0.005, 1.0)
        await watch.start(1.0)
        try:
            return await watch.elsewhere("c", 0.05)
        finally:
            await watch.stop()

    assert asyncio.run(story()) == {"at_ns": [], "missing": 1}


def test_callers_ask_agents_where_the_case_says() -> None:
    made = {host: [f"echo/{host}/{n}" for n in range(2)] for host in "abc"}
    by_name = {case.name: case for case in CASES}
    local = names_of(by_name["local ask, 200 callers, many agents"], made)
    assert local == {"a": made["a"]}
    assert names_of(by_name["local ask, 200 callers, one agent"], made) == {"a": made["a"][:1]}
    remote = names_of(by_name["remote ask, 200 callers on all hosts"], made)
    assert list(remote) == ["a", "b", "c"]
    for host, names in remote.items():
        assert len(names) == 4
        assert not any(f"/{host}/" in name for name in names)
        assert len({name.split("/")[1] for name in names[:2]}) == 2  # both others in turn


def test_agents_is_a_name_for_all_questions_about_them() -> None:
    assert _questions(["agents", "writes"]) == ["writes", *TOGETHER["agents"]]
    assert all(about_agents(name) for name in TOGETHER["agents"])
    assert not about_agents("writes")
    assert set(NAMES) == set(SYSTEMS) | set(AGENT_SYSTEMS)


def test_a_peer_whose_python_is_not_here_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Missing, match=r"needs Python 9\.8 or 9\.9.*installs nothing==1"):
        interpreter(Peer("nobody", ("nothing==1",), ("9.8", "9.9")))
    assert list(tmp_path.iterdir()) == []
