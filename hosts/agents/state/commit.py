"""A turn's commit: all of it, or nothing.

The law of this file, in this order: what is in doubt is found out; what would refuse the turn is
asked; the strong writes and the marks go in one fenced command; then the local updates go into the
replica in one step; then it waits for disks. When the strong part is refused nothing local is done;
when it is unknown nothing local is done until it is known (`settling.py`); when it happened the
local part is in the group with it (`~redo`) and is done before the next turn, here or elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from quorate.consistency.replica.states import GROUP
from quorate.consistency.replica.writing import Update
from quorate.consistency.store.tokens import Past
from quorate.core.errors import (
    Fenced,
    LimitExceeded,
    NoQuorum,
    NotCommitted,
    OutcomeUnknown,
    Overloaded,
    QuorateError,
    StaleReplica,
    Timeout,
)
from quorate.core.group.bindings import Committed
from quorate.hosts.agents.state import applying, counting
from quorate.hosts.agents.state.applying import LocalPart
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.drafts import Dots
from quorate.hosts.agents.state.ledger import Ledger, Mark, Write
from quorate.hosts.agents.state.marks import (
    REDO_BYTES_MAX,
    REDO_ENTRIES_MAX,
    encode_redo,
)
from quorate.hosts.agents.state.quick import apply_quickly
from quorate.hosts.agents.state.receipts import TurnReceipt
from quorate.hosts.agents.state.scope import NAMESPACE
from quorate.hosts.agents.state.settling import Settling

STEPS: Final = ("asked", "strong", "local", "held")
"""Where `on_step` is called: before the strong part, behind it, behind the local part, and when the
disks have it."""


def _nothing(step: str) -> None:
    return None


class Committer:
    """Commits the turns of one activation. `on_step(step)`: for tests, which make something fail
    there."""

    __slots__ = ("_core", "_ledger", "_plane", "_settling", "is_sending", "on_step")

    def __init__(self, ledger: Ledger, settling: Settling) -> None:
        self._ledger = ledger
        self._settling = settling
        self._plane = ledger.plane
        self._core = ledger.core
        self.on_step: Callable[[str], None] = _nothing
        self.is_sending = False
        """A strong commit is on its way."""

    def begin(self) -> TurnBuffer:
        """The buffer of a turn that begins to write."""
        receipt = TurnReceipt(self._plane.keyring, self._ledger.holder.epoch)
        return TurnBuffer(self.commit, receipt, self._dots)

    def _dots(self) -> Dots:
        actor, before = self._ledger.dots_of_next_turn()
        return Dots(actor, before, self._stamp)

    def _stamp(self, floor: int = 0) -> int:
        replica = self._plane.replica
        replica.check_clock()
        return replica.hlc.now(floor)

    async def commit(self, buffer: TurnBuffer, until: float, marks: list[list[Any]]) -> TurnReceipt:
        """See `TurnBuffer.commit`."""
        ledger, plane = self._ledger, self._plane
        plane.check()
        if ledger.in_doubt:
            if ledger.holder.degraded:
                raise NoQuorum(
                    f"agent {ledger.keys.agent!r}: whether an earlier turn was committed cannot be "
                    "found out without a majority; nothing of this turn was kept"
                )
            await self._settling.settle(until)
        has_local = buffer.has_local
        is_strong = bool(buffer.strong or marks)
        if has_local and not is_strong:
            self.on_step("asked")
            update = apply_quickly(ledger, buffer)
            if update is not None:
                self.on_step("local")
                await plane.durable.wait(update.seq, until)
                self.on_step("held")
                return self._filled(buffer, None, update, plane.me)
        if not has_local and not is_strong:
            return self._filled(buffer, None, None, plane.me)
        used = await counting.look(ledger, buffer)
        if buffer.sessions:
            await self._catch_up(buffer, until)
        local = None
        if has_local:
            if buffer.wait_for > 1:
                self._look_at_homes(buffer.wait_for)
            if not buffer.durable and buffer.wait_for == 1:
                await plane.may_be_volatile(until)
            mark = ledger.next_mark(used.local)
            local = applying.local_part(self._core, buffer, mark, again=is_strong)
        committed = None
        if is_strong:
            self.on_step("asked")
            committed = await self._strongly(buffer, local, marks, until)
            ledger.usage.strong = used.strong
            ledger.usage.wrote(used.sizes)
            self.on_step("strong")
        update = None
        if local is not None:
            update = await self._locally(buffer, local, committed, until)
        replicas = await self._held(buffer, update, until)
        self.on_step("held")
        return self._filled(buffer, committed, update, replicas)

    # --- before -----------------------------------------------------------------------------------

    async def _catch_up(self, buffer: TurnBuffer, until: float) -> None:
        """A session's writes come after all that it wrote and saw."""
        core, plane = self._core, self._plane
        for session in buffer.sessions:
            if not session.is_read:
                await session.ready(plane.left(until))
            past = session.past
            if not core.covers(past) and not await plane.news.until(
                lambda past=past: core.covers(past), until
            ):
                plane.check()
                raise StaleReplica(
                    f"agent {self._ledger.keys.agent!r}: until the deadline host "
                    f"{plane.host_id!r} did not get what the session saw before; nothing was "
                    "written"
                )

    def _look_at_homes(self, wait_for: int) -> None:
        homes = self._core.homes(self._ledger.keys.turns)
        if wait_for > len(homes):
            raise NotCommitted(
                f"agent {self._ledger.keys.agent!r}: wait_for={wait_for}, but its state is kept "
                f"by {', '.join(homes)} only; nothing was changed"
            )

    # --- the strong part --------------------------------------------------------------------------

    async def _strongly(
        self, buffer: TurnBuffer, local: LocalPart | None, marks: Sequence[Mark], until: float
    ) -> Committed:
        ledger, plane = self._ledger, self._plane
        holder, name = ledger.holder, ledger.core.name
        if holder.degraded or plane.world.cut_off():
            raise NoQuorum(
                f"agent {holder.name!r}: host {plane.host_id!r} reaches no majority, so nothing "
                "strong can be written; nothing of the turn was kept"
            )
        least = 0
        for session in buffer.sessions:
            least = max(least, session.past.stamp)
        writes: list[Write] = []
        for key, value in buffer.strong.items():
            state = plane.replica.read(name, key)
            floor = least if state is None else max(least, state.stamp)
            writes.append([NAMESPACE, key, value, self._stamp(floor)])
        entries = None
        if local is not None:
            entries, data = await self._with_redo(local, until)
            writes.append([NAMESPACE, ledger.keys.redo, data, self._stamp()])
        left_s = until - plane.clock.monotonic()
        if left_s <= 0:
            raise Timeout(f"agent {holder.name!r}: the turn was not committed in time")
        self.is_sending = True
        try:
            done = await ledger.bindings.commit(
                holder.name, holder.epoch, writes, marks, timeout=left_s
            )
        except QuorateError as error:
            if error.outcome != "not_applied":
                self._lose_sight()
            raise
        except asyncio.CancelledError:
            self._lose_sight()
            raise
        finally:
            self.is_sending = False
        if entries is not None:
            ledger.redo = entries
        ledger.committed(done.index)
        return done

    def _lose_sight(self) -> None:
        self._ledger.unknown = True
        self._ledger.usage.sizes.clear()

    async def _with_redo(self, local: LocalPart, until: float) -> tuple[list[Any], bytes]:
        """(entries, bytes) of `~redo` with this turn. It takes those along that only this host has:
        when they are too many, the other owners are waited for."""
        ledger, plane = self._ledger, self._plane
        mine = applying.as_redo(local, plane.host_id, ledger.keys.prefix)
        if len(encode_redo([mine])) > REDO_BYTES_MAX:
            raise LimitExceeded(
                f"agent {ledger.keys.agent!r}: a turn that writes strongly may write "
                f"{REDO_BYTES_MAX} bytes at other levels, or operate on as much of CRDTs"
            )

        def fits() -> tuple[list[Any], bytes] | None:
            entries = [*ledger.kept_redo(), mine]
            data = encode_redo(entries)
            fine = len(entries) <= REDO_ENTRIES_MAX and len(data) <= REDO_BYTES_MAX
            return (entries, data) if fine else None

        found = fits()
        while found is None:
            now = plane.clock.monotonic()
            if now >= until:
                raise Overloaded(
                    f"agent {ledger.keys.agent!r}: its other hosts do not take what earlier turns "
                    "wrote; nothing of this turn was kept"
                )
            await plane.news.wait(min(until, now + 0.05))
            plane.check()
            found = fits()
        return found

    # --- the local part ---------------------------------------------------------------------------

    async def _locally(
        self, buffer: TurnBuffer, local: LocalPart, committed: Committed | None, until: float
    ) -> Update | None:
        """None: it is in the group, and is done before the next turn, by whoever runs it."""
        ledger, holder = self._ledger, self._ledger.holder
        if not holder.holds:
            if committed is None:
                raise Fenced(
                    f"agent {holder.name!r}, epoch {holder.epoch}: this host cannot be sure any "
                    "more that it runs the agent; nothing of the turn was kept"
                )
            ledger.redo_due = True
            return None
        try:
            applying.check(self._core, local)
        except QuorateError:
            if committed is None:
                raise
            ledger.redo_due = True
            await self._later(until)
            return None
        update = ledger.apply(local, self._deps(buffer))
        if committed is not None:
            ledger.redo_seqs[local.mark.place] = update.seq
            while len(ledger.redo_seqs) > 2 * REDO_ENTRIES_MAX:
                del ledger.redo_seqs[next(iter(ledger.redo_seqs))]
        self.on_step("local")
        return update

    async def _later(self, until: float) -> None:
        try:
            await self._settling.settle(until)
        except QuorateError as error:
            raise OutcomeUnknown(
                f"agent {self._ledger.keys.agent!r}: the turn was committed; what it wrote locally "
                f"follows before the next one ({error})"
            ) from error

    def _deps(self, buffer: TurnBuffer) -> dict[int, int] | None:
        """What a reader of a session's writes must have seen; what this host made is implied."""
        ledger = self._ledger
        if buffer.receipt.asked != "session" and not buffer.sessions:
            return None
        for session in buffer.sessions:
            ledger.saw(session.past)
        own = self._plane.replica.actor
        deps = {a: seq for a, seq in ledger.past.vector.items() if a != own}
        if ledger.past.strong:
            deps[GROUP] = ledger.past.strong
        return deps or None

    # --- disks ------------------------------------------------------------------------------------

    async def _held(
        self, buffer: TurnBuffer, update: Update | None, until: float
    ) -> tuple[str, ...]:
        plane = self._plane
        if update is None:
            return plane.me
        if buffer.wait_for > 1:
            return await self._held_by_others(buffer.wait_for, update, until)
        if buffer.durable:
            await plane.durable.wait(update.seq, until)
        else:
            await plane.breathe()
        return plane.me

    async def _held_by_others(self, wait_for: int, update: Update, until: float) -> tuple[str, ...]:
        plane, name, key = self._plane, self._core.name, self._ledger.keys.turns

        def holders() -> list[str]:
            return plane.replica.holders(name, key, update.seq)

        enough = await plane.held.wait(update.seq, lambda: len(holders()) >= wait_for, until)
        if not enough:
            held = ", ".join(holders()) or "no disk yet"
            raise OutcomeUnknown(
                f"agent {self._ledger.keys.agent!r}: wait_for={wait_for} was not reached by the "
                f"deadline; the turn is held by {held} and goes on to the others"
            )
        return tuple(holders())

    def _filled(
        self,
        buffer: TurnBuffer,
        committed: Committed | None,
        update: Update | None,
        replicas: tuple[str, ...],
    ) -> TurnReceipt:
        plane, receipt = self._plane, buffer.receipt
        receipt.committed = True
        receipt.level = buffer.weakest or "strong"
        receipt.durable = buffer.durable or update is None
        receipt.replicas = replicas
        index = stamp = 0
        vector: dict[int, int] = {}
        if committed is not None:
            receipt.term, receipt.index = committed.term, committed.index
            index = committed.index
            for _, one in committed.written:
                stamp = max(stamp, one)
            if update is None:
                receipt.replicas = plane.world.strong_holders(index)
        if update is not None:
            receipt.turn = self._ledger.mark.number
            stamp = max(stamp, update.stamp)
            if buffer.durable or buffer.wait_for > 1:
                vector = {plane.replica.actor: update.seq}
        receipt.past = Past(vector, index, stamp)
        for session in buffer.sessions:
            session.saw(vector, index, stamp)
        return receipt
