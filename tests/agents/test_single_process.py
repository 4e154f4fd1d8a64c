"""One host alone, by the fixture that programs use for their own tests: the same semantics."""

from __future__ import annotations

import pytest

from quorate.core.errors import AgentError, AgentNotFound, ClusterAtCapacity
from quorate.hosts.pytest_plugin import RunningCluster
from tests.agents.people import Shop, Starts


@pytest.mark.quorate(agents=[Shop, Starts])
def test_everything_works_on_one_host(quorate_cluster: RunningCluster) -> None:
    (host,) = quorate_cluster.hosts.values()

    async def story() -> None:
        shop = await host.agents.start(Shop, "shop")
        assert await shop.sell(2) == 2
        shop.tell.look()
        with pytest.raises(AgentError):
            await shop.sell_and_fail()
        assert await shop.ask.report() == {
            "sold": 2,
            "looks": 1,
            "note": None,
            "host": "a",
            "epoch": (await host.agents.whereis("shop")).epoch,
        }
        owner = await host.agents.start(Starts, "owner")
        await host.agents.start(Shop, "owned", owner=owner)
        exit_of_owned = host.agents.monitor("owned")
        await host.agents.stop("owner", "enough")
        assert "owner" in await exit_of_owned
        with pytest.raises(AgentNotFound):
            await host.agents.get("owned").sell()
        with pytest.raises(ClusterAtCapacity):
            await host.agents.start(Shop, "big", resources={"memory_mb": 1e12})

    quorate_cluster.run(story())


@pytest.mark.quorate(hosts=2, agents=[Shop])
def test_the_marker_says_how_many_hosts(quorate_cluster: RunningCluster) -> None:
    async def story() -> None:
        a, b = quorate_cluster.hosts.values()
        await a.agents.start(Shop, "shop", hints={"host": "b"})
        assert await b.agents.get("shop").sell() == 1

    quorate_cluster.run(story())
