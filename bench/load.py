"""The load generator: a closed loop with N operations in flight, each a plain asyncio task.

The law of this file: an operation is measured from just before its call to just after its return;
what completes in the warm-up is not counted; an operation that fails is counted as an error and
never as a fast success. It knows nothing of what it drives, and its own cost can be measured with
`overhead_ns`.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from quorate.bench.figures import median
from quorate.bench.histogram import Histogram, merged

ERROR_PAUSE_S = 0.005
"""A task whose operation failed waits this long, so that refusals do not become a busy loop."""


@dataclass(slots=True)
class Load:
    """What one load did in its measured window."""

    ops: int = 0
    errors: int = 0
    window_s: float = 0.0
    latency: Histogram = field(default_factory=Histogram)
    error: str = ""
    """The last error's text."""

    @property
    def ops_per_s(self) -> float:
        return self.ops / self.window_s if self.window_s else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "ops": self.ops,
            "errors": self.errors,
            "window_s": self.window_s,
            "latency": self.latency.to_json(),
            "error": self.error,
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Load:
        return cls(
            int(row["ops"]),
            int(row["errors"]),
            float(row["window_s"]),
            Histogram.from_json(row["latency"]),
            str(row.get("error", "")),
        )


def together(parts: list[Load]) -> Load:
    """Loads that ran side by side as one: their operations add up, their windows do not."""
    return Load(
        sum(part.ops for part in parts),
        sum(part.errors for part in parts),
        max((part.window_s for part in parts), default=0.0),
        merged(part.latency for part in parts),
        next((part.error for part in parts if part.error), ""),
    )


def summary_of(loads: Sequence[Load]) -> dict[str, Any]:
    """What a line of a result says of repetitions: the median rate and each, latencies in
    microseconds over all of them, how many errors and one of them."""
    whole = merged(load.latency for load in loads)
    rates = [load.ops_per_s for load in loads]
    return {
        "ops_per_s": median(rates),
        "ops_per_s_each": rates,
        "p50_us": whole.percentile(50) / 1000,
        "p99_us": whole.percentile(99) / 1000,
        "errors": sum(load.errors for load in loads),
        "error": next((load.error for load in loads if load.error), ""),
    }


async def closed_loop(
    operation: Callable[[int], Awaitable[object]],
    *,
    in_flight: int,
    warmup_s: float,
    seconds: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Load:
    """Keep `in_flight` operations running; returns what completed in the `seconds` after the
    warm-up.

    `operation(n)` is called with 0, 1, 2, …; an exception it raises is an error of that operation.
    """
    begin = clock_ns() + int(warmup_s * 1e9)
    end = begin + int(seconds * 1e9)
    numbers = iter(range(1 << 62))
    samples = array("q")
    failures: list[str] = []

    async def one() -> None:
        started = clock_ns()
        while started < end:
            try:
                await operation(next(numbers))
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")
                await asyncio.sleep(ERROR_PAUSE_S)
                started = clock_ns()
                continue
            now = clock_ns()
            if begin <= now < end:
                samples.append(now - started)
            started = now

    await asyncio.gather(*(one() for _ in range(in_flight)))
    return Load(
        len(samples),
        len(failures),
        seconds,
        Histogram.of(samples),
        failures[-1] if failures else "",
    )


async def overhead_ns(in_flight: int, seconds: float = 0.3) -> float:
    """What the generator itself costs per operation: an operation that only yields to the loop
    once."""

    async def nothing(_: int) -> None:
        await asyncio.sleep(0)

    load = await closed_loop(nothing, in_flight=in_flight, warmup_s=0.05, seconds=seconds)
    return 1e9 / load.ops_per_s if load.ops else float("nan")
