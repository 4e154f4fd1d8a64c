"""Linearizable reads: one round for many, never a round that began before the read."""

from __future__ import annotations

import asyncio

import pytest

from quorate.core.errors import NoLeader, Stopped, StorageFull, Timeout
from quorate.core.group.reads import Read, Reads
from quorate.core.raft.refusals import Refusal
from tests.group.fakes import Bench
from tests.group.virtual import run_virtual


def test_one_round_serves_all_reads_of_a_turn() -> None:
    async def story() -> None:
        bench = Bench()
        await asyncio.gather(*(bench.reads.wait_read_point(1.0) for _ in range(500)))
        assert bench.driver.read_rounds == 1
        bench.assert_nothing_left()

    run_virtual(story())


@pytest.mark.parametrize("planted", [False, True])
def test_a_read_never_joins_a_round_that_started_before_it(
    planted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: a read is served by a round that is out already."""
    honest = Reads._enter

    def join(reads: Reads, timeout_s: float) -> Read:
        read = honest(reads, timeout_s)
        for round_ in reads._rounds:
            round_.members[read] = None
        return read

    if planted:
        monkeypatch.setattr(Reads, "_enter", join)

    async def story() -> None:
        bench = Bench()
        bench.driver.reads_script.append(("answer_later", 0.2))
        early = asyncio.ensure_future(bench.reads.wait_read_point(1.0))
        await bench.settle()
        await bench.put("x")
        if planted:
            bench.driver.reads_script.append("drop")
        late = asyncio.ensure_future(bench.reads.wait_read_point(1.0))
        await bench.settle()
        assert bench.driver.read_rounds == 2
        assert (await late >= bench.machine.index) != planted
        await early

    run_virtual(story())


def test_refused_and_silent_rounds_are_asked_again() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.reads_script.extend([Refusal.NOT_LEADER, "drop", Refusal.NO_LEADER])
        started = bench.loop.time()
        await bench.reads.wait_read_point(5.0)
        assert bench.driver.read_rounds == 4
        assert bench.loop.time() - started < 1.0
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_read_that_finds_no_leader_or_no_answer_ends_by_its_deadline() -> None:
    async def story() -> None:
        bench = Bench(leader=None)
        with pytest.raises(NoLeader):
            await bench.reads.wait_read_point(0.5)
        bench.lead("a")
        bench.driver.reads_script.extend(["drop"] * 10)
        started = bench.loop.time()
        with pytest.raises(Timeout) as caught:
            await bench.reads.wait_read_point(0.5)
        assert caught.value.outcome == "not_applied"
        assert bench.loop.time() - started <= 0.55
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_leader_change_moves_the_readers_to_a_new_round() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.reads_script.append("drop")
        read = asyncio.ensure_future(bench.reads.wait_read_point(5.0))
        await bench.settle()
        started = bench.loop.time()
        bench.lead(None)
        bench.lead("b")
        await read
        assert bench.loop.time() - started < 0.05

    run_virtual(story())


def test_cancelled_stopped_and_finally_refused_reads_leak_nothing() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.reads_script.extend(["drop", Refusal.STORAGE_FULL, "drop"])
        read = asyncio.ensure_future(bench.reads.wait_read_point(5.0))
        await bench.settle()
        read.cancel()
        await asyncio.gather(read, return_exceptions=True)
        with pytest.raises(StorageFull):
            await bench.reads.wait_read_point(5.0)
        last = asyncio.ensure_future(bench.reads.wait_read_point(5.0))
        await bench.settle()
        bench.reads.stop()
        with pytest.raises(Stopped):
            await last
        bench.assert_nothing_left()

    run_virtual(story())
