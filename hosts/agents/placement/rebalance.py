"""Which agents should move, when hosts join, leave, or have too much.

The law of this file: few moves, and each makes it better by itself, whatever becomes of the others:

* draining  a host that leaves has one agent less; the target is the one a start would choose
* quota     a host that gave out more than it has gave out less; the target has room
* hot       a host that can hardly do its work does less; the target is clearly less busy
* uneven    the fuller of two hosts still has no fewer agents than the other

A host is levelled only when it clearly has too much or too little, and then until it is nearly even
(that is the hysteresis; the caller remembers which hosts those are). Wishes of agents outweigh
evenness, needs outweigh everything. An agent that is wanted on the target by its own ranking goes
first, so the next rebalancing finds it where it belongs. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from quorate.hosts.agents.placement.choose import (
    BOUND,
    Field,
    Standing,
    Where,
    nowhere,
    rank,
    short_of,
)
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import SLOTS, Demand

BEGIN_OVER: Final = BOUND
BEGIN_UNDER: Final = 0.5
BEGIN_SLACK_AGENTS: Final = 2
"""It begins when a host has more than 1.25 fair shares and 2, or less than half of one less 1."""
END_OVER: Final = 1.1
END_UNDER: Final = 0.9
HOT_SHARE: Final = 0.05
"""So much of what a hot host has goes at once."""
COOLER_BY: Final = 0.25
"""So much less busy must the target of a hot host's agent be."""
REASONS: Final = ("draining", "quota", "hot", "uneven")


class Resident(NamedTuple):
    """An agent that could move."""

    name: str
    demand: Demand


class Move(NamedTuple):
    name: str
    source: str
    target: str
    why: str
    """One of `REASONS`."""


class _Plan:
    """What is thought ahead: counts change with each move that was decided."""

    def __init__(
        self,
        field: Field,
        counts: Counts,
        residents: Mapping[str, Sequence[Resident]],
        moves_max: int,
        where: Where,
        cooling: Collection[str],
        former: Collection[str],
    ) -> None:
        self.field = field
        self.counts = counts.copy()
        self.residents = {host: list(rows) for host, rows in residents.items()}
        self.moves_max = moves_max
        self.where = where
        self.cooling = cooling
        self.levelled = frozenset(former)
        self.hubs = {one.demand.near for rows in residents.values() for one in rows}
        """Agents that others wish to be near: they stay, or those would lose their wish."""
        self.moves: list[Move] = []

    @property
    def full(self) -> bool:
        return len(self.moves) >= self.moves_max

    def agents(self, one: Standing) -> int:
        return self.counts.agents.get(one.lease, 0)

    def move(self, resident: Resident, source: Standing, target: Standing, why: str) -> None:
        self.counts.give(source.lease, resident.demand)
        self.counts.take(target.lease, resident.demand)
        self.residents[source.id].remove(resident)
        self.moves.append(Move(resident.name, source.id, target.id, why))

    def target(self, resident: Resident, source: Standing) -> Standing | None:
        """Where a start would place it now, its own host apart."""
        view = self.field.find(
            resident.name,
            resident.demand,
            self.counts,
            where=self.where,
            without=(source.id, *self.cooling),
        )
        return None if view is None else self.field.by_id[view.id]

    def may_go(self, resident: Resident, source: Standing, target: Standing) -> bool:
        """Whether the target can take it, and it loses no wish by going."""
        if resident.name in self.hubs or target not in self.field.able(resident.demand):
            return False
        if short_of(target.view, resident.demand, self.counts):
            return False
        return not self._loses(resident, source, target)

    def _loses(self, resident: Resident, source: Standing, target: Standing) -> bool:
        demand = resident.demand
        for host in (demand.host, demand.near and self.where(demand.near)):
            if host and target.id != host:
                return source.id == host or host in self.field.by_id
        if demand.avoid:
            avoided = {*demand.avoid, *map(self.where, demand.avoid)}
            if target.id in avoided:
                return True
        if demand.spread:
            group = self.counts.groups.get(demand.spread, {})
            return group.get(target.lease, 0) >= group.get(source.lease, 0)
        return False


def rebalance(
    field: Field,
    counts: Counts,
    residents: Mapping[str, Sequence[Resident]],
    *,
    moves_max: int = 8,
    former: Collection[str] = (),
    where: Where = nowhere,
    cooling: Collection[str] = (),
) -> list[Move]:
    """The next moves, `moves_max` at most; none when things are well.

    `residents`: by host, agents that may be moved (not all of them need be named). `former`: what
    `levelled` said before the last step. `cooling`: hosts that get nothing, since they were hot a
    short while ago."""
    plan = _Plan(field, counts, residents, moves_max, where, cooling, former)
    _off_draining(plan)
    _off_quota(plan)
    _off_hot(plan)
    _level(plan)
    return plan.moves


def levelled(field: Field, counts: Counts, former: Collection[str] = ()) -> frozenset[str]:
    """The hosts that have clearly too many agents or too few, and those of `former` that are not
    nearly even yet."""
    share = _fair_share(field, counts)
    found: set[str] = set()
    for one in _takers(field):
        number = counts.agents.get(one.lease, 0)
        if one.id in former:
            even = END_UNDER * share - 1 <= number <= END_OVER * share + 1
        else:
            even = BEGIN_UNDER * share - 1 <= number <= BEGIN_OVER * share + BEGIN_SLACK_AGENTS
        if not even:
            found.add(one.id)
    return frozenset(found)


