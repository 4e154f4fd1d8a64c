"""Stories of reminders, on real bindings and real turns in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.core.errors import LimitExceeded, UsageError
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.lasting.tries import FAILURES_MAX
from tests.agents_lasting.world import World, told

fired: list[tuple[str, str, Any, int]] = []
"""(host, id, data, how many were missed) of every run of a handler, committed or not."""
failing: set[str] = set()


class Clerk(Agent):
    """Counts in its state what its reminders told it."""

    kind = "clerk"
    idle_after_s = None

    async def on_reminder(self, id: str, data: Any) -> None:
        firing = self.reminder
        assert firing is not None and firing.id == id
        fired.append((self.host_id, id, data, firing.missed))
        if id in failing:
            raise ValueError(f"{id} does not work")
        state: Any = self.state
        state.put(id, (state.get(id) or 0) + 1 + firing.missed)


@pytest.fixture(autouse=True)
def fresh() -> None:
    fired.clear()
    failing.clear()


def remind(id_: str, **when: Any) -> Any:
    async def work(agent: Agent) -> None:
        await agent.remind(id_, **when)

    return work


def test_a_one_shot_fires_once_and_is_gone() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("bill", after=5, data={"sum": 3}))
        assert [r.id for r in world.b.group.machine.reminders("x")] == ["bill"]
        await world.pass_time(4.9)
        assert fired == []
        await world.pass_time(0.2)
        assert fired == [("a", "bill", {"sum": 3}, 0)] and world.value("x", "bill") == 1
        await world.pass_time(100)
        assert len(fired) == 1 and world.a.group.machine.reminders("x") == []

    told(story)


def test_a_periodic_one_fires_at_each_period() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("tick", every=10))
        for n in range(1, 6):
            await world.pass_time(10)
            assert world.value("x", "tick") == n
        assert {missed for _, _, _, missed in fired} == {0}

    told(story)


def test_it_is_set_with_the_turn_or_not_at_all() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)

        async def breaks(agent: Any) -> None:
            await agent.remind("never", after=1)
            agent.state.put("half", 1)
            raise ValueError("no")

        with pytest.raises(Exception, match="no"):
            await world.turn("x", breaks)
        await world.pass_time(5)
        assert fired == [] and world.value("x", "half") is None
        assert world.a.group.machine.reminders("x") == []

    told(story)


def test_a_turn_sees_what_it_set_and_forgot() -> None:
    async def story(world: World) -> None:
        record = await world.start(Clerk)

        async def work(agent: Any) -> None:
            await agent.remind("b", after=1, data=[1])
            await agent.remind("a", every=60)
            await agent.remind("b", after=9, data=[2])
            shown = agent.reminders()
            assert [(r.id, r.every, r.data) for r in shown] == [("a", 60.0, None), ("b", None, [2])]
            await agent.forget("a")
            await agent.forget("not there")
            assert [r.id for r in agent.reminders()] == ["b"]

        await world.turn("x", work)
        rows = world.a.group.machine.reminders("x")
        assert [row.id for row in rows] == ["b"]
        assert world.a.group.machine.agent("x").reminders == 1 and record.reminders == 0  # type: ignore[union-attr]
        await world.pass_time(20)
        assert fired == [("a", "b", [2], 0)]

    told(story)


def test_setting_it_in_every_activation_does_not_put_it_off_for_ever() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        for _ in range(10):
            await world.turn("x", remind("tick", every=10, data="d"))
            await world.pass_time(4)
        assert world.value("x", "tick") == 4

    told(story)


def test_a_handler_may_set_its_own_reminder_again() -> None:
    class Chain(Agent):
        kind = "chain"
        idle_after_s = None

        async def on_reminder(self, id: str, data: Any) -> None:
            fired.append((self.host_id, id, data, 0))
            if data < 3:
                await self.remind(id, after=2, data=data + 1)

    async def story(world: World) -> None:
        await world.start(Chain)
        await world.turn("x", remind("step", after=2, data=1))
        await world.pass_time(30)
        assert [data for _, _, data, _ in fired] == [1, 2, 3]
        assert world.a.group.machine.reminders("x") == []

    told(story)


def test_it_wakes_an_agent_that_is_not_in_memory() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("bill", after=5))
        world.a.let_go("x")
        assert world.a.here == {}
        await world.pass_time(6)
        assert world.value("x", "bill") == 1 and "x" in world.a.here

    told(story)


def test_missed_ones_fire_on_recovery_and_say_how_many_there_were() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("once", after=5))
        await world.turn("x", remind("tick", every=10))
        world.mini.cut("a")
        world.mini.lead("b")
        await world.pass_time(48)  # due at 5; at 10, 20, 30, 40
        assert world.value("x", "once") is None
        await world.take_over("x", "b")
        await world.pass_time(1)
        assert [one for one in fired if one[0] == "b"] == [
            ("b", "once", None, 0),
            ("b", "tick", None, 3),
        ]
        await world.pass_time(10)
        assert [one for one in fired if one[0] == "b"][-1] == ("b", "tick", None, 0)
        world.mini.heal("a")
        await world.pass_time(20)
        assert world.b.parts.reminders.statistics()["failed_total"] == 0

    told(story)


def test_it_fires_once_though_two_hosts_think_they_own_the_agent() -> None:
    """The old host has not heard of the new binding, believes in its lease, and fires too: what its
    turn wrote is refused."""

    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("tick", every=10))
        world.mini.lead("b")
        refused: list[str] = []

        async def stand_still(name: str) -> None:
            """The old host is slow: its commit arrives when the agent is another's."""
            refused.append(name)
            await world.pass_time(5)

        world.a.before_commit = stand_still
        await world.pass_time(10)
        assert fired == [("a", "tick", None, 0)]
        world.mini.cut("a")  # it hears nothing from now on
        await world.take_over("x", "b")
        await world.pass_time(4)
        assert [host for host, *_ in fired] == ["a", "b"] and world.value("x", "tick", "b") == 1
        assert world.a.here["x"].turn is not None
        world.mini.hosts["a"].cut = False  # its commit comes through; it has applied nothing yet
        await world.pass_time(2)
        assert world.a.here == {} and refused == ["x"]
        assert world.value("x", "tick", "b") == 1
        await world.pass_time(30)
        assert [host for host, *_ in fired] == ["a", "b", "b", "b", "b"]
        assert world.value("x", "tick", "b") == 4

    told(story)


