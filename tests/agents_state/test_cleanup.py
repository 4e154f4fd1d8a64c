"""What a dead agent kept goes, everywhere, whoever cleans and however often."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.core.errors import NotCommitted
from quorate.hosts.agents.state.cleanup import Cleanup
from quorate.hosts.agents.state.scope import NAMESPACE
from tests.agents_state.test_commit import both, shown
from tests.agents_state.world import Agent, Place, World, until


def strong_keys(place: Place, agent: Agent) -> list[str]:
    machine = place.host.group.machine
    return [r.key for r in machine.kv_range(prefix=agent.ledger.keys.prefix, ns=NAMESPACE)]


def alive(place: Place, agent: Agent) -> list[str]:
    """Keys of the scope in a host's replica that are no tombstones."""
    replica, core = place.plane.replica, place.keeper.core
    keys = replica.keys_under(core.name, agent.ledger.keys.prefix)
    return [key for key in keys if not replica.read(core.name, key).is_dead]


async def filled(world: World) -> Agent:
    agent = await world.agent()
    for number in range(3):
        await both(agent, number)
    async with agent.turn():
        for number in range(200):
            await agent.state.put(f"k{number}", number)
    assert strong_keys(agent.place, agent) and len(alive(agent.place, agent)) > 200
    return agent


async def cleaned_everywhere(world: World) -> None:
    agent = await filled(world)
    neighbour = await filled(world)
    agent.state.close()
    await agent.place.bindings.stop(agent.holder.name)
    agent.place.keeper.on_died(agent.holder.name, agent.holder.life, keep_state=False)
    await agent.place.keeper.cleanup.idle.wait()
    for host_id in "abc":
        place = world.place(host_id)
        await until(place, lambda p=place: not strong_keys(p, agent))
        try:
            await until(place, lambda p=place: not alive(p, agent), 5.0)
        finally:
            assert len(alive(place, neighbour)) > 200 or host_id != "a"
    assert (await shown(neighbour))["c"] == 30


def test_a_dead_agents_keys_go_on_every_host(world: World) -> None:
    world.run(cleaned_everywhere(world))


def test_cleaning_twice_and_on_another_host_comes_to_the_same(world: World) -> None:
    async def story() -> None:
        agent = await filled(world)
        scope = agent.ledger.keys.scope
        agent.state.close()
        for host_id in ("b", "a", "c", "b"):
            cleanup = world.place(host_id).keeper.cleanup
            cleanup.add(scope)
            cleanup.add(scope)
            await cleanup.idle.wait()
        for host_id in "abc":
            place = world.place(host_id)
            await until(place, lambda p=place: not alive(p, agent) and not strong_keys(p, agent))

    world.run(story())


def test_what_cannot_be_cleaned_now_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        agent = await filled(world)
        agent.state.close()
        cleanup = agent.place.keeper.cleanup
        real, failures = cleanup._clean_local, iter(range(2))

        async def sometimes(core: Any, scope: str) -> None:
            if next(failures, None) is not None:
                raise NotCommitted("planted")
            await real(core, scope)

        monkeypatch.setattr(cleanup, "_clean_local", sometimes)
        before = cleanup.statistics()["retries_total"]
        cleanup.add(agent.ledger.keys.scope)
        await cleanup.idle.wait()
        assert cleanup.statistics()["retries_total"] == before + 2  # type: ignore[operator]
        assert not alive(agent.place, agent)

    world.run(story())


def test_the_state_of_a_name_stays_when_a_life_ends(world: World) -> None:
    async def story() -> None:
        place = world.place("a")
        name = world.name() + "/with/slashes and 100%"
        record = await place.start(name)
        agent = await place.open(record, keep_state=True)
        await both(agent, 1)
        agent.state.close()
        await place.bindings.stop(name)
        place.keeper.on_died(name, record.life, keep_state=True)
        await place.keeper.cleanup.idle.wait()
        next_life = await place.open(await place.start(name), keep_state=True)
        assert next_life.holder.life > record.life
        assert await next_life.state.get("e") == 1 and await next_life.state.get("s") == 1
        other = await place.open(await place.start(name.split("/")[0]), keep_state=True)
        assert await other.state.keys() == []
        await both(next_life, 2)
        assert (await shown(next_life))["c"] == 20

    world.run(story())


def test_a_scope_in_use_is_not_cleaned(world: World) -> None:
    async def story() -> None:
        agent = await world.agent()
        await agent.put("k", 1)
        cleanup: Cleanup = agent.place.keeper.cleanup
        cleanup.add(agent.ledger.keys.scope)
        await cleanup.idle.wait()
        assert await agent.state.get("k") == 1

    world.run(story())


def test_a_sweep_finds_what_nobody_cleaned(world: World) -> None:
    async def story() -> None:
        dead, living = await filled(world), await filled(world)
        kept = await world.place("a").open(
            await world.place("a").start(world.name()), keep_state=True
        )
        await both(kept, 1)
        for agent in (dead, kept):
            agent.state.close()
            await agent.place.bindings.stop(agent.holder.name)
        for host_id in "abc":
            place = world.place(host_id)
            machine = place.host.group.machine
            await until(place, lambda m=machine: m.agent(dead.holder.name) is None)
        for host_id in "abc":
            keeper = world.place(host_id).keeper
            await keeper.sweeping.sweep()
            await keeper.cleanup.idle.wait()
        for host_id in "abc":
            place = world.place(host_id)
            await until(place, lambda p=place: not alive(p, dead) and not strong_keys(p, dead))
            await until(place, lambda p=place: len(alive(p, living)) > 200)
            assert strong_keys(place, living) and strong_keys(place, kept)
        for host_id in "abc":
            assert await world.place(host_id).keeper.sweeping.sweep() == 0

    world.run(story())
