"""Calls that run out of time end, all of them, whatever one of them does while it ends."""

from __future__ import annotations

from typing import Any

from quorate.chaos.sim.events import EventQueue, Life
from quorate.core.group.deadlines import Deadlines


class Call:
    """A call that takes itself, and another one, out of the bucket when it ends."""

    def __init__(self, other: Call | None = None) -> None:
        self.other = other
        self.bucket: dict[Any, None] = {}
        self.ended = 0

    def on_deadline(self, now: float) -> None:
        self.ended += 1
        self.bucket.pop(self, None)
        if self.other is not None:
            self.other.bucket.pop(self.other, None)


def test_a_call_that_ends_may_take_itself_and_others_out() -> None:
    queue = EventQueue()
    life = Life(queue, clock_rate=1.0, clock_offset_s=0.0)
    deadlines = Deadlines(life, life)
    spared = Call()
    calls = [Call(), Call(spared), spared, Call()]
    for call in calls:
        call.bucket = deadlines.add(0.5, call)
    queue.run_until(2.0)
    assert [call.ended for call in calls] == [1, 1, 0, 1]
    assert deadlines.statistics()["waiting"] == 0
