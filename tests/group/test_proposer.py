"""Commands in, one effect each out: whatever is lost, refused, repeated, cancelled or late."""

from __future__ import annotations

import asyncio

import pytest

from quorate.core.errors import (
    LimitExceeded,
    NoLeader,
    NoQuorum,
    OutcomeUnknown,
    Overloaded,
    SessionExpired,
    Stopped,
    StorageFull,
    Timeout,
)
from quorate.core.group.proposer import Proposer
from quorate.core.raft.refusals import Refusal
from tests.group.fakes import Bench
from tests.group.virtual import run_virtual


def test_all_commands_of_one_turn_leave_in_one_batch() -> None:
    async def story() -> None:
        bench = Bench()
        answers = await asyncio.gather(*(bench.put(n) for n in range(300)))
        assert answers == [f"done {n}" for n in range(300)]
        assert len(bench.driver.submitted) == 1
        session, ack_low, commands = bench.driver.submitted[0]
        assert (session, ack_low, len(commands)) == (100, 1, 301), "the session opens in front"
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_lost_batch_is_sent_again_under_the_same_sequences() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.script.extend(["drop", "lose_answer"])
        assert await bench.put("x") == "done x"
        assert bench.machine.effects == ["x"], "the answer was lost once: applied once all the same"
        sent = [commands for _session, _ack, commands in bench.driver.submitted]
        assert sent[0] == sent[1] == sent[2]
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_timeout_after_sending_is_unknown_and_a_later_copy_cannot_apply() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("first")
        bench.driver.default = "drop"
        with pytest.raises(OutcomeUnknown) as caught:
            await bench.put("late", timeout_s=1)
        assert caught.value.outcome == "unknown"
        late = bench.driver.submitted[1]
        bench.driver.default = "apply"
        await bench.put("next")
        bench.driver.apply(late)  # the network gives it back after all
        assert bench.machine.effects == ["first", "next"], "acknowledged: the late copy is refused"
        bench.assert_nothing_left()

    run_virtual(story())


def test_without_a_leader_calls_end_definitely_by_their_deadline() -> None:
    async def story() -> None:
        bench = Bench(leader=None)
        started = bench.loop.time()
        with pytest.raises(NoLeader) as caught:
            await bench.put("x", timeout_s=0.5)
        assert caught.value.outcome == "not_applied"
        assert bench.loop.time() - started <= 0.55
        assert bench.driver.submitted == []
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_minority_refuses_quickly_once_it_waited_long_enough() -> None:
    async def story() -> None:
        bench = Bench(leader_wait_s=1.0)
        bench.lead(None)
        bench.submitter.set_quorum_reachable(False)
        started = bench.loop.time()
        with pytest.raises(NoQuorum):
            await bench.put("x", timeout_s=30)
        assert bench.loop.time() - started < 1.1
        started = bench.loop.time()
        with pytest.raises(NoQuorum):
            await bench.put("y", timeout_s=30)
        assert bench.loop.time() - started <= 0.1, "later calls do not wait again"
        bench.lead("b")
        assert await bench.put("z") == "done z"

    run_virtual(story())


def test_a_failover_is_waited_through_and_everything_unanswered_is_sent_again() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.script.append("drop")
        call = asyncio.ensure_future(bench.put("x"))
        await bench.settle()
        bench.lead(None)
        await bench.settle()
        assert len(bench.driver.submitted) == 1, "nothing leaves without a leader"
        started = bench.loop.time()
        bench.lead("b")
        assert await call == "done x"
        assert bench.loop.time() - started < 0.05, "no silence to wait out"

    run_virtual(story())


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal.STORAGE_FULL, StorageFull),
        (Refusal.TOO_LARGE, LimitExceeded),
        (Refusal.STOPPED, Stopped),
    ],
)
def test_a_final_refusal_of_the_only_copy_is_definite(
    refusal: Refusal, error: type[Exception]
) -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("open")
        bench.driver.script.append(refusal)
        with pytest.raises(error) as caught:
            await bench.put("x")
        assert caught.value.outcome == "not_applied"  # type: ignore[attr-defined]
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_refusal_proves_nothing_about_an_earlier_copy() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("open")
        bench.driver.script.extend(["drop"] + [Refusal.STORAGE_FULL] * 20)
        with pytest.raises(OutcomeUnknown):
            await bench.put("x", timeout_s=2)
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_full_queue_is_tried_again_and_is_overloaded_at_the_deadline() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.script.extend([Refusal.QUEUE_FULL] * 5)
        assert await bench.put("x") == "done x"
        bench.driver.default = Refusal.QUEUE_FULL
        with pytest.raises(Overloaded) as caught:
            await bench.put("y", timeout_s=1)
        assert caught.value.outcome == "not_applied"
        assert len(bench.driver.submitted) < 40, "it backs off"
        bench.assert_nothing_left()

    run_virtual(story())


def test_the_window_bounds_what_is_on_its_way_and_the_rest_waits() -> None:
    async def story() -> None:
        bench = Bench(inflight_ops_max=10, batch_ops_max=4, waiting_ops_max=50)
        bench.driver.default = ("delay", 0.01)
        calls = [asyncio.ensure_future(bench.put(n)) for n in range(50)]
        await bench.settle()
        assert len(bench.submitter.proposer.inflight) == 10
        assert all(len(commands) <= 4 for _s, _a, commands in bench.driver.submitted)
        with pytest.raises(Overloaded):
            for n in range(20):
                bench.submitter.submit_nowait(("put", 100 + n), 10, 5.0)
        await asyncio.gather(*calls)
        assert set(bench.machine.effects) >= set(range(50))

    run_virtual(story())


