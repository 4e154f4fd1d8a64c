"""Plants in leases: of locks and elections, and of the agents of a host.

The law of this file: as in `leading.py`.
"""

from __future__ import annotations

from quorate.chaos.agents.plants import LeaseIgnored
from quorate.chaos.plants.applying import UNFENCED
from quorate.chaos.plants.plant import Change
from quorate.core.group import lease_keeper, leases
from quorate.core.group.lease_hold import LeaseHold
from quorate.core.machine.lease_clock import LeaseClock
from quorate.hosts.agents import engine as agents

EARLY_RATIO = 0.5


class HeldForEver(LeaseHold):
    """The holder believes in its lease until the group tells it that it is gone."""

    __slots__ = ()

    def check(self, now: float) -> bool:
        return not self.lost


class EndsEarly(LeaseClock):
    """The leader ends leases before the time that their holders were promised."""

    def __init__(self) -> None:
        super().__init__()
        self._stretch = EARLY_RATIO


CHANGES: dict[str, tuple[Change, ...]] = {
    "lease-kept-beyond-its-end": (Change(leases, "LeaseHold", HeldForEver),),
    "lease-ended-early": (Change(lease_keeper, "LeaseClock", EndsEarly),),
    "agents-lease-ignored": (Change(agents, "Tenancy", LeaseIgnored),),
    "agent-epoch-not-checked": (Change(agents, "Tenancy", LeaseIgnored), UNFENCED),
}
