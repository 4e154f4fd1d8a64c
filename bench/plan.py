"""How much is measured: one value for everything a run may take shorter or longer.

The law of this file: `FULL` is what figures are published from; `QUICK` shows that everything runs
and roughly where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Plan:
    """Durations in seconds, sizes in bytes, the rest counts."""

    mode: str
    repetitions: int
    seconds: float
    """The measured window of one load."""
    warmup_s: float
    in_flight: tuple[int, ...]
    kills: int
    transfers: int
    log_entries: int
    behind_bytes: int
    idle_s: float
    lag_per_s: int
    repair_keys: int
    repair_differing: int
    heals: int
    cut_s: float
    named_agents: int
    moves: int
    watched_agents: int
    agent_kills: int
    agent_drains: int
    growth_sizes: tuple[int, ...]
    """Of keys, names and agents; a step that does not fit the memory is not taken."""
    growth_voters: tuple[int, ...]
    growth_learners: tuple[int, ...]
    """Beside three that vote."""
    value_sizes: tuple[int, ...]
    brief_s: float
    """The window of one of many short loads, with a warm-up of half as long at most."""
    delays_ms: tuple[int, ...]
    """One way, on every link."""
    cuts: int
    paced_percents: tuple[int, ...]
    """Of what the same call did in a closed loop."""
    versions_per_s: int
    counted_ops: int
    slow_peers: bool
    """Whether a peer that needs half a minute to start is asked at all."""

    @property
    def brief(self) -> dict[str, float]:
        """Window and warm-up of a short load, as an order names them."""
        return {"seconds": self.brief_s, "warmup_s": min(self.warmup_s, self.brief_s / 2)}

    def changed(self, *, seconds: float | None, repetitions: int | None) -> Plan:
        """This plan with what the command line says instead."""
        plan = self
        if seconds is not None:
            plan = replace(plan, mode="custom", seconds=seconds, idle_s=min(plan.idle_s, seconds))
            plan = replace(plan, warmup_s=min(plan.warmup_s, seconds))
            plan = replace(plan, brief_s=min(plan.brief_s, seconds))
            plan = replace(plan, counted_ops=min(plan.counted_ops, round(10_000 * seconds)))
            sizes = tuple(n for n in plan.growth_sizes if n <= max(1_000, 500_000 * seconds))
            plan = replace(plan, growth_sizes=sizes)
            plan = replace(plan, cut_s=min(plan.cut_s, max(1.0, 2 * seconds)))
        if repetitions is not None:
            plan = replace(plan, mode="custom", repetitions=repetitions)
        return plan


FULL = Plan(
    mode="full",
    repetitions=3,
    seconds=2.0,
    warmup_s=1.0,
    in_flight=(1, 64, 1024),
    kills=30,
    transfers=30,
    log_entries=1_000_000,
    behind_bytes=1_000_000_000,
    idle_s=10.0,
    lag_per_s=20_000,
    repair_keys=1_000_000,
    repair_differing=1_000,
    heals=5,
    cut_s=7.0,
    named_agents=100_000,
    moves=100,
    watched_agents=1_000,
    agent_kills=4,
    agent_drains=3,
    growth_sizes=(1_000, 10_000, 100_000, 1_000_000),
    growth_voters=(1, 3, 5),
    growth_learners=(3, 9),
    value_sizes=(16, 100, 1_000, 10_000, 100_000, 1_000_000),
    brief_s=1.0,
    delays_ms=(0, 1, 5, 20, 80),
    cuts=4,
    paced_percents=(25, 50, 75, 90),
    versions_per_s=200,
    counted_ops=20_000,
    slow_peers=True,
)
QUICK = Plan(
    mode="quick",
    repetitions=1,
    seconds=0.4,
    warmup_s=0.2,
    in_flight=(1, 1024),
    kills=3,
    transfers=3,
    log_entries=50_000,
    behind_bytes=32_000_000,
    idle_s=1.5,
    lag_per_s=2_000,
    repair_keys=20_000,
    repair_differing=200,
    heals=1,
    cut_s=4.0,
    named_agents=1_000,
    moves=10,
    watched_agents=50,
    agent_kills=1,
    agent_drains=1,
    growth_sizes=(1_000, 10_000),
    growth_voters=(3,),
    growth_learners=(1,),
    value_sizes=(16, 10_000, 1_000_000),
    brief_s=0.25,
    delays_ms=(20,),
    cuts=1,
    paced_percents=(50,),
    versions_per_s=200,
    counted_ops=1_000,
    slow_peers=False,
)
