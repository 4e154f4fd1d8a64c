"""How the replicas of a run are set: small limits and short intervals, so that what is rare on a
real host is common here.

The law: values from the options; the product's own defaults where nothing is said.
"""

from __future__ import annotations

from typing import Any

from quorate.chaos.stores.options import Options
from quorate.consistency.merkle.session import ExchangeConfig
from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.consistency.ring.site import MoverConfig
from quorate.consistency.ring.steward import StewardConfig

RING = "the ring"
MEMBERS = "the members"
"""Keys of the oracle."""
CACHED_KEYS = 6
"""Of a store, clean ones: most keys are read from the disk again and again."""
DEAD_AFTER_S = 5.0
"""A host that was not heard for so long is taken out of the ring."""


def replica_config(options: Options) -> ReplicaConfig:
    return ReplicaConfig(
        flush_keys=options.flush_records, flush_s=2.0, gather_s=0.004, cache_keys_max=CACHED_KEYS
    )


def union(values: list[Any]) -> Any:
    """The merge function of the run: all numbers of all siblings."""
    numbers: set[int] = set()
    for value in values:
        numbers.update(value or ())
    return sorted(numbers)


def exchange_config() -> ExchangeConfig:
    return ExchangeConfig(request_timeout_s=0.5, round_s=20.0)


def mover_config() -> MoverConfig:
    return MoverConfig(
        anti_entropy_s=3.0,
        retry_s=0.3,
        rescan_retry_s=0.6,
        dead_after_s=DEAD_AFTER_S,
        drop_after_s=1.0,
        drop_pause_s=0.001,
    )


def steward_config() -> StewardConfig:
    return StewardConfig(dead_after_s=DEAD_AFTER_S, present_s=2.0, pause_s=1.5)
