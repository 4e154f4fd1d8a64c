"""How an agent's state is read: what its turn wrote, else what the agent's host has.

The law of this file: while the activation holds its binding, this host's copy of the group has
every strong write of the agent, and a host that owns the keys has every local one: nobody else
writes them. Without the one the group is asked, without the other an owner is, for no less than the
agent has written and seen. What is in doubt is found out first.
"""

from __future__ import annotations

from typing import Any

from quorate.consistency.replica.states import GROUP, CrdtState, RegisterState
from quorate.consistency.store.levels import ReadLevel
from quorate.consistency.store.reads import Reads
from quorate.consistency.store.receipts import Version
from quorate.consistency.store.session import Session
from quorate.consistency.store.views import REGISTER, View, strong_view
from quorate.core import codec
from quorate.core.errors import WrongType
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.settling import Settling


class StateReads:
    """The reads of one activation. `until`: the deadline in monotonic seconds."""

    __slots__ = ("_core", "_ledger", "_plane", "_reads", "_settling")

    def __init__(self, ledger: Ledger, settling: Settling, reads: Reads) -> None:
        self._ledger = ledger
        self._settling = settling
        self._reads = reads
        self._core = ledger.core
        self._plane = ledger.plane

    async def view(
        self,
        key: str,
        level: ReadLevel,
        buffer: TurnBuffer | None,
        session: Session | None,
        until: float,
    ) -> View:
        """A key as a reader sees it. Raises `Unavailable` and its kinds."""
        ledger = self._ledger
        if ledger.in_doubt and not ledger.holder.degraded:
            await self._settling.settle(until)
        if level == "linearizable":
            found = await self._strong(key, buffer, until)
        else:
            found = await self._newest(key, buffer, until)
        if session is not None:
            await self._tell(session, key, found, until)
        return found

    async def _strong(self, key: str, buffer: TurnBuffer | None, until: float) -> View:
        core, plane = self._core, self._plane
        holder = self._ledger.holder
        if holder.holds or holder.degraded:
            record = core.record(key)
        else:
            core.refuse_without_majority(key)
            record = await plane.strong.read(core.name, key, plane.left(until))
        if buffer is not None and key in buffer.strong:
            return written(buffer.strong[key], record.version + 1)
        return strong_view(record)

    async def _newest(self, key: str, buffer: TurnBuffer | None, until: float) -> View:
        ledger, core = self._ledger, self._core
        if buffer is not None:
            found, value = buffer.shown(key)
            if found:
                return written(value, core.record(key).version + 1)
            draft = buffer.drafts.get(key)
            if draft is not None:
                state = self._plane.replica.read(core.name, key)
                crdt = draft.draw(state if isinstance(state, CrdtState) else None)
                data = codec.encode_value(crdt.value())
                alive = not crdt.is_empty()
                return View(draft.kind, alive, data, None, (data,), "", {}, draft.stamp)
        if ledger.is_home or ledger.holder.degraded:
            return core.view(key)
        return await self._elsewhere(key, until)

    async def _elsewhere(self, key: str, until: float) -> View:
        """From an owner that has all that the agent wrote and saw. Of strong writes this host's
        copy of the group knows no less: an activation that has just come up has seen nothing
        itself, and the owner may be behind."""
        session = Session(self._plane.keyring)
        past = self._ledger.past
        session.saw(past.vector, past.strong, past.stamp)
        seen = await self._reads.read(key, "session", session, "continue", until)
        record = self._core.record(key)
        if record.version and seen.view.type == REGISTER and record.stamp >= seen.view.stamp:
            return strong_view(record)
        return seen.view

    async def _tell(self, session: Session, key: str, view: View, until: float) -> None:
        if not session.is_read:
            await session.ready(self._plane.left(until))
        past = self._ledger.past
        strong = self._plane.strong.applied_index if self._core.record(key).version else 0
        session.saw(past.vector, max(strong, past.strong), view.stamp)

    # --- before writing ---------------------------------------------------------------------------

    async def bring(self, key: str, until: float) -> None:
        """Before a write: have here what the owners have of a key that this host does not own. What
        is written then comes after it."""
        ledger = self._ledger
        if ledger.in_doubt and not ledger.holder.degraded:
            await self._settling.settle(until)
        if not ledger.is_home and key not in ledger.brought and not ledger.holder.degraded:
            await ledger.fetch(self._core, key, until)
            ledger.brought.add(key)

    def state_of(self, key: str, kind: str) -> CrdtState | None:
        """The CRDT as this host has it. Raises `WrongType` for what is none of this kind."""
        core = self._core
        state = self._plane.replica.read(core.name, key)
        if state is None:
            core.refuse_strong(key, kind)
            return None
        if isinstance(state, RegisterState):
            core.refuse_strong(key, kind)
            raise WrongType(f"{self._ledger.keys.what(key)} is a register, not a {kind}")
        if state.kind != kind:
            raise WrongType(f"{self._ledger.keys.what(key)} is a {state.kind}, not a {kind}")
        return state

    def refuse_crdt(self, key: str) -> None:
        """Raises `WrongType` if the key holds a CRDT."""
        state = self._plane.replica.read(self._core.name, key)
        if isinstance(state, CrdtState):
            raise WrongType(
                f"{self._ledger.keys.what(key)} is a {state.kind}: plain writes are not for it; "
                "use its typed handle"
            )


def written(value: bytes | None, version: int) -> View:
    """What the turn itself wrote."""
    siblings = () if value is None else (value,)
    return View(REGISTER, value is not None, value, Version(GROUP, version, 0), siblings, "", {}, 0)


def decoded(view: View, default: Any) -> Any:
    return default if view.value is None else codec.decode_value(view.value)
