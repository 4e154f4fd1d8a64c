"""The questions, one file each, in the order they are asked."""

from __future__ import annotations

from quorate.bench.questions import (
    catch_up,
    failover,
    heal,
    idle,
    lag,
    levels,
    repair,
    restart,
    throughput,
    transfer,
)
from quorate.bench.questions.base import Ask, Context

QUESTIONS: dict[str, Ask] = {
    "writes": throughput.writes,
    "reads": throughput.reads,
    "idle": idle.ask,
    "failover": failover.ask,
    "transfer": transfer.ask,
    "restart": restart.ask,
    "catch_up": catch_up.ask,
    "levels": levels.ask,
    "lag": lag.ask,
    "repair": repair.ask,
    "heal": heal.ask,
}
"""Name -> what asks it. `writes` and `reads` share the processes they are asked of."""

__all__ = ["QUESTIONS", "Ask", "Context"]
