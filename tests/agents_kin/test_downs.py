"""Stories of links and monitors: who dies with whom, and who hears of it, exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.core.errors import AgentNotFound, Fenced, Stopped, UsageError
from quorate.hosts.agents.agent import Agent
from quorate.hosts.agents.kin.exits import MISSED, NOT_FOUND, Exit
from tests.agents_kin.world import KinWorld, begin, told

heard: list[tuple[str, str, str]] = []
"""(host, who, why) of every run of a handler, committed or not."""
failing: list[str] = []


class Watcher(Agent):
    """Keeps in its state how often it heard of each death."""

    kind = "watcher"
    idle_after_s = None

    async def on_down(self, name: str, reason: str) -> None:
        heard.append((self.host_id, name, reason))
        if failing:
            raise ValueError(failing[0])
        state: Any = self.state
        state.put(name, (state.get(name) or 0) + 1)


class Deaf(Agent):
    kind = "deaf"


@pytest.fixture(autouse=True)
def fresh() -> None:
    heard.clear()
    failing.clear()


async def family(world: KinWorld, children: int = 1) -> None:
    """A watcher w at a that monitors x0, x1, ... at b."""
    await world.start(Watcher, "w")
    for n in range(children):
        await world.start(Watcher, f"x{n}", "b")
        await monitor(world, f"x{n}")


async def monitor(world: KinWorld, name: str, on: bool = True) -> None:
    await world.kin().monitor(world.a.bring_up("w"), name, on=on)


def rows(world: KinWorld, at: str = "a") -> int:
    return len(world.engines[at].group.machine.downs_for("w"))


# --- monitors of agents ---------------------------------------------------------------------------


def test_a_death_is_heard_once_with_its_reason_and_acknowledged() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        await world.b.bindings.stop("x0", reason="worn out")
        await world.pass_time(5)
        assert heard == [("a", "x0", "worn out")]
        assert world.value("w", "x0") == 1 and rows(world) == 0
        assert len(world.kin().downs.table) == 0

    told(story)


def test_who_is_dead_already_is_heard_of_at_once() -> None:
    async def story(world: KinWorld) -> None:
        await world.start(Watcher, "w")
        await monitor(world, "nobody")
        await world.settle()
        assert heard == [("a", "nobody", "not_found")]

    told(story)


def test_who_is_not_monitored_any_more_is_not_heard_of() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        await monitor(world, "x0", on=False)
        await world.b.bindings.stop("x0")
        await world.pass_time(5)
        assert heard == [] and rows(world) == 0

    told(story)


def test_news_wake_a_watcher_that_is_not_in_memory() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        world.a.let_go("w")
        await world.b.bindings.stop("x0")
        await world.settle()
        assert world.value("w", "x0") == 1

    told(story)


def test_news_that_nobody_took_follow_the_watcher_to_its_next_host() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        world.mini.cut("a")
        world.mini.lead("b")
        await world.b.bindings.stop("x0", reason="early")
        await world.settle()
        assert heard == [] and rows(world, "b") == 1
        await world.take_over("w", "c")
        await world.settle()
        assert heard == [("c", "x0", "early")] and world.value("w", "x0", "c") == 1
        world.mini.heal("a")
        await world.pass_time(5)
        assert len(heard) == 1

    told(story)


def test_two_hosts_that_both_run_the_handler_leave_one_trace() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        world.mini.lead("b")

        async def stand_still(name: str) -> None:
            await world.pass_time(5)

        world.a.before_commit = stand_still
        await world.b.bindings.stop("x0", reason="early")
        await world.settle()
        assert [host for host, *_ in heard] == ["a"]
        world.mini.cut("a")
        await world.take_over("w", "c")
        await world.settle()
        assert [host for host, *_ in heard] == ["a", "c"]
        world.mini.hosts["a"].cut = False
        await world.pass_time(10)
        assert world.value("w", "x0", "c") == 1 and rows(world, "c") == 0

    told(story)


def test_a_handler_that_raises_hears_it_again() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        failing.append("not now")
        await world.b.bindings.stop("x0")
        await world.pass_time(2)
        assert len(heard) == 3 and world.value("w", "x0") is None and rows(world) == 1
        failing.clear()
        await world.pass_time(5)
        assert len(heard) == 4 and world.value("w", "x0") == 1 and rows(world) == 0

    told(story)


def test_one_that_always_fails_is_told_and_stays_and_holds_up_no_other() -> None:
    class Picky(Agent):
        kind = "picky"
        idle_after_s = None

        async def on_down(self, name: str, reason: str) -> None:
            heard.append((self.host_id, name, reason))
            if name == "x0":
                raise ValueError("not him")

    async def story(world: KinWorld) -> None:
        await world.start(Picky, "w")
        for name in ("x0", "x1"):
            await world.start(Watcher, name, "b")
            await monitor(world, name)
            await world.b.bindings.stop(name)
        await world.pass_time(200)
        assert [name for _, name, _ in heard].count("x1") == 1
        (problem,) = world.a.problems
        assert "not him" in problem and "failed 8 times" in problem
        assert [down.target for down in world.a.group.machine.downs_for("w")] == ["x0"]

    told(story)


def test_who_has_no_handler_takes_the_news_without_a_word() -> None:
    async def story(world: KinWorld) -> None:
        await world.start(Deaf, "w")
        await world.start(Watcher, "x0", "b")
        await monitor(world, "x0")
        await world.b.bindings.stop("x0")
        await world.settle()
        assert rows(world) == 0

    told(story)


def test_many_deaths_at_once() -> None:
    async def story(world: KinWorld) -> None:
        await family(world, 60)
        owners = ("agent:x0",)
        for n in range(1, 60):
            await world.b.bindings.own(f"x{n}", owners[0])
        await world.b.bindings.stop("x0")  # and with it all the others
        await world.pass_time(5)
        assert [world.value("w", f"x{n}") for n in range(60)] == [1] * 60
        assert rows(world) == 0 and len(heard) == 60

    told(story)


def test_a_snapshot_in_place_of_entries_loses_no_news() -> None:
    async def story(world: KinWorld) -> None:
        await family(world)
        downs = world.kin().downs
        downs.table.add = lambda *_: None  # type: ignore[method-assign]
        await world.b.bindings.stop("x0")
        await world.settle()
        assert heard == []
        del downs.table.add  # type: ignore[attr-defined]
        world.kin().on_snapshot_installed()
        await world.settle()
        assert len(heard) == 1

    told(story)


# --- links ----------------------------------------------------------------------------------------


def test_linked_agents_die_together_in_both_directions() -> None:
    async def story(world: KinWorld) -> None:
        for dies in ("l", "r"):
            await world.start(Deaf, "l")
            await world.start(Deaf, "r", "b")
            await world.kin().link(world.a.bring_up("l"), "r", on=True)
            await world.c.bindings.stop(dies, reason="worn out")
            await world.settle()
            assert not world.lives("l") and not world.lives("r")

    told(story)


def test_an_undone_link_ties_nobody_and_nobody_links_to_the_dead() -> None:
    async def story(world: KinWorld) -> None:
        await world.start(Deaf, "l")
        await world.start(Deaf, "r", "b")
        left = world.a.bring_up("l")
        await world.kin().link(left, "r", on=True)
        await world.kin().link(left, "r", on=False)
        await world.c.bindings.stop("r")
        await world.settle()
        assert world.lives("l")
        with pytest.raises(AgentNotFound):
            await world.kin().link(left, "r", on=True)
        for bad in ("l", "", 7, "~a/1"):
            with pytest.raises(UsageError):
                await world.kin().link(left, bad, on=True)
        world.a.tenancy.believes = False
        with pytest.raises(Fenced):
            await world.kin().link(left, "w", on=True)

    told(story)


# --- programs -------------------------------------------------------------------------------------


def test_a_program_sees_exactly_one_exit() -> None:
    async def story(world: KinWorld) -> None:
        record = await world.start(Deaf, "x", "b")
        for at in "abc":
            monitor = world.kin(at).watch_exit("x")
            waiting = begin(monitor.wait())
            exits = begin(_all(monitor))
            await world.settle()
            assert not waiting.done()
            if at == "c":
                await world.a.bindings.stop("x", reason="worn out")
                assert await waiting == Exit("x", record.life, "worn out")
                assert await exits == [Exit("x", record.life, "worn out")]
                assert await monitor == await monitor == "worn out"
            else:
                waiting.cancel()  # who gives up takes nothing away from others
                exits.cancel()
                await world.settle()
                assert not monitor.done

    told(story)


async def _all(monitor: Any) -> list[Exit]:
    return [exit_ async for exit_ in monitor]


def test_nobody_of_that_name() -> None:
    async def story(world: KinWorld) -> None:
        assert await world.kin().watch_exit("nobody").wait() == Exit("nobody", 0, NOT_FOUND)

    told(story)


def test_one_that_this_host_has_not_heard_of_yet_is_asked_for() -> None:
    async def story(world: KinWorld) -> None:
        world.mini.hosts["c"].cut = True
        await world.start(Deaf, "x", "b")
        world.mini.hosts["c"].cut = False  # it has applied nothing of that
        assert not world.lives("x", "c")
        monitor = world.kin("c").watch_exit("x")
        waiting = begin(monitor.wait())
        await world.settle()
        assert not waiting.done() and monitor.life
        await world.a.bindings.stop("x", reason="worn out")
        assert (await waiting).reason == "worn out"

    told(story)


def test_the_next_life_of_the_name_is_another_one() -> None:
    async def story(world: KinWorld) -> None:
        first = await world.start(Deaf, "x")
        monitor = world.kin("b").watch_exit("x")
        second = await world.start(Deaf, "x", "b", policy="replace")
        assert await monitor.wait() == Exit("x", first.life, "replaced")
        again = world.kin("b").watch_exit("x")
        assert again.life == second.life and not again.done

    told(story)


def test_entries_that_were_skipped_and_a_host_that_stops() -> None:
    async def story(world: KinWorld) -> None:
        await world.start(Deaf, "x")
        await world.start(Deaf, "y")
        exits = world.kin("b").exits
        gone, stays = exits.watch("x"), exits.watch("y")
        tell, exits.on_applied = exits.on_applied, lambda _: None  # type: ignore[method-assign]
        await world.a.bindings.stop("x")
        await world.settle()
        exits.on_applied = tell  # type: ignore[method-assign]
        exits.on_snapshot_installed()
        assert await gone == MISSED and not stays.done
        exits.stop()
        with pytest.raises(Stopped):
            await stays
        with pytest.raises(Stopped):
            await exits.watch("y")

    told(story)


def test_monitors_that_nobody_holds_are_forgotten() -> None:
    async def story(world: KinWorld) -> None:
        await world.start(Deaf, "x")
        for _ in range(100):
            world.kin().watch_exit("x")
        kept = world.kin().watch_exit("x")
        assert len(world.kin().exits) == 1 and not kept.done

    told(story)
