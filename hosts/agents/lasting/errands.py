"""Work that stands in the group and must be done once, as a turn of an agent of this host.

The law of this file: the turn that does the work also commits that it is done, under the epoch of
the agent's binding; so it is done once however many hosts believe to have the agent. A try that did
not end well leaves everything as it was and is made again, later and later (`tries.py`). Nothing is
begun while the host may not act.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from quorate.core.clock import Timer
from quorate.core.errors import AgentError, Fenced, QuorateError, UsageError
from quorate.hosts.agents.lasting.place import Place
from quorate.hosts.agents.lasting.table import Errand, Key, Table
from quorate.hosts.agents.lasting.tries import FAILURES_MAX, gap_ms, said, trouble_ms

if TYPE_CHECKING:
    from quorate.core.machine.records import AgentRecord
    from quorate.hosts.agents.agent import Agent
    from quorate.hosts.agents.directory import Change
    from quorate.hosts.agents.world import AgentWorld

RUNNING_ERRANDS_MAX: Final = 256
"""So many tries are on their way at once; the others wait."""
LOOK_MAX_S: Final = 1.0
"""The wall clock may be set; so it is looked at so often while something waits."""
LOADS_PER_LOOK_MAX: Final = 200
SCAN_PAGE_AGENTS: Final = 500


class _Try:
    __slots__ = ("began", "returned")

    def __init__(self) -> None:
        self.began = self.returned = False


class Errands:
    """One per host and kind of work. A subclass says what stands in the group (`_standing` and
    `_due`), what is to be done (`_run`), and what happens to work that always fails
    (`_on_failing`)."""

    what: str = "errand"

    def __init__(self, world: AgentWorld, place: Place) -> None:
        self._world = world
        self._group = world.group
        self._place = place
        self.table = Table()
        self._changed: dict[str, None] = {}
        """Agents to be looked up again, in order."""
        self._running = 0
        self._timer: Timer | None = None
        self._soon = False
        self._stopped = False
        self._counts = dict.fromkeys(("done", "failed", "put_off", "told"), 0)

    # --- what a kind of work says of itself -------------------------------------------------------

    def _standing(self, record: AgentRecord) -> Mapping[Key, int]:
        """key -> due time (ms) of all that stands in the group for the agent."""
        raise NotImplementedError

    def _due(self, name: str, key: Key) -> int | None:
        """The due time of one piece as it stands in the group; None if it does not."""
        raise NotImplementedError

    async def _run(self, errand: Errand, agent: Agent) -> None:
        """The turn: the work, and the mark that it is done."""
        raise NotImplementedError

    def _on_failing(self, errand: Errand, now_ms: int) -> int:
        """It failed `FAILURES_MAX` times; returns when it is tried again."""
        return now_ms + gap_ms(errand.failures)

    # --- news -------------------------------------------------------------------------------------

    def on_held(self) -> None:
        """The host may act (again)."""
        self._look_soon()

    def on_snapshot_installed(self) -> None:
        """Entries were skipped: look at all agents that are placed here."""
        self.table.clear()
        self._scan("")

    def _scan(self, after: str) -> None:
        lease = self._place.lease()
        if self._stopped or not lease:
            return
        page = self._group.machine.agents_on(lease, after=after, limit=SCAN_PAGE_AGENTS)
        self._load_again(record.name for record in page)
        if len(page) == SCAN_PAGE_AGENTS:
            self._group.scheduler.call_soon(partial(self._scan, page[-1].name))

    def _drop_strangers(self, changes: Iterable[Change]) -> None:
        """Agents that are not this host's any more."""
        table = self.table
        if not table:
            return
        for name, record, _ in changes:
            if name in table and (record is None or not self._place.placed_here(record)):
                table.drop(name)

    def _load_again(self, names: Iterable[str]) -> None:
        self._changed.update(dict.fromkeys(names))
        self._look_soon()

    # --- looking ----------------------------------------------------------------------------------

    def now_ms(self) -> int:
        return int(self._group.clock.wall() * 1000)

    def _look_soon(self) -> None:
        if not self._soon and not self._stopped:
            self._soon = True
            self._group.scheduler.call_soon(self._look)

    def _look(self) -> None:
        self._soon = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped:
            return
        for name in list(self._changed)[:LOADS_PER_LOOK_MAX]:
            del self._changed[name]
            self._load(name)
        if self._place.valid():
            for errand in self.table.take(self.now_ms(), RUNNING_ERRANDS_MAX - self._running):
                self._begin(errand)
        if self._changed:
            self._look_soon()
        else:
            self._plan()

    def _load(self, name: str) -> None:
        """What stands in the group for this agent, if it is this host's."""
        record = self._group.machine.agent(name)
        if record is None or not self._place.placed_here(record):
            self.table.drop(name)
        else:
            self.table.set(name, self._standing(record))

    def _plan(self) -> None:
        at_ms = self.table.next_at_ms()
        if at_ms is None or self._running >= RUNNING_ERRANDS_MAX:
            return
        delay_s = min(LOOK_MAX_S, max(0.001, (at_ms - self.now_ms()) / 1000))
        if not self._place.valid():
            delay_s = LOOK_MAX_S  # `on_held` comes first
        self._timer = self._group.scheduler.call_later(delay_s, self._look)

    # --- trying -----------------------------------------------------------------------------------

    def _begin(self, errand: Errand) -> None:
        record = self._group.machine.agent(errand.name)
        if record is None or not self._place.placed_here(record):
            self.table.drop(errand.name)
            return
        attempt = _Try()
        try:
            self._place.bring_up(errand.name).post(
                partial(self._work, errand, attempt),
                label=f"{self.what} {errand.key}",
                done=partial(self._on_done, errand, attempt),
            )
        except QuorateError:
            self._put_off(errand)
            return
        self._running += 1

    async def _work(self, errand: Errand, attempt: _Try, agent: Agent) -> None:
        if not self.table.has(errand) or self._due(errand.name, errand.key) != errand.due_ms:
            return
        attempt.began = True
        await self._run(errand, agent)
        attempt.returned = True

    def _on_done(self, errand: Errand, attempt: _Try, error: BaseException | None) -> None:
        self._running -= 1
        self._refresh(errand)
        if error is not None and _is_own(error, attempt):
            self._on_failure(errand, error)
        else:
            self._counts["done"] += error is None and attempt.returned
            self._put_off(errand)
        self._look_soon()

    def _refresh(self, errand: Errand) -> None:
        """What the group says of this piece now."""
        if not self.table.has(errand):
            return
        due_ms = self._due(errand.name, errand.key)
        if due_ms is None:
            self.table.remove(errand.name, errand.key)
        else:
            self.table.add(errand.name, errand.key, due_ms)

    def _put_off(self, errand: Errand) -> None:
        """The world was in the way, if it is still to be done."""
        if self.table.has(errand):
            self._counts["put_off"] += 1
            errand.troubles += 1
            self.table.again(errand, self.now_ms() + trouble_ms(errand.troubles))

    def _on_failure(self, errand: Errand, error: BaseException) -> None:
        self._counts["failed"] += 1
        errand.troubles = 0
        errand.failures += 1
        now_ms = self.now_ms()
        if errand.failures < FAILURES_MAX:
            self.table.again(errand, now_ms + gap_ms(errand.failures))
            return
        if not errand.told:
            errand.told = True
            self._counts["told"] += 1
            self._world.on_problem(
                f"agent {errand.name!r}: {self.what} {errand.key!r} failed "
                f"{errand.failures} times, the last time with {said(error)}"
            )
        self.table.again(errand, self._on_failing(errand, now_ms))

    # --- the end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing any more. Safe to call twice."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def statistics(self) -> dict[str, Any]:
        return {
            "waiting": len(self.table),
            "running": self._running,
            **{f"{name}_total": count for name, count in self._counts.items()},
        }


def _is_own(error: BaseException, attempt: _Try) -> bool:
    """Whether the agent's own code failed, or wrote what cannot be kept; else the world did."""
    if isinstance(error, Fenced) or not attempt.began:
        return False
    return not attempt.returned or isinstance(error, UsageError | AgentError)
