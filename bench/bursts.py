"""The load generator of calls that are answered at once: bursts, because nothing would yield.

The law of this file: a read from memory never gives the event loop back, so a closed loop of tasks
would starve the host it measures. One task makes `BURST_CALLS` calls one after the other, then lets
the loop turn. Only the first call of a burst is timed, so that the clock is not what is measured.
`cost_ns` is what remains of the generator when the call does nothing.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from quorate.bench.histogram import Histogram
from quorate.bench.load import ERROR_PAUSE_S, Load

BURST_CALLS = 64


async def bursts(
    call: Callable[[Any], Awaitable[object]],
    arguments: Sequence[Any],
    *,
    warmup_s: float,
    seconds: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Load:
    """`call` each of `arguments` over and over; returns what completed after the warm-up."""
    begin = clock_ns() + int(warmup_s * 1e9)
    end = begin + int(seconds * 1e9)
    samples = array("q")
    ops = errors = 0
    error_text = ""
    slices = [arguments[n : n + BURST_CALLS] for n in range(0, len(arguments), BURST_CALLS)]
    counted_from = begin
    while True:
        for burst in slices:
            started = clock_ns()
            if started >= end:
                window_s = (started - counted_from) / 1e9
                return Load(ops, errors, window_s, Histogram.of(samples), error_text)
            if started < begin:
                ops, counted_from = 0, begin
                samples = array("q")
            try:
                await call(burst[0])
                samples.append(clock_ns() - started)
                for argument in burst[1:]:
                    await call(argument)
            except Exception as error:
                errors += 1
                error_text = f"{type(error).__name__}: {error}"
                await asyncio.sleep(ERROR_PAUSE_S)
                continue
            ops += len(burst)
            await asyncio.sleep(0)


async def cost_ns(seconds: float = 0.2) -> float:
    """What the generator costs for each call, in nanoseconds."""

    async def nothing(_: Any) -> None:
        return None

    load = await bursts(nothing, range(10_000), warmup_s=0.02, seconds=seconds)
    return 1e9 / load.ops_per_s if load.ops else float("nan")
