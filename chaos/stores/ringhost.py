"""The ring's side of a host: the record comes from the strong plane, keys move by the product's
mover and exchange, and the host at which the strong plane is led looks after the record.

The law: nothing is decided here; it routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quorate.chaos.sim.events import Life
from quorate.chaos.stores.strong import Command, Oracle, View
from quorate.consistency.ring.placement import Ring
from quorate.core.errors import UsageError

if TYPE_CHECKING:
    from quorate.chaos.stores.host import StoreHost

RING = "the ring"


class RingHost:
    """One life."""

    def __init__(self, host: StoreHost, life: Life, view: View, oracle: Oracle) -> None:
        self._host, self._life, self._view, self._oracle = host, life, view, oracle
        self.replica = host.replica

    def start(self) -> None:
        record = self._view.get(RING)
        if record is not None:
            self.replica.on_ring(Ring.from_plain(record.value))

    def on_strong(self, command: Command) -> None:
        if command.key == RING:
            self.replica.on_ring(Ring.from_plain(command.value))

    def on_message(self, peer: str, message: dict[str, Any]) -> None:
        raise UsageError(f"nobody understands {message.get('type')!r}")

    def on_peer(self, peer: str, *, up: bool) -> None:
        return

    def on_gap(self, peer: str) -> None:
        return
