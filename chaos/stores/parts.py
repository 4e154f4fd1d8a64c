"""The classes a simulated host of the stores is built of. The law: the defaults are the product's
own; a plant replaces one of them by a subclass (see plants.py), and the product has no switch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quorate.chaos.stores.door import Door
from quorate.chaos.stores.replicas import SimReplica
from quorate.chaos.stores.ringhost import RingHost
from quorate.chaos.stores.settings import union
from quorate.core.storage.disk_model import DiskImage

Merge = Callable[[list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Parts:
    """What to build hosts of."""

    replica_class: type[SimReplica] = SimReplica
    door_class: type[Door] = Door
    ring_class: type[RingHost] = RingHost
    merge_of: Callable[[str], Merge] = lambda host: union
    """The merge function as a host has it: the same everywhere, unless planted."""
    on_wiped: Callable[[Any], DiskImage | None] = lambda host: None
    """What of the log is still there after the disk was lost: nothing."""
