"""Who owns what, as one replica sees it: the ring, the members, and where an update goes.

The law of this file: answers about places only; nothing here knows of states, logs or messages.
"""

from __future__ import annotations

from quorate.consistency.replica import batches
from quorate.consistency.replica.shelf import Shelf
from quorate.consistency.ring.placement import Placement, Ring


class Territory:
    """`everywhere`: every host owns everything, so no update is looked at one by one."""

    def __init__(self, host_id: str, shelf: Shelf) -> None:
        self._host_id = host_id
        self._shelf = shelf
        self.placement: Placement | None = None
        self.members: tuple[str, ...] = ()
        self.everywhere = True

    @property
    def ring(self) -> Ring | None:
        return None if self.placement is None else self.placement.ring

    def take(self, ring: Ring) -> bool:
        """Take a newer ring; False for one that is not newer. The last one is kept on disk with the
        states: by an older one, a host that starts would think that it has what it dropped, and
        keep from the others what they gained."""
        if self.ring is not None and ring.epoch <= self.ring.epoch:
            return False
        self.placement = Placement(ring)
        self.look()
        return True

    def look(self) -> None:
        """The ring or the stores are others: is everything everywhere?"""
        ring = self.ring
        if ring is None:
            return
        hosts = {*ring.hosts, *(ring.before or ()), *self.members, self._host_id}
        fewest = min((s.definition.replicas for s in self._shelf.stores.values()), default=1)
        self.everywhere = len(hosts) <= fewest

    def goes_to(self, host: str, update: batches.Update) -> bool:
        """Whether a host gets an update."""
        placement = self.placement
        shelf = self._shelf.stores.get(update[batches.STORE])
        if placement is None or shelf is None:
            return True
        partition = shelf.point(update[batches.KEY]) >> 24
        hosts = placement.destinations(partition, shelf.definition.replicas)
        only = update[batches.ONLY]
        return host in (hosts if only is None else hosts[:only])

    def owners(self, store: str, key: str) -> tuple[str, ...]:
        """The hosts that own a key; this host alone while no ring is known."""
        shelf = self._shelf.stores.get(store)
        if self.placement is None or shelf is None:
            return (self._host_id,)
        return self.placement.owners(shelf.point(key) >> 24, shelf.definition.replicas)

    def others(self) -> list[str]:
        """Every other host that may make updates or owns data."""
        ring = self.ring
        hosts = {*self.members, *(() if ring is None else ring.hosts)}
        return sorted(hosts - {self._host_id})
