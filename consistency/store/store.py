"""A store as a program uses it: keys that hold plain values or CRDTs, each call at its own level.

The law of this file: the face only. Options are checked and values encoded once, here; what then
happens is in `writes.py` and `reads.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from quorate.consistency.events.binding import StorePort
from quorate.consistency.events.log import EventLog
from quorate.consistency.events.logs import Logs
from quorate.consistency.layers.local import LocalLayer
from quorate.consistency.layers.views import Layer, persistent, shared
from quorate.consistency.replica.states import RegisterState
from quorate.consistency.store import handles
from quorate.consistency.store.conflicts import Conflicts
from quorate.consistency.store.core import Core, check_key
from quorate.consistency.store.levels import UpdateLevel
from quorate.consistency.store.listing import Listing
from quorate.consistency.store.options import (
    Defaults,
    ReadOptions,
    UpdateOptions,
    wanted,
    wanted_read,
)
from quorate.consistency.store.reads import Reads, Seen
from quorate.consistency.store.receipts import Entry, Receipt, Version
from quorate.consistency.store.session import Session
from quorate.consistency.store.tokens import Past
from quorate.consistency.store.views import siblings_error
from quorate.consistency.store.writes import Writes
from quorate.core import codec
from quorate.core.errors import UsageError, WrongType

LOCALLY: ReadOptions = {"level": "local"}
Listener = Callable[[str, str], None]


class Parts:
    """What does a store's work; one per store and host, shared by all `Store` objects of it."""

    def __init__(self, core: Core, writes: Writes, reads: Reads, listing: Listing) -> None:
        self.core = core
        self.writes = writes
        self.reads = reads
        self.listing = listing
        self.local = LocalLayer()
        self.logs = Logs()
        self.agreed = False
        """The group knows the store as it is here."""
        self.ready: Callable[[float], Any] = _nothing
        """Awaited by every call until `agreed`: raises `ConfigError`."""


async def _nothing(until: float) -> None:
    return None


