"""How long a run will take, said before it begins.

The law of this file: a rough sum from the plan, for a person who decides whether to wait; what a
run really took stands in its result. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from quorate.bench.plan import Plan
from quorate.bench.questions import about_agents

START_S = 3.0
"""Three processes from nothing to serving, and gone again."""
LOADS = 5
CASES = 20
WINDOWS_ELSEWHERE = 12
"""Windows of a question that has no sum of its own here."""
AGENT_CASES = 8
REPLAY_S_PER_ENTRY = 120 / 1_000_000
COPY_S_PER_BYTE = 90 / 1_000_000_000
REPAIR_S_PER_KEY = 60 / 1_000_000
KILL_S = 2.0
KILL_OF_AGENTS_S = 25.0
START_S_PER_AGENT = 40 / 100_000
GROWTH_S_PER_ITEM = 480 / 1_111_000
"""Keys, keys of a store, names and agents together, up to that many of each."""
GROWTH_HOSTS_S = 20.0
"""Each size of the group."""


def minutes(
    plan: Plan, questions: Sequence[str], systems: Collection[str], agent_systems: Collection[str]
) -> float:
    """Minutes for these questions, asked of so many systems that are here."""
    total_s = 0.0
    for question in questions:
        count = len(agent_systems if about_agents(question) else systems)
        total_s += seconds_of(plan, question, max(1, count))
    return total_s / 60


def seconds_of(plan: Plan, question: str, systems: int) -> float:
    """Seconds of one question."""
    window_s = plan.seconds + plan.warmup_s
    each_s = systems * plan.repetitions
    sums = {
        "writes": each_s * (START_S + LOADS * window_s),
        "reads": each_s * (2 * START_S + LOADS * window_s),
        "idle": systems * (START_S + plan.idle_s),
        "failover": START_S + plan.kills * KILL_S,
        "transfer": START_S + plan.transfers * 0.3,
        "restart": START_S + plan.log_entries * REPLAY_S_PER_ENTRY,
        "catch_up": START_S + plan.behind_bytes * COPY_S_PER_BYTE,
        "levels": plan.repetitions * (START_S + CASES * window_s),
        "lag": plan.repetitions * (START_S + window_s),
        "repair": START_S + plan.repair_keys * REPAIR_S_PER_KEY,
        "heal": plan.heals * (START_S + plan.cut_s),
        "growth": GROWTH_HOSTS_S * len((*plan.growth_voters, *plan.growth_learners))
        + sum(plan.growth_sizes) * GROWTH_S_PER_ITEM,
        "agents_names": systems * (START_S + plan.named_agents * START_S_PER_AGENT),
        "agents_moves": 2 * START_S + plan.moves * 0.3,
        "agents_failover": systems * (START_S + plan.agent_kills * KILL_OF_AGENTS_S),
        "agents_calls": each_s * (START_S + AGENT_CASES * window_s),
        "agents_state": each_s * (START_S + AGENT_CASES * window_s),
    }
    return sums.get(question, START_S + WINDOWS_ELSEWHERE * window_s)
