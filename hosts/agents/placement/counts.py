"""How much is placed where: agents, what they reserved, and the groups that wish to be apart.

The law of this file: counted by lease, since a host that comes back under another lease has nothing
yet. Every choice counts at once, so a burst of starts from one host spreads. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from quorate.hosts.agents.placement.demand import Demand


class Counts:
    """Changed by `take` and `give` only."""

    __slots__ = ("agents", "groups", "reserved")

    def __init__(self, agents: Mapping[int, int] | None = None) -> None:
        self.agents: dict[int, int] = dict(agents or {})
        """Lease -> how many agents are placed on it."""
        self.reserved: dict[int, dict[str, float]] = {}
        """Lease -> resource -> how much is given out. Of slots: what is taken beyond one each."""
        self.groups: dict[str, dict[int, int]] = {}
        """Group that wishes to be apart -> lease -> how many of it."""

    def take(self, lease: int, demand: Demand) -> None:
        """An agent is placed on the lease."""
        self.agents[lease] = self.agents.get(lease, 0) + 1
        self.reserve(lease, demand, 1)

    def give(self, lease: int, demand: Demand) -> None:
        """An agent that was placed on the lease is gone."""
        self.agents[lease] = self.agents.get(lease, 0) - 1
        self.reserve(lease, demand, -1)

    def reserve(self, lease: int, demand: Demand, times: int) -> None:
        """What counts of an agent beside itself."""
        if demand.resources:
            reserved = self.reserved.setdefault(lease, {})
            for name, amount in demand.resources:
                more = (amount - 1 if name == "slots" else amount) * times
                left = reserved.get(name, 0.0) + more
                reserved[name] = 0.0 if abs(left) < 1e-9 else left
        if demand.spread:
            group = self.groups.setdefault(demand.spread, {})
            count = group.get(lease, 0) + times
            if count > 0:
                group[lease] = count
            else:
                group.pop(lease, None)
                if not group:
                    del self.groups[demand.spread]

    def drop(self, lease: int) -> None:
        """Nothing is placed on the lease any more."""
        self.agents.pop(lease, None)
        self.reserved.pop(lease, None)

    def used(self, lease: int, name: str) -> float:
        """How much of a resource is given out."""
        reserved = self.reserved.get(lease)
        used = 0.0 if reserved is None else reserved.get(name, 0.0)
        return used + self.agents.get(lease, 0) if name == "slots" else used

    def copy(self) -> Counts:
        """To think ahead in."""
        other = Counts(self.agents)
        other.reserved = {lease: dict(names) for lease, names in self.reserved.items()}
        other.groups = {group: dict(leases) for group, leases in self.groups.items()}
        return other
