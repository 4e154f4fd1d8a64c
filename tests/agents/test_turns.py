"""Turns: all of their changes, or none."""

from __future__ import annotations

import pytest

from quorate.core.errors import AgentError, OutcomeUnknown, Timeout, UsageError
from tests.agents.conftest import World, until
from tests.agents.people import Impatient, Shop, Starts


@pytest.mark.parametrize("at", ["a", "b"])
def test_a_turn_that_raises_leaves_nothing(world: World, at: str) -> None:
    async def story() -> None:
        name = world.name()
        shop = await world.hosts[0].agents.start(Shop, name, hints={"host": at})
        await shop.sell(2)
        await shop.look()
        with pytest.raises(AgentError, match="no more bread"):
            await shop.sell_and_fail()
        report = await shop.report()
        assert (report["sold"], report["looks"], report["note"]) == (2, 1, None)
        assert await shop.sell() == 3

    world.run(story())


def test_a_shared_turn_writes_nothing(world: World) -> None:
    async def story() -> None:
        shop = await world.hosts[0].agents.start(Shop, world.name())
        with pytest.raises(UsageError, match="shared"):
            await shop.write_in_a_shared_turn()
        assert (await shop.report())["note"] is None

    world.run(story())


def test_a_turn_that_never_ends_is_interrupted_and_rolled_back(world: World) -> None:
    async def story() -> None:
        agent = await world.hosts[0].agents.start(Impatient, world.name())
        with pytest.raises((Timeout, OutcomeUnknown), match=r"longer than 0\.3 s"):
            await agent.forever()
        assert await agent.note() is None

    world.run(story())


def test_an_idle_agent_leaves_the_memory_and_the_next_message_brings_it_back(world: World) -> None:
    async def story() -> None:
        a, _, _ = world.hosts
        name = world.name()
        agent = await a.agents.start(Starts, name, hints={"host": "a"})
        assert await agent.counts() == [1, 1]
        engine = a.agents._engine  # pyright: ignore[reportPrivateUsage]
        activation = engine.here[name]
        await until(lambda: activation.idle)
        assert await engine.residents.passivate(activation)
        assert name not in engine.here
        assert (await a.agents.whereis(name)).status == "passive"
        assert await world.hosts[1].agents.get(name).counts() == [1, 2]

    world.run(story())
