"""Before an agent goes on in another place: everything of it that any host has which can be
reached.

The law of this file: what the former host wrote in the group is there. What it wrote locally is on
its disk and on those that it told; every member that can be reached is asked for what it has of the
agent beyond what is here, and that is joined before the first turn. A member that does not answer
within `BARRIER_S` is gone without, and a report says so. What a host that was away brings later is
joined like any late update, counted and reported.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from quorate.consistency.merkle.ports import Absorbed
from quorate.consistency.replica.definitions import Conflict
from quorate.consistency.replica.states import RegisterEntry
from quorate.consistency.store.plane import Plane
from quorate.core.errors import NotCommitted, QuorateError
from quorate.core.group.requests import Reply
from quorate.hosts.agents.state.asking import Having
from quorate.hosts.agents.state.found import Found, entry_at, find_last, find_own
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.marks import TurnMark, turn_mark
from quorate.hosts.agents.state.reports import RecoveryReport
from quorate.hosts.agents.state.scope import STORE, TURN

if TYPE_CHECKING:
    from quorate.hosts.agents.state.keeper import Keeper
    from quorate.hosts.agents.world import AgentWorld

GATHER: Final = "agent.gather"
BARRIER_S: Final = 1.0
REPORTS_MAX: Final = 1000
SYNC_AGAIN_S: Final = 1.0
_MARK: Final = "/" + TURN


class Gathered(NamedTuple):
    """What came of asking."""

    states: int
    """How many keys were elsewhere further than here."""
    missing: tuple[str, ...]


class Recovery:
    """One per host."""

    def __init__(self, keeper: Keeper, world: AgentWorld) -> None:
        self._keeper = keeper
        self._world = world
        self._having = Having(world, lambda: keeper.desk.plane)
        self._reports: OrderedDict[tuple[str, int, int], RecoveryReport] = OrderedDict()
        """By scope, the epoch under which it went on, and that of the turns."""
        self._synced_at: dict[str, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counts = dict.fromkeys(("recovered", "incomplete", "late", "joined_keys"), 0)
        world.group.requests.handle(GATHER, self._on_gather)

    # --- before the first turn --------------------------------------------------------------------

    def find(self, ledger: Ledger, *, first: bool = False) -> None:
        """Go on from what this host has. `first`: no other epoch than this one ever was."""
        found = find_own(ledger.plane, ledger.turn_key())
        if found is None:
            found = Found() if first else find_last(ledger.plane, ledger.keys.scope)
        self._go_on_from(ledger, found)

    def _go_on_from(self, ledger: Ledger, found: Found) -> None:
        mark, actor, seq, keys = found
        ledger.mark = ledger.found = mark
        ledger.usage.local = mark.used_bytes
        if ledger.is_home:
            ledger.former = [key for key in keys if key != ledger.turn_key()]
        if not actor:
            return
        ledger.wrote(actor, seq)
        if actor == ledger.plane.replica.actor:
            for one in ledger.read_redo():
                if one.mark.place <= mark.place:
                    ledger.redo_seqs[one.mark.place] = seq

    async def recover(self, ledger: Ledger, until: float) -> None:
        """Have here, or at the owners, what any member has. Raises `NotCommitted`."""
        self._counts["recovered"] += 1
        if not ledger.is_home:
            await self._recover_elsewhere(ledger, until)
            return
        gathered = await self.gather(ledger.keys.scope, until)
        self.find(ledger)
        if gathered.missing:
            self._counts["incomplete"] += 1
            self._report(ledger, ledger.last[0], ledger.mark, 0, gathered.missing)

    async def gather(self, scope: str, until: float) -> Gathered:
        """Join what the members that can be reached have of a scope beyond what is here."""
        world, plane = self._world, self._keeper.desk.plane
        until = min(until, plane.clock.monotonic() + BARRIER_S)
        peers = [p for p in world.members() if p != world.host_id and world.is_up(p)]
        answers = await asyncio.gather(
            *(self._having.ask(peer, scope, until) for peer in peers), return_exceptions=True
        )
        states, missing = 0, list[str]()
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, QuorateError):
                missing.append(peer)
            elif isinstance(answer, BaseException):
                raise answer
            elif answer:
                states += len(answer)
                refused = await self._join(plane, answer)
                if refused is not None:
                    missing.append(peer)
                self._compare_with(plane, peer)
        self._counts["joined_keys"] += states
        return Gathered(states, tuple(missing))

    async def _join(self, plane: Plane, rows: list[Any]) -> str | None:
        """On this disk when it returns; why it was refused, if it was."""
        done = plane.future()

        def absorbed(outcome: Absorbed) -> None:
            if not done.done():
                done.set_result(outcome)

        plane.replica.absorb([[STORE, key, wire] for key, wire in rows], absorbed)
        outcome: Absorbed = await done
        return outcome[3]

    def _compare_with(self, plane: Plane, peer: str) -> None:
        """It has more than this host: let the stores find out about the rest."""
        now = plane.clock.monotonic()
        if now - self._synced_at.get(peer, float("-inf")) >= SYNC_AGAIN_S:
            self._synced_at[peer] = now
            plane.sync_needed(peer)

    # --- where this host owns none of the agent's keys --------------------------------------------

    async def _recover_elsewhere(self, ledger: Ledger, until: float) -> None:
        """Have every owner that can be reached gather; then read what the furthest has."""
        plane, core, keys = ledger.plane, ledger.core, ledger.keys
        owners = plane.nearest(core.homes(keys.turns))
        answers = await asyncio.gather(
            *(self._ask_to_gather(owner, keys.scope, until) for owner in owners),
            return_exceptions=True,
        )
        best = find_last(plane, keys.scope)
        answered = False
        for answer in answers:
            if isinstance(answer, QuorateError):
                continue
            if isinstance(answer, BaseException):
                raise answer
            answered = True
            if answer.mark.place > best.mark.place:
                best = answer
        if not answered:
            raise NotCommitted(
                f"agent {keys.agent!r}: none of the owners of its state, "
                f"{', '.join(core.homes(keys.turns))}, can be asked now"
            )
        self._go_on_from(ledger, best)

    async def _ask_to_gather(self, owner: str, scope: str, until: float) -> Found:
        plane = self._keeper.desk.plane
        left_s = min(plane.left(until), 2 * BARRIER_S)
        answer = await self._world.group.requests.ask(owner, GATHER, [scope], left_s)
        try:
            row, actor, seq = answer
            return Found(TurnMark(*row), int(actor), int(seq))
        except (TypeError, ValueError) as error:
            raise NotCommitted(f"host {owner!r} answered {GATHER} with something else") from error

    def _on_gather(self, peer: str, args: list[Any], reply: Reply) -> None:
        task = self._world.loop.create_task(self._answer_gather(args, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_gather(self, args: list[Any], reply: Reply) -> None:
        try:
            (scope,) = args
            until = self._world.group.clock.monotonic() + BARRIER_S
            core = (await self._keeper.ready(until)).core
            if not core.is_home(f"{scope}/"):
                raise NotCommitted(f"host {self._world.host_id!r} is no owner of this state")
            await self.gather(str(scope), until)
            found = find_last(core.plane, str(scope))
            reply([list(found.mark), found.actor, found.seq])
        except QuorateError as error:
            reply(error)
        except (TypeError, ValueError) as error:
            reply(NotCommitted(f"{GATHER}: malformed ({type(error).__name__})"))

    # --- what came late ---------------------------------------------------------------------------

    def listen(self, plane: Plane) -> None:
        """Have news of turns told."""
        plane.listeners.setdefault(STORE, []).append(self._on_changed)
        plane.conflict_listeners[STORE] = self._on_conflict

    def _on_changed(self, store: str, key: str) -> None:
        """A turn's mark came from another host, and nothing here was against it."""
        at = key.find(_MARK)
        if at < 0:
            return
        opened = self._keeper.open_here.get(key[:at])
        if opened is None or opened.ledger.is_writing:
            return
        ledger = opened.ledger
        entry = entry_at(ledger.plane, key)
        if entry is not None and entry.actor != ledger.plane.replica.actor:
            self._late(ledger, entry)

    def _on_conflict(self, conflict: Conflict) -> None:
        """A turn's mark came that was made beside one that is here."""
        scope, found, _ = conflict.key.partition(_MARK)
        opened = self._keeper.open_here.get(scope) if found else None
        if opened is None:
            return
        entries: Iterable[RegisterEntry | None] = (conflict.winner, *conflict.losers)
        for entry in entries:
            if entry is not None and entry.actor != opened.ledger.plane.replica.actor:
                self._late(opened.ledger, entry)

    def _late(self, ledger: Ledger, entry: RegisterEntry) -> None:
        mark, found = turn_mark(entry.value), ledger.found
        if mark.epoch >= ledger.holder.epoch or mark.place <= found.place:
            return
        self._counts["late"] += 1
        late = mark.number - min(found.number, mark.number - 1)
        self._report(ledger, entry.actor, mark, late, ())

    def _report(
        self, ledger: Ledger, actor: int, mark: TurnMark, late: int, missing: tuple[str, ...]
    ) -> None:
        about = (ledger.keys.scope, ledger.holder.epoch, mark.epoch)
        known = self._reports.pop(about, None)
        if known is not None:
            late = max(late, known.turns_late)
            missing = tuple(sorted({*missing, *known.missing}))
        self._reports[about] = RecoveryReport(
            ledger.keys.agent,
            self._world.host_id,
            ledger.plane.replica.actors.get(actor, ""),
            mark.epoch,
            ledger.holder.epoch,
            ledger.found.number,
            late,
            missing,
            self._world.group.clock.wall(),
        )
        while len(self._reports) > REPORTS_MAX:
            self._reports.popitem(last=False)

    def reports(self) -> list[RecoveryReport]:
        """The last ones, oldest first."""
        return list(self._reports.values())

    # --- the end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        self._having.stop()
        for task in self._tasks:
            task.cancel()

    async def wait_stopped(self) -> None:
        await self._having.wait_stopped()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def statistics(self) -> dict[str, object]:
        return {
            "reports": len(self._reports),
            **{f"{name}_total": count for name, count in self._counts.items()},
            **self._having.statistics(),
        }
