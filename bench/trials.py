"""Single calls, one after another at a slow pace: which were answered, and how the others ended.

The law of this file: a call that raises is never a fast success; its kind and the time until it
came are kept beside those of the others. Every call ends before the trial does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from quorate.bench.histogram import Histogram, merged


@dataclass(slots=True)
class Trial:
    """What came of the calls of one kind; times in nanoseconds from when a call was due."""

    answered: Histogram = field(default_factory=Histogram)
    errors: dict[str, Histogram] = field(default_factory=dict[str, Histogram])
    """Name of the exception -> how long until it was raised."""

    @property
    def calls(self) -> int:
        return self.answered.count + sum(one.count for one in self.errors.values())

    @property
    def share(self) -> float:
        """Of the calls, those that were answered; nan of none."""
        return self.answered.count / self.calls if self.calls else float("nan")

    @classmethod
    def of(cls, ends: Iterable[tuple[str, int]]) -> Trial:
        """`ends`: (name of the exception or "", nanoseconds) of each call."""
        sorted_out: dict[str, list[int]] = {}
        for kind, took_ns in ends:
            sorted_out.setdefault(kind, []).append(took_ns)
        answered = Histogram.of(sorted_out.pop("", ()))
        return cls(answered, {kind: Histogram.of(each) for kind, each in sorted_out.items()})

    def to_json(self) -> dict[str, Any]:
        return {
            "answered": self.answered.to_json(),
            "errors": {kind: one.to_json() for kind, one in self.errors.items()},
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Trial:
        errors = {str(kind): Histogram.from_json(one) for kind, one in row["errors"].items()}
        return cls(Histogram.from_json(row["answered"]), errors)


def together(trials: Iterable[Trial]) -> Trial:
    """All of them as one."""
    parts = list(trials)
    kinds = sorted({kind for part in parts for kind in part.errors})
    return Trial(
        merged(part.answered for part in parts),
        {kind: merged(p.errors[kind] for p in parts if kind in p.errors) for kind in kinds},
    )


async def trial(
    call: Callable[[int], Awaitable[object]],
    *,
    per_s: float,
    seconds: float,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> Trial:
    """Make `per_s` calls a second for `seconds`, none waiting for another; returns when all have
    ended."""
    first = clock_ns()
    ends: list[tuple[str, int]] = []

    async def one(number: int, due_ns: int) -> None:
        since, kind = min(due_ns, clock_ns()), ""
        try:
            await call(number)
        except Exception as error:
            kind = type(error).__name__
        ends.append((kind, clock_ns() - since))

    async with asyncio.TaskGroup() as tasks:
        for number in range(max(1, round(per_s * seconds))):
            due_ns = first + round(number / per_s * 1e9)
            if (early_ns := due_ns - clock_ns()) > 0:
                await asyncio.sleep(early_ns / 1e9)
            tasks.create_task(one(number, due_ns))
    return Trial.of(ends)
