"""Stories of agents that break, hang or grow, in virtual time on real bindings and real turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from quorate.core.errors import Fenced, NoQuorum, QuorateError, StartFailed
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.health.monitor import BEAT_S, LATE_S, Health
from quorate.hosts.agents.health.restarts import Restarts
from tests.agents_lasting.world import MiniEngine, World, told

log: list[tuple[Any, ...]] = []
world_errors: list[QuorateError] = []


class Fragile(Agent):
    """Breaks when told to, at coming up or in a turn that does not end."""

    kind = "fragile"
    idle_after_s = None
    turn_timeout_s = 2.0
    memory_mb = 1.0

    breaks: int = 0

    async def on_activate(self) -> None:
        log.append(("up", round(self._activation.engine.now(), 2), self.epoch))
        if world_errors:
            raise world_errors.pop()
        if Fragile.breaks:
            Fragile.breaks -= 1
            raise ValueError("a leg came off")

    async def on_cleanup(self) -> None:
        log.append(("clean_up", round(self._activation.engine.now())))


@pytest.fixture(autouse=True)
def fresh() -> None:
    log.clear()
    world_errors.clear()
    Fragile.breaks = 0


def ups() -> list[tuple[Any, ...]]:
    return [one for one in log if one[0] == "up"]


def beat(engine: MiniEngine) -> None:
    """What the engine does five times a second."""

    def on_beat() -> None:
        now = engine.now()
        for activation in list(engine.running):
            turn = activation.turn
            if turn is not None and turn.until and now > turn.until:
                turn.until = 0.0
                activation.interrupt(turn, "too long")
        engine.parts.health.on_beat(now)
        engine.world.loop.call_later(BEAT_S, on_beat)

    on_beat()


def story_with_beat(story: Callable[[World], Awaitable[None]]) -> None:
    async def with_beat(world: World) -> None:
        for engine in world.engines.values():
            beat(engine)
        await story(world)

    told(with_beat)


async def hang(agent: Any) -> None:
    """A turn that does not end, whatever anybody does about it, and then writes."""
    loop = asyncio.get_running_loop()
    until = loop.time() + 60
    while loop.time() < until:
        passed = loop.create_future()
        timer = loop.call_later(1.0, passed.set_result, None)
        try:
            await passed
        except asyncio.CancelledError:
            timer.cancel()
    log.append(("hung", agent.epoch))
    agent.state.put("late", 1)


# --- that break at coming up ----------------------------------------------------------------------


def test_one_that_breaks_is_brought_up_again_later_and_later() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        Fragile.breaks = 3
        world.a.bring_up("x")
        await world.pass_time(10)
        began = ups()[0][1]
        assert [round(at - began, 1) for _, at, _ in ups()] == [0.0, 0.0, 0.2, 0.8]
        assert "x" in world.a.here and world.a.problems == []

    story_with_beat(story)


def test_one_that_breaks_too_often_is_given_up_until_it_is_tried_again() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        Fragile.breaks = 100
        world.a.bring_up("x")
        await world.pass_time(50)
        assert len(ups()) == 6  # and five restarts
        record = world.b.group.machine.agent("x")
        assert record is not None and record.status == "failed"
        assert "given up: ValueError: a leg came off" in world.a.problems[0]
        with pytest.raises(StartFailed):
            world.a.bring_up("x")
        Fragile.breaks = 0
        await world.a.parts.restarts.retry("x")
        world.a.bring_up("x")
        await world.settle()
        assert "x" in world.a.here and world.a.here["x"].brought_up.done()

    story_with_beat(story)


def test_trouble_of_the_world_gives_nobody_up() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        world_errors.extend(NoQuorum("nobody there") for _ in range(12))
        world.a.bring_up("x")
        await world.pass_time(200)
        assert len(ups()) == 13 and "x" in world.a.here
        record = world.a.group.machine.agent("x")
        assert record is not None and record.status == "placed"

    story_with_beat(story)


def test_messages_wait_while_it_is_started_anew() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        Fragile.breaks = 2
        world.a.bring_up("x")
        await world.pass_time(0.1)
        with pytest.raises(Fenced, match="a leg came off"):
            world.a.bring_up("x")
        await world.pass_time(5)
        assert world.a.bring_up("x") is world.a.here["x"]

    story_with_beat(story)


# --- that hang ------------------------------------------------------------------------------------


def test_one_that_hangs_is_started_anew_and_its_former_self_writes_nothing() -> None:
    async def story(world: World) -> None:
        record = await world.start(Fragile)
        former = world.a.bring_up("x")
        former.post(hang, label="hang")
        await world.pass_time(20)
        assert world.a.here["x"] is not former and not former.alive
        bound = world.b.group.machine.agent("x")
        assert bound is not None and bound.epoch > record.epoch and bound.host == "a"
        assert [epoch for _, _, epoch in ups()] == [record.epoch, bound.epoch]
        await world.pass_time(60)
        assert ("hung", record.epoch) in log and world.value("x", "late") is None
        (problem,) = world.a.problems
        assert "agent 'x': unresponsive: a turn runs for" in problem

    story_with_beat(story)


def test_a_mailbox_that_does_not_move_is_found() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        former = world.a.bring_up("x")
        await world.settle()
        assert former._pump is not None
        former._pump.cancel()  # a mistake of ours: nobody takes the messages
        waiting = former.post(hang, label="work")
        await world.pass_time(20)
        assert world.a.here["x"] is not former and waiting.ended
        assert "messages wait, and no turn begins" in world.a.problems[0]

    story_with_beat(story)


def test_a_paused_host_blames_nobody() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        former = world.a.bring_up("x")
        former.post(hang, label="hang")
        await world.settle()
        health: Health = world.a.parts.health
        for _ in range(100):  # each beat comes late: this host gets no time of the machine
            health.on_beat(world.a.now())
            health._beat_at -= LATE_S + BEAT_S  # pyright: ignore[reportPrivateUsage]
            await world.pass_time(0.1)
        assert world.a.here["x"] is former and world.a.problems == []

    told(story)


# --- that grow ------------------------------------------------------------------------------------


def test_one_that_uses_too_much_is_asked_to_clean_up() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        world.a.bring_up("x")
        await world.pass_time(5)
        assert not [one for one in log if one[0] == "clean_up"]
        world.a.used_bytes["x"] = 1024 * 1024
        await world.pass_time(5)
        assert len([one for one in log if one[0] == "clean_up"]) == 1
        assert world.a.parts.health.of(world.a.here["x"])["findings"] == ["high_memory"]
        world.a.used_bytes["x"] = 1000
        await world.pass_time(5)
        assert world.a.parts.health.of(world.a.here["x"])["findings"] == []

    story_with_beat(story)


def test_what_an_object_keeps_in_memory_counts() -> None:
    async def story(world: World) -> None:
        await world.start(Fragile)
        agent: Any = world.a.bring_up("x").agent
        await world.settle()
        agent.leak = [b"x" * 10_000 for _ in range(200)]
        await world.pass_time(15)
        assert [one for one in log if one[0] == "clean_up"]
        assert world.a.parts.health.of(world.a.here["x"])["used_bytes"] > 1_900_000

    story_with_beat(story)


# --- planted --------------------------------------------------------------------------------------


class SameEpoch(Restarts):
    """Started anew without another epoch, and the former self is let act."""

    async def _bind_anew(self, name: str, epoch: int) -> None:
        return


class NoLimit(Restarts):
    def _give_up(self, activation: Any, why: str) -> None:
        self._later(activation, why, 1.0, anew=False)


def test_a_restart_without_another_epoch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.agents_lasting.world.Restarts", SameEpoch)
    with pytest.raises(AssertionError):
        test_one_that_hangs_is_started_anew_and_its_former_self_writes_nothing()


def test_endless_restarts_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.agents_lasting.world.Restarts", NoLimit)
    with pytest.raises(AssertionError):
        test_one_that_breaks_too_often_is_given_up_until_it_is_tried_again()
