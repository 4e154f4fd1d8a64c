"""Turns at random against a plain model: places change, turns crash at every step, answers are
lost, and what is read is what a dictionary would hold."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from quorate.core.errors import Fenced, InvariantBroken, OutcomeUnknown
from tests.agents_state.test_commit import Doubt
from tests.agents_state.world import Agent, World

KEYS = ("k1", "k2", "k3")


class Model:
    """What the agent's state is to be."""

    def __init__(self) -> None:
        self.plain: dict[str, Any] = {}
        self.strong: dict[str, Any] = {}
        self.count = 0
        self.tags: set[str] = set()
        self.list: list[int] = []
        self.log: list[int] = []

    def copy(self) -> Model:
        other = Model()
        other.plain, other.strong = dict(self.plain), dict(self.strong)
        other.count, other.tags = self.count, set(self.tags)
        other.list, other.log = list(self.list), list(self.log)
        return other


async def write(agent: Agent, model: Model, rng: random.Random, number: int) -> bool:
    """A few writes of one turn, in the agent and the model; whether any was strong."""
    state, strong = agent.state, False
    for _ in range(rng.randint(1, 5)):
        kind = rng.choice(
            ["put", "put", "strong", "delete", "count", "tag", "untag", "list", "log"]
        )
        key = rng.choice(KEYS)
        if kind == "put":
            await state.put(key, number)
            model.plain[key] = number
        elif kind == "strong":
            strong = True
            await state.put(key, [number], consistency="strong")
            model.plain[key] = model.strong[key] = [number]
        elif kind == "delete":
            await state.delete(key)
            model.plain.pop(key, None)
        elif kind == "count":
            await state.pn_counter("count").increment(number)
            model.count += number
        elif kind == "tag":
            await state.or_set("tags").add(key)
            model.tags.add(key)
        elif kind == "untag":
            await state.or_set("tags").remove(key)
            model.tags.discard(key)
        elif kind == "list":
            at = rng.randint(0, len(model.list))
            await state.sequence("list").insert(at, number)
            model.list.insert(at, number)
        else:
            await state.events("log").append(number)
            model.log.append(number)
    return strong


async def look(agent: Agent, model: Model) -> None:
    state = agent.state
    for key in KEYS:
        assert await state.get(key) == model.plain.get(key), key
        assert await state.get(key, level="linearizable") == model.strong.get(key), key
    assert await state.pn_counter("count").value() == model.count
    assert set(await state.or_set("tags").value()) == model.tags
    assert await state.sequence("list").value() == model.list
    assert [event.value for event in await state.events("log").read()] == model.log


class Rollback(Exception):
    pass


async def one_turn(
    agent: Agent, model: Model, rng: random.Random, number: int
) -> tuple[Model, bool]:
    """A turn and how it ends: the model after it, and whether the activation died of it."""
    fate = rng.choice(["commit"] * 4 + ["rollback", "asked", "strong", "local", "unknown", "lost"])
    after = model.copy()
    wrote_strong = False
    if fate in ("asked", "strong", "local"):
        agent.fail_at(fate)
    elif fate in ("unknown", "lost"):
        Doubt(agent, "happened" if fate == "unknown" else "lost")
    committed, died, bindings = True, False, agent.place.bindings
    try:
        with suppress(Rollback):
            async with agent.turn():
                wrote_strong = await write(agent, after, rng, number)
                await look(agent, after)
                if fate == "rollback":
                    committed = False
                    raise Rollback
    except InvariantBroken:
        committed, died = fate != "asked", True
    except OutcomeUnknown:
        committed = fate == "unknown"
        assert wrote_strong
    agent.go_on()
    agent.ledger.bindings = bindings
    return (after if committed else model), died


async def elsewhere(agent: Agent, world: World, rng: random.Random) -> Agent:
    """Passivated and back, or bound to another place."""
    agent.state.close()
    if rng.random() < 0.3:
        return await agent.place.open(agent.holder.record)
    place = world.place(rng.choice("abc"))
    try:
        record = await place.take(agent.holder.record)
    except Exception as error:
        raise AssertionError("only this test binds it") from error
    there = await place.open(record)
    if place is not agent.place:
        with pytest.raises((Fenced, InvariantBroken)):
            async with agent.turn():
                await agent.state.put("k1", "from the past", consistency="strong")
    return there


@pytest.mark.parametrize("seed", range(6))
def test_turns_at_random_are_what_a_dictionary_would_hold(world: World, seed: int) -> None:
    async def story() -> None:
        rng = random.Random(seed)
        agent, model = await world.agent(rng.choice("abc")), Model()
        for number in range(1, 60):
            model, died = await one_turn(agent, model, rng, number)
            if died or rng.random() < 0.25:
                agent = await elsewhere(agent, world, rng)
            await look(agent, model)

    world.run(story())
