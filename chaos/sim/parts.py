"""The classes a simulated host is built of. The law: the defaults are the product's own; a plant
replaces one of them by a subclass (see plants.py), and the product has no switch for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from quorate.chaos.sim.clients import Client
from quorate.chaos.sim.network import SIM_LIMITS, Link
from quorate.chaos.sim.snapshots import SimState
from quorate.core.raft.driver import RaftDriver
from quorate.core.raft.engine import HardenedRaft
from quorate.core.raft.journal import Journal
from quorate.core.wire.lanes import Lanes


@dataclass(frozen=True, slots=True)
class Parts:
    """What to build hosts and links of."""

    engine_class: type[HardenedRaft] = HardenedRaft
    driver_class: type[RaftDriver] = RaftDriver
    journal_class: type[Journal] = Journal
    state_class: type[SimState] = SimState
    client_class: type[Client] = Client
    link_class: type[Link] = Link
    make_lanes: Callable[[], Lanes] = lambda: Lanes(SIM_LIMITS)
    on_crash: Callable[[Any], None] = lambda host: None
    """Told of a host whose disk images were just taken; may damage them."""
    forges: bool = True
    """Strangers and senders of malformed messages are about."""