def test_a_batch_is_bounded_in_bytes() -> None:
    async def story() -> None:
        bench = Bench(batch_bytes_max=1000)
        await asyncio.gather(*(bench.put(n, size_bytes=400) for n in range(10)))
        assert max(len(commands) for _s, _a, commands in bench.driver.submitted) <= 3

    run_virtual(story())


def test_a_cancelled_call_leaks_nothing() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("open")
        bench.driver.default = "drop"
        calls = [asyncio.ensure_future(bench.put(n)) for n in range(20)]
        await bench.settle()
        bench.lead(None)
        calls += [asyncio.ensure_future(bench.put(n)) for n in range(20, 40)]
        await bench.settle()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        bench.assert_nothing_left()
        bench.driver.default = "apply"
        bench.lead("b")
        await bench.put("after")
        assert bench.driver.submitted[-1][1] > 20, "cancelled sequences are acknowledged"

    run_virtual(story())


def test_a_forgotten_session_is_opened_anew_for_what_was_certainly_not_applied() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("first")
        bench.machine.sessions.clear()
        assert await asyncio.gather(bench.put("x"), bench.put("y")) == ["done x", "done y"]
        assert bench.machine.effects == ["first", "x", "y"]
        assert bench.submitter.statistics()["sessions_total"] == 2
        bench.assert_nothing_left()

    run_virtual(story())


def test_a_forgotten_session_is_unknown_for_what_was_sent_twice() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("first")
        bench.driver.script.append("lose_answer")
        call = asyncio.ensure_future(bench.put("x"))
        await bench.settle()
        bench.machine.sessions.clear()
        with pytest.raises(SessionExpired) as caught:
            await call
        assert caught.value.outcome == "unknown", "it was applied, nobody may claim otherwise"
        assert bench.machine.effects == ["first", "x"]

    run_virtual(story())


def test_a_snapshot_that_skips_an_answer_is_survived() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.script.append("lose_answer")
        call = asyncio.ensure_future(bench.put("x"))
        await bench.settle()
        started = bench.loop.time()
        bench.submitter.on_snapshot_installed()
        assert await call == "done x"
        assert bench.loop.time() - started < 0.05
        assert bench.machine.effects == ["x"]

    run_virtual(story())


def test_stopping_ends_every_call_and_says_what_is_known() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("open")
        bench.driver.default = "drop"
        sent = asyncio.ensure_future(bench.put("sent"))
        await bench.settle()
        bench.lead(None)
        unsent = asyncio.ensure_future(bench.put("unsent"))
        await bench.settle()
        bench.submitter.stop()
        with pytest.raises(OutcomeUnknown):
            await sent
        with pytest.raises(Stopped):
            await unsent
        with pytest.raises(Stopped):
            await bench.put("later")
        bench.assert_nothing_left()

    run_virtual(story())


def test_no_timer_runs_while_nothing_waits() -> None:
    async def story() -> None:
        bench = Bench()
        await bench.put("x")
        await bench.pass_time(0.1)
        assert not bench.deadlines.statistics()["timer_running"]
        assert bench.deadlines.statistics()["buckets"] == 0

    run_virtual(story())


def test_an_unsent_call_that_waits_for_room_times_out_definitely() -> None:
    async def story() -> None:
        bench = Bench(inflight_ops_max=2)
        bench.driver.default = "drop"
        first = asyncio.ensure_future(bench.put("a", timeout_s=3))
        second = asyncio.ensure_future(bench.put("b", timeout_s=1))
        with pytest.raises(Timeout):
            await second
        with pytest.raises(OutcomeUnknown):
            await first

    run_virtual(story())


def test_a_lost_opening_leaves_no_later_batch_without_a_session() -> None:
    async def story() -> None:
        bench = Bench()
        bench.driver.script.append("drop")
        first = asyncio.ensure_future(bench.put("a"))
        await bench.settle()
        assert await bench.put("b") == "done b"
        assert await first == "done a"
        assert bench.machine.effects == ["b", "a"]
        assert bench.submitter.statistics()["sessions_total"] == 1

    run_virtual(story())


def test_a_full_disk_of_this_host_is_named_at_once() -> None:
    async def story() -> None:
        bench = Bench(leader=None)
        bench.submitter._storage_full = lambda: True
        started = bench.loop.time()
        with pytest.raises(StorageFull) as caught:
            await bench.put("x", timeout_s=30)
        assert caught.value.outcome == "not_applied"
        assert bench.loop.time() - started < 0.1

    run_virtual(story())


@pytest.mark.parametrize("planted", [False, True])
def test_a_retry_keeps_its_sequence_or_it_is_applied_twice(
    planted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: what is sent again gets a new sequence."""

    def renumber(proposer: Proposer) -> None:
        for pending in list(proposer.inflight.values()):
            proposer.abandon(pending)
            proposer.waiting[pending] = None
            proposer.waiting_bytes += pending.size_bytes

    if planted:
        monkeypatch.setattr(Proposer, "resend_all", renumber)

    async def story() -> None:
        bench = Bench()
        await bench.put("first")
        bench.driver.script.append("lose_answer")
        call = asyncio.ensure_future(bench.put("x"))
        await bench.settle()
        bench.lead("b")
        assert await call == "done x"
        assert bench.machine.effects == ["first", "x", *(["x"] if planted else [])]

    run_virtual(story())
