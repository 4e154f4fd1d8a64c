"""The load generators for stores: bursts that let the loop turn, and a pace that does not wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from quorate.bench import paced as paced_module
from quorate.bench.bursts import BURST_CALLS, bursts, cost_ns
from quorate.bench.paced import IN_FLIGHT_MAX_OPS, paced, paced_in_a_row

MS = 1_000_000


def ticking(step_ns: int) -> Iterator[int]:
    now = 0
    while True:
        now += step_ns
        yield now


def test_calls_that_never_wait_do_not_starve_the_loop() -> None:
    async def story() -> None:
        turns = 0
        done = asyncio.Event()

        async def beside() -> None:
            nonlocal turns
            while not done.is_set():
                turns += 1
                await asyncio.sleep(0)

        async def call(_: int) -> None:
            return None

        other = asyncio.create_task(beside())
        clock = ticking(MS)
        load = await bursts(
            call, range(640), warmup_s=0.01, seconds=0.1, clock_ns=lambda: next(clock)
        )
        done.set()
        await other
        assert load.ops % BURST_CALLS == 0
        assert load.ops > 0
        assert turns >= load.ops // BURST_CALLS

    asyncio.run(story())


def test_what_completes_in_the_warm_up_is_not_counted() -> None:
    async def story() -> tuple[int, float]:
        async def call(_: int) -> None:
            return None

        clock = ticking(10 * MS)  # two readings for each burst
        load = await bursts(
            call, range(BURST_CALLS), warmup_s=1.0, seconds=1.0, clock_ns=lambda: next(clock)
        )
        return load.ops, load.window_s

    ops, window_s = asyncio.run(story())
    assert 48 * BURST_CALLS <= ops <= 52 * BURST_CALLS
    assert 0.95 <= window_s <= 1.05


def test_a_failing_call_is_an_error_and_no_operation() -> None:
    async def story() -> None:
        async def call(n: int) -> None:
            raise ValueError(f"no {n}")

        clock = ticking(MS)
        load = await bursts(
            call, range(8), warmup_s=0.0, seconds=0.02, clock_ns=lambda: next(clock)
        )
        assert (load.ops, load.errors > 0, load.error) == (0, True, "ValueError: no 0")

    asyncio.run(story())


def test_the_generators_own_cost_is_measured() -> None:
    assert 0 < asyncio.run(cost_ns(0.02)) < 100_000


def test_a_pace_is_kept_though_the_operations_are_slow() -> None:
    async def story() -> None:
        begun: list[int] = []
        never = asyncio.Event()

        async def operation(n: int) -> None:
            begun.append(n)
            if n % 2:
                return
            async with asyncio.timeout(0.05):
                await never.wait()

        done = await paced(operation, per_s=1000, warmup_s=0.0, seconds=0.1)
        assert begun == list(range(len(begun)))
        assert 60 <= len(begun) <= 100  # on a slow machine the last tick may come late
        assert done.missed == 0
        assert done.load.errors == len([n for n in begun if n % 2 == 0])

    asyncio.run(story())


class Time:
    """Moves when somebody sleeps, a little when it is read, and when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def clock_ns(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    async def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)
        await asyncio.sleep(0)

    async def stall(self, n: int) -> None:
        """An operation: the 100th holds everything up for half a second."""
        if n == 100:
            self.now_ns += 500 * MS


def test_what_cannot_begin_is_counted_as_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        begun = 0

        async def operation(n: int) -> None:
            nonlocal begun
            begun += 1
            await asyncio.get_running_loop().create_future()

        per_s, time = IN_FLIGHT_MAX_OPS * 4, Time()
        done = await paced(
            operation,
            per_s=per_s,
            warmup_s=0.0,
            seconds=2.0,
            clock_ns=time.clock_ns,
            sleep=time.sleep,
        )
        assert begun == IN_FLIGHT_MAX_OPS
        assert done.missed == per_s * 2 - begun
        assert done.load.errors == begun
        assert done.load.error.startswith("TimeoutError: not answered")

    monkeypatch.setattr(paced_module, "UNANSWERED_AFTER_S", 0.01)
    asyncio.run(story())


@pytest.mark.parametrize("generate", [paced, paced_in_a_row])
def test_what_waited_for_a_stall_is_charged_for_it(generate: Any) -> None:
    """A closed loop would have one slow sample; here all that was due meanwhile is slow."""

    async def story() -> None:
        time = Time()
        done = await generate(
            time.stall,
            per_s=1000,
            warmup_s=0.0,
            seconds=1.0,
            clock_ns=time.clock_ns,
            sleep=time.sleep,
        )
        assert (done.load.ops, done.missed, done.load.errors) == (1000, 0, 0)
        assert done.load.latency.max_ns >= 500 * MS
        assert done.load.latency.percentile(75) >= 200 * MS
        assert done.load.latency.percentile(45) <= 2 * MS

    asyncio.run(story())


def test_a_rate_beyond_what_is_possible_is_missed_and_not_thinned_out() -> None:
    async def story() -> None:
        clock = ticking(MS)

        async def operation(n: int) -> None:
            return None

        done = await paced_in_a_row(
            operation, per_s=10_000, warmup_s=0.1, seconds=0.4, clock_ns=lambda: next(clock)
        )
        assert done.load.ops + done.missed == 4000
        assert done.missed > 3000

    asyncio.run(story())
