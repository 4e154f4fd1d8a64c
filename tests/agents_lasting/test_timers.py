"""Stories of timers: turns of their own, for as long as the agent is in this host's memory."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.core.errors import Fenced, LimitExceeded, UsageError
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.lasting.timers import TIMERS_PER_AGENT_MAX, Timers
from tests.agents_lasting.world import World, told


class Clock(Agent):
    kind = "clock"
    idle_after_s = None

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.slow_s = 0.0
        self.broken = False

    async def tick(self) -> None:
        activation: Any = self._activation
        engine = activation.engine
        self.ticks.append(engine.now())
        if self.slow_s:
            passed = engine.world.loop.create_future()
            engine.world.loop.call_later(self.slow_s, passed.set_result, None)
            await passed
        if self.broken:
            raise ValueError("a tick went wrong")
        state: Any = self.state
        state.put("ticks", (state.get("ticks") or 0) + 1)


async def clock_of(world: World) -> Clock:
    await world.start(Clock)
    agent: Any = world.a.bring_up("x").agent
    await world.settle()
    return agent


def test_once_and_every() -> None:
    async def story(world: World) -> None:
        clock = await clock_of(world)
        began = world.a.now()
        clock.timer(clock.tick, after=3)
        every = clock.timer(clock.tick, every=10)
        await world.pass_time(31)
        assert [round(at - began) for at in clock.ticks] == [3, 10, 20, 30]
        assert world.value("x", "ticks") == 4
        every.cancel()
        every.cancel()
        await world.pass_time(31)
        assert len(clock.ticks) == 4
        assert not world.a.parts.timers.has(world.a.here["x"])

    told(story)


def test_each_is_a_turn_that_is_rolled_back_when_it_raises() -> None:
    async def story(world: World) -> None:
        clock = await clock_of(world)
        clock.broken = True
        clock.timer(clock.tick, every=1)
        await world.pass_time(2.5)
        assert len(clock.ticks) == 2 and world.value("x", "ticks") is None
        assert "a timer raised ValueError: a tick went wrong" in world.a.problems[0]
        clock.broken = False
        await world.pass_time(1)
        assert world.value("x", "ticks") == 1

    told(story)


def test_one_that_takes_longer_than_its_period_does_not_pile_up() -> None:
    async def story(world: World) -> None:
        clock = await clock_of(world)
        began = world.a.now()
        clock.slow_s = 2.5
        clock.timer(clock.tick, every=1)
        await world.pass_time(10.5)
        assert [round(at - began, 1) for at in clock.ticks] == [1.0, 4.0, 7.0, 10.0]
        assert len(world.a.here["x"].queue) == 0

    told(story)


def test_it_ends_with_the_activation() -> None:
    async def story(world: World) -> None:
        clock = await clock_of(world)
        clock.timer(clock.tick, every=1)
        activation = world.a.here["x"]
        assert world.a.parts.timers.has(activation)
        world.a.let_go("x")
        await world.pass_time(10)
        assert clock.ticks == [] and not world.a.parts.timers.has(activation)
        with pytest.raises(Fenced):
            clock.timer(clock.tick, every=1)

    told(story)


def test_no_turn_begins_while_the_host_may_not_act() -> None:
    """A timer of an old epoch does nothing: not when it is due, not when it is set."""

    async def story(world: World) -> None:
        clock = await clock_of(world)
        clock.timer(clock.tick, every=1)
        world.a.tenancy.believes = False
        await world.pass_time(10)
        assert clock.ticks == []
        with pytest.raises(Fenced):
            clock.timer(clock.tick, every=1)
        world.a.tenancy.believes = True
        world.a.here["x"].nudge()
        await world.pass_time(1.5)
        assert len(clock.ticks) == 2  # the one that waited, and then on the beat

    told(story)


def test_a_timer_that_fires_on_an_old_host_is_fenced() -> None:
    async def story(world: World) -> None:
        clock = await clock_of(world)
        clock.timer(clock.tick, every=5)
        world.mini.cut("a")
        world.mini.lead("b")
        await world.take_over("x", "b")
        await world.pass_time(5)
        world.mini.hosts["a"].cut = False  # the old host commits what its timer wrote
        await world.pass_time(5)
        assert len(clock.ticks) >= 1 and world.value("x", "ticks", "b") is None
        assert world.a.here == {}

    told(story)


class RunsAtOnce(Timers):
    """Planted: the work runs beside the mailbox, and not as a turn."""

    def _fire(self, timer: Any) -> None:
        self._world.loop.create_task(timer.work()).add_done_callback(lambda task: task.exception())


def test_a_timer_beside_the_mailbox_is_found() -> None:
    async def story(world: World) -> None:
        me: Any = world.a
        world.a.parts.timers = RunsAtOnce(me.world)
        clock = await clock_of(world)
        clock.timer(clock.tick, after=1)
        world.a.tenancy.believes = False
        await world.pass_time(10)
        assert clock.ticks == []

    with pytest.raises(AssertionError):
        told(story)


def test_bad_input() -> None:
    async def story(world: World) -> None:
        clock = await clock_of(world)
        bad: Any
        for bad in ({}, {"after": -1}, {"every": 0}, {"every": "1"}, {"after": float("nan")}):
            with pytest.raises(UsageError):
                clock.timer(clock.tick, **bad)
        bad = 7
        with pytest.raises(UsageError, match="function without arguments"):
            clock.timer(bad, after=1)
        for _ in range(TIMERS_PER_AGENT_MAX):
            clock.timer(clock.tick, after=1000)
        with pytest.raises(LimitExceeded):
            clock.timer(clock.tick, after=1000)

    told(story)
