"""The questions, one file each, in the order they are asked."""

from __future__ import annotations

from quorate.bench.questions import (
    agents_calls,
    agents_failover,
    agents_moves,
    agents_names,
    agents_state,
    catch_up,
    clients,
    delays,
    disk_and_network,
    failover,
    growth,
    heal,
    idle,
    lag,
    levels,
    paced,
    partition,
    repair,
    restart,
    sizes,
    staleness,
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
    "delays": delays.ask,
    "partition": partition.ask,
    "staleness": staleness.ask,
    "paced": paced.ask,
    "bytes": disk_and_network.ask,
    "growth": growth.ask,
    "sizes": sizes.ask,
    "clients": clients.ask,
    "agents_calls": agents_calls.ask,
    "agents_state": agents_state.ask,
    "agents_names": agents_names.ask,
    "agents_moves": agents_moves.ask,
    "agents_failover": agents_failover.ask,
}
"""Name -> what asks it. `writes` and `reads` share the processes they are asked of."""

TOGETHER: dict[str, tuple[str, ...]] = {
    "agents": tuple(name for name in QUESTIONS if name.startswith("agents_")),
}
"""Names for several questions."""


def about_agents(question: str) -> bool:
    """Whether it is asked of systems of agents, and not of those that keep keys."""
    return question in TOGETHER["agents"]


__all__ = ["QUESTIONS", "TOGETHER", "Ask", "Context", "about_agents"]
