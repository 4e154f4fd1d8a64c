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

    def changed(self, *, seconds: float | None, repetitions: int | None) -> Plan:
        """This plan with what the command line says instead."""
        plan = self
        if seconds is not None:
            plan = replace(plan, mode="custom", seconds=seconds, idle_s=min(plan.idle_s, seconds))
            plan = replace(plan, warmup_s=min(plan.warmup_s, seconds))
            plan = replace(plan, cut_s=min(plan.cut_s, max(1.0, 2 * seconds)))
        if repetitions is not None:
            plan = replace(plan, mode="custom", repetitions=repetitions)
        return plan


FULL = Plan(
    mode="full",
    repetitions=3,
    seconds=4.0,
    warmup_s=1.5,
    in_flight=(1, 64, 1024),
    kills=30,
    transfers=30,
    log_entries=1_000_000,
    behind_bytes=1_000_000_000,
    idle_s=20.0,
    lag_per_s=20_000,
    repair_keys=1_000_000,
    repair_differing=1_000,
    heals=5,
    cut_s=7.0,
)
QUICK = Plan(
    mode="quick",
    repetitions=1,
    seconds=1.0,
    warmup_s=0.5,
    in_flight=(1, 64, 1024),
    kills=5,
    transfers=5,
    log_entries=100_000,
    behind_bytes=64_000_000,
    idle_s=5.0,
    lag_per_s=2_000,
    repair_keys=20_000,
    repair_differing=200,
    heals=1,
    cut_s=7.0,
)
