"""Real agents: what their methods keep, through errors, moves, passivation, failover and death."""

from __future__ import annotations

import asyncio
from typing import Any

from quorate import Cluster, Host
from quorate.core.errors import AgentError, QuorateError, UsageError
from quorate.hosts.agents.agent import Agent, shared
from quorate.hosts.agents.state.scope import NAMESPACE
from tests.agents_state.world import FAST, run_story


class Cart(Agent):
    """Writes in both planes, a CRDT and a log in each turn."""

    kind = "tests.state.Cart"
    eager = True
    idle_after_s = 0.5

    async def add(self, number: int) -> int:
        await self.state.put("last", number)
        await self.state.put("strong", number, consistency="strong")
        await self.state.pn_counter("total").increment(number)
        await self.state.events("log").append(number)
        self.state.local.put("calls", self.state.local.get("calls", 0) + 1)
        return await self.state.pn_counter("total").value()

    async def fail(self) -> None:
        await self.add(1000)
        raise ValueError("after all of it")

    @shared
    async def look(self) -> dict[str, Any]:
        return {
            "last": await self.state.get("last"),
            "strong": await self.state.get("strong"),
            "total": await self.state.pn_counter("total").value(),
            "log": [event.value for event in await self.state.events("log").read()],
        }

    @shared
    async def meddle(self) -> None:
        await self.state.put("last", -1)

    async def place(self) -> tuple[str, int, int]:
        return self.host_id, self.epoch, self.state.local.get("calls", 0)


def after(*numbers: int) -> dict[str, Any]:
    return {
        "last": numbers[-1],
        "strong": numbers[-1],
        "total": sum(numbers),
        "log": list(numbers),
    }


async def begin(cluster: Cluster) -> None:
    for host in cluster.hosts.values():
        host.agents.register(Cart)
    for host in cluster.hosts.values():
        await host.agents.ready(10)


async def insist(call: Any) -> Any:
    """A failover takes a while: asked again until it is answered."""
    while True:
        try:
            return await call()
        except QuorateError as error:
            assert error.outcome == "not_applied" or not isinstance(error, AgentError), error
            await asyncio.sleep(0)


def kept(host: Host) -> list[str]:
    """Strong and local keys of any agent that are alive on a host."""
    machine, replica = host.group.machine, host.stores.replica
    strong = [row.key for row in machine.kv_range(ns=NAMESPACE)]
    local = [
        key
        for key in replica.keys("quorate.agents")
        if not replica.read("quorate.agents", key).is_dead  # type: ignore[union-attr]
    ]
    return strong + local


def test_an_agent_keeps_its_state_wherever_it_is() -> None:
    async def story() -> None:
        async with Cluster.local(3, **FAST) as cluster:
            await begin(cluster)
            a = cluster.hosts["a"]
            cart: Any = await a.agents.start(Cart, name="cart/1")
            for number in (1, 2, 3):
                await cart.add(number)
            for method in (cart.fail, cart.meddle):
                try:
                    await method()
                except (AgentError, UsageError):
                    continue
                raise AssertionError("it raises")
            assert await cart.look() == after(1, 2, 3)
            where, _, calls = await cart.place()
            assert calls == 3
            to = next(host for host in "abc" if host != where)
            await a.agents.move("cart/1", to)
            assert await cart.look() == after(1, 2, 3)
            assert (await cart.place())[0] == to and (await cart.place())[2] == 3
            await cart.add(4)
            keeper = cluster.hosts[to].runtime.agents.parts.keeper
            while keeper.open_here:  # noqa: ASYNC110 - passivated: nobody called for a while
                await asyncio.sleep(0)
            await cart.add(5)
            assert await cart.look() == after(1, 2, 3, 4, 5)
            survivor = next(host for host in cluster.hosts.values() if host.id != to)
            await cluster.kill(to)
            again: Any = survivor.agents.get("cart/1")
            assert await insist(again.look) == after(1, 2, 3, 4, 5)
            await again.add(6)
            assert await again.look() == after(1, 2, 3, 4, 5, 6)
            await survivor.agents.stop("cart/1")
            for host in cluster.hosts.values():
                while kept(host):  # noqa: ASYNC110 - cleaned in the background, everywhere
                    await asyncio.sleep(0)

    run_story(story())
