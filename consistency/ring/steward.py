"""Who owns data: the next ring, decided by whoever leads the group.

The law of this file: `decide` is a table from what is known to the next ring record, or to none; it
writes nothing. The shell writes the proposed ring by compare-and-set on the record it was made
from, so two stewards cannot both be right. One change at a time: nothing new begins while keys
move. A host is never called dead by a steward without a quorum behind it.

    no ring                              -> the members
    moving, all hosts ready              -> the same hosts, stable
    moving, a host dead or leaving       -> without it; keys still move away from the same `before`
    stable, a host removed or dead       -> without it, moving
    stable, a host asks to leave         -> without it, moving
    stable, a member present, not in it  -> with it, moving
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from quorate.consistency.ring.placement import HOSTS_MAX_HOSTS, Ring
from quorate.consistency.ring.ports import HostReport
from quorate.core.clock import Clock


@dataclass(frozen=True, slots=True)
class StewardConfig:
    """`dead_after_s`: so long unheard, and others take over. `present_s`: heard within it, a member
    may be taken in. `pause_s`: if the steward itself was away for longer, nobody is blamed."""

    dead_after_s: float = 60.0
    present_s: float = 5.0
    pause_s: float = 3.0


class View(NamedTuple):
    """All that a decision is made from."""

    ring: Ring | None
    members: frozenset[str]
    """Voters and learners of the group."""
    absent_s: Mapping[str, float]
    """How long each member has not been heard."""
    ready: frozenset[str]
    """Who has everything it gained under exactly this ring."""
    leaving: frozenset[str]
    quorum: bool
    """This steward leads and reaches a quorum."""


class Proposal(NamedTuple):
    ring: Ring
    why: str


def decide(view: View, config: StewardConfig) -> Proposal | None:
    """The next ring; None when the present one stays. See the table above."""
    ring = view.ring
    if not view.quorum:
        return None
    if ring is None:
        hosts = _some(view.members - view.leaving)
        return Proposal(Ring.of(1, hosts), "the first ring") if hosts else None
    if ring.before is not None:
        return _moving(view, ring, config)
    for host, why in _goers(view, ring, config):
        rest = [other for other in ring.hosts if other != host]
        if _anyone(view, rest, config):
            return Proposal(Ring.of(ring.epoch + 1, rest, ring.hosts), f"{host} {why}")
    room = HOSTS_MAX_HOSTS - len(ring.hosts)
    joiners = sorted(
        host
        for host in view.members - view.leaving - set(ring.hosts)
        if view.absent_s.get(host, config.dead_after_s) <= config.present_s
    )[:room]
    if joiners:
        hosts = [*ring.hosts, *joiners]
        why = f"{', '.join(joiners)} came"
        return Proposal(Ring.of(ring.epoch + 1, hosts, ring.hosts), why)
    return None


def _moving(view: View, ring: Ring, config: StewardConfig) -> Proposal | None:
    if view.ready >= set(ring.hosts):
        return Proposal(Ring.of(ring.epoch + 1, ring.hosts), "all hosts have what they gained")
    for host, why in _goers(view, ring, config):
        rest = [other for other in ring.hosts if other != host]
        if host not in view.ready and _anyone(view, rest, config):
            # All keys are still with the owners under `before`: move away from the same hosts.
            return Proposal(Ring.of(ring.epoch + 1, rest, ring.before), f"{host} {why}")
    return None


def _goers(view: View, ring: Ring, config: StewardConfig) -> list[tuple[str, str]]:
    """Who should be taken out, the clearest case first."""
    removed = [(h, "is no member any more") for h in ring.hosts if h not in view.members]
    absent = sorted(
        (-seconds, host)
        for host in ring.hosts
        if host in view.members and (seconds := view.absent_s.get(host, 0.0)) >= config.dead_after_s
    )
    dead = [(host, f"was not heard for {-seconds:.0f} s") for seconds, host in absent]
    leaving = [(host, "leaves") for host in ring.hosts if host in view.leaving]
    return removed + dead + leaving


def _anyone(view: View, hosts: Iterable[str], config: StewardConfig) -> bool:
    """Whether anybody would be left to take over."""
    return any(
        host in view.members and view.absent_s.get(host, 0.0) < config.dead_after_s
        for host in hosts
    )


def _some(hosts: Iterable[str]) -> list[str]:
    return sorted(hosts)[:HOSTS_MAX_HOSTS]


@dataclass(slots=True)
class RingSteward:
    """Remembers what a decision needs. Every host has one; only the leader's decides.

    `propose` is to be called about every second. Until the proposed ring came back by `on_ring` it
    proposes the same one again.
    """

    host_id: str
    clock: Clock
    config: StewardConfig = field(default_factory=StewardConfig)
    ring: Ring | None = None
    members: frozenset[str] = frozenset()
    leads: bool = False
    quorum: bool = False
    proposals: int = 0
    why: str = ""
    _heard: dict[str, float] = field(default_factory=dict[str, float])
    _reports: dict[str, HostReport] = field(default_factory=dict[str, HostReport])
    _looked_at: float = 0.0

    def on_leader(self, leads: bool) -> None:
        """This host leads the group from now on, or not. A new leader blames nobody yet."""
        if leads and not self.leads:
            self._heard.clear()
            self._reports.clear()
        self.leads = leads

    def on_quorum(self, reached: bool) -> None:
        self.quorum = reached

    def on_members(self, members: Iterable[str]) -> None:
        self.members = frozenset(members)

    def on_ring(self, ring: Ring | None) -> None:
        """The record as it is now, or None while there is none."""
        self.ring = ring

    def on_heard(self, host: str) -> None:
        """Anything came from `host`."""
        self._heard[host] = self.clock.monotonic()

    def on_report(self, host: str, report: HostReport) -> None:
        """What a host says of itself."""
        self.on_heard(host)
        self._reports[host] = report

    def propose(self) -> Proposal | None:
        """What should be written now, if anything."""
        now = self.clock.monotonic()
        away_s = now - self._looked_at
        if away_s > self.config.pause_s:  # we slept: what was said meanwhile we did not hear
            self._heard = {host: at + away_s for host, at in self._heard.items()}
        self._looked_at = now
        proposal = decide(self.view(), self.config)
        if proposal is not None:
            self.proposals += 1
            self.why = proposal.why
        return proposal

    def view(self) -> View:
        now = self.clock.monotonic()
        self._heard = {host: self._heard.get(host, now) for host in self.members}
        self._heard[self.host_id] = now
        epoch = 0 if self.ring is None else self.ring.epoch
        said = {h: r for h, r in self._reports.items() if h in self.members}
        absent = {h: max(0.0, now - at) for h, at in self._heard.items() if h in self.members}
        # A member never heard of is not present, though it is not dead yet either.
        for host in self.members - said.keys() - {self.host_id}:
            absent[host] = max(absent[host], self.config.present_s + 1e-3)
        return View(
            ring=self.ring,
            members=self.members,
            absent_s=absent,
            ready=frozenset(h for h, r in said.items() if r.ready and r.epoch == epoch),
            leaving=frozenset(h for h, r in said.items() if r.leaving),
            quorum=self.leads and self.quorum,
        )

    def statistics(self) -> dict[str, object]:
        return {
            "leads": self.leads,
            "quorum": self.quorum,
            "proposals": self.proposals,
            "why": self.why,
            "absent_s": dict(self.view().absent_s),
        }