def test_a_second_turn_for_the_same_firing_is_refused() -> None:
    """Two engines of one host, as after a mistake of ours: the mark names the due time."""

    async def story(world: World) -> None:
        record = await world.start(Clerk)
        await world.turn("x", remind("once", after=5))
        row = world.a.group.machine.reminder("x", "once")
        assert row is not None
        await world.pass_time(6)
        assert world.value("x", "once") == 1
        with pytest.raises(Exception, match="fired already"):
            await world.a.bindings.commit(
                "x", record.epoch, [], [["reminded", "once", row.due_ms, 0]], timeout=1
            )

    told(story)


def test_a_handler_that_raises_is_rolled_back_and_tried_again() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        failing.add("bill")
        await world.turn("x", remind("bill", after=5))
        await world.pass_time(5 + 0.5 + 1 + 0.6)  # at 5, 5.5, 6.5
        assert len(fired) == 3 and world.value("x", "bill") is None
        failing.clear()
        await world.pass_time(2)
        assert len(fired) == 4 and world.value("x", "bill") == 1
        assert world.a.problems == []

    told(story)


def test_a_one_shot_that_always_fails_stays_and_is_told_once() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        failing.add("bill")
        await world.turn("x", remind("bill", after=1))
        await world.pass_time(120)
        assert len(fired) == FAILURES_MAX
        (problem,) = world.a.problems
        assert "agent 'x': reminder 'bill' failed 8 times" in problem and "does not work" in problem
        await world.pass_time(1300)
        assert len(fired) == FAILURES_MAX + 2 and len(world.a.problems) == 1
        assert [row.id for row in world.a.group.machine.reminders("x")] == ["bill"]
        failing.clear()
        await world.pass_time(700)
        assert world.value("x", "bill") == 1

    told(story)


