"""On which host an agent goes.

The law of this file: the choice is a function of the agent's name and demand, of the views of hosts
and of the counts, by a hash that is the same everywhere and for ever (T22); the order in which
hosts are named changes nothing. Pure.

Who can take it is what needs decide; wishes narrow that down, as long as somebody is left; among
the rest the agent's own ranking of hosts decides, past those that have their share:

* the ranking is weighted rendezvous hashing: Thaler and Ravishankar, "Using name-based mappings to
  increase hit rates" (1998), with the weights of Schindelhauer and Schomaker, "Weighted distributed
  hash tables" (2005): the host with the largest ln(u) / weight, u in (0, 1) by name and host;
* the share is that of consistent hashing with bounded loads: Mirrokni, Thorup and Zadimoghaddam
  (2016): no host gets more than `BOUND` times its weighted part of all agents, that one included.
  The parts add up to more than there is, so some host always has room.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from math import log
from typing import Final

from quorate.core.errors import ClusterAtCapacity
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import MEMORY_MB, SLOTS, Demand, Shape
from quorate.hosts.agents.placement.views import HostView, point

BOUND: Final = 1.25
EXPLAINED_HOSTS_MAX: Final = 12
HOST_LABEL: Final = "host"
"""A label that every host has: its id. A need of it pins an agent, where the hint only wishes."""
_MEASURED: Final = (MEMORY_MB, "cpu", SLOTS)
"""Resources of which a host that does not say how much it has, has enough."""

_MASK: Final = (1 << 64) - 1
_UNIT: Final = 2.0**-53

Where = Callable[[str], str]
"""The host of an agent; empty if it has none."""


def nowhere(name: str) -> str:
    return ""


class Standing:
    """A host in a field, with what a choice needs of it at hand."""

    __slots__ = ("id", "inverse", "lease", "seed", "slots", "view", "weight")

    def __init__(self, view: HostView) -> None:
        self.view = view
        self.id = view.id
        self.lease = view.lease
        self.seed = point(view.id)
        self.weight = view.weight
        self.inverse = 1.0 / self.weight
        self.slots = view.capacity.get(SLOTS)


class Field:
    """The hosts among which is chosen: made anew when one of them looks different."""

    __slots__ = ("_able", "_slotted", "by_id", "standings", "views")

    def __init__(self, views: Iterable[HostView]) -> None:
        self.standings = sorted(map(Standing, views), key=lambda standing: standing.id)
        self.by_id = {standing.id: standing for standing in self.standings}
        self.views = [standing.view for standing in self.standings]
        self._able: dict[Shape, list[Standing]] = {}
        self._slotted = any(standing.slots is not None for standing in self.standings)

    def without_load(self, hosts: Collection[str]) -> Field:
        """The same hosts, as if the load of these were not known."""
        return Field(replace(view, load=None) if view.id in hosts else view for view in self.views)

    def able(self, demand: Demand) -> list[Standing]:
        """The hosts that could run it, however full they are."""
        shape = demand.shape
        found = self._able.get(shape)
        if found is None:
            found = [one for one in self.standings if not _unable(one.view, demand)]
            if len(self._able) > 4096:
                self._able.clear()
            self._able[shape] = found
        return found

    def fitting(self, demand: Demand, counts: Counts) -> list[Standing]:
        """The hosts that can run it and have what it needs left."""
        able = self.able(demand)
        if demand.resources or self._slotted:
            return [one for one in able if not short_of(one.view, demand, counts)]
        return able

    def find(
        self,
        name: str,
        demand: Demand,
        counts: Counts,
        *,
        where: Where = nowhere,
        without: Collection[str] = (),
    ) -> HostView | None:
        """As `choose`; None if no host has room."""
        fitting = self.fitting(demand, counts)
        if without:
            fitting = [one for one in fitting if one.id not in without]
        if not fitting:
            return None
        if demand.host or demand.near or demand.avoid or demand.spread:
            fitting = _narrowed(fitting, demand, counts, where)
        if len(fitting) == 1:
            return fitting[0].view
        return _first(point(name), fitting, counts).view


def choose(
    name: str,
    demand: Demand,
    hosts: Field | Sequence[HostView],
    counts: Counts,
    *,
    where: Where = nowhere,
    without: Collection[str] = (),
) -> HostView:
    """The host for the agent; the caller counts it (`counts.take`). `where`: the host of another
    agent, for wishes; `without`: hosts that are not asked.

    Raises `ClusterAtCapacity`, which says of each host what it lacks."""
    field = hosts if isinstance(hosts, Field) else Field(hosts)
    found = field.find(name, demand, counts, where=where, without=without)
    if found is None:
        what = f"agent {name!r} ({demand.kind!r} version {demand.version})" if demand.kind else name
        raise ClusterAtCapacity(
            f"no host has room for {what}: {explain(field, demand, counts, without)}"
        )
    return found


# --- needs ----------------------------------------------------------------------------------------


def _unable(view: HostView, demand: Demand) -> str:
    """Why the host can never run it as things are; empty if it can."""
    if view.draining:
        return "draining"
    if not view.reachable:
        return "not reachable"
    if demand.kind:
        version = view.classes.get(demand.kind, 0)
        if not version:
            return f"has no class {demand.kind!r}"
        if version < demand.version:
            return f"has version {version} of class {demand.kind!r}"
    for label, value in demand.needs:
        found = view.labels.get(label, view.id if label == HOST_LABEL else None)
        if found is None:
            return f"has no label {label!r}"
        if found != value:
            return f"has label {label}={found}"
    return ""


def short_of(view: HostView, demand: Demand, counts: Counts) -> str:
    """What the host has too little of for one agent more; empty if it has enough."""
    capacity = view.capacity
    asked = demand.resources
    if SLOTS in capacity and not any(name == SLOTS for name, _ in asked):
        asked = (*asked, (SLOTS, 1.0))
    for name, amount in asked:
        total = capacity.get(name)
        if total is None:
            if name not in _MEASURED:
                return f"has no {name}"
            continue
        left = total - counts.used(view.lease, name)
        if amount > left + 1e-9:
            return f"has {max(0.0, left):g} of {total:g} {name} left"
    return ""


def explain(field: Field, demand: Demand, counts: Counts, without: Collection[str] = ()) -> str:
    """What each host lacks."""
    if not field.standings:
        return "no host runs agents"
    reasons: list[str] = []
    for one in field.standings:
        reason = _unable(one.view, demand) or short_of(one.view, demand, counts)
        if not reason and one.id in without:
            reason = "is the one to leave"
        reasons.append(f"{one.id} {reason or 'has room'}")
    if len(reasons) > EXPLAINED_HOSTS_MAX:
        more = len(reasons) - EXPLAINED_HOSTS_MAX
        reasons = [*reasons[:EXPLAINED_HOSTS_MAX], f"and {more} more"]
    asked = ", ".join(f"{amount:g} {name}" for name, amount in demand.resources)
    return (f"it needs {asked}; " if asked else "") + ", ".join(reasons)


# --- wishes ---------------------------------------------------------------------------------------


def _narrowed(
    fitting: list[Standing], demand: Demand, counts: Counts, where: Where
) -> list[Standing]:
    """Those that keep the wishes. A wish that would leave nobody is dropped; the first named in
    `demand.HINTS` is kept before the next. Wishes go before shares, needs before wishes."""
    for host in (demand.host, demand.near and where(demand.near)):
        if host:
            kept = [one for one in fitting if one.id == host]
            if kept:
                return kept
    if demand.avoid:
        avoided = {*demand.avoid, *map(where, demand.avoid)}
        fitting = [one for one in fitting if one.id not in avoided] or fitting
    if demand.spread and len(fitting) > 1:
        group = counts.groups.get(demand.spread)
        if group is not None:
            fewest = min(group.get(one.lease, 0) for one in fitting)
            fitting = [one for one in fitting if group.get(one.lease, 0) == fewest]
    return fitting


# --- the ranking ----------------------------------------------------------------------------------


def _first(name: int, fitting: list[Standing], counts: Counts) -> Standing:
    """The first in the agent's ranking that is below its bound; `rank` is written out here, since
    this is what a start waits for."""
    agents = counts.agents
    total = 1
    weight = 0.0
    for one in fitting:
        total += agents.get(one.lease, 0)
        weight += one.weight
    share = BOUND * total / weight
    best = fitting[0]
    best_rank = float("-inf")
    for one in fitting:
        if agents.get(one.lease, 0) < share * one.weight:
            mixed = name ^ one.seed
            mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
            mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
            rank = log(((mixed ^ mixed >> 31) >> 11) * _UNIT + 2.0**-54) * one.inverse
            if rank > best_rank:
                best, best_rank = one, rank
    return best


def rank(name: str, standing: Standing) -> float:
    """The agent's own opinion of a host, below 0; the highest is its first choice. The mixing is
    the finaliser of SplitMix64 (Steele, Lea and Flood, 2014)."""
    mixed = point(name) ^ standing.seed
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
    return log(((mixed ^ mixed >> 31) >> 11) * _UNIT + 2.0**-54) * standing.inverse
