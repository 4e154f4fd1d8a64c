"""The load generator that does not wait: so many operations a second, however long each takes.

The law of this file: operations begin when they are due, in small groups every `TICK_S`, each as a
task of its own; what is due and cannot begin because too many are in flight is counted as missed,
never forgotten. A latency is from the call to its return.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from quorate.bench.histogram import Histogram
from quorate.bench.load import Load

TICK_S = 0.002
IN_FLIGHT_MAX_OPS = 4096


@dataclass(slots=True)
class Paced:
    """`load`: what completed; `missed`: what was due and never began."""

    load: Load
    missed: int

    def to_json(self) -> dict[str, Any]:
        return {**self.load.to_json(), "missed": self.missed}


async def paced(
    operation: Callable[[int], Awaitable[object]],
    *,
    per_s: float,
    warmup_s: float,
    seconds: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> Paced:
    """Begin `per_s` operations a second; returns what completed in the `seconds` after warm-up."""
    loop = asyncio.get_running_loop()
    samples = array("q")
    failures: list[str] = []
    running: set[asyncio.Task[None]] = set()
    first = clock_ns()
    begin = first + int(warmup_s * 1e9)
    end = begin + int(seconds * 1e9)

    async def one(number: int) -> None:
        started = clock_ns()
        try:
            await operation(number)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
            return
        now = clock_ns()
        if begin <= now < end:
            samples.append(now - started)

    issued = missed = 0
    while (now := clock_ns()) < end:
        due = int((now - first) * per_s / 1e9)
        room = IN_FLIGHT_MAX_OPS - len(running)
        if due - issued > room:
            missed += due - issued - room
        for number in range(issued, min(due, issued + room)):
            task = loop.create_task(one(number))
            running.add(task)
            task.add_done_callback(running.discard)
        issued = due
        await asyncio.sleep(TICK_S)
    if running:
        await asyncio.wait(running, timeout=10.0)
    text = failures[-1] if failures else ""
    load = Load(len(samples), len(failures), seconds, Histogram.of(samples), text)
    return Paced(load, missed)
