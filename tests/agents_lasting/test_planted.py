"""Faults put in on purpose: each is found by the story that holds without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.lasting import due
from quorate.hosts.agents.lasting.reminders import Reminders
from quorate.hosts.agents.lasting.table import Errand, Key
from quorate.hosts.agents.turns import current_turn
from tests.agents_lasting.world import World, told

fails_first: list[str] = []


class Counter(Agent):
    """Counts what its reminders told it, in its state."""

    kind = "counter"
    idle_after_s = None

    async def on_reminder(self, id: str, data: Any) -> None:
        if fails_first:
            raise ValueError(fails_first.pop())
        state: Any = self.state
        state.put(id, (state.get(id) or 0) + 1)


def remind(id_: str, **when: Any) -> Any:
    async def work(agent: Agent) -> None:
        await agent.remind(id_, **when)

    return work


# --- stories --------------------------------------------------------------------------------------


async def crash_right_after_the_commit(world: World) -> None:
    """The host is gone the moment the turn has been committed; another takes over."""
    await world.start(Counter)
    await world.turn("x", remind("bill", after=5))
    world.mini.lead("b")

    def crash(*_: Any) -> None:
        if world.value("x", "bill", "b"):
            world.mini.cut("a")

    world.b.listeners.append(crash)
    await world.pass_time(5.5)
    assert world.mini.hosts["a"].cut
    await world.take_over("x", "b")
    await world.pass_time(30)
    assert world.value("x", "bill", "b") == 1


async def due_while_nobody_ran_it(world: World) -> None:
    await world.start(Counter)
    await world.turn("x", remind("bill", after=5))
    world.mini.cut("a")
    world.mini.lead("b")
    await world.pass_time(60)
    await world.take_over("x", "b")
    await world.pass_time(1)
    assert world.value("x", "bill", "b") == 1


async def the_handler_raises_once(world: World) -> None:
    await world.start(Counter)
    fails_first.append("not today")
    await world.turn("x", remind("bill", after=5))
    await world.pass_time(30)
    assert world.value("x", "bill") == 1


async def set_by_each_activation(world: World) -> None:
    await world.start(Counter)
    for _ in range(8):
        await world.turn("x", remind("tick", every=10))
        await world.pass_time(5)
    assert world.value("x", "tick") == 4


async def taken_out_of_memory(world: World) -> None:
    await world.start(Counter)
    await world.turn("x", remind("bill", after=5))
    world.a.let_go("x")
    await world.pass_time(10)
    assert world.value("x", "bill") == 1


# --- faults ---------------------------------------------------------------------------------------


class SettlesAfterwards(Reminders):
    """The firing is settled in a commit of its own, behind the turn's."""

    async def _run(self, errand: Errand, agent: Agent) -> None:
        await super()._run(errand, agent)
        turn = current_turn.get()
        assert turn is not None
        mark = turn.marks.pop()
        activation: Any = turn.activation
        commit = activation.engine.bindings.commit
        loop = activation.engine.world.loop

        def settle() -> None:
            work = commit(errand.name, activation.epoch, [], [mark], timeout=0.5)
            loop.create_task(work).add_done_callback(lambda task: task.exception())

        loop.call_later(0.02, settle)


class ForgetsTheMissed(Reminders):
    """What was due before the agent came here is left out."""

    def _standing(self, record: AgentRecord) -> Mapping[Key, int]:
        rows = super()._standing(record)
        return {key: due_ms for key, due_ms in rows.items() if due_ms > self.now_ms()}


class SettlesWhateverHappens(Reminders):
    """A handler that raises has handled it."""

    async def _run(self, errand: Errand, agent: Agent) -> None:
        try:
            await super()._run(errand, agent)
        except ValueError:
            return


class NeverSettles(Reminders):
    async def _run(self, errand: Errand, agent: Agent) -> None:
        await super()._run(errand, agent)
        turn = current_turn.get()
        assert turn is not None
        turn.marks.clear()


class OnlyInMemory(Reminders):
    """Fires for agents that are in memory."""

    def _begin(self, errand: Errand) -> None:
        here = self._place.bring_up.__self__.here  # type: ignore[attr-defined]
        if errand.name in here:
            super()._begin(errand)


STORIES: dict[str, tuple[Callable[[World], Awaitable[None]], type[Reminders] | None]] = {
    "fires twice after a failover": (crash_right_after_the_commit, SettlesAfterwards),
    "a missed one is forgotten": (due_while_nobody_ran_it, ForgetsTheMissed),
    "a crash of the handler loses it": (the_handler_raises_once, SettlesWhateverHappens),
    "fires again and again": (taken_out_of_memory, NeverSettles),
    "only wakes who is awake": (taken_out_of_memory, OnlyInMemory),
    "put off by each activation": (set_by_each_activation, None),
}


@pytest.fixture(autouse=True)
def fresh() -> None:
    fails_first.clear()


@pytest.mark.parametrize("what", STORIES)
def test_the_product_holds(what: str) -> None:
    story, _ = STORIES[what]
    told(story)


@pytest.mark.parametrize("what", STORIES)
def test_the_fault_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    story, fault = STORIES[what]
    if fault is None:
        monkeypatch.setattr(due, "stands_already", lambda *_, **__: False)
    with pytest.raises(AssertionError):
        told(story, fault or Reminders)
