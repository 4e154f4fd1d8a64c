"""What one run is made of, drawn from its seed. The law: equal seeds give equal options."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

from quorate.chaos.sim.network import Weather

Resolver = Literal["lww", "siblings", "merge"]

HOST_IDS = ("a", "b", "c", "d", "e", "f", "g")
SPARE_IDS = ("y", "z")
"""Hosts that own nothing at first; ring changes bring them in and out."""

NETWORK_FAULTS = ("isolate", "halves", "one_way", "bridge", "flap", "cut_pair", "reset", "slow")
PROCESS_FAULTS = ("kill", "kill_some", "pause", "wipe", "long_away", "kill_all")
CLOCK_FAULTS = ("clock_ahead", "clock_back", "clock_skew")
RING_FAULTS = ("join", "leave", "dies")
DISK_FAULTS = ("slow_disk", "full_disk")
FAULTS = NETWORK_FAULTS + PROCESS_FAULTS + CLOCK_FAULTS + RING_FAULTS + DISK_FAULTS


@dataclass(frozen=True, slots=True)
class StoreKind:
    """One store of the run."""

    name: str
    resolver: Resolver
    replicas: int


STORES = (
    StoreKind("last", "lww", 3),
    StoreKind("sib", "siblings", 3),
    StoreKind("merged", "merge", 3),
    StoreKind("kinds", "lww", 3),
)


@dataclass(frozen=True, slots=True)
class Options:
    """One run, expanded."""

    seed: int
    seconds: float
    hosts: tuple[str, ...]
    spares: tuple[str, ...]
    stores: tuple[StoreKind, ...]
    weather: Weather
    sessions: int
    """Clients, each with a session."""
    calls_per_s: float
    """By each client."""
    keys: int
    """Of each kind: few, so that they are fought over."""
    faults: tuple[str, ...]
    """The names of those that happen in this run: few at a time, so that each has room."""
    faults_per_s: float
    clock_drift: float
    clock_skew_s: float
    flush_records: int
    torn: bool
    """A crash may tear the commit in flight: less than LMDB promises."""


def _faults(rng: random.Random, spares: bool) -> tuple[str, ...]:
    """One kind alone, a pair, or all together."""
    possible = [name for name in FAULTS if spares or name not in RING_FAULTS]
    dice = rng.random()
    if dice < 0.2:
        return (rng.choice(possible),)
    if dice < 0.7:
        return tuple(rng.sample(possible, 2))
    return tuple(possible)


def draw(seed: int, seconds: float) -> Options:
    """The options of `seed`."""
    rng = random.Random(f"stores {seed}")
    count = rng.choice((3, 3, 3, 4, 5, 5, 6, 7))
    spares = SPARE_IDS[: rng.choice((0, 0, 1, 2))]
    wan = rng.random() < 0.15
    weather = Weather(
        delay_min_s=0.01 if wan else 0.0003,
        delay_max_s=0.03 if wan else 0.003,
        ghost_probability=rng.choice((0.0, 0.3, 0.8)),
        duplicate_probability=rng.choice((0.0, 0.0, 0.02)),
    )
    return Options(
        seed=seed,
        seconds=seconds,
        hosts=HOST_IDS[:count],
        spares=spares,
        stores=STORES,
        weather=weather,
        sessions=rng.choice((4, 6)),
        calls_per_s=rng.choice((3.0, 5.0)),
        keys=rng.choice((2, 4)),
        faults=_faults(rng, bool(spares) or count > 3),
        faults_per_s=rng.choice((0.4, 0.8, 1.2)),
        clock_drift=0.01,
        clock_skew_s=rng.choice((0.0, 0.05, 0.3)),
        flush_records=rng.choice((20, 200, 30_000)),
        torn=rng.random() < 0.2,
    )
