"""Every fault by its name.

The law of this file: a name is never given to another fault; `none` is the fault that does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from quorate.chaos.faults import group, network, processes, storage
from quorate.chaos.faults.fault import Fault
from quorate.core.errors import UsageError
from quorate.hosts.config import suggestion

CLASSES: Final[tuple[type[Fault], ...]] = (
    processes.Nothing,
    *(network.Halves, network.Isolate, network.IsolateLeader, network.MajorityRing),
    *(network.Bridge, network.OneWay, network.NonTransitive, network.Flapping),
    *(network.BlackHole, network.Refuse, network.Reset, network.Slow, network.Stall),
    *(network.Narrow, network.Sliced, network.CutAfter),
    *(processes.Kill, processes.Stop, processes.Pause, processes.RestartAll),
    processes.RollingRestart,
    *(group.Compaction, group.Membership, group.Transfer, group.AgentMoves, group.Drain),
    *(storage.DiskFull, storage.FsyncFails, storage.FsyncSlow, storage.ClockJump),
)
FAULTS: Final[Mapping[str, type[Fault]]] = {fault.name: fault for fault in CLASSES}


def fault_of(name: str) -> type[Fault]:
    """Raises `UsageError` for a name there is not."""
    if name not in FAULTS:
        raise UsageError(f"there is no fault {name!r}{suggestion(name, FAULTS)}")
    return FAULTS[name]
