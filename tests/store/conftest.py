"""One cluster of three for the stories that hurt nobody, and the tools of those that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from quorate import Cluster, Host
from quorate.consistency.store.core import Core
from quorate.core import codec
from quorate.core.wire.ports import free_addresses

FAST = {"heartbeat_s": 0.05, "election_min_s": 0.25, "election_max_s": 0.5}
STORY_S = 20.0


class World:
    """A running cluster and the loop it lives on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cluster: Cluster) -> None:
        self.loop = loop
        self.cluster = cluster
        self._names = 0

    def run(self, story: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(story, STORY_S))

    @property
    def hosts(self) -> tuple[Host, ...]:
        return tuple(self.cluster.hosts.values())

    def name(self) -> str:
        """A store nobody has used."""
        self._names += 1
        return f"store-{self._names}"


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


def run_story(story: Coroutine[Any, Any, Any]) -> Any:
    """Run a story that has its own hosts; nothing may be left over."""

    async def bounded() -> Any:
        result = await asyncio.wait_for(story, STORY_S)
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks left over: {left}"
        return result

    return asyncio.run(bounded())


async def until(host: Host, look: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """Wait until `look()` is true on a host: asked again whenever something moved there."""
    plane = host.stores.desk.plane
    end = plane.clock.monotonic() + timeout_s
    while not (found := look()):
        now = plane.clock.monotonic()
        assert now < end, "it never came"
        await plane.news.wait(min(end, now + 0.05))
    return found


async def everywhere(hosts: Iterable[Host], store: str, key: str, value: Any) -> None:
    """Wait until a local read shows this on every host."""
    wanted = None if value is None else codec.encode_value(value)
    for host in hosts:
        parts = host.stores.desk.store(store)._parts  # pyright: ignore[reportPrivateUsage]
        await until(host, partial(shows, parts.core, key, wanted))


def shows(core: Core, key: str, wanted: bytes | None) -> bool:
    return core.view(key).value == wanted


def cut(host: Host, others: Iterable[Host]) -> None:
    """Both directions: nobody listens where they dial now."""
    nowhere = free_addresses(1)[0]
    for other in others:
        host.mesh.set_override(other.id, nowhere)
        other.mesh.set_override(host.id, nowhere)


def heal(host: Host, others: Iterable[Host]) -> None:
    for other in others:
        host.mesh.set_override(other.id, None)
        other.mesh.set_override(host.id, None)
