"""What is placed where, and what is about to be: the counts that choices are made by.

The law of this file: what the group applied is read from its state, what this host chose and the
group did not apply yet is counted beside it, once. A choice that came to nothing is forgotten when
its record changes, or after `PENDING_S`. Numbers of agents come from the group's own counters; of
agents with resources or a group the demand is kept, read once and then kept up with each change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from quorate.core.clock import Clock, Scheduler, Timer
from quorate.core.errors import UsageError
from quorate.core.machine.machine import Machine
from quorate.core.machine.records import AgentRecord
from quorate.hosts.agents.directory import Change
from quorate.hosts.agents.placement.counts import Counts
from quorate.hosts.agents.placement.demand import Demand
from quorate.hosts.agents.spec import spec_of

PENDING_S: Final = 10.0
PENDING_MAX_CHOICES: Final = 65_536
READ_PAGE_AGENTS: Final = 500


class _Pending(NamedTuple):
    lease: int
    demand: Demand
    until_s: float


def demand_of(record: AgentRecord) -> Demand:
    """What the agent was started with; one that cannot be read needs its class alone."""
    try:
        demand = Demand.from_plain(spec_of(record.spec).demand)
    except UsageError:
        return Demand(record.kind)
    return demand if demand.kind else demand._replace(kind=record.kind)


def _may_be_tracked(spec: bytes) -> bool:
    """Whether a spec can hold resources or a group: names are written out in it."""
    return b"resources" in spec or b"spread" in spec


class Ledger:
    """`counts` is by lease, up to date after `refresh`."""

    def __init__(
        self, machine: Callable[[], Machine], *, clock: Clock, scheduler: Scheduler
    ) -> None:
        self._machine = machine
        self._now = clock.monotonic
        self._scheduler = scheduler
        self.counts = Counts()
        self._leases: tuple[int, ...] = ()
        self._counted_at: tuple[int, int] | None = None
        self._placed: dict[str, tuple[int, Demand]] = {}
        """Agents of which more than their number counts: name -> (lease, demand)."""
        self._known: dict[Demand, Demand] = {}
        """One object for all demands that are equal."""
        self._pending: dict[str, _Pending] = {}
        self._pending_on: dict[int, int] = {}
        self._reader: Timer | None = None
        self._read_after = ""
        self.complete = False
        """Whether everything placed was read; before that, what is reserved may be too low."""

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Read what is placed, some at a time."""
        self._placed.clear()
        self.counts.reserved.clear()
        self.counts.groups.clear()
        for pending in self._pending.values():
            self.counts.reserve(pending.lease, pending.demand, 1)
        self._read_after, self.complete = "", False
        if self._reader is None:
            self._reader = self._scheduler.call_later(0.0, self._read_some)

    def stop(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _read_some(self) -> None:
        page = self._machine().agents(limit=READ_PAGE_AGENTS, after=self._read_after)
        for record in page:
            self._note(record.name, record)
        if len(page) < READ_PAGE_AGENTS:
            self._reader, self.complete = None, True
            return
        self._read_after = page[-1].name
        self._reader = self._scheduler.call_later(0.0, self._read_some)

    # --- what was applied -------------------------------------------------------------------------

    def on_changes(self, changes: Iterable[Change]) -> None:
        """What an applied entry did."""
        for name, record, why in changes:
            if why != "updated":
                self.forget(name)
                self._note(name, record)

    def _note(self, name: str, record: AgentRecord | None) -> None:
        old = self._placed.pop(name, None)
        if old is not None:
            self.counts.reserve(*old, -1)
        if record is not None and record.lease and _may_be_tracked(record.spec):
            demand = demand_of(record)
            if demand.tracked:
                demand = self._known.setdefault(demand, demand)
                if len(self._known) > 4096:
                    self._known.clear()
                self._placed[name] = (record.lease, demand)
                self.counts.reserve(record.lease, demand, 1)

    # --- what is about to be applied --------------------------------------------------------------

    def expect(self, name: str, lease: int, demand: Demand) -> None:
        """This host chose a place for the agent."""
        self.forget(name)
        if len(self._pending) >= PENDING_MAX_CHOICES:
            self.forget(next(iter(self._pending)))
        self._pending[name] = _Pending(lease, demand, self._now() + PENDING_S)
        self._pending_on[lease] = self._pending_on.get(lease, 0) + 1
        self.counts.take(lease, demand)

    def forget(self, name: str) -> None:
        """The choice for the agent counts no more: it is applied, or came to nothing."""
        pending = self._pending.pop(name, None)
        if pending is not None:
            left = self._pending_on[pending.lease] - 1
            if left:
                self._pending_on[pending.lease] = left
            else:
                del self._pending_on[pending.lease]
            self.counts.give(pending.lease, pending.demand)

    def sweep(self) -> None:
        """Forget choices that came to nothing."""
        now = self._now()
        for name, pending in list(self._pending.items()):
            if pending.until_s > now:
                break
            self.forget(name)

    # --- what choices use -------------------------------------------------------------------------

    def refresh(self, leases: tuple[int, ...]) -> Counts:
        """The counts of these leases as they are now."""
        machine = self._machine()
        at = (id(machine), machine.revision)
        if at == self._counted_at and leases == self._leases:
            return self.counts
        self._leases = leases
        pending = self._pending_on
        self.counts.agents = {
            lease: machine.agents_on_count(lease) + pending.get(lease, 0) for lease in leases
        }
        self._counted_at = at
        return self.counts

    def statistics(self) -> dict[str, Any]:
        return {
            "tracked": len(self._placed),
            "pending": len(self._pending),
            "complete": self.complete,
        }
