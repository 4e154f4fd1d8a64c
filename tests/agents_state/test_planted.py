"""The stories find what they are for: each fault is planted, and its story fails."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from quorate.hosts.agents.state import applying, counting
from quorate.hosts.agents.state.commit import Committer
from quorate.hosts.agents.state.counting import Used
from quorate.hosts.agents.state.marks import NO_TURN
from quorate.hosts.agents.state.recovery import Gathered, Recovery
from quorate.hosts.agents.state.settling import Settling
from tests.agents_state.test_cleanup import cleaned_everywhere
from tests.agents_state.test_commit import (
    Doubt,
    after,
    both,
    done_once,
    fenced_leaves_nothing,
    shown,
)
from tests.agents_state.test_recovery import counted_once, reached_one_other
from tests.agents_state.world import World, run_story


def fails(story: Coroutine[Any, Any, Any], run: Any) -> None:
    with pytest.raises(AssertionError):
        run(story)


def test_the_local_part_is_done_though_the_strong_one_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Committer._strongly  # pyright: ignore[reportPrivateUsage]

    async def first_locally(self: Any, buffer: Any, local: Any, marks: Any, until: float) -> Any:
        if local is not None:
            await self._locally(buffer, local, None, until)
        return await real(self, buffer, local, marks, until)

    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        await world.place("b").take(agent.holder.record)
        monkeypatch.setattr(Committer, "_strongly", first_locally)
        await fenced_leaves_nothing(agent)

    fails(story(), world.run)


def test_what_was_done_again_is_done_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Settling.redo

    async def again(self: Any, until: float) -> None:
        self._ledger.mark = NO_TURN
        await real(self, until)

    monkeypatch.setattr(Settling, "redo", again)
    fails(done_once(world), world.run)


def test_the_barrier_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(self: Any, scope: str, until: float) -> Gathered:
        return Gathered(0, ())

    monkeypatch.setattr(Recovery, "gather", nobody)
    fails(reached_one_other(), run_story)


def test_a_doubt_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(self: Any, until: float) -> None:
        self._ledger.unknown = False

    async def story() -> None:
        agent = await world.agent()
        await both(agent, 1)
        monkeypatch.setattr(Settling, "settle", forget)
        Doubt(agent, "happened")
        with pytest.raises(TimeoutError):
            await both(agent, 2)
        assert await shown(agent) == after(1, 2)

    fails(story(), world.run)


def test_a_crdt_is_done_again_by_its_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under dots of the host that does them, as if they were new."""
    real = applying.apply

    def anew(core: Any, part: Any, turn_key: str, deps: Any) -> Any:
        replica = core.plane.replica
        for key, delta, _ in part.deltas:
            if delta.kind == "pn_counter":
                replica.operate(core.name, key, delta.kind, "increment", [10])
        part = part._replace(deltas=[d for d in part.deltas if d.delta.kind != "pn_counter"])
        return real(core, part, turn_key, deps)

    monkeypatch.setattr(applying, "apply", anew)
    fails(counted_once(), run_story)


def test_nothing_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(ledger: Any, buffer: Any) -> Used:
        return Used(0, 0, {})

    async def story() -> None:
        agent = await world.agent(bytes_max=1000)
        await agent.put("a", b"x" * 800)
        try:
            await agent.put("b", b"x" * 800)
        except ValueError:
            return
        raise AssertionError("more than it may keep")

    monkeypatch.setattr(counting, "look", nothing)
    monkeypatch.setattr("quorate.hosts.agents.state.commit.apply_quickly", lambda *_: None)
    fails(story(), world.run)


def test_only_the_strong_keys_are_cleaned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: Any, core: Any, scope: str) -> None:
        return None

    from quorate.hosts.agents.state.cleanup import Cleanup

    monkeypatch.setattr(Cleanup, "_clean_local", nothing)
    fails(cleaned_everywhere(world), world.run)
