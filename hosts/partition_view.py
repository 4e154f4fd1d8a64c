"""Whom a host reaches, and what it makes of it. Pure.

The law of this file: a change counts once it has lasted for `settle_s`; what comes and goes within
that is one reconnect and not a partition. A peer is reached when both directions carry: we can
send to it, and it to us. A host that is dead and a host that is cut off look the same from here,
and no name here pretends otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

State = Literal["whole", "majority_side", "minority", "isolated"]
Kind = Literal["partitioned", "healed"]


class Links(NamedTuple):
    """What the mesh says now: per other member, whether we can send to it, and it to us."""

    to: Mapping[str, bool]
    back: Mapping[str, bool]
    voters: tuple[str, ...]
    """The voters of the group, this host among them if it is one."""


class PartitionStatus(NamedTuple):
    """Where this host stands."""

    host: str
    state: State
    reaches_quorum: bool
    """This host can talk with a majority of the voters, itself included if it is one."""
    reachable: tuple[str, ...]
    unreachable: tuple[str, ...]
    one_way: dict[str, str]
    """Of the unreachable: `to` (we can send to it and hear nothing), `from` (the other way)."""
    since: float
    """When it became so, seconds since the epoch."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self._asdict(),
            "reachable": list(self.reachable),
            "unreachable": list(self.unreachable),
        }


class PartitionEvent(NamedTuple):
    """A change that lasted. `number` grows by 1 from event to event of a host."""

    number: int
    kind: Kind
    peers: tuple[str, ...]
    """Who cannot be reached any more, or can again."""
    at: float
    """When it was first seen, seconds since the epoch; it is told `settle_s` later."""
    lasted_s: float
    """Of `healed`: for how long the first of these peers had been away."""
    status: PartitionStatus

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self._asdict(), "peers": list(self.peers), "status": self.status.to_json()}


class PartitionView:
    """Takes what the mesh says, again and again; gives the changes that lasted."""

    def __init__(self, host_id: str, *, settle_s: float, wall: float) -> None:
        self._host = host_id
        self._settle_s = settle_s
        self._number = 0
        self._away: dict[str, tuple[float, float]] = {}
        """Settled: peer -> (monotonic, wall) since when it is away."""
        self._changing: dict[str, tuple[float, float]] = {}
        """Not settled: peer -> (monotonic, wall) since when it is not as settled."""
        self._since = wall
        self._links = Links({}, {}, ())
        self._last_state: State = "whole"

    @property
    def away(self) -> set[str]:
        """The peers that are settled as unreachable."""
        return set(self._away)

    def observe(self, links: Links, now: float, wall: float) -> list[PartitionEvent]:
        """Look; at most one event of each kind."""
        self._links = links
        members = set(links.to)
        for gone in (self._away.keys() | self._changing.keys()) - members:
            self._away.pop(gone, None)  # it is no member any more
            self._changing.pop(gone, None)
        lost: dict[str, tuple[float, float]] = {}
        found: dict[str, tuple[float, float]] = {}
        for peer in sorted(members):
            reached = links.to[peer] and links.back.get(peer, False)
            if reached == (peer not in self._away):
                self._changing.pop(peer, None)
                continue
            first = self._changing.setdefault(peer, (now, wall))
            if now - first[0] >= self._settle_s:
                (found if reached else lost)[peer] = first
        events: list[PartitionEvent] = []
        if lost:
            self._away.update(lost)
            events.append(self._event("partitioned", lost, 0.0, wall))
        if found:
            away = min(self._away.pop(peer)[0] for peer in found)
            events.append(self._event("healed", found, now - away, wall))
        for peer in (*lost, *found):
            del self._changing[peer]
        self._note_state(wall)
        return events

    def _event(
        self, kind: Kind, peers: dict[str, tuple[float, float]], lasted_s: float, wall: float
    ) -> PartitionEvent:
        self._note_state(wall)
        self._number += 1
        at = min(first[1] for first in peers.values())
        status = self.status()
        return PartitionEvent(self._number, kind, tuple(peers), at, lasted_s, status)

    def _note_state(self, wall: float) -> None:
        state = self._state()
        if state != self._last_state:
            self._last_state, self._since = state, wall

    def _state(self) -> State:
        if not self._away:
            return "whole"
        if len(self._away) == len(self._links.to):
            voters = self._links.voters
            alone = voters == (self._host,)
            return "majority_side" if alone else "isolated"
        return "majority_side" if self._reaches_quorum() else "minority"

    def _reaches_quorum(self) -> bool:
        voters = self._links.voters
        reached = sum(voter == self._host or voter not in self._away for voter in voters)
        return reached >= len(voters) // 2 + 1

    def status(self) -> PartitionStatus:
        """The settled view; whoever comes and goes counts as before."""
        links = self._links
        one_way = {
            peer: "to" if links.to[peer] else "from"
            for peer in sorted(self._away)
            if links.to.get(peer, False) != links.back.get(peer, False)
        }
        return PartitionStatus(
            self._host,
            self._state(),
            self._reaches_quorum(),
            tuple(sorted(links.to.keys() - self._away.keys())),
            tuple(sorted(self._away)),
            one_way,
            self._since,
        )


def links_of(
    reachability: Mapping[str, Mapping[str, object]], members: list[str], voters: tuple[str, ...]
) -> Links:
    """The mesh's own words (`Mesh.reachability`) about the other members."""
    to = {m: bool(reachability.get(m, {}).get("connected")) for m in members}
    back = {m: bool(reachability.get(m, {}).get("inbound")) for m in members}
    return Links(to, back, voters)
