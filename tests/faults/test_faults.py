"""Every fault: it hurts, it shows, it takes back exactly what it did; a fault that did nothing is
told from one that did."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree

import pytest

from quorate.chaos.faults.catalogue import FAULTS, fault_of
from quorate.chaos.faults.fault import Shown
from quorate.chaos.lab.children import LabError
from quorate.core.errors import UsageError
from tests.faults.fake import FakeCluster, scene_of
from tests.group.virtual import run_virtual

NAMES = (
    *("halves", "isolate", "isolate-leader", "majority-ring", "bridge", "one-way"),
    *("non-transitive", "flapping", "black-hole", "refuse", "reset", "slow", "stall", "narrow"),
    *("sliced", "cut-after", "kill", "stop", "pause", "restart-all", "rolling-restart"),
    *("compaction", "membership", "transfer", "agent-moves", "drain"),
    *("disk-full", "fsync-fails", "fsync-slow", "clock-jump", "none"),
)
HURT = [name for name in NAMES if name != "none"]
CERTAIN = {"kill", "stop", "pause", "restart-all", "rolling-restart"}
"""What the kernel does, whatever the host thinks."""


def lived(name: str, cluster: FakeCluster, seed: int, hold_s: float = 4.0) -> Shown:
    """Begin, hold, look, end."""

    async def story() -> Shown:
        scene, fault = scene_of(cluster, seed), fault_of(name)()
        told = await fault.begin(scene)
        assert set(told["hosts"]) <= set(cluster.hosts)
        await asyncio.sleep(hold_s)  # tidy-ok: virtual time
        shown = await fault.shown(scene)
        await fault.end(scene)
        await fault.end(scene)
        return shown

    return run_virtual(story())


def test_the_catalogue_has_every_fault_that_was_promised() -> None:
    assert set(FAULTS) == set(NAMES)


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="did you mean 'isolate-leader'"):
        fault_of("isolate-leadr")


@pytest.mark.parametrize("hosts", ["abc", "abcde"])
@pytest.mark.parametrize("name", NAMES)
def test_it_hurts_shows_and_takes_back(name: str, hosts: str) -> None:
    for seed in range(8):
        cluster = FakeCluster(hosts)
        shown = lived(name, cluster, seed)
        assert shown.ok, f"{name} with seed {seed}: {shown.text}"
        assert cluster.as_new, f"{name} with seed {seed} left something behind: {cluster.diary}"


@pytest.mark.parametrize("name", sorted(set(HURT) - CERTAIN))
def test_a_fault_that_does_nothing_does_not_show(name: str) -> None:
    cluster = FakeCluster(deaf=True)
    if name in ("fsync-fails", "drain"):
        cluster.refuses.add(name)
    try:
        shown = lived(name, cluster, 3)
    except LabError:
        return
    assert not shown.ok, f"{name}: {shown.text}"


@pytest.mark.parametrize("name", NAMES)
def test_it_may_be_ended_at_any_moment(name: str) -> None:
    for hold_s in (0.0, 0.15, 0.7, 1.3, 3.2):
        cluster = FakeCluster()
        lived(name, cluster, 5, hold_s)
        assert cluster.as_new, f"{name} after {hold_s} s left something behind: {cluster.diary}"


@pytest.mark.parametrize("name", NAMES)
def test_it_may_be_cancelled_while_it_begins(name: str) -> None:
    async def story(cluster: FakeCluster, turns: int) -> None:
        scene, fault = scene_of(cluster, 2), fault_of(name)()
        task = asyncio.ensure_future(fault.begin(scene))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await fault.end(scene)

    for turns in range(6):
        cluster = FakeCluster()
        run_virtual(story(cluster, turns))
        assert cluster.as_new, f"{name} cancelled after {turns} turns: {cluster.diary}"


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_cannot_do_and_is_drawn(name: str) -> None:
    fault = FAULTS[name]
    assert fault.does.endswith(".") and len(fault.cannot) > 20
    for hosts in ("abc", "abcde"):
        drawing = ElementTree.fromstring(fault.picture(tuple(hosts)))
        arrows = [one for one in drawing.iter() if one.tag.endswith("polygon")]
        assert len(arrows) == len(hosts) * (len(hosts) - 1)
        assert bool(fault.draw(tuple(hosts)).text()) is (name != "none")


def test_links_that_another_fault_cut_stay_its_own() -> None:
    async def story() -> None:
        cluster = FakeCluster()
        scene = scene_of(cluster)
        first, second = fault_of("isolate-leader")(), fault_of("slow")()
        cut = await first.begin(scene)
        slowed = await second.begin(scene)
        assert not set(map(tuple, cut["pairs"])) & set(map(tuple, slowed["pairs"]))
        await second.end(scene)
        assert set(cluster.links.hurt().values()) == {"black_hole"}
        with pytest.raises(LabError, match="hurt already"):
            await fault_of("isolate-leader")().begin(scene)
        await first.end(scene)
        assert cluster.as_new

    run_virtual(story())


def test_a_host_is_emptied_only_when_it_is_no_member() -> None:
    for seed in range(10):
        cluster = FakeCluster("abcde")
        lived("membership", cluster, seed, 12.0)
        removed = [line for line in cluster.diary if line.startswith("leave")]
        wiped = [line for line in cluster.diary if line.startswith("wipe")]
        assert len(removed) == len(wiped) >= 2
        assert cluster.as_new


@pytest.mark.parametrize(("name", "hold_s"), [("flapping", 0.35), ("membership", 1.0)])
def test_it_shows_in_the_middle_of_its_first_act(name: str, hold_s: float) -> None:
    for seed in range(6):
        cluster = FakeCluster()
        shown = lived(name, cluster, seed, hold_s)
        assert shown.ok, shown.text
        assert cluster.as_new
