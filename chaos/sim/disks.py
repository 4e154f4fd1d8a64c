"""What survives of a host: its disks, and how they fail.

The law: a crash leaves what was committed, and of the commit in flight either all or nothing
(LMDB's promise); a snapshot or a state folder is there whole or not at all. Nothing else outlives
a process.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from quorate.core.storage.disk_model import CrashPolicy, DiskImage, DiskModel
from quorate.core.storage.snapshots import Manifest

FIRST_GENERATION = "state-000001"


@dataclass(slots=True)
class HostDisk:
    """The disk of one host. `log` and `states` are what the last crash left."""

    model: DiskModel
    log: DiskImage | None = None
    states: dict[str, DiskImage] = field(default_factory=dict[str, DiskImage])
    snapshot: tuple[Manifest, bytes] | None = None
    partial: tuple[Manifest, bytearray] | None = None
    generations: int = 1
    flip_a_bit: bool = False
    """The next received piece of a snapshot is damaged on its way to the disk."""

    @classmethod
    def fresh(cls, rng: random.Random) -> HostDisk:
        fast = rng.random() < 0.8
        model = DiskModel(
            random.Random(rng.random()),
            latency_min_s=0.0002,
            latency_max_s=0.002 if fast else 0.03,
        )
        return cls(model)

    def wipe(self) -> None:
        """The host was removed and its folder emptied."""
        self.log, self.states, self.snapshot, self.partial = None, {}, None, None
        self.generations = 1
        self.model.full = False


def crash_policy(rng: random.Random) -> CrashPolicy:
    """What an honest disk may do to the commit in flight."""
    return rng.choice((CrashPolicy.LOST, CrashPolicy.LOST, CrashPolicy.KEPT, CrashPolicy.EITHER))
