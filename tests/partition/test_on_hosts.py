"""A real cluster, really cut: each side says which one it is, and the heal says what diverged."""

from __future__ import annotations

import asyncio
from typing import Any

from quorate import Cluster, Host
from quorate.hosts.partition_view import PartitionEvent
from tests.hosts.conftest import FAST, run_story
from tests.hosts.test_partition import cut, heal

SETTINGS: dict[str, Any] = {**FAST}


async def event_of(host: Host, kind: str) -> PartitionEvent:
    """The first event of this kind."""
    async for event in host.partition.events(after=0):
        if event.kind == kind:
            return event
    raise AssertionError("the host stopped")


async def both(hosts: list[Host], kind: str) -> list[PartitionEvent]:
    return await asyncio.gather(*(event_of(host, kind) for host in hosts))


def by_key(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in report["diverged"]}


def test_a_cut_and_its_heal_are_told_by_both_sides() -> None:
    async def story() -> None:
        async with Cluster.local(3, **SETTINGS) as cluster:
            a, b, c = cluster.hosts.values()
            carts = {host.id: host.store("carts") for host in (a, b, c)}
            lists = {host.id: host.store("lists", resolver="siblings") for host in (a, b, c)}
            for key in ("ann", "bob"):
                await carts["a"].put(key, 0, wait_for=3)
            cut(c, [a, b])
            minority, majority = await both([c, a], "partitioned")
            assert (minority.status.state, minority.status.reaches_quorum) == ("isolated", False)
            assert (majority.peers, majority.status.state) == (("c",), "majority_side")
            await carts["a"].put("ann", "from a")
            await carts["c"].put("ann", "from c")
            await carts["c"].put("bob", "c alone")
            await lists["a"].put("todo", 1)
            await lists["c"].put("todo", 2)
            await carts["b"].pn_counter("likes").increment(1)
            await carts["c"].pn_counter("likes").increment(1)
            heal(c, [a, b])
            reports = await asyncio.gather(*(h.partition.wait_report(1) for h in (a, c)))
            for report in reports:
                assert report["outcome"] == "complete"
                diverged = by_key(report)
                assert sorted(diverged) == ["ann", "likes", "todo"]
                values = {diverged["ann"]["winner"]["value"]}
                values |= {loser["value"] for loser in diverged["ann"]["losers"]}
                assert values == {"from a", "from c"}
                assert diverged["todo"]["resolver"] == "siblings"
                assert diverged["likes"]["resolver"] == "crdt pn_counter"
            assert await carts["a"].get("ann") == await carts["c"].get("ann")
            assert await carts["a"].pn_counter("likes").value() == 2
            assert reports[0]["peers"] == ["c"]
            assert reports[1]["peers"] == ["a", "b"]

    run_story(story())
