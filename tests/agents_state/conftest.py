"""One cluster of three for the stories that hurt nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from quorate import Cluster
from tests.agents_state.world import FAST, STORY_S, World


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
