"""Turns of a nemesis on a made-up cluster: it heals whatever happens, and tells what it did."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from quorate.chaos.faults.catalogue import FAULTS
from quorate.chaos.nemesis.nemesis import Nemesis
from quorate.chaos.nemesis.schedule import plan_of
from quorate.chaos.nemesis.validate import reasons_against, without_effect
from quorate.core.errors import UsageError
from tests.faults.fake import FakeCluster
from tests.group.virtual import run_virtual

Told = list[dict[str, Any]]


def ran(name: str, cluster: FakeCluster, seconds: float = 30.0, seed: int = 1) -> Told:
    told: Told = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        nemesis = Nemesis(cluster, plan_of(name), Random(seed), told.append, now=loop.time)
        await nemesis.run(seconds)
        assert nemesis.current == ()

    run_virtual(story())
    return told


def phases(told: Told) -> list[tuple[str, str]]:
    return [(event["phase"], event["name"]) for event in told]


def test_a_run_in_sequence() -> None:
    cluster = FakeCluster()
    told = ran("halves,kill", cluster)
    assert phases(told)[:4] == [
        ("begin", "halves"),
        ("end", "halves"),
        ("begin", "kill"),
        ("end", "kill"),
    ]
    assert cluster.as_new and cluster.diary[-1] == "heal"
    begin, end = told[0], told[1]
    assert begin["k"] == "fault" and begin["pairs"] and begin["hosts"] is not None
    assert end["shown"] and 3.0 <= end["held_s"] <= 7.0 and end["t"] > begin["t"]
    assert reasons_against(plan_of("halves,kill"), told) == []


def test_the_same_seed_does_the_same() -> None:
    one, two, three = (ran("isolate+kill+slow", FakeCluster(), seed=seed) for seed in (4, 4, 5))
    assert one == two != three


@pytest.mark.parametrize("first", sorted(set(FAULTS) - {"none"}))
def test_every_pair_heals_and_shows(first: str) -> None:
    for second in sorted(set(FAULTS) - {"none"}):
        cluster = FakeCluster("abcde")
        told = ran(f"{first}+{second}", cluster, 12.0)
        assert cluster.as_new, f"{first}+{second} left something: {cluster.diary}"
        begun = [event for event in told if event["phase"] == "begin"]
        ended = [event for event in told if event["phase"] == "end"]
        assert len(begun) == len(ended) > 0


def test_who_stands_still_is_last_to_begin_and_first_to_end() -> None:
    for seed in range(5):
        told = phases(ran("pause+isolate", FakeCluster("abcde"), 8.0, seed))
        assert told[0] == ("begin", "isolate") and told[2] == ("end", "pause")


def test_nothing_is_nothing() -> None:
    cluster = FakeCluster()
    assert ran("none", cluster) == [] and cluster.as_new
    assert reasons_against(plan_of("none"), []) == []


def test_a_cancellation_in_the_middle_of_a_fault_heals_first() -> None:
    for name in sorted(FAULTS):
        cluster = FakeCluster()

        async def story(name: str = name, cluster: FakeCluster = cluster) -> None:
            loop, told = asyncio.get_running_loop(), list[dict[str, Any]]()
            nemesis = Nemesis(cluster, plan_of(name), Random(3), told.append, now=loop.time)
            running = asyncio.ensure_future(nemesis.run(30.0))
            await asyncio.wait([running], timeout=2.0)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running

        run_virtual(story())
        assert cluster.as_new, f"{name}: {cluster.diary}"
        assert cluster.diary.count("heal") >= 1


def test_a_fault_that_did_nothing_makes_the_run_invalid() -> None:
    told = ran("isolate", FakeCluster(deaf=True), 6.0)
    [reason] = without_effect(told)
    assert "isolate showed no effect" in reason and "0 of 4" in reason


def test_a_run_without_a_fault_proves_nothing() -> None:
    cluster = FakeCluster()
    cluster.refuses.add("clock-jump")
    told = ran("clock-jump", cluster, 6.0)
    assert {phase for phase, _ in phases(told)} == {"skipped"} and cluster.as_new
    [reason] = reasons_against(plan_of("clock-jump"), told)
    assert "no fault" in reason and "not now" in reason


def test_a_fault_that_was_never_ended() -> None:
    assert without_effect([{"phase": "begin", "name": "kill", "t": 1.0}]) == [
        "the fault kill was never ended"
    ]


def test_a_cluster_too_small() -> None:
    with pytest.raises(UsageError, match="at least 3"):
        Nemesis(FakeCluster("ab"), plan_of("bridge"), Random(1), print)


def test_a_fault_that_met_only_hosts_that_were_down_is_excused_if_it_showed_at_another_time() -> (
    None
):
    begin = {"phase": "begin", "name": "halves", "t": 1.0}
    nobody = {"phase": "end", "name": "halves", "shown": False, "effect": "0 of 0"}
    showed = {"phase": "end", "name": "halves", "shown": True, "effect": "2 of 2"}
    down = {**nobody, "nobody_there": True}
    assert without_effect([begin, down, begin, showed]) == []
    assert without_effect([begin, showed, begin, down]) == []
    assert without_effect([begin, down]) == ["the fault halves showed no effect: 0 of 0"]
    assert len(without_effect([begin, nobody, begin, showed])) == 1
