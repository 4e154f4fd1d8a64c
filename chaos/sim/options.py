"""What one run is made of, drawn from its seed. The law: equal seeds give equal options."""

from __future__ import annotations

import random
from dataclasses import dataclass

from quorate.chaos.sim.network import Weather
from quorate.core.raft.config import RaftConfig

HOST_IDS = ("a", "b", "c", "d", "e")
SPARE_ID = "s"
"""A host that is no member at first; membership changes bring it in and out."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run, expanded."""

    seed: int
    seconds: float
    voters: tuple[str, ...]
    raft: RaftConfig
    weather: Weather
    writes_per_s: float
    """By each client."""
    reads_per_s: float
    large_bytes: int
    large_probability: float
    burst_probability: float
    faults_per_s: float
    clock_drift: float
    """Clock rates differ by up to this fraction."""
    cache_bytes_max: int


def draw(seed: int, seconds: float) -> Options:
    """The options of `seed`."""
    rng = random.Random(f"options {seed}")
    voters = HOST_IDS[: 5 if rng.random() < 0.25 else 3]
    append = rng.choice((2_000, 16_000, 100_000))
    raft = RaftConfig(
        append_bytes_max=append,
        entry_bytes_max=rng.choice((600, 8_000, 64_000)),
        batch_bytes_max=256 * 1024,
        in_flight_messages_max=rng.choice((2, 8, 32)),
        in_flight_bytes_max=rng.choice((8_000, 200_000)),
        queue_batches_max=rng.choice((8, 500)),
        snapshot_chunk_bytes=rng.choice((3_000, 20_000)),
        snapshot_window_chunks=rng.choice((2, 8)),
        trailing_entries=rng.choice((5, 50, 2_000)),
        compact_slack_entries=rng.choice((5, 50)),
        disk_stall_max_s=3.0,
        staging_lag_entries_max=20,
    )
    wan = rng.random() < 0.2
    weather = Weather(
        delay_min_s=0.01 if wan else 0.0003,
        delay_max_s=0.03 if wan else 0.003,
        ghost_probability=rng.choice((0.0, 0.3, 0.8)),
        duplicate_probability=random.Random(f"late {seed}").choice((0.0, 0.0, 0.01)),
    )
    return Options(
        seed=seed,
        seconds=seconds,
        voters=voters,
        raft=raft,
        weather=weather,
        writes_per_s=rng.choice((1.0, 3.0, 6.0)),
        reads_per_s=rng.choice((0.5, 2.0)),
        large_bytes=min(4 * append, 40_000),
        large_probability=rng.choice((0.0, 0.02, 0.05)),
        burst_probability=0.02,
        faults_per_s=rng.choice((0.4, 0.8, 1.2)),
        clock_drift=0.03,
        cache_bytes_max=rng.choice((2_000, 100_000)),
    )
