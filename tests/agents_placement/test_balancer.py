"""The leader moves agents when hosts joined or have too much: slowly, and when all is calm."""

from __future__ import annotations

from typing import Any

from quorate.hosts.agents.placement.balancer import CALM_S, COOLING_S, EVERY_S, SULKING_S
from tests.agents_placement.scenes import names
from tests.agents_placement.world import IDLE, World, told

HOT = IDLE._replace(cpu_process=1.0)


def moved(world: World) -> list[tuple[str, str]]:
    return [move for site in world.sites.values() for move in site.moved]


def test_a_host_that_joins_gets_its_share_and_nobody_moves_twice() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b", "c")
        await world.begin(names(200))
        await world.pass_time(CALM_S + 4)
        assert moved(world) == []
        await world.join("d")
        await world.pass_time(CALM_S - 2)
        assert moved(world) == [], "it is not calm yet"
        await world.pass_time(30)
        assert 40 <= world.numbers()["d"] <= 50
        moves = moved(world)
        assert {to for _, to in moves} == {"d"} and len(dict(moves)) == len(moves) <= 50

    told(story, "abcd")


def test_it_takes_no_step_while_an_agent_waits_for_a_place() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.begin(names(60))
        await world.begin(["stuck"], needs={"gpu": "a100"}, within=50)
        await world.join("c")
        await world.pass_time(40)
        assert moved(world) == []
        await world.pass_time(40)
        assert len(moved(world)) > 10

    told(story)


def test_it_takes_no_step_while_hosts_come_and_go() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.begin(names(60))
        for _ in range(8):
            await world.join("c")
            await world.pass_time(CALM_S - 3)
        assert moved(world) == []

    told(story)


def test_only_the_leader_balances_and_a_new_leader_waits_first() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.begin(names(60))
        await world.join("c")
        await world.pass_time(CALM_S - 2)
        world.lead("b")
        await world.pass_time(CALM_S - 2)
        assert moved(world) == []
        await world.pass_time(10)
        looks = {
            name: site.placing.statistics()["balancer"]["looks_total"]
            for name, site in world.sites.items()
        }
        assert looks["b"] > 0 and looks["a"] == looks["c"] == 0
        assert world.numbers()["c"] >= 16

    told(story)


def test_a_host_that_stays_hot_gives_some_and_gets_nothing_for_a_while() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(120))
        world.sites["b"].reading = HOT
        await world.pass_time(CALM_S + 20)
        given = moved(world)
        assert given and {site for site, one in world.sites.items() if one.moved} == {"b"}
        world.sites["b"].reading = IDLE
        await world.pass_time(COOLING_S - 20)
        assert [to for _, to in moved(world) if to == "b"] == []

    told(story)


def test_a_host_that_is_hot_for_a_moment_keeps_its_agents() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.begin(names(120))
        await world.pass_time(CALM_S + 4)
        for _ in range(5):
            world.sites["b"].reading = HOT
            await world.pass_time(4)
            world.sites["b"].reading = IDLE
            await world.pass_time(8)
        assert moved(world) == []

    told(story)


def test_what_could_not_move_is_left_alone_for_a_while() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.begin(names(4))
        world.refuses.update(names(4))
        asked: list[str] = []
        move = world.move

        async def count(name: str, to: str) -> None:
            asked.append(name)
            await move(name, to)

        for site in world.sites.values():
            balancer: Any = site.placing.balancer
            balancer._move = count
        await world.sites["a"].tell(draining=True)
        await world.pass_time(CALM_S + SULKING_S - 2)
        placed_on_a = world.numbers()["a"]
        assert sorted(asked) == sorted(set(asked)) and len(asked) == placed_on_a
        world.refuses.clear()
        await world.pass_time(SULKING_S)
        assert world.numbers() == {"b": 4}

    told(story, "ab")


def test_more_agents_than_are_looked_at_in_one_step() -> None:
    """Those in front cannot move; those behind them can."""

    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.begin(names(400, "a-pinned"), needs={"host": "a"})
        await world.begin(names(30, "z-free"), hints={"host": "a"})
        await world.sites["a"].tell(capacity={"slots": 425})
        await world.pass_time(CALM_S + 20 * EVERY_S)
        assert world.numbers() == {"a": 425, "b": 5}

    told(story, "ab")
