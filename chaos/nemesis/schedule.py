"""Which faults a nemesis does, and for how long each: a plan from a name, drawn from a seed. Pure.

The law of this file: a plan is a function of its name, and what is drawn from it a function of the
dice it is given. A name reads:

    isolate-leader        this fault, again and again
    a,b,c                 one after the other, then from the beginning
    a+b                   both at once, in any order; of three or more a random pair each time
    a+b,c                 first a pair, then c
    none                  nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from quorate.chaos.faults.catalogue import fault_of
from quorate.core.errors import UsageError

FAULTS_AT_ONCE_MAX = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a fault lasts and how long it is calm after it, in seconds; both drawn between two
    bounds."""

    hold_s: tuple[float, float] = (3.0, 6.0)
    calm_s: tuple[float, float] = (1.0, 2.5)

    def hold(self, rng: Random, left_s: float) -> float:
        """So long, or as long as there is time."""
        return min(left_s, rng.uniform(*self.hold_s))

    def calm(self, rng: Random, left_s: float) -> float:
        return min(left_s, rng.uniform(*self.calm_s))


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` one after the other; the faults of a step at once."""

    name: str
    steps: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every fault it may do, each once."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step))

    @property
    def does_nothing(self) -> bool:
        return self.names == ("none",)

    @property
    def needs(self) -> frozenset[str]:
        """What a workload must have for all of its faults to hurt it."""
        return frozenset(fault_of(name).needs for name in self.names) - {""}

    def drawn(self, number: int, rng: Random) -> tuple[str, ...]:
        """The faults of the `number`-th turn, in the order in which they begin."""
        step = list(self.steps[number % len(self.steps)])
        return tuple(rng.sample(step, min(FAULTS_AT_ONCE_MAX, len(step))))


def plan_of(name: str) -> Plan:
    """Raises `UsageError` for a fault there is not, and for an empty name."""
    steps = tuple(
        tuple(part.strip() for part in step.split("+")) for step in name.split(",") if step.strip()
    )
    if not steps:
        raise UsageError("a nemesis has a name; `none` does nothing")
    for step in steps:
        for part in step:
            fault_of(part)
    return Plan(name, steps)


def check_plan(plan: Plan, hosts: Sequence[str]) -> None:
    """Raises `UsageError` when the cluster is too small for one of its faults."""
    for name in plan.names:
        least = fault_of(name).hosts_min
        if len(hosts) < least:
            raise UsageError(f"the fault {name!r} needs at least {least} hosts, not {len(hosts)}")