def test_a_periodic_one_that_always_fails_goes_on_with_the_next_period() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        failing.add("tick")
        await world.turn("x", remind("tick", every=600))
        await world.pass_time(600 + 120)
        assert len(fired) == FAILURES_MAX and len(world.a.problems) == 1
        failing.clear()
        await world.pass_time(480 + 1)
        assert len(fired) == FAILURES_MAX + 1 and world.value("x", "tick") == 1

    told(story)


def test_trouble_of_the_world_is_nobodys_failure() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("bill", after=5))
        world.mini.lead(None)
        await world.pass_time(120)
        assert world.value("x", "bill") is None
        statistics = world.a.parts.reminders.statistics()
        assert statistics["failed_total"] == 0 and statistics["put_off_total"] > 0
        world.mini.lead("a")
        await world.pass_time(10)
        assert world.value("x", "bill") == 1 and world.a.problems == []

    told(story)


def test_nothing_fires_while_the_host_may_not_act() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("bill", after=5))
        world.a.tenancy.believes = False
        await world.pass_time(60)
        assert fired == []
        world.a.tenancy.believes = True
        world.a.parts.reminders.on_held()
        await world.settle()
        assert world.value("x", "bill") == 1

    told(story)


def test_it_goes_with_the_life_of_the_agent() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("tick", every=10))
        await world.a.bindings.stop("x")
        await world.start(Clerk)
        await world.pass_time(60)
        assert fired == [] and len(world.a.parts.reminders.table) == 0

    told(story)


def test_a_wall_clock_set_forward_is_noticed_within_a_second() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)
        await world.turn("x", remind("bill", after=3600))
        clock: Any = world.a.group.clock
        wall = clock.wall
        clock.wall = lambda: wall() + 3600
        await world.pass_time(1.1)
        assert world.value("x", "bill") == 1

    told(story)


def test_a_snapshot_in_place_of_entries_loses_none() -> None:
    async def story(world: World) -> None:
        for n in range(5):
            await world.start(Clerk, f"x{n}")
            await world.turn(f"x{n}", remind("tick", every=10))
        reminders = world.a.parts.reminders
        reminders.table.clear()
        reminders.on_snapshot_installed()
        await world.pass_time(11)
        assert [world.value(f"x{n}", "tick") for n in range(5)] == [1] * 5

    told(story)


def test_many_due_at_once_are_tried_some_at_a_time() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)

        async def many(agent: Agent) -> None:
            for n in range(200):
                await agent.remind(f"r{n}", after=5)

        await world.turn("x", many)
        await world.start(Clerk, "y")
        await world.turn("y", many)
        await world.pass_time(10)
        done = [world.value(name, f"r{n}") for name in "xy" for n in range(200)]
        assert done == [1] * 400

    told(story)


def test_bad_input() -> None:
    async def story(world: World) -> None:
        await world.start(Clerk)

        async def wrong(agent: Any) -> None:
            for bad in ({"after": -1}, {}, {"every": 0}):
                with pytest.raises(UsageError):
                    await agent.remind("x", **bad)
            with pytest.raises(UsageError):
                await agent.remind("", after=1)
            with pytest.raises(LimitExceeded):
                await agent.remind("x", after=1, data="d" * 20_000)

        await world.turn("x", wrong)
        with pytest.raises(UsageError, match="belongs to a turn"):
            await world.a.here["x"].agent.remind("x", after=1)
        assert world.a.group.machine.reminders("x") == []

    told(story)
