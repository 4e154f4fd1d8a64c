"""A cluster of small workers: what they are told, and that nothing is left of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from quorate.chaos.lab.children import LabError
from quorate.chaos.lab.cluster import LabCluster
from quorate.chaos.lab.links import Condition
from quorate.chaos.lab.process import HostDown
from quorate.chaos.toxiproxy.server import ToxiproxyServer

MODULE = "tests.lab.small_worker"


def told(
    binary: Path,
    folder: Path,
    story: Callable[[LabCluster], Awaitable[None]],
    **more: Any,
) -> list[int]:
    """Tell a story with a cluster of three; the ids of all processes there ever were."""
    pids: list[int] = []

    def on_event(host: str, event: dict[str, Any]) -> None:
        if event.get("k") == "ready":
            pids.append(int(event["pid"]))

    async def run() -> None:
        server = ToxiproxyServer(binary)
        async with asyncio.timeout(60), server:
            async with LabCluster(
                folder, hosts="abc", on_event=on_event, server=server, module=MODULE, **more
            ) as cluster:
                await story(cluster)
            assert await server.api.proxies() == {}

    asyncio.run(run())
    return pids


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_a_host_is_told(toxiproxy_binary: Path, tmp_path: Path) -> None:
    async def story(cluster: LabCluster) -> None:
        told_to = (await cluster.order("b", "settings"))["settings"]
        assert told_to["workload"] == "mine" and told_to["plant"] == "P1"
        assert told_to["incarnation"] == 1 and told_to["peers"] == ["a", "b", "c"]
        host = told_to["host"]
        assert host["host_id"] == "b" and host["heartbeat_s"] == 0.1
        assert host["listen"] == host["peers"]["b"] == cluster.addresses["b"]
        assert host["dial"] == {
            "a": cluster.links.dialled["b", "a"],
            "c": cluster.links.dialled["b", "c"],
        }
        await cluster.restart("b")
        again = (await cluster.order("b", "settings"))["settings"]
        assert again["incarnation"] == 2 and again["host"] == host

    told(
        toxiproxy_binary,
        tmp_path,
        story,
        plant="P1",
        settings={"heartbeat_s": 0.1},
        worker={"workload": "mine"},
    )


def test_heal_makes_everything_as_new(toxiproxy_binary: Path, tmp_path: Path) -> None:
    async def story(cluster: LabCluster) -> None:
        await cluster.links.apply(dict.fromkeys(cluster.links.pairs, Condition("refused")))
        await cluster.kill("a")
        cluster.pause("b")
        with pytest.raises(HostDown):  # the kernel takes its time
            await cluster.order("b", "anything", 0.3)
        assert cluster.standing("b")
        assert not cluster.standing("c")
        assert (cluster.up, cluster.down, cluster.answering) == ({"b", "c"}, {"a"}, ["c"])
        with pytest.raises(HostDown):
            await cluster.order("a", "anything")
        await cluster.heal()
        assert cluster.answering == ["a", "b", "c"] and not cluster.links.hurt
        assert [cluster.lives(host) for host in cluster.hosts] == [2, 1, 1]
        assert (await cluster.order("b", "anything"))["ok"]
        assert await cluster.leader() in cluster.hosts

    told(toxiproxy_binary, tmp_path, story)


def test_nothing_is_left_running_not_even_what_stands_still(
    toxiproxy_binary: Path, tmp_path: Path
) -> None:
    async def story(cluster: LabCluster) -> None:
        cluster.pause("a")
        await cluster.kill("b")
        await cluster.start_host("b")
        raise RuntimeError("in the middle")

    pids: list[int] = []
    with pytest.raises(RuntimeError, match="in the middle"):
        pids += told(toxiproxy_binary, tmp_path, story)
    assert not any(map(alive, pids))


def test_a_host_that_is_being_stopped_is_started_again_only_when_it_ended(
    toxiproxy_binary: Path, tmp_path: Path
) -> None:
    async def story(cluster: LabCluster) -> None:
        stopping = asyncio.ensure_future(cluster.terminate("a"))
        await asyncio.sleep(0)
        stopping.cancel()
        await cluster.start_host("a")
        assert cluster.lives("a") == 2 and (await cluster.order("a", "anything"))["ok"]

    told(toxiproxy_binary, tmp_path, story)


def test_a_host_that_does_not_start_is_an_error_with_the_end_of_its_log(
    toxiproxy_binary: Path, tmp_path: Path
) -> None:
    async def story(cluster: LabCluster) -> None:
        raise AssertionError("it started")

    with pytest.raises(LabError, match=r"(?s)did not start.*cannot start.*the reason is here"):
        told(toxiproxy_binary, tmp_path, story, plant="fails")
