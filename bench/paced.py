"""The load generator that does not wait: so many operations a second, however long each takes.

The law of this file: operations are due in groups, one every `TICK_S`, whether or not those before
have come back. A latency is counted from when the operation was due (or from its call, where a
timer was early), so that a system that stands still is charged for everything that waited for it,
which is what a closed loop omits (Gil Tene's "coordinated omission"). What was due and could not
begin is counted as missed, never forgotten.
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
IN_A_ROW_OPS = 64
"""Of calls that are answered at once, before the loop turns."""
UNANSWERED_AFTER_S = 10.0


@dataclass(slots=True)
class Paced:
    """`load`: what was due in the window and came back; `missed`: what was due there and never
    began; `late`: how much of the load came back after the window's end."""

    load: Load
    missed: int
    late: int = 0

    def to_json(self) -> dict[str, Any]:
        return {**self.load.to_json(), "missed": self.missed, "late": self.late}


async def paced(
    operation: Callable[[int], Awaitable[object]],
    *,
    per_s: float,
    warmup_s: float,
    seconds: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Paced:
    """Begin `per_s` operations a second, each as a task; returns those that were due in the
    `seconds` after warm-up, and waits for them."""
    loop = asyncio.get_running_loop()
    samples = array("q")
    failures: list[str] = []
    running: set[asyncio.Task[None]] = set()
    late = 0
    first = clock_ns()
    begin = first + int(warmup_s * 1e9)
    end = begin + int(seconds * 1e9)

    async def one(number: int, due_ns: int) -> None:
        nonlocal late
        since = min(due_ns, clock_ns())
        try:
            await operation(number)
        except Exception as error:
            if begin <= due_ns < end:
                failures.append(f"{type(error).__name__}: {error}")
            return
        now = clock_ns()
        if begin <= due_ns < end:
            samples.append(now - since)
            late += now >= end

    begun = missed = tick = 0
    while (due_ns := first + round(tick * TICK_S * 1e9)) < end:
        if (early_ns := due_ns - clock_ns()) > 0:
            await sleep(early_ns / 1e9)
        tick += 1
        due = int(tick * TICK_S * per_s)
        room = IN_FLIGHT_MAX_OPS - len(running)
        if due - begun > room and due_ns >= begin:
            missed += due - begun - room
        for number in range(begun, min(due, begun + room)):
            task = loop.create_task(one(number, due_ns))
            running.add(task)
            task.add_done_callback(running.discard)
        begun = due
        await asyncio.sleep(0)
    if running:
        _, unanswered = await asyncio.wait(running, timeout=UNANSWERED_AFTER_S)
        for task in unanswered:
            task.cancel()
            failures.append(f"TimeoutError: not answered {UNANSWERED_AFTER_S:g} s after the end")
    text = failures[-1] if failures else ""
    load = Load(len(samples), len(failures), seconds, Histogram.of(samples), text)
    return Paced(load, missed, late)


async def paced_in_a_row(
    operation: Callable[[int], Awaitable[object]],
    *,
    per_s: float,
    warmup_s: float,
    seconds: float,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> Paced:
    """The same for operations that are answered from memory: one after the other in one task,
    because a task for each would cost more than the call. What was not called by the end of the
    window is missed."""
    samples = array("q")
    failures: list[str] = []
    first = clock_ns()
    begin = first + int(warmup_s * 1e9)
    end = begin + int(seconds * 1e9)
    number = tick = missed = 0
    while (due_ns := first + round(tick * TICK_S * 1e9)) < end:
        if (early_ns := due_ns - clock_ns()) > 0:
            await sleep(early_ns / 1e9)
        tick += 1
        due = int(tick * TICK_S * per_s)
        while number < due and (called := clock_ns()) < end:
            try:
                await operation(number)
                if due_ns >= begin:
                    samples.append(clock_ns() - min(due_ns, called))
            except Exception as error:
                if due_ns >= begin:
                    failures.append(f"{type(error).__name__}: {error}")
            number += 1
            if number % IN_A_ROW_OPS == 0:
                await asyncio.sleep(0)
        if due_ns >= begin:
            missed += due - number
        number = due
    text = failures[-1] if failures else ""
    load = Load(len(samples), len(failures), seconds, Histogram.of(samples), text)
    return Paced(load, missed)
