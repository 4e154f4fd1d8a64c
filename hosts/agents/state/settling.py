"""What an earlier turn left in doubt, found out and brought to its end before anything else.

The law of this file: binding the agent to its own place once more gives it another epoch, so a
commit that is still on its way under the old one can never happen; what had happened by then is in
this host's copy of the group. Then what `~redo` holds beyond `~turn` is done, in order, each turn
in one step: twice never, because its mark is written with it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from quorate.core.errors import Fenced, NotCommitted, QuorateError, Refused
from quorate.hosts.agents.state import applying
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.marks import Redo

TRY_S: Final = 2.0
PAUSE_S: Final = 0.02


class Settling:
    """Of one activation."""

    __slots__ = ("_ledger", "_one", "rebound", "redone")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._one = asyncio.Lock()
        self.rebound = 0
        self.redone = 0

    async def settle(self, until: float) -> None:
        """Leave nothing in doubt. Raises `Fenced` when the agent is not this activation's any
        more, `NotCommitted` when it cannot be told by `until` (monotonic)."""
        ledger = self._ledger
        async with self._one:
            if ledger.unknown:
                await self._rebind(until)
                ledger.unknown = False
            await self.redo(until)
            ledger.redo_due = False

    async def _rebind(self, until: float) -> None:
        ledger, plane = self._ledger, self._ledger.plane
        holder = ledger.holder
        epoch, last = holder.epoch, None
        while holder.epoch == epoch:
            left_s = until - plane.clock.monotonic()
            if left_s <= 0:
                raise NotCommitted(
                    f"agent {holder.name!r}: it is not known yet whether an earlier turn was "
                    f"committed, and the group does not answer ({last or 'no time was left'})"
                )
            record = holder.record
            try:
                bound = await ledger.bindings.bind(
                    *(holder.name, epoch, record.host, record.lease, "move"),
                    timeout=min(left_s, TRY_S),
                )
            except Refused as error:
                if holder.epoch == epoch:
                    raise Fenced(f"agent {holder.name!r} under epoch {epoch}: {error}") from error
            except QuorateError as error:
                plane.check()
                last = error
                await asyncio.sleep(PAUSE_S)
            else:
                self.rebound += 1
                if bound.epoch > holder.epoch:
                    holder.take(bound)

    async def redo(self, until: float) -> None:
        """Do what `~redo` holds and `~turn` does not have."""
        ledger = self._ledger
        for one in sorted(ledger.read_redo(), key=lambda redo: redo.mark.place):
            if one.mark.place > ledger.mark.place:
                await self._do(one, until)

    async def _do(self, one: Redo, until: float) -> None:
        ledger, plane = self._ledger, self._ledger.plane
        part = applying.from_redo(one, ledger.keys.prefix)
        if not ledger.is_home:
            for key in (*(put.key for put in part.puts), *(d.key for d in part.deltas)):
                await ledger.fetch(ledger.core, key, until)
        while True:
            if not ledger.holder.holds:
                raise Fenced(f"agent {ledger.holder.name!r}: this host does not run it any more")
            try:
                applying.check(ledger.core, part)
                break
            except QuorateError:
                plane.check()
                if plane.clock.monotonic() >= until:
                    raise
                await asyncio.sleep(PAUSE_S)
        update = ledger.apply(part, None)
        self.redone += 1
        ledger.redo_seqs[one.mark.place] = update.seq
