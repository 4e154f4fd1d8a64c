"""An agent's caches: computed once, scoped, out of date when the agent's state changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.core.errors import UsageError
from tests.agents_state.world import World


def test_a_value_is_computed_once_and_belongs_to_its_agent(world: World) -> None:
    async def story() -> None:
        agent, other = await world.agent(), await world.agent("b")
        computed: list[str] = []

        async def compute() -> str:
            computed.append("x")
            await asyncio.sleep(0)
            return f"value {len(computed)}"

        cache = agent.state.cached("prices", ttl=60.0)
        first = await asyncio.gather(*(cache.get_or_compute("k", compute) for _ in range(5)))
        assert set(first) == {"value 1"}
        assert await cache.get("k") == "value 1"
        assert await other.state.cached("prices").get_or_compute("k", compute) == "value 2"
        assert await agent.state.cached("other").get("k") is None
        await cache.invalidate("k")
        assert await cache.get_or_compute("k", compute) == "value 3"
        there = await world.place("c").open(await world.place("c").take(agent.holder.record))
        assert await there.state.cached("prices").get("k") == "value 3"

    world.run(story())


def test_a_value_goes_when_a_key_of_the_agent_changes(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await agent.put("price", 10)
        cache: Any = agent.state.cached("totals")

        async def total() -> int:
            return 2 * await agent.state.get("price")

        assert await cache.get_or_compute("t", total, depends_on=["price"]) == 20
        await agent.put("price", 11)
        assert await cache.get_or_compute("t", total, depends_on=["price"]) == 22
        await agent.put("price", 12, consistency="strong")
        assert await cache.get_or_compute("t", total, depends_on=["price"]) == 24

    world.run(story())


def test_wrong_names_are_refused(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        for wrong in ("", "a/b", "a\nb", 7):
            with pytest.raises(UsageError):
                agent.state.cached(wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            await agent.state.cached("c").get(7)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            await agent.state.cached("c").get_or_compute("k", lambda: 1, depends_on="price")

    world.run(story())
