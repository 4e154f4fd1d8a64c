"""The load generator: what it counts, and what it does not."""

from __future__ import annotations

import asyncio

from quorate.bench.load import Load, closed_loop, together


class Ticks:
    """A clock in nanoseconds that moves only when an operation says so."""

    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


def run(ticks: Ticks, *, ms_each: float, fail_every: int = 0, in_flight: int = 1) -> Load:
    async def operation(n: int) -> None:
        await asyncio.sleep(0)
        ticks.now_ns += int(ms_each * 1e6)
        if fail_every and n % fail_every == 0:
            raise TimeoutError("no answer")

    return asyncio.run(
        closed_loop(operation, in_flight=in_flight, warmup_s=0.1, seconds=1.0, clock_ns=ticks)
    )


def test_it_counts_what_completes_in_the_window_and_not_the_warm_up() -> None:
    load = run(Ticks(), ms_each=10)
    assert load.ops == 100
    assert load.errors == 0
    assert load.ops_per_s == 100
    assert (
        load.latency.percentile(50) == 10_000_000
        or abs(load.latency.percentile(50) - 10_000_000) < 10_000_000 / 128
    )


def test_a_failure_is_an_error_and_never_a_fast_success() -> None:
    load = run(Ticks(), ms_each=10, fail_every=2)
    assert load.errors == 55
    assert load.ops == 50
    assert load.error == "TimeoutError: no answer"


def test_many_in_flight_share_the_clock() -> None:
    load = run(Ticks(), ms_each=1, in_flight=10)
    assert load.ops == 1000
    assert load.latency.percentile(50) >= 9_000_000


def test_loads_side_by_side_add_up_their_operations_but_not_their_windows() -> None:
    one = run(Ticks(), ms_each=10)
    both = together([one, one])
    assert both.ops_per_s == 2 * one.ops_per_s
    assert both.window_s == one.window_s
    assert both.latency.count == 200


def test_a_load_comes_back_from_json() -> None:
    load = run(Ticks(), ms_each=10, fail_every=3)
    assert Load.from_json(load.to_json()).to_json() == load.to_json()
