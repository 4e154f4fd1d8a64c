"""One cluster of three whose hosts run the agents of `people.py`, for stories that hurt nobody, and
the tools of those that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from quorate import Cluster, Host
from tests.agents import people

FAST = {"heartbeat_s": 0.05, "election_min_s": 0.25, "election_max_s": 0.5}
"""Settings of test clusters: elections in a fraction of a second."""
STORY_S = 30.0


class World:
    """A running cluster and the loop it lives on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: Cluster) -> None:
        self.loop = loop
        self.cluster = cluster
        self._names = 0

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        """Run it on the cluster, which stood still while other tests ran: it takes up its leases
        first."""

        async def awake() -> Any:
            await settle(*self.hosts)
            return await story

        return self.loop.run_until_complete(asyncio.wait_for(awake(), STORY_S))

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(self.cluster.hosts.values())

    def name(self, kind: str = "agent") -> str:
        """A name nobody has used."""
        self._names += 1
        return f"{kind}:{self._names}"


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    loop = asyncio.new_event_loop()
    cluster = Cluster.local(3, **FAST)
    loop.run_until_complete(asyncio.wait_for(begin(cluster), STORY_S))
    try:
        yield World(loop, cluster)
    finally:
        loop.run_until_complete(asyncio.wait_for(cluster.stop(), STORY_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def begin(cluster: Cluster) -> None:
    """Start it, and have all hosts run all classes."""
    await cluster.start()
    await settle(*cluster.hosts.values())


async def settle(*hosts: Host) -> None:
    """Every host may run agents, and every host knows that of every other."""
    for host in hosts:
        for cls in people.ALL:
            host.agents.register(cls)
    for host in hosts:
        await host.agents.ready(10)
    ids = {host.id for host in hosts}

    def known() -> bool:
        return all(
            ids <= {one for one, at in host.agents.classes().get("people.Shop", {}).items() if at}
            for host in hosts
        )

    await until(known)


async def until(holds: Callable[[], object]) -> None:
    """Let the hosts work until it holds; the story's own time limit ends a wait in vain."""
    while not holds():  # noqa: ASYNC110 - there is no one event: everything the hosts do may be it
        await asyncio.sleep(0)


def run_story(story: Coroutine[Any, Any, Any]) -> Any:
    """Run a story that has its own hosts; nothing may be left over."""

    async def bounded() -> Any:
        result = await asyncio.wait_for(story, STORY_S)
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks left over: {left}"
        return result

    return asyncio.run(bounded())
