"""How the replicas of a run are set: small limits and short intervals, so that what is rare on a
real host is common here.

The law: values from the options; the product's own defaults where nothing is said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.chaos.stores.options import Options
from quorate.consistency.replica.definitions import ReplicaConfig, StoreDef

if TYPE_CHECKING:
    from quorate.chaos.stores.parts import Parts


def replica_config(options: Options) -> ReplicaConfig:
    return ReplicaConfig(flush_keys=options.flush_records)


def union(values: list[Any]) -> Any:
    """The merge function of the run: all numbers of all siblings."""
    return sorted({number for value in values for number in (value or [])})


def definitions(options: Options, host: str, parts: Parts) -> list[StoreDef]:
    """The stores as one host knows them."""
    return [
        StoreDef(
            store.name,
            resolver=store.resolver,
            merge=parts.merge_of(host) if store.resolver == "merge" else None,
            replicas=store.replicas,
        )
        for store in options.stores
    ]
