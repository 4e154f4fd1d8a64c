"""One cluster of three for the stories that hurt nobody, on a loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from quorate import Cluster, Host

FAST = {"heartbeat_s": 0.05, "election_min_s": 0.25, "election_max_s": 0.5}
"""Settings of test clusters: elections in a fraction of a second."""

STORY_S = 20.0


class World:
    """A running cluster and the loop it lives on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: Cluster) -> None:
        self.loop = loop
        self.cluster = cluster

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(story, STORY_S))


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    loop = asyncio.new_event_loop()
    cluster = Cluster.local(3, **FAST)
    loop.run_until_complete(asyncio.wait_for(cluster.start(), STORY_S))
    try:
        yield World(loop, cluster)
    finally:
        loop.run_until_complete(asyncio.wait_for(cluster.stop(), STORY_S))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def hosts(world: World) -> tuple[Host, Host, Host]:
    """The three hosts of the shared cluster."""
    a, b, c = world.cluster.hosts.values()
    return a, b, c


def run_story(story: Coroutine[Any, Any, Any]) -> Any:
    """Run a story that has its own hosts; nothing may be left over."""

    async def bounded() -> Any:
        result = await asyncio.wait_for(story, STORY_S)
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks left over: {left}"
        return result

    return asyncio.run(bounded())
