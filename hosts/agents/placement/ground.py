"""The hosts that agents can be placed on, as this host sees them now, and the choice among them.

The law of this file: it puts together what the group says (rows of hosts, counts), what hosts say
(load) and what this host sees itself (links), and hands it to `choose`. Views are made anew when
something changed, loads at most every `LOADS_S`. A choice counts at once, until the group has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from quorate.core.clock import Clock
from quorate.core.machine.machine import Machine
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.placement.choose import Field, choose
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import Demand
from quorate.hosts.agents.placement.ledger import Ledger, demand_of
from quorate.hosts.agents.placement.load import LoadMeter
from quorate.hosts.agents.placement.views import HostView
from quorate.hosts.agents.roster import HostRow

LOADS_S: Final = 0.25


class Ground:
    """`rows()`: the hosts that run agents, by id; another object, or other contents with another
    `version()`, when they changed."""

    def __init__(
        self,
        host_id: str,
        *,
        machine: Callable[[], Machine],
        rows: Callable[[], Mapping[str, HostRow]],
        version: Callable[[], int],
        ledger: Ledger,
        meter: LoadMeter,
        is_up: Callable[[str], bool],
        rtt_s: Callable[[str], float | None],
        clock: Clock,
    ) -> None:
        self._id = host_id
        self._machine = machine
        self._rows = rows
        self._version = version
        self._is_up = is_up
        self._rtt_s = rtt_s
        self._now = clock.monotonic
        self.ledger = ledger
        self.meter = meter
        self._field = Field(())
        self._made_of = -1
        self._made_at = float("-inf")
        self._leases: tuple[int, ...] = ()
        self._dirty = False
        self.choices = 0

    # --- what hosts there are ---------------------------------------------------------------------

    def on_peer(self) -> None:
        """A host came into reach, or went out of it."""
        self._made_of = -1

    def on_load(self) -> None:
        """Somebody's load changed."""
        self._dirty = True

    def field(self) -> Field:
        """The hosts as they are now."""
        version = self._version()
        if version != self._made_of or (self._dirty and self._now() - self._made_at >= LOADS_S):
            self._field = Field(map(self._view, self._rows().values()))
            self._leases = tuple(one.lease for one in self._field.standings)
            self._made_of, self._made_at, self._dirty = version, self._now(), False
        return self._field

    def _view(self, row: HostRow) -> HostView:
        own = row.id == self._id
        return HostView(
            row.id,
            row.lease,
            row.labels,
            {**self.meter.capacity(row.id), **row.capacity},
            row.classes,
            self.meter.load(row.id),
            row.draining,
            own or self._is_up(row.id),
            0.0 if own else self._rtt_s(row.id),
        )

    def standing(self) -> tuple[Field, Counts]:
        """The hosts, and what is placed on them, as they are now; both to be read only."""
        field = self.field()
        return field, self.ledger.refresh(self._leases)

    def where(self, name: str) -> str:
        """The host of an agent; empty if it has none."""
        record = self._machine().agent(name)
        return "" if record is None else record.host

    # --- choosing ---------------------------------------------------------------------------------

    def choose(self, name: str, demand: Demand, without: Collection[str] = ()) -> HostView:
        """The host for an agent; counted there from now on. Raises `ClusterAtCapacity`."""
        field, counts = self.standing()
        found = choose(name, demand, field, counts, where=self.where, without=without)
        self.ledger.expect(name, found.lease, demand)
        self.choices += 1
        return found

    def find(self, name: str, demand: Demand, without: Collection[str] = ()) -> HostView | None:
        """As `choose`; None if no host has room."""
        field, counts = self.standing()
        found = field.find(name, demand, counts, where=self.where, without=without)
        if found is not None:
            self.ledger.expect(name, found.lease, demand)
            self.choices += 1
        return found

    def choose_for(self, record: AgentRecord) -> HostView:
        """Another host than its present one for an agent. Raises `ClusterAtCapacity`."""
        return self.choose(record.name, demand_of(record), (record.host,))

    # --- shown ------------------------------------------------------------------------------------

    def hosts(self) -> list[dict[str, Any]]:
        """What is known of each host, in order."""
        field, counts = self.standing()
        return [self._shown(view, counts) for view in field.views]

    def _shown(self, view: HostView, counts: Counts) -> dict[str, Any]:
        load = self.meter.load(view.id)
        report = self.meter.report(view.id)
        return {
            "id": view.id,
            "lease": view.lease,
            "labels": dict(view.labels),
            "capacity": dict(view.capacity),
            "classes": dict(view.classes),
            "draining": view.draining,
            "reachable": view.reachable,
            "agents": counts.agents.get(view.lease, 0),
            "reserved": dict(counts.reserved.get(view.lease, {})),
            "cpu": None if load is None else round(load.cpu, 3),
            "memory": None if load is None else round(load.memory, 3),
            "lag_s": None if load is None else round(load.lag_s, 4),
            "process_mb": None if report is None else report.process_mb,
            "load_age_s": None if load is None else round(load.age_s, 2),
            "rtt_s": view.rtt_s,
            "weight": view.weight,
        }
