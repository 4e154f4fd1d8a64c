"""Where the laboratory may put something of its own into a host, before it starts.

The law of this file: a plug and its no-op. Set `host.seams` before `start`; later changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from quorate.core.clock import Clock, SystemClock
from quorate.core.storage.faults import NO_FAULTS, StorageFaults


@dataclass(frozen=True, slots=True)
class Seams:
    """The host's clock, and what happens around every commit to its disk."""

    clock: Clock = field(default_factory=SystemClock)
    faults: StorageFaults = NO_FAULTS
