"""What one run of the agents is made of, drawn from its seed. The law: equal seeds give equal
options.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from quorate.chaos.sim.network import Weather
from quorate.chaos.stores.options import NETWORK_FAULTS, Options

HOST_IDS = ("a", "b", "c", "d", "e")
PROCESS_FAULTS = ("kill", "kill_some", "kill_all", "kill_leader", "pause", "pause_leader", "stop")
GROUP_FAULTS = ("depose",)
FAULTS = NETWORK_FAULTS + PROCESS_FAULTS + GROUP_FAULTS


@dataclass(frozen=True, slots=True)
class AgentOptions(Options):
    """One run, expanded."""

    voters: tuple[str, ...]
    """The hosts that vote; the others only run agents."""
    lease_s: float
    """Under which a host runs agents."""
    names: int
    """Of agents: few, so that they are fought over."""
    moves_weight: int
    """How often programs move agents, beside the 30 of asks."""
    eventual: bool
    """Some turns write eventual state as well."""
    lasting: float
    """The share of messages that set a reminder, and of those that set a timer."""
    eager: bool
    """Agents come up at once after a failover, and not with their first message."""
    lives_weight: int
    """How often programs start and stop agents, beside the 30 of asks."""
    start_s: float
    """So long takes `on_start` of some agents."""
    start_fails: float
    """The share of starts whose `on_start` raises on some hosts."""
    move_s: float
    """The timeout of the more impatient orders to move."""


def _faults(rng: random.Random) -> tuple[str, ...]:
    """One kind alone, a pair, or all together."""
    dice = rng.random()
    if dice < 0.2:
        return (rng.choice(FAULTS),)
    if dice < 0.7:
        return tuple(rng.sample(FAULTS, 2))
    return FAULTS


def draw(seed: int, seconds: float) -> AgentOptions:
    """The options of `seed`."""
    rng = random.Random(f"agents {seed}")
    voters = HOST_IDS[: rng.choice((3, 3, 3, 5))]
    hosts = HOST_IDS[: len(voters) + (rng.choice((0, 0, 1)) if len(voters) == 3 else 0)]
    wan = rng.random() < 0.1
    weather = Weather(
        delay_min_s=0.01 if wan else 0.0003,
        delay_max_s=0.03 if wan else 0.003,
        ghost_probability=rng.choice((0.0, 0.3, 0.8)),
        ghost_delay_s=0.3,
    )
    return AgentOptions(
        seed=seed,
        seconds=seconds,
        hosts=hosts,
        spares=(),
        stores=(),
        weather=weather,
        sessions=rng.choice((3, 4)),
        calls_per_s=rng.choice((4.0, 8.0)),
        keys=1,
        faults=_faults(rng),
        faults_per_s=rng.choice((0.5, 1.0, 1.5)),
        clock_drift=rng.choice((0.0, 0.01, 0.024)),
        clock_skew_s=rng.choice((0.0, 0.05, 0.3)),
        flush_records=rng.choice((200, 30_000)),
        torn=False,
        voters=voters,
        lease_s=rng.choice((0.6, 0.8, 1.5)),
        names=rng.choice((2, 3, 5)),
        moves_weight=rng.choice((0, 4, 10)),
        eventual=rng.random() < 0.4,
        lasting=rng.choice((0.0, 0.0, 0.1)),
        eager=rng.random() < 0.3,
        lives_weight=rng.choice((2, 4)),
        start_s=0.2,
        start_fails=0.06,
        move_s=0.4,
    )
