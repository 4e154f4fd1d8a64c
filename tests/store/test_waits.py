"""Waiting for disks: in order, each by its deadline, and honest when the host stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from quorate.consistency.store.waits import NEVER, DurableQueue, HeldQueue, News
from quorate.core.errors import OutcomeUnknown, Stopped
from quorate.core.group.deadlines import Deadlines


class Time:
    """A clock and a scheduler that move when told."""

    def __init__(self) -> None:
        self.now = 100.0
        self._planned: list[tuple[float, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], object]) -> None:
        self._planned.append((self.now, callback))

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Any:
        self._planned.append((self.now + delay_s, callback))
        return self

    def cancel(self) -> None:
        return None

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [row for row in self._planned if row[0] <= end]:
            row = min(due, key=lambda row: row[0])
            self._planned.remove(row)
            self.now = max(self.now, row[0])
            row[1]()
        self.now = end

    @property
    def idle(self) -> bool:
        return not self._planned


def story(tell: Callable[[Time, Deadlines, Any], Coroutine[Any, Any, None]]) -> None:
    async def told() -> None:
        time = Time()
        await tell(time, Deadlines(time, time), asyncio.get_running_loop().create_future)

    asyncio.run(told())


def test_updates_are_acknowledged_in_their_order() -> None:
    async def tell(time: Time, deadlines: Deadlines, future: Any) -> None:
        queue = DurableQueue(future, time, deadlines)
        waiting = [queue.wait(seq, time.now + 5) for seq in (3, 4, 9)]
        queue.on_durable(2)
        assert [one.done() for one in waiting] == [False, False, False]
        queue.on_durable(4)
        assert [one.done() for one in waiting] == [True, True, False]
        queue.on_durable(9)
        assert all(one.done() and one.exception() is None for one in waiting)
        time.pass_(1)
        assert time.idle, "no timer while nobody waits"
        assert queue.statistics() == {"waiting": 0, "late_total": 0}

    story(tell)


def test_who_waits_too_long_is_told_that_it_is_unknown() -> None:
    async def tell(time: Time, deadlines: Deadlines, future: Any) -> None:
        queue = DurableQueue(future, time, deadlines)
        late, patient = queue.wait(1, time.now + 1), queue.wait(2, time.now + 5)
        time.pass_(0.9)
        assert not late.done()
        time.pass_(0.2)
        with pytest.raises(OutcomeUnknown, match="may become durable"):
            late.result()
        assert not patient.done()
        queue.on_durable(2)
        assert patient.result() is None
        cancelled = queue.wait(3, time.now + 1)
        cancelled.cancel()
        queue.on_durable(3)
        stopping = queue.wait(4, time.now + 1)
        queue.end(Stopped("the host is stopping"))
        for one in (stopping, queue.wait(5, time.now + 1)):
            with pytest.raises(OutcomeUnknown):
                one.result()

    story(tell)


def test_other_hosts_disks_are_counted() -> None:
    async def tell(time: Time, deadlines: Deadlines, future: Any) -> None:
        queue = HeldQueue(future, time, deadlines)
        holders = {1: 1, 2: 1, 3: 1}

        def waits(seq: int, hosts: int, seconds: float = 5) -> asyncio.Future[bool]:
            return queue.wait(seq, lambda: holders[seq] >= hosts, time.now + seconds)

        two, three, later = waits(1, 2), waits(2, 3), waits(3, 2)
        holders.update({1: 2, 2: 2})
        queue.on_held(2)
        assert (two.done(), three.done(), later.done()) == (True, False, False)
        holders.update({2: 3, 3: 2})
        queue.on_held(2)
        assert (three.done(), later.done()) == (True, False), "3 was not among what was told"
        queue.on_held(3)
        assert later.result() is True
        hopeless, ended = waits(1, 9, 1), waits(2, 9)
        time.pass_(1.1)
        assert hopeless.result() is False
        queue.end()
        assert ended.result() is False

    story(tell)


def test_news_wake_everybody_once_and_deadlines_those_who_wait_too_long() -> None:
    async def tell(time: Time, deadlines: Deadlines, future: Any) -> None:
        news = News(future, time, deadlines)
        seen: list[int] = []
        waiting = [
            asyncio.ensure_future(news.until(lambda: len(seen) > 1, time.now + 1)),
            asyncio.ensure_future(news.until(lambda: len(seen) > 5, time.now + 1)),
            asyncio.ensure_future(news.wait(NEVER)),
        ]
        for n in range(2):
            await settle()
            seen.append(n)
            news.notify()
        await settle()
        assert [one.done() for one in waiting] == [True, False, True]
        time.pass_(1.1)
        await settle()
        assert [await one for one in waiting] == [True, False, True]
        forever = asyncio.ensure_future(news.wait(NEVER))
        await settle()
        news.stop()
        assert await forever is False
        assert await news.wait(NEVER) is False
        assert news.statistics() == {"waiting": 0}

    story(tell)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
