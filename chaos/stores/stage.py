"""What a verdict needs of a world. The law: types only."""

from __future__ import annotations

from itertools import count
from typing import Protocol

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.stores.calls import Calls
from quorate.chaos.stores.clients import Client
from quorate.chaos.stores.host import StoreHost
from quorate.chaos.stores.options import Options
from quorate.chaos.stores.parts import Parts
from quorate.chaos.stores.rings import RingFaults
from quorate.chaos.stores.strong import Oracle
from quorate.chaos.stores.watch import Watch


class Stage(Protocol):
    """One run, at its end."""

    options: Options
    parts: Parts
    queue: EventQueue
    calls: Calls
    watch: Watch
    oracle: Oracle
    hosts: dict[str, StoreHost]
    rings: RingFaults
    clients: list[Client]
    ids: count[int]
