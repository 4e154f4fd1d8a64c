"""Real hosts behind a real Toxiproxy: a link that is cut is cut, in that direction, and heals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest

from quorate.chaos.lab.cluster import LabCluster
from quorate.chaos.lab.links import Condition, Pair
from quorate.chaos.nemesis.nemesis import Nemesis
from quorate.chaos.nemesis.schedule import Pace, plan_of
from quorate.chaos.nemesis.validate import reasons_against
from tests.chaos_server import toxiproxy_binary

__all__ = ["toxiproxy_binary"]

HOLE = Condition("black_hole")
SHORT = Pace((2.0, 2.5), (1.0, 1.0))
SETTINGS = {"secret": "a-shared-secret-for-tests", "heartbeat_s": 0.05}
SETTINGS |= {"election_min_s": 0.3, "election_max_s": 0.6}
PING_S = 1.3
"""A link that carries says something at least once a second."""


def told(folder: Path, story: Callable[[LabCluster], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        cluster = LabCluster(
            folder,
            on_event=lambda host, event: None,
            settings=SETTINGS,
            worker={"workload": "register", "seed": 1},
            **{"hosts": "abc", **more},
        )
        async with asyncio.timeout(90), cluster:
            await cluster.ready(20)
            await story(cluster)

    asyncio.run(run())


async def carried_while(cluster: LabCluster, seconds: float) -> Mapping[Pair, int]:
    """Bytes that arrived on each link meanwhile."""
    before = await cluster.links.carried()
    await asyncio.sleep(seconds)
    after = await cluster.links.carried()
    return {pair: after[pair] - before[pair] for pair in before}


async def another_leads(cluster: LabCluster, than: str) -> str:
    while True:
        leader = await cluster.leader(10)
        if leader != than:
            return leader
        await asyncio.sleep(0.05)


def test_cut_links_are_cut_and_no_others(tmp_path: Path, toxiproxy_binary: Path) -> None:
    async def story(cluster: LabCluster) -> None:
        assert all((await carried_while(cluster, PING_S)).values())
        old = await cluster.leader()
        around = [pair for pair in cluster.links.pairs if old in pair]
        await cluster.links.apply(dict.fromkeys(around, HOLE))
        await another_leads(cluster, old)
        arrived = await carried_while(cluster, PING_S)
        assert {pair for pair, count in arrived.items() if count == 0} == set(around)
        await cluster.heal()
        await cluster.ready(20)
        assert all((await carried_while(cluster, PING_S)).values())

        [silent, deaf] = [host for host in cluster.hosts if host != await cluster.leader()]
        await cluster.links.apply({(silent, deaf): HOLE})
        await asyncio.sleep(0.2)
        arrived = await carried_while(cluster, PING_S)
        assert [pair for pair, count in arrived.items() if count == 0] == [(silent, deaf)]
        await cluster.heal()
        await cluster.ready(20)

    told(tmp_path, story)


def test_a_learner_a_new_life_and_a_link_of_one_that_stands_still(
    tmp_path: Path, toxiproxy_binary: Path
) -> None:
    async def story(cluster: LabCluster) -> None:
        leader = await cluster.leader()
        members = (await cluster.look())[leader]["members"]
        assert members == [["a", "voter"], ["b", "voter"], ["c", "voter"], ["d", "learner"]]
        cluster.pause("d")
        pairs = [pair for pair in cluster.links.pairs if "d" in pair]
        for kind in ("slow", "black_hole", "stalled", "refused"):
            await cluster.links.apply({pair: Condition(kind) for pair in pairs})
        await cluster.heal()
        await cluster.kill(leader)
        await another_leads(cluster, leader)
        await cluster.start_host(leader)
        await cluster.ready(20)
        assert cluster.lives(leader) == 2

    told(tmp_path, story, learners="d")


@pytest.mark.parametrize("name", ["membership", "fsync-fails+slow", "clock-jump,disk-full"])
def test_faults_from_inside_show_and_heal(
    name: str, tmp_path: Path, toxiproxy_binary: Path
) -> None:
    events: list[dict[str, Any]] = []

    async def story(cluster: LabCluster) -> None:
        for host in cluster.hosts:
            await cluster.order(host, "load", rate=20, clients=2)
        await asyncio.sleep(0.5)
        plan = plan_of(name)
        await Nemesis(cluster, plan, Random(2), events.append, pace=SHORT).run(6.0)
        assert reasons_against(plan, events) == []
        await cluster.ready(20)
        look = await cluster.look()
        assert set(look) == set(cluster.hosts)
        assert all(seen["ahead_s"] == 0.0 for seen in look.values())
        leader = await cluster.leader()
        assert look[leader]["members"] == [[host, "voter"] for host in cluster.hosts]

    told(tmp_path, story)