class Store:
    """`store = host.store("carts")`. Every call ends by its `timeout` (seconds).

    Updates take the options of `UpdateOptions` and give a `Receipt`; reads take those of
    `ReadOptions`. Values are what `quorate.core.codec.encode_value` can hold."""

    def __init__(self, parts: Parts, defaults: Defaults) -> None:
        self._parts = parts
        self._core = core = parts.core
        self._plane = plane = core.plane
        self._writes = parts.writes
        self._reads = parts.reads
        self._defaults = defaults
        self.name = core.name
        self._level: UpdateLevel = defaults.consistency
        self._plain = (
            defaults.consistency in ("eventual", "session")
            and defaults.on_partition == "continue"
            and defaults.durable
        )
        self._crdt_level: UpdateLevel = "session" if self._level == "session" else "crdt"
        self._timeout_s = plane.group.timeout_s
        self._replica = plane.replica

    # --- updates ----------------------------------------------------------------------------------

    async def put(self, key: str, value: Any, **options: Unpack[UpdateOptions]) -> Receipt:
        """Write a value in place of all that this host (strong: the group) has under the key.

        Raises `UsageError`, `WrongType`, `LimitExceeded`, and `Unavailable` with its outcome."""
        check_key(key)
        data = codec.encode_value(value)
        if not options and self._plain and self._parts.agreed and self._core.whole:
            return await self._put_here(key, data)
        await self._ready(options)
        return await self._writes.put(key, data, self._wanted(key, options))

    async def _put_here(self, key: str, data: bytes) -> Receipt:
        """The short way: everything as usual, and this host owns every key."""
        plane, replica = self._plane, self._replica
        if plane.group.broken is not None:
            raise plane.group.broken
        update = replica.put(self.name, key, data, floor=self._core.floor(key))
        return await self._receipt(update.seq, update.stamp, self._level)

    async def _receipt(self, seq: int, stamp: int, level: UpdateLevel) -> Receipt:
        """Once this host's disk has it."""
        plane = self._plane
        actor = self._replica.actor
        await plane.durable.wait(seq, plane.clock.monotonic() + self._timeout_s)
        return Receipt(
            level,
            level,
            Version(actor, seq, stamp),
            None,
            None,
            plane.me,
            True,
            plane.epoch,
            Past({actor: seq}, 0, stamp),
            plane.keyring,
        )

    async def update(
        self,
        key: str,
        fn: Callable[[Any], Any],
        *,
        default: Any = None,
        **options: Unpack[UpdateOptions],
    ) -> Receipt:
        """Read, apply `fn` (a plain function; `default` where there is no value), write.

        strong: linearizable, tried again when others write, until the deadline. Other levels:
        nothing comes in between on this host; an update elsewhere at the same time is a
        conflict, which the store's resolver resolves."""
        await self._ready(options)
        check_key(key)
        return await self._writes.update(key, fn, default, self._wanted(key, options))

    async def delete(self, key: str, **options: Unpack[UpdateOptions]) -> Receipt:
        """Delete a plain value, or everything seen here of a CRDT."""
        await self._ready(options)
        state = self._replica.read(self.name, check_key(key))
        if state is None or isinstance(state, RegisterState):
            return await self._writes.put(key, None, self._wanted(key, options))
        return await self.operate(key, state.kind, "reset", [], **options)

    async def cas(
        self,
        key: str,
        value: Any,
        *,
        version: int,
        timeout: float | None = None,
        session: Session | None = None,
    ) -> Receipt:
        """Write strongly, only if the key has this version: `seq` of the `Version` that a
        linearizable `get_entry` or a strong receipt shows; 0: it does not exist.

        Raises `Refused` if it has another one; nothing was written then."""
        data = codec.encode_value(value)
        if type(version) is not int or version < 0:
            raise UsageError(f"version= must be an int of 0 or more, not {version!r}")
        options: UpdateOptions = {"consistency": "strong", "timeout": timeout, "session": session}
        await self._ready(options)
        check_key(key)
        return await self._writes.cas(key, data, version, self._wanted(key, options))

    async def promote(
        self, key: str, *, timeout: float | None = None, session: Session | None = None
    ) -> Receipt:
        """Write strongly what a local read shows; nothing is written where the group has the
        newest value already. Raises `Siblings` while several values are in conflict."""
        options: UpdateOptions = {"consistency": "strong", "timeout": timeout, "session": session}
        await self._ready(options)
        check_key(key)
        return await self._writes.promote(key, self._wanted(key, options))

    async def operate(
        self, key: str, kind: str, op: str, args: list[Any], **options: Unpack[UpdateOptions]
    ) -> Receipt:
        """One operation of a CRDT; the typed handles call it."""
        check_key(key)
        if not options and self._plain and self._parts.agreed and self._core.whole:
            if self._plane.group.broken is not None:
                raise self._plane.group.broken
            core = self._core
            floor = core.floor(key)
            if floor:
                core.refuse_strong(key, kind)
            update = self._replica.operate(self.name, key, kind, op, args, floor=floor)
            return await self._receipt(update.seq, update.stamp, self._crdt_level)
        await self._ready(options)
        asked = wanted(self._core, self._defaults, key, options, crdt=True)
        return await self._writes.operate(key, kind, op, args, asked)

    # --- reads ------------------------------------------------------------------------------------

    async def get(self, key: str, *, default: Any = None, **options: Unpack[ReadOptions]) -> Any:
        """The value, or `default`.

        Raises `StaleReplica` rather than serve less than the level promises, and `Siblings` where
        several values are in conflict and the store keeps them (see `siblings`)."""
        if (
            (options == LOCALLY or (not options and self._level != "strong"))
            and self._parts.agreed
            and self._core.whole
        ):
            check_key(key)
            if not self._plane.strong.has_any(self.name):
                state = self._replica.read(self.name, key)
                if state is None:
                    return default
                if type(state) is RegisterState and len(state.entries) == 1:
                    value = state.entries[0].value
                    return default if value is None else codec.decode_value(value)
            view = self._core.view(key)
        else:
            if options and self._parts.agreed:
                entry = self._reads.at_once(key, options)
                if entry is not None:
                    return default if entry.value is None else codec.decode_value(entry.value)
            view = (await self._read(key, options)).view
        if view.conflict:
            raise siblings_error(self._core.what(key), view, self._defaults.siblings_max)
        return default if view.value is None else codec.decode_value(view.value)

    async def get_entry(self, key: str, **options: Unpack[ReadOptions]) -> Entry:
        """The key with its version and siblings; never raises for a conflict: it then shows the
        newest value."""
        seen = await self._read(key, options)
        view = seen.view
        return Entry(
            key,
            view.exists,
            None if view.value is None else codec.decode_value(view.value),
            view.version,
            view.type,
            str(self._wanted_read(key, options).level),
            seen.degraded,
            tuple(codec.decode_value(value) for value in view.siblings),
            seen.host,
        )

    async def siblings(self, key: str, **options: Unpack[ReadOptions]) -> list[Any]:
        """All concurrent values, the newest first; writing the key puts one in their place."""
        view = (await self._read(key, options)).view
        return [codec.decode_value(value) for value in view.siblings]

    async def read_crdt(self, key: str, kind: str, **options: Unpack[ReadOptions]) -> Any:
        """The value of a CRDT, None if there is none; the typed handles call it."""
        view = (await self._read(key, options, crdt=True)).view
        if view.version is not None and view.type != kind and view.exists:
            raise WrongType(f"{self._core.what(key)} is a {view.type}, not a {kind}")
        return None if view.value is None else codec.decode_value(view.value)

    async def keys(
        self,
        prefix: str = "",
        *,
        after: str = "",
        limit: int = 1000,
        timeout: float | None = None,
    ) -> list[str]:
        """The first `limit` keys that begin with `prefix` and come after `after`, in order: of this
        host, and where it has not all of them of every host that can be reached."""
        until = self._plane.until(timeout)
        await self._ready({"timeout": timeout})
        return await self._parts.listing.keys(prefix, after, limit, until)

    def conflicts(self, *, after: bytes = b"", follow: bool = True) -> Conflicts:
        """The conflicts that met on this host: an async iterator of `ConflictEntry`, from the
        oldest (or behind position `after`), and then as they come. `follow=False`: ends with the
        last one there is."""
        return Conflicts(self._core, after, follow=follow)

    def versions_seen(self, key: str) -> dict[int, int]:
        """The updates of the key that this host has seen: actor -> sequence."""
        return self._core.versions_seen(key)

    def on_change(self, listener: Listener) -> Callable[[], None]:
        """Have `listener(store, key)` called after every change of a key's local state here;
        returns what ends it. It must be quick and must not update the store."""
        listeners = self._plane.listeners.setdefault(self.name, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None

    # --- layers and logs --------------------------------------------------------------------------

    @property
    def local(self) -> LocalLayer:
        """State of this host only: in memory, not replicated, survives nothing."""
        return self._parts.local

    @property
    def shared(self) -> Layer:
        """The same keys, replicated, acknowledged from memory (`shared(durable=True)`: from
        disk)."""
        return shared(self)

    @property
    def persistent(self) -> Layer:
        """The same keys, on disk before an update is acknowledged."""
        return persistent(self)

    def events(
        self, name: str, *, consistency: str | None = None, snapshot_every: int = 100
    ) -> EventLog:
        """The log of this name: `append`, `read`, `rebuild`, `watch`. `consistency`: of appends
        that name none; the store's own by default."""
        me: Any = self
        port = StorePort(me, self._core, plain=self._plain)
        level = consistency or self._level
        return self._parts.logs.open(name, port, consistency=level, snapshot_every=snapshot_every)

    # --- typed handles ----------------------------------------------------------------------------

    def g_counter(self, key: str) -> handles.GCounter:
        """A counter that only grows."""
        return handles.GCounter(self, key)

    def pn_counter(self, key: str) -> handles.PnCounter:
        """A counter that goes up and down."""
        return handles.PnCounter(self, key)

    def g_set(self, key: str) -> handles.GSet:
        """A set that only grows."""
        return handles.GSet(self, key)

    def two_phase_set(self, key: str) -> handles.TwoPhaseSet:
        """A set whose removed elements never come back."""
        return handles.TwoPhaseSet(self, key)

    def or_set(self, key: str) -> handles.OrSet:
        """A set in which an addition wins over a removal that did not see it."""
        return handles.OrSet(self, key)

    def lww_register(self, key: str) -> handles.LwwRegister:
        """A value; the last write wins."""
        return handles.LwwRegister(self, key)

    def mv_register(self, key: str) -> handles.MvRegister:
        """A value; of concurrent writes all are kept."""
        return handles.MvRegister(self, key)

    def flag(self, key: str) -> handles.Flag:
        """True or False; enabling wins."""
        return handles.Flag(self, key)

    def or_map(self, key: str) -> handles.OrMap:
        """A map of CRDTs: `cart.counter("qty")`, `cart.set("tags")`, `cart["note"]`."""
        return handles.OrMap(self, key)

    def sequence(self, key: str) -> handles.Sequence:
        """A list that several hosts edit."""
        return handles.Sequence(self, key)

    # --- inside -----------------------------------------------------------------------------------

    async def _ready(self, options: Any) -> None:
        self._plane.check()
        if not self._parts.agreed:
            await self._parts.ready(self._plane.until(options.get("timeout")))
        session = options.get("session")
        if session is not None:
            await self._session(session, options.get("timeout"))

    async def _session(self, session: Any, timeout: float | None) -> None:
        if isinstance(session, Session) and not session.is_read:
            await session.ready(self._plane.group.seconds(timeout))

    def _wanted(self, key: str, options: Any) -> Any:
        return wanted(self._core, self._defaults, key, options, crdt=False)

    def _wanted_read(self, key: str, options: Any, *, crdt: bool = False) -> Any:
        return wanted_read(self._core, self._defaults, key, options, crdt=crdt)

    async def _read(self, key: str, options: Any, *, crdt: bool = False) -> Seen:
        check_key(key)
        asked = self._wanted_read(key, options, crdt=crdt)
        await self._ready(options)
        return await self._reads.read(
            key, asked.level, asked.session, asked.on_partition, asked.until
        )

    def __repr__(self) -> str:
        return f"<Store {self.name!r} at {self._plane.host_id!r}>"
