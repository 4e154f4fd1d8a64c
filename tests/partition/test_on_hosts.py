"""A real cluster, really cut: each side says which one it is, and the heal says what diverged."""

from __future__ import annotations

import asyncio
from typing import Any

from quorate import Cluster, Host
from quorate.hosts.partition_view import PartitionEvent
from tests.hosts.conftest import FAST, run_story
from tests.hosts.test_partition import cut, heal

SETTINGS: dict[str, Any] = {**FAST}


async def whole(hosts: list[Host]) -> dict[str, tuple[int, int]]:
    """Once every host reaches all: by host, the numbers of its last event and of its last report.
    (A host that waits long for the others to start has told of a cut and a heal already.)"""
    for host in hosts:
        host.partition.look()
        if host.partition.state != "whole":
            async for _ in host.partition.events(after=0):
                if host.partition.state == "whole":
                    break
        for report in host.partition.reports():
            await host.partition.wait_report(report["number"])
    return {
        host.id: (
            max((event.number for event in host.partition.recent()), default=0),
            max((report["number"] for report in host.partition.reports()), default=0),
        )
        for host in hosts
    }


async def event_of(host: Host, kind: str, after: int) -> PartitionEvent:
    """The first event of this kind behind that one."""
    async for event in host.partition.events(after=after):
        if event.kind == kind:
            return event
    raise AssertionError("the host stopped")


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
            told = await whole([a, b, c])
            cut(c, [a, b])
            minority, majority = await asyncio.gather(
                *(event_of(host, "partitioned", told[host.id][0]) for host in (c, a))
            )
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
            reports = await asyncio.gather(
                *(h.partition.wait_report(told[h.id][1] + 1) for h in (a, c))
            )
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
