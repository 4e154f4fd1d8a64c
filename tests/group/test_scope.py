"""The body of a lock is cancelled when the lock is lost, and by nothing else."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from quorate.core.errors import LockLost
from quorate.core.group.lease_hold import LeaseHold, margin_s
from quorate.core.group.scope import CancelScope
from tests.group.virtual import run_virtual


class Held:
    """The smallest user of a scope."""

    def __init__(self) -> None:
        self.scope = CancelScope()

    async def __aenter__(self) -> CancelScope:
        self.scope.enter()
        return self.scope

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        error = await self.scope.leave(kind)
        if error is not None:
            raise error


def lost() -> LockLost:
    return LockLost("gone")


def test_a_waiting_body_is_cancelled_and_the_block_raises_lock_lost() -> None:
    async def story() -> None:
        with pytest.raises(LockLost):
            async with Held() as scope:
                asyncio.get_running_loop().call_soon(scope.trip, lost)
                await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        await asyncio.sleep(0)

    run_virtual(story())


def test_a_cancellation_from_outside_stays_one() -> None:
    async def story() -> None:
        async def body(trip: bool) -> None:
            async with Held() as scope:
                entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    if trip:
                        scope.trip(lost)

        for trip in (False, True):
            entered = asyncio.Event()
            task = asyncio.ensure_future(body(trip))
            await entered.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    run_virtual(story())


def test_a_body_that_ends_just_before_still_learns_of_the_loss() -> None:
    async def story() -> None:
        with pytest.raises(LockLost):
            async with Held() as scope:
                scope.trip(lost)
        await asyncio.sleep(0)
        with pytest.raises(KeyError):
            async with Held() as scope:
                scope.trip(lost)
                raise KeyError("the body's own error wins")
        await asyncio.sleep(0)

    run_virtual(story())


def test_a_body_that_swallows_the_cancellation_cannot_leave_as_if_nothing_happened() -> None:
    async def story() -> None:
        with pytest.raises(LockLost):
            async with Held() as scope:
                scope.trip(lost)
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()

    run_virtual(story())


def test_a_holder_stops_believing_before_the_group_may_let_others_in() -> None:
    for ttl_s in (1.0, 3.0, 10.0, 60.0):
        hold = LeaseHold(1, ttl_s, confirmed_at=100.0)
        fast_leader_expires = 100.0 + ttl_s / 1.04
        assert hold.valid_until < fast_leader_expires
        assert hold.due_at < hold.valid_until - 2 * hold.retry_s, "several tries fit"
        assert hold.check(hold.valid_until - 0.001)
        assert not hold.check(hold.valid_until)
        hold.on_confirmed(hold.valid_until)
        assert not hold.check(hold.valid_until), "lost is final"
    assert margin_s(0.4) == pytest.approx(0.1)


def test_a_keepalive_counts_from_when_it_was_sent() -> None:
    hold = LeaseHold(1, 9.0, confirmed_at=0.0)
    hold.on_sent(3.0)
    hold.on_confirmed(3.0)  # the answer came later, it does not matter when
    assert hold.valid_until == pytest.approx(12.0 - margin_s(9.0))
    hold.on_confirmed(2.0)
    assert hold.confirmed_at == 3.0, "an older answer takes nothing back"
