"""`self.state`: what an agent keeps, as its methods see it.

The law of this file: the face only. A write belongs to the turn that makes it and happens with the
turn's commit; there is none outside of a turn and none in a shared one. What a turn wrote, it
reads. Keys are the agent's own: those of others cannot be named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

from quorate.consistency.events.log import EventLog
from quorate.consistency.layers.views import Layer, persistent, shared
from quorate.consistency.replica.states import RegisterState
from quorate.consistency.store.receipts import Entry
from quorate.consistency.store.writes import applied
from quorate.core import codec
from quorate.core.errors import NoQuorum, Refused, Siblings, UsageError, WrongType
from quorate.hosts.agents.state.buffer import TurnBuffer
from quorate.hosts.agents.state.handles import Handles
from quorate.hosts.agents.state.logs import Turns
from quorate.hosts.agents.state.memory import AgentMemory, Undo
from quorate.hosts.agents.state.options import Asked, ReadOptions, WriteOptions, asked, read_level
from quorate.hosts.agents.state.reading import decoded
from quorate.hosts.agents.state.receipts import TurnReceipt
from quorate.hosts.agents.turns import current_turn

if TYPE_CHECKING:
    from quorate.hosts.agents.state.caching import AgentCache
    from quorate.hosts.agents.state.keeper import Keeper, Opened
    from quorate.hosts.agents.state.scope import Holder


class AgentState(Handles):
    """`self.state` of an agent.

    Writes take the options of `WriteOptions` and give the turn's `TurnReceipt`, which is filled
    when the turn is committed; reads take those of `ReadOptions`. Values are what
    `quorate.core.codec.encode_value` can hold. Without `consistency=` a write has the level that
    the caller of the turn asked for with `options(consistency=)`, else the class's."""

    name = "state"

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._ledger = opened.ledger
        self._holder = opened.ledger.holder
        self._keys = opened.ledger.keys
        self._committer = opened.committer
        self._reads = opened.reads
        self._plane = opened.ledger.plane
        self._consistency = opened.consistency
        opened.logs.turns = Turns(self._writing, self._mine)
        self.local = AgentMemory(self._undo)
        """What this activation keeps in its host's memory: plain calls, nothing is awaited."""

    @classmethod
    async def open(cls, keeper: Keeper, holder: Holder, **options: Any) -> AgentState:
        """The state of an activation, with everything of it that can be reached: see
        `Keeper.open`."""
        return cls(await keeper.open(holder, **options))

    # --- writing ----------------------------------------------------------------------------------

    async def put(self, key: str, value: Any, **options: Unpack[WriteOptions]) -> TurnReceipt:
        """Write a value in place of all that is under the key.

        Raises `UsageError` (outside of a turn, in a shared one, a wrong option), `WrongType` (the
        key holds a CRDT), `LimitExceeded`."""
        return await self._put(key, codec.encode_value(value), options)

    async def delete(self, key: str, **options: Unpack[WriteOptions]) -> TurnReceipt:
        """Delete a plain value, or everything of a CRDT. Raises like `put`."""
        full = self._keys.full(key)
        buffer = self._writing(key)
        draft = buffer.drafts.get(full)
        state = self._plane.replica.read(self._ledger.core.name, full)
        if draft is not None:
            return await self.operate(key, draft.kind, "reset", [], **options)
        if state is None or isinstance(state, RegisterState):
            return await self._put(key, None, options)
        return await self.operate(key, state.kind, "reset", [], **options)

    async def _put(self, key: str, value: bytes | None, options: Any) -> TurnReceipt:
        full = self._keys.full(key)
        buffer = self._writing(key)
        wanted = asked(options, self._level(), key, crdt=False)
        if wanted.level == "strong":
            self._refuse_degraded(key)
        if not self._ledger.core.whole or self._ledger.in_doubt:
            await self._reads.bring(full, self._plane.until(options.get("timeout")))
        self._reads.refuse_crdt(full)
        return buffer.put(full, value, wanted)

    async def update(
        self,
        key: str,
        fn: Callable[[Any], Any],
        *,
        default: Any = None,
        **options: Unpack[WriteOptions],
    ) -> TurnReceipt:
        """Read, apply `fn` (a plain function; `default` where there is no value), write. Nobody
        comes in between: the turn is the only one. Raises like `put`."""
        full = self._keys.full(key)
        buffer = self._writing(key)
        wanted = asked(options, self._level(), key, crdt=False)
        if wanted.level == "strong":
            self._refuse_degraded(key)
        until = self._plane.until(options.get("timeout"))
        await self._reads.bring(full, until)
        self._reads.refuse_crdt(full)
        level = "linearizable" if wanted.level == "strong" else "local"
        view = await self._reads.view(full, level, buffer, None, until)
        value = applied(fn, decoded(view, default), self._keys.what(full))
        return buffer.put(full, codec.encode_value(value), wanted)

    async def cas(self, key: str, value: Any, *, version: int) -> TurnReceipt:
        """Write strongly, only if the key has this version: `seq` of the `Version` that a
        linearizable `get_entry` shows; 0: it does not exist. Raises `Refused` at once if it has
        another one. A turn needs it only to compare with what an earlier turn read."""
        data = codec.encode_value(value)
        if type(version) is not int or version < 0:
            raise UsageError(f"version= must be an int of 0 or more, not {version!r}")
        full = self._keys.full(key)
        buffer = self._writing(key)
        self._refuse_degraded(key)
        self._reads.refuse_crdt(full)
        until = self._plane.until(None)
        view = await self._reads.view(full, "linearizable", buffer, None, until)
        present = view.version.seq if view.version is not None and view.exists else 0
        if version != present:
            raise Refused(
                f"{self._keys.what(full)} has version {present}, not {version}; nothing was written"
            )
        return buffer.put(full, data, Asked("strong"))

    async def operate(
        self, key: str, kind: str, op: str, args: list[Any], **options: Unpack[WriteOptions]
    ) -> TurnReceipt:
        """One operation of a CRDT; the typed handles call it. Raises like `put`."""
        full = self._keys.full(key)
        buffer = self._writing(key)
        wanted = asked(options, self._level(), key, crdt=True)
        if not self._ledger.core.whole or self._ledger.in_doubt:
            await self._reads.bring(full, self._plane.until(options.get("timeout")))
        state = self._reads.state_of(full, kind)
        return buffer.operate(full, kind, op, args, state, wanted)

    # --- reading ----------------------------------------------------------------------------------

    async def get(self, key: str, *, default: Any = None, **options: Unpack[ReadOptions]) -> Any:
        """The value, or `default`; in a turn what the turn wrote. Raises `Unavailable` where it
        cannot be told, and `Siblings` never: an agent has no concurrent writers."""
        full = self._keys.full(key)
        view = await self._view(full, key, options, crdt=False)
        if view.conflict:
            raise Siblings(f"{self._keys.what(full)}: {view.conflict}")
        return decoded(view, default)

    async def get_entry(self, key: str, **options: Unpack[ReadOptions]) -> Entry:
        """The key with its version; one that the turn itself wrote shows the version it is going to
        have, without a stamp."""
        full = self._keys.full(key)
        level = read_level(options, self._level(), key, crdt=False)
        view = await self._view(full, key, options, crdt=False)
        return Entry(
            key,
            view.exists,
            decoded(view, None),
            view.version,
            view.type,
            str(level),
            self._holder.degraded,
            tuple(codec.decode_value(value) for value in view.siblings),
            self._plane.host_id,
        )

    async def read_crdt(self, key: str, kind: str, **options: Unpack[ReadOptions]) -> Any:
        """The value of a CRDT, None if there is none; the typed handles call it."""
        full = self._keys.full(key)
        view = await self._view(full, key, options, crdt=True)
        if view.type != kind and view.exists:
            raise WrongType(f"{self._keys.what(full)} is a {view.type}, not a {kind}")
        return decoded(view, None) if view.type == kind else None

    async def _view(self, full: str, key: str, options: Any, *, crdt: bool) -> Any:
        level = read_level(options, self._level(), key, crdt=crdt)
        until = self._plane.until(options.get("timeout"))
        return await self._reads.view(full, level, self._mine(), options.get("session"), until)

    async def keys(
        self,
        prefix: str = "",
        *,
        after: str = "",
        limit: int = 1000,
        timeout: float | None = None,
    ) -> list[str]:
        """The first `limit` keys of the agent that begin with `prefix` and come after `after`, in
        order; in a turn as the turn left them."""
        until = self._plane.until(timeout)
        return await self._opened.listing.keys(prefix, after, limit, self._mine(), until)

    # --- layers, logs, caches ---------------------------------------------------------------------

    @property
    def shared(self) -> Layer:
        """The same keys, replicated; a turn that wrote nothing else does not wait for a disk:
        fast, and lost if this host dies before it told another one."""
        return shared(self)

    @property
    def persistent(self) -> Layer:
        """The same keys, on this host's disk before the turn is answered.
        `persistent(wait_for=2)`: on two; `persistent(consistency="strong")`: on a majority's."""
        return persistent(self)

    def events(
        self, name: str, *, consistency: str | None = None, snapshot_every: int = 100
    ) -> EventLog:
        """The agent's log of this name: `append` (in a turn, with its commit), `read`, `rebuild`,
        `watch`. `consistency`: of appends that name none."""
        level = consistency or self._level()
        return self._opened.logs.open(name, consistency=level, snapshot_every=snapshot_every)

    def cached(
        self,
        name: str,
        *,
        ttl: float | None = None,
        stale: float | None = None,
        error_ttl: float | None = None,
    ) -> AgentCache:
        """The agent's cache of this name, kept by the cluster: `get_or_compute(key, fn)`, `get`,
        `invalidate`. Not part of the turn: what was computed stays when the turn is rolled back.
        `ttl`, `stale`, `error_ttl`: seconds, of calls that name none."""
        return self._opened.cache(name, ttl=ttl, stale=stale, error_ttl=error_ttl)

    # --- for the activation -----------------------------------------------------------------------

    def begin(self, turn: Any) -> TurnBuffer:
        """The buffer of a turn that begins to write, or has marks."""
        return self._committer.begin()

    def export_local(self) -> dict[str, Any]:
        """What `local` holds, for a checkpoint."""
        return self.local.dump()

    def import_local(self, values: dict[str, Any]) -> None:
        """What a checkpoint held, in place of what `local` holds."""
        self.local.load(values)

    async def settle(self, until: float) -> None:
        """Leave nothing of earlier turns in doubt; costs nothing when nothing is. Raises
        `Fenced`, `NotCommitted`."""
        if self._ledger.in_doubt:
            await self._opened.settling.settle(until)

    @property
    def used_bytes(self) -> int:
        """How much the agent keeps, as far as this activation knows."""
        return self._ledger.usage.total

    async def read_hidden(self, key: str) -> bytes | None:
        """A key of the system's own, beside the agent's."""
        full, until = self._keys.prefix + key, self._plane.until(None)
        return (await self._reads.view(full, "local", self._mine(), None, until)).value

    async def write_hidden(self, key: str, data: bytes) -> None:
        """Write such a key, eventually consistent, with the turn's commit."""
        full = self._keys.prefix + key
        buffer = self._writing(key)
        await self._reads.bring(full, self._plane.until(None))
        buffer.put(full, data, Asked("eventual"))

    @property
    def in_doubt(self) -> bool:
        """Whether the outcome of an earlier turn must be found out before the next one."""
        return self._ledger.in_doubt

    async def token(self) -> bytes:
        """What a host must have to take over: for `cover` there. Raises `NotCommitted` while
        something is in doubt."""
        return await self._opened.token()

    async def cover(self, token: bytes, deadline: float) -> None:
        """Wait until this host has all that the token's host had. Raises `StaleReplica`."""
        await self._opened.cover(token, deadline)

    def close(self) -> None:
        """The activation is over."""
        self._opened.close()

    def statistics(self) -> dict[str, object]:
        return self._opened.statistics()

    # --- inside -----------------------------------------------------------------------------------

    def _mine(self) -> TurnBuffer | None:
        """What the turn that runs wrote so far."""
        turn = current_turn.get()
        if turn is None or turn.closed or turn.activation is not self._holder:
            return None
        return turn.buffer

    def _undo(self) -> Undo | None:
        turn = current_turn.get()
        if turn is None or turn.closed or turn.shared or turn.activation is not self._holder:
            return None
        if turn.buffer is None:
            turn.buffer = self.begin(turn)
        return turn.buffer.undo

    def _level(self) -> str:
        turn = current_turn.get()
        if turn is None or turn.level is None or turn.activation is not self._holder:
            return self._consistency
        return turn.level

    def _writing(self, key: str) -> TurnBuffer:
        """The buffer of the turn that runs. Raises `UsageError`."""
        turn = current_turn.get()
        if turn is None or turn.closed or turn.activation is not self._holder or turn.shared:
            raise UsageError(self._why_not(turn, key))
        buffer = turn.buffer
        if buffer is None:
            buffer = turn.buffer = self.begin(turn)
        return buffer

    def _refuse_degraded(self, key: str) -> None:
        """Raises `NoQuorum` for a strong write where none can be made."""
        if self._holder.degraded:
            raise NoQuorum(
                f"agent {self._holder.name!r}, key {key!r:.60}: host {self._plane.host_id!r} "
                "reaches no majority, so nothing strong can be written"
            )

    def _why_not(self, turn: Any, key: str) -> str:
        what = f"agent {self._holder.name!r}, key {key!r:.60}"
        if turn is None:
            return f"{what}: state is written in turns only: call a method of the agent"
        if turn.activation is not self._holder:
            return (
                f"{what}: this is a turn of agent {turn.activation.name!r}: an agent writes its "
                "own state only"
            )
        if turn.closed:
            return f"{what}: the turn is over: what a turn writes it writes before it returns"
        return f"{what}: a @shared method reads and writes no state: leave @shared away"

    def __repr__(self) -> str:
        return f"<AgentState of {self._holder.name!r} at {self._plane.host_id!r}>"
