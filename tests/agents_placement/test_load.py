"""How busy hosts are: measured, smoothed, told, and forgotten when nothing new comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.bench.virtual_loop import LoopClock
from quorate.core import codec
from quorate.core.wire.frames import ProtocolError
from quorate.hosts.agents.placement.load import FIELDS, TYPE, LoadMeter
from quorate.hosts.agents.placement.probe import Reading, SystemProbe
from quorate.hosts.agents.placement.views import STALE_S
from tests.agents_placement.world import IDLE, World, told
from tests.group.virtual import run_virtual

BUSY = IDLE._replace(cpu_machine=0.9, memory=0.6)


def load(world: World, of: str, at: str = "a") -> Any:
    return world.sites[at].placing.meter.load(of)


def test_everybody_hears_of_everybody_within_a_second() -> None:
    async def story(world: World) -> None:
        world.sites["b"].reading = BUSY
        await world.pass_time(6)
        for at in world.sites:
            assert load(world, "b", at).cpu == pytest.approx(0.9, abs=0.06)
            assert load(world, "a", at).cpu < 0.01
            assert load(world, "c", at).age_s <= 1.01

    told(story)


def test_it_is_told_once_a_second_to_each_of_the_others() -> None:
    async def story(world: World) -> None:
        await world.pass_time(10.5)
        messages = [message for message in world.said if message["type"] == TYPE]
        assert len(messages) == 3 * 2 * 11
        size = len(codec.encode_value(messages[0]))
        assert size < 120, "gossip of the load is small"

    told(story)


def test_one_figure_alone_says_little() -> None:
    """A peak of a second is no reason to place elsewhere."""

    async def story(world: World) -> None:
        await world.pass_time(3.5)
        world.sites["b"].reading = BUSY
        await world.pass_time(1)
        assert 0.3 < load(world, "b").cpu < 0.5
        world.sites["b"].reading = IDLE
        await world.pass_time(4)
        assert load(world, "b").cpu < 0.1

    told(story)


def test_the_busiest_core_counts_since_a_host_has_only_one() -> None:
    async def story(world: World) -> None:
        world.sites["b"].reading = IDLE._replace(cpu_machine=0.25, cpu_process=1.0)
        await world.pass_time(8)
        assert load(world, "b").cpu > 0.95

    told(story)


def test_a_host_that_says_nothing_more_counts_as_unknown() -> None:
    async def story(world: World) -> None:
        await world.join()
        await world.pass_time(2)
        before = {shown["id"]: shown["weight"] for shown in world.sites["a"].placing.hosts()}
        world.mini.cut("b")
        await world.pass_time(STALE_S + 1)
        assert not load(world, "b").known
        after = {shown["id"]: shown["weight"] for shown in world.sites["a"].placing.hosts()}
        assert after["b"] < 0.5 * before["b"] and after["c"] == before["c"]

    told(story)


def test_memory_and_cores_of_the_machine_are_what_there_is_unless_the_host_says_less() -> None:
    async def story(world: World) -> None:
        await world.join("a", "b")
        await world.join("c", capacity={"memory_mb": 100})
        await world.pass_time(1.2)
        shown = {one["id"]: one["capacity"] for one in world.sites["a"].placing.hosts()}
        assert shown["b"] == {"memory_mb": 8000, "cpu": 4}
        assert shown["c"] == {"memory_mb": 100, "cpu": 4}
        await world.begin([f"x{at}" for at in range(6)], resources={"memory_mb": 2500})
        assert world.numbers() == {"a": 3, "b": 3}

    told(story)


def test_the_meter_forgets_who_is_no_member_and_hears_nobody_else() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        members = ["a", "b"]
        meter = LoadMeter(
            "a",
            clock=LoopClock(loop),
            scheduler=loop,
            send=lambda peer, message, lane: False,
            members=lambda: tuple(members),
            probe=lambda: IDLE,
        )
        meter.start()
        message = meter.message()
        meter.on_message("b", message)
        meter.on_message("stranger", message)
        assert meter.load("b") is not None and meter.load("stranger") is None
        members.remove("b")
        done = loop.create_future()
        loop.call_later(1.5, done.set_result, None)
        await done
        assert meter.load("b") is None
        meter.stop()

    run_virtual(story())


def test_a_loop_that_is_late_is_seen_and_soon_forgotten() -> None:
    async def story() -> None:
        loop: Any = asyncio.get_running_loop()
        meter = LoadMeter(
            "a",
            clock=LoopClock(loop),
            scheduler=loop,
            send=lambda peer, message, lane: True,
            members=lambda: ("a",),
            probe=lambda: IDLE,
        )
        meter.start()

        def hog() -> None:
            loop._virtual_now += 0.8  # a callback that takes so long

        async def wait(seconds: float) -> None:
            done = loop.create_future()
            loop.call_later(seconds, done.set_result, None)
            await done

        loop.call_later(0.55, hog)
        await wait(1.6)
        assert meter.statistics()["lag_s"] > 0.3
        await wait(5)
        assert meter.statistics()["lag_s"] < 0.02
        meter.stop()

    run_virtual(story())


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [None, -1, 0.5, "much", True, 1 << 60])
def test_malformed_gossip_is_refused(field: str, value: Any) -> None:
    async def story(world: World) -> None:
        meter = world.sites["a"].placing.meter
        message = {**world.sites["b"].placing.meter.message(), field: value}
        with pytest.raises(ProtocolError):
            meter.on_message("b", message)

    told(story, "ab")


def test_this_machine_can_be_looked_at() -> None:
    probe = SystemProbe()
    first = probe()
    assert isinstance(first, Reading)
    assert first.cores >= 1 and first.memory_mb > 100 and 1 < first.process_mb < first.memory_mb
    sum(at * at for at in range(400_000))
    second = probe()
    assert 0 < second.cpu_process <= 1 and 0 <= second.cpu_machine <= 1 and 0 < second.memory <= 1
