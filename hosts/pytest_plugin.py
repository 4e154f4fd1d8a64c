"""Fixtures for the tests of programs that use agents: a cluster in the test's own process.

The law of this file: what a test gets is the real thing (real files, real sockets on loopback), one
host unless the test asks for more, gone with the test. Loaded by pytest as the plugin `quorate`.

    @pytest.mark.quorate(hosts=3, agents=[Cart])
    def test_a_cart(quorate_cluster):
        host = quorate_cluster.hosts["a"]

        async def story():
            cart = await host.agents.start(Cart, "cart:1")
            assert await cart.add("apple", 2) == 2

        quorate_cluster.run(story())
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from quorate.hosts.cluster import Cluster
    from quorate.hosts.host import Host

START_TIMEOUT_S = 30.0
FAST = {"heartbeat_s": 0.05, "election_min_s": 0.25, "election_max_s": 0.5}


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    config.addinivalue_line(
        "markers",
        "quorate(hosts=1, agents=[], **settings): the cluster that `quorate_cluster` starts",
    )


class RunningCluster:
    """A cluster and the event loop it lives on; `run` runs a coroutine there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: Cluster) -> None:
        self.loop = loop
        self.cluster = cluster

    @property
    def hosts(self) -> dict[str, Host]:
        """The hosts that run, by id: a, b, c, ..."""
        return self.cluster.hosts

    def run(self, story: Coroutine[Any, Any, Any], timeout: float = 60.0) -> Any:
        """Run it to its end, and give what it returns. Raises `TimeoutError` after `timeout`
        seconds."""
        return self.loop.run_until_complete(asyncio.wait_for(story, timeout))


async def _start(cluster: Cluster, classes: list[Any]) -> None:
    await cluster.start()
    hosts = list(cluster.hosts.values())
    for host in hosts:
        for cls in classes:
            host.agents.register(cls)
    if not classes:
        return
    for host in hosts:
        await host.agents.ready(START_TIMEOUT_S)
    kinds = hosts[0].agents.kinds()
    while any(  # noqa: ASYNC110 - what one host says reaches the others when they have applied it
        len(host.agents.classes().get(kind, {})) < len(hosts) for host in hosts for kind in kinds
    ):
        await asyncio.sleep(0.01)


@pytest.fixture
def quorate_cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """A `RunningCluster` of one host, or as the marker `quorate` says; `agents=`: classes that all
    of its hosts run."""
    from quorate.hosts.cluster import Cluster

    marker = request.node.get_closest_marker("quorate")
    wanted: dict[str, Any] = dict(marker.kwargs) if marker is not None else {}
    count, classes = wanted.pop("hosts", 1), list(wanted.pop("agents", ()))
    loop = asyncio.new_event_loop()
    settings: dict[str, Any] = {**FAST, **wanted}
    cluster = Cluster.local(count, **settings)
    try:
        loop.run_until_complete(asyncio.wait_for(_start(cluster, classes), START_TIMEOUT_S))
        yield RunningCluster(loop, cluster)
    finally:
        loop.run_until_complete(asyncio.wait_for(cluster.stop(), START_TIMEOUT_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
