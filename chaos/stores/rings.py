"""What is done to the ring: hosts join, leave properly, or die for good and are taken out.

The law: one change at a time; a host that leaves hands over first; a host that died comes back, if
at all, with an empty disk.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from quorate.chaos.sim.events import EventQueue
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.host import StoreHost
from quorate.chaos.stores.options import Options
from quorate.chaos.stores.ringhost import RING
from quorate.chaos.stores.strong import Oracle
from quorate.chaos.stores.watch import Watch
from quorate.consistency.ring.placement import Ring


class RingFaults:
    """The operator of the ring."""

    def __init__(
        self,
        options: Options,
        queue: EventQueue,
        oracle: Oracle,
        hosts: Mapping[str, StoreHost],
        watch: Watch,
        transcript: Transcript,
    ) -> None:
        self._rng = random.Random(f"rings {options.seed}")
        self._options, self._queue, self._oracle = options, queue, oracle
        self._hosts, self._watch, self._transcript = hosts, watch, transcript

    def begin(self) -> None:
        """The first ring: the initial hosts."""
        self._oracle.bootstrap(RING, Ring.of(1, self._options.hosts).to_plain())

    @property
    def ring(self) -> Ring:
        """As the group has it."""
        return Ring.from_plain(self._oracle.value(RING))

    @property
    def settled(self) -> bool:
        return self.ring.before is None

    def calm(self) -> None:
        return

    def join(self) -> None:
        return

    def leave(self) -> None:
        return

    def dies(self) -> None:
        return