def donors(field: Field, counts: Counts, former: Collection[str] = ()) -> list[str]:
    """The hosts whose residents `rebalance` has to know."""
    share = _fair_share(field, counts)
    level = bool(levelled(field, counts, former))
    return [
        one.id
        for one in field.standings
        if counts.agents.get(one.lease, 0)
        and (
            one.view.draining
            or one.view.overloaded
            or _over_quota(one, counts)
            or (level and counts.agents[one.lease] > share)
        )
    ]


def _takers(field: Field) -> list[Standing]:
    """The hosts that can be given something."""
    return [
        one
        for one in field.standings
        if one.view.classes and one.view.reachable and not one.view.draining
    ]


def _fair_share(field: Field, counts: Counts) -> float:
    """How many agents each taker would have if they were even."""
    takers = _takers(field)
    if not takers:
        return 0.0
    return sum(counts.agents.get(one.lease, 0) for one in takers) / len(takers)


# --- the reasons ----------------------------------------------------------------------------------


def _off_draining(plan: _Plan) -> None:
    for source in plan.field.standings:
        if source.view.draining:
            _send_off(plan, source, plan.residents.get(source.id, ()), "draining")


def _send_off(plan: _Plan, source: Standing, rows: Iterable[Resident], why: str) -> None:
    for resident in list(rows):
        if plan.full:
            return
        target = plan.target(resident, source)
        if target is not None:
            plan.move(resident, source, target, why)


def _over_quota(one: Standing, counts: Counts) -> str:
    """The first resource of which more is given out than there is; empty if there is none."""
    for name, total in sorted(one.view.capacity.items()):
        if counts.used(one.lease, name) > total + 1e-9:
            return name
    return ""


def _amount(resident: Resident, name: str) -> float:
    return dict(resident.demand.resources).get(name, 1.0 if name == SLOTS else 0.0)


def _off_quota(plan: _Plan) -> None:
    """The largest part that goes somewhere is given back first: the fewest moves."""
    for source in plan.field.standings:
        while not plan.full and (name := _over_quota(source, plan.counts)):
            rows = plan.residents.get(source.id, [])
            rows = sorted(
                (one for one in rows if _amount(one, name) > 0),
                key=lambda one: (-_amount(one, name), one.name),
            )
            before = len(plan.moves)
            for resident in rows:
                target = plan.target(resident, source)
                if target is not None:
                    plan.move(resident, source, target, "quota")
                    break
            if len(plan.moves) == before:
                break


def _off_hot(plan: _Plan) -> None:
    """A few at a time: what it does for the load shows in the next figures only."""
    for source in plan.field.standings:
        if not source.view.overloaded or plan.agents(source) < 2:
            continue
        left = max(1, int(plan.agents(source) * HOT_SHARE))
        for resident in list(plan.residents.get(source.id, ())):
            if not left or plan.full:
                break
            target = plan.target(resident, source)
            if target is not None and _cooler(plan, resident, source, target):
                plan.move(resident, source, target, "hot")
                left -= 1


def _cooler(plan: _Plan, resident: Resident, source: Standing, target: Standing) -> bool:
    return (
        target.view.is_known
        and not target.view.overloaded
        and target.view.pressure <= source.view.pressure - COOLER_BY
        and plan.may_go(resident, source, target)
    )


def _level(plan: _Plan) -> None:
    """Into the hosts that have too few, out of those that have too many, until nearly even."""
    closed: set[tuple[str, str]] = set()
    while not plan.full:
        plan.levelled = levelled(plan.field, plan.counts, plan.levelled)
        if not plan.levelled or not _level_once(plan, closed):
            return


def _level_once(plan: _Plan, closed: set[tuple[str, str]]) -> bool:
    """From a host above the fair share to one below, the emptiest first."""
    takers = _takers(plan.field)
    share = _fair_share(plan.field, plan.counts)
    low = sorted(
        (one for one in takers if plan.agents(one) < share and one.id not in plan.cooling),
        key=lambda one: (plan.agents(one), one.id),
    )
    high = sorted(
        (one for one in takers if plan.agents(one) > share),
        key=lambda one: (-plan.agents(one), one.id),
    )
    for target in low:
        for source in high:
            if not {source.id, target.id} & plan.levelled:
                continue
            if (source.id, target.id) in closed or _no_gain(plan, source, target):
                continue
            resident = _best_to_go(plan, source, target)
            if resident is not None:
                plan.move(resident, source, target, "uneven")
                return True
            closed.add((source.id, target.id))
    return False


def _no_gain(plan: _Plan, source: Standing, target: Standing) -> bool:
    if plan.agents(source) - plan.agents(target) < 2 or target.view.overloaded:
        return True
    busier = target.view.pressure - source.view.pressure
    return source.view.is_known and target.view.is_known and busier > COOLER_BY


def _best_to_go(plan: _Plan, source: Standing, target: Standing) -> Resident | None:
    """The agent that wants most to be on the target, of those that may go."""
    able = (one for one in plan.residents.get(source.id, ()) if plan.may_go(one, source, target))
    return max(able, key=lambda one: (rank(one.name, target), one.name), default=None)
