"""A host's front door with the product's own group: submitter, reads, requests and deadlines over
the oracle's log; and the stores behind it.

The law: the order in which parts hear of what was applied is the product's (`hosts/runtime.py`).
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, cast

from quorate.chaos.agents.log import GroupLog, LogDriver
from quorate.chaos.agents.views import Applied, GroupView
from quorate.chaos.stores.door import Door
from quorate.chaos.stores.group import SimGroup
from quorate.chaos.stores.strong import View
from quorate.core.group.group import Group
from quorate.core.group.lease_keeper import LeaseKeeper
from quorate.core.group.leases import Leases

if TYPE_CHECKING:
    from quorate.chaos.agents.host import AgentHost

TIMEOUT_S = 1.5
SESSION_LEASE_S = 1.0
LEADERLESS_S = 0.8
"""After so long without a leader a host takes itself for cut off."""


class AgentDoor(Door):
    """One life."""

    _host: AgentHost
    _oracle: GroupLog

    def _make_group(self, view: View, rng: random.Random) -> SimGroup:
        host, life = self._host, self._life
        made = Group(
            host_id=host.id,
            owner=cast(GroupView, view),
            send=host.send_normal,
            clock=life,
            scheduler=life,
            rng=rng,
            make_future=self.loop.create_future,
            timeout_s=TIMEOUT_S,
        )
        made.bind(LogDriver(self._oracle, host.id))
        self.real = made
        self.keeper = LeaseKeeper(made)
        self.leases = Leases(made, session_ttl_s=SESSION_LEASE_S)
        self._leaderless_since: float | None = life.monotonic()
        joined = cast(GroupView, view)
        joined.on_entry = self._on_entry
        joined.on_leader = self._on_leader
        joined.on_snapshot = self._on_snapshot
        return cast(SimGroup, cast(Any, made))

    # --- news of the group ------------------------------------------------------------------------

    def _on_entry(self, index: int, term: int, results: Applied) -> None:
        self.real.on_applied(index, term, results)
        changes = self.real.machine.lease_changes
        if changes:
            self.keeper.on_applied(changes)
            self.leases.on_gone([lease for lease, ttl_ms, _ in changes if ttl_ms == 0])
        self._host.engine.on_applied()

    def _on_leader(self, leader: str | None, term: int) -> None:
        self.real.on_leader(leader, term)
        self.keeper.on_leader()
        self.leases.on_leader()
        if leader is not None:
            self._leaderless_since = None
        elif self._leaderless_since is None:
            self._leaderless_since = self._life.monotonic()
        self._host.engine.on_leader(leader)

    def _on_snapshot(self) -> None:
        self.real.on_snapshot_installed()
        self.leases.on_snapshot_installed()
        self._host.ring.look()  # the entries that told of it may not come any more
        self.plane.on_strong_applied()
        self._host.engine.on_snapshot_installed()

    def on_links(self) -> None:
        """Links came or went: whether a majority is reached."""
        voters = self._host.options.voters
        reached = sum(voter == self._host.id or self._host.is_up(voter) for voter in voters)
        self.real.on_quorum(reached > len(voters) // 2)

    def cut_off(self) -> bool:
        """As `hosts/stores.py` has it."""
        if not self.real.quorum_reachable:
            return True
        since = self._leaderless_since
        return since is not None and self._life.monotonic() - since > LEADERLESS_S
