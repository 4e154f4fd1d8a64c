"""All stores of one host: made when first named, answered for when other hosts ask.

The law of this file: one `Parts` for each store, whoever named it first; what a store is, the group
decides (`catalog.py`). Questions of other hosts are answered from here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from quorate.consistency.replica.definitions import (
    SIBLINGS_MAX,
    StoreDef,
    check_store_name,
)
from quorate.consistency.store import forward as wire
from quorate.consistency.store import levels
from quorate.consistency.store.core import Core, check_key
from quorate.consistency.store.forward import Forward, past_of, wanted_of
from quorate.consistency.store.levels import ReadLevel
from quorate.consistency.store.listing import Listing
from quorate.consistency.store.merging import check_merge, semantic_merge
from quorate.consistency.store.options import Defaults
from quorate.consistency.store.plane import Plane
from quorate.consistency.store.reads import Reads
from quorate.consistency.store.session import Session
from quorate.consistency.store.store import Parts, Store
from quorate.consistency.store.writes import Writes
from quorate.core.errors import ConfigError, NotCommitted, QuorateError, Unavailable, UsageError

REPLICAS_MAX_HOSTS = 64
SIBLINGS_LIMIT_VALUES = 4096
ASK_S = 5.0
PROVISIONAL_AFTER_S = 1.0
"""A store nobody could be asked about for so long goes on as this host was told it is."""


class Desk:
    """The stores of one host."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.forward = Forward(plane, self.answer)
        self._parts: dict[str, Parts] = {}
        self._refused: dict[str, ConfigError] = {}
        self._asking: set[str] = set()
        plane.on_placement.append(self._on_placement)

    # --- the program's side -----------------------------------------------------------------------

    def store(
        self,
        name: str,
        *,
        replicas: int | None = None,
        resolver: str | None = None,
        merge: Callable[[list[Any]], Any] | None = None,
        merge_samples: list[Any] | None = None,
        siblings_max: int = SIBLINGS_MAX,
        on_partition: str = "continue",
        consistency: str = "eventual",
        durable: bool = True,
    ) -> Store:
        """See `Host.store`. Raises `ConfigError`, `UsageError`."""
        what = f"store {name!r:.60}"
        definition = self._told(name, replicas, resolver, merge, merge_samples)
        levels.check_count("siblings_max", siblings_max, SIBLINGS_LIMIT_VALUES, what)
        policy = levels.check_on_partition(on_partition, what)
        level = (
            consistency
            if consistency == "crdt"
            else levels.check_update_level(consistency, crdt=False, what=what)
        )
        levels.check_flag("durable", durable, what)
        parts = self._parts_of(definition, defined=replicas is not None or resolver is not None)
        return Store(parts, Defaults(level, policy, durable, siblings_max))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def _told(
        self, name: str, replicas: Any, resolver: Any, merge: Any, samples: list[Any] | None
    ) -> StoreDef:
        check_store_name(name)
        what = f"store {name!r}"
        known = self.plane.catalog.agreed.get(name) or self.plane.catalog.peek(name)
        if replicas is None:
            replicas = 3 if known is None else known.replicas
        if resolver is None:
            resolver = ("lww" if merge is None else "merge") if known is None else known.resolver
        levels.check_count("replicas", replicas, REPLICAS_MAX_HOSTS, what)
        if merge is not None and resolver != "merge":
            raise ConfigError(f"{what}: merge= goes with resolver='merge', not {resolver!r}")
        if resolver == "merge":
            if merge is None and known is None:
                raise ConfigError(
                    f"{what}: resolver='merge' needs merge=, a function of a list of values, such "
                    "as quorate.semantic_merge"
                )
            if merge is not None and merge is not semantic_merge:
                check_merge(merge, samples)
        return StoreDef(name, resolver, merge, replicas, SIBLINGS_MAX).check()

    def _parts_of(self, told: StoreDef, *, defined: bool) -> Parts:
        name, catalog = told.name, self.plane.catalog
        known = catalog.agreed.get(name)
        if known is None and (peeked := catalog.peek(name)) is not None:
            catalog.compare(told, peeked)
            catalog.take(peeked._replace(merge=told.merge))
            known = catalog.agreed[name]
        if known is not None:
            if defined:
                catalog.compare(told, known)
            if told.merge is not None and told.merge is not known.merge:
                catalog.take(known._replace(merge=told.merge))
            self._refused.pop(name, None)
        parts = self._made(told if known is None else catalog.agreed[name])
        if known is None and name not in self._asking:
            self._asking.add(name)
            self.plane.spawn(self._ask(told), f"define store {name}")
        return parts

    def _made(self, definition: StoreDef) -> Parts:
        name = definition.name
        parts = self._parts.get(name)
        if parts is None:
            core = Core(self.plane, definition)
            writes, reads = Writes(core, self.forward), Reads(core, self.forward)
            parts = self._parts[name] = Parts(core, writes, reads, Listing(core, self.forward))
            parts.ready = lambda until: self._ready(parts, until)
        if name in self.plane.catalog.agreed:
            self._redefine(parts, self.plane.catalog.agreed[name])
        return parts

    def _redefine(self, parts: Parts, agreed: StoreDef) -> None:
        """The group has said what the store is. Whoever named it here and said otherwise is refused
        from now on; what other hosts ask is answered by what was agreed."""
        try:
            self.plane.catalog.compare(parts.core.definition, agreed)
        except ConfigError as error:
            self._refused[agreed.name] = error
            self.plane.news.notify()
        parts.core.redefine(agreed)
        parts.agreed = self.plane.placement is not None and agreed.name not in self._refused

    async def _ask(self, told: StoreDef) -> None:
        """Have the group know the store, however long that takes."""
        plane, name = self.plane, told.name
        try:
            while True:
                try:
                    await plane.catalog.agree(told, ASK_S)
                    if not plane.keyring.is_ready():
                        await plane.keyring.ready(ASK_S)
                    break
                except Unavailable:
                    plane.check()
                    await plane.news.wait(plane.clock.monotonic() + PROVISIONAL_AFTER_S / 4)
        except ConfigError as error:
            self._refused[name] = error
            plane.world.on_problem(str(error))
        except QuorateError as error:
            plane.world.on_problem(f"store {name!r} could not be defined: {error}")
        finally:
            self._asking.discard(name)
        if name in plane.catalog.agreed:
            self._made(plane.catalog.agreed[name])
        plane.news.notify()

    async def _ready(self, parts: Parts, until: float) -> None:
        """Wait until the group knows the store and who owns its keys; cut off from it, go on as
        told."""
        plane, name = self.plane, parts.core.name

        def settled() -> bool:
            return parts.agreed or name in self._refused

        if not settled() and not plane.world.cut_off():
            now = plane.clock.monotonic()
            await plane.news.until(settled, min(until, now + PROVISIONAL_AFTER_S))
        plane.check()
        if name in self._refused:
            raise self._refused[name]
        if name not in plane.catalog.agreed:
            plane.replica.define(parts.core.definition)

    def parts(self, name: str) -> Parts:
        """What does the work of a store that was named before."""
        return self._parts[name]

    def session(self, token: bytes | None = None) -> Session:
        return Session(self.plane.keyring, token)

    # --- news -------------------------------------------------------------------------------------

    def look(self) -> None:
        """The group's state moved on: perhaps somebody defined a store."""
        for definition in self.plane.catalog.look(self._merge_of):
            if definition.name in self._parts:
                self._made(definition)

    def _merge_of(self, name: str) -> Any:
        parts = self._parts.get(name)
        return None if parts is None else parts.core.definition.merge

    def _on_placement(self) -> None:
        for name, parts in self._parts.items():
            parts.core.place()
            parts.agreed = name in self.plane.catalog.agreed and name not in self._refused

    # --- the other hosts' side --------------------------------------------------------------------

    async def answer(self, method: str, args: list[Any]) -> Any:
        """A question of another host. Raises `QuorateError`, or `TypeError` and its kind for
        arguments that are none."""
        await self._placed()
        parts = self._asked_for(args[0])
        if method == wire.KEYS:
            _, prefix, after, limit = args
            return parts.listing.here(str(prefix), str(after), min(int(limit), 10_000))
        key = check_key(args[1])
        if method == wire.FETCH:
            if not parts.core.is_home(key):
                raise NotCommitted(f"host {self.plane.host_id!r} is no owner of {key!r}")
            if not await parts.reads.synced(key, self.plane.clock.monotonic() + ASK_S):
                raise NotCommitted(f"host {self.plane.host_id!r} has {key!r} in memory only as yet")
            return self.plane.replica.export(parts.core.name, key)
        if method == wire.READ:
            return await self._read(parts, key, args[2:])
        return await self._write(parts, key, args[2:])

    async def _placed(self) -> None:
        """Who asks knows a ring. A host that has just started may not have heard of it yet: until
        then it cannot know what it holds, and must not answer as if it held everything."""
        plane = self.plane
        if plane.placement is None:
            wait_until = plane.clock.monotonic() + PROVISIONAL_AFTER_S
            if not await plane.news.until(lambda: plane.placement is not None, wait_until):
                plane.check()
                raise NotCommitted(f"host {plane.host_id!r} does not know yet who owns which keys")

    def _asked_for(self, name: Any) -> Parts:
        parts, catalog = self._parts.get(check_store_name(name)), self.plane.catalog
        if parts is not None and name in catalog.agreed:
            return parts
        definition = catalog.agreed.get(name) or catalog.peek(name)
        if definition is None:
            raise NotCommitted(f"host {self.plane.host_id!r} does not know store {name!r} yet")
        if name not in catalog.agreed:
            catalog.take(definition._replace(merge=self._merge_of(name)))
        return self._made(catalog.agreed[name])

    async def _read(self, parts: Parts, key: str, args: list[Any]) -> Any:
        level, flat, strong, stamp, wait_ms = args
        until = self.plane.clock.monotonic() + min(max(int(wait_ms), 0), 60_000) / 1000
        past = past_of(flat, strong, stamp)
        view = await parts.reads.here(key, _level_of(level), past, until)
        return [view.to_plain(), parts.reads.strong_index(key)]

    async def _write(self, parts: Parts, key: str, args: list[Any]) -> Any:
        call, options, flat, strong, stamp, wait_ms = args
        until = self.plane.clock.monotonic() + min(max(int(wait_ms), 0), 60_000) / 1000
        wanted = wanted_of(options, past_of(flat, strong, stamp), until)
        receipt = await parts.writes.for_another(key, call, wanted)
        version = receipt.version
        return [
            version.actor,
            version.seq,
            version.stamp,
            list(receipt.replicas),
            receipt.durable,
            receipt.epoch,
        ]

    def statistics(self) -> dict[str, object]:
        return {
            "stores": {name: parts.core.statistics() for name, parts in self._parts.items()},
            "forward": self.forward.statistics(),
            **self.plane.statistics(),
        }


def _level_of(level: Any) -> ReadLevel:
    """A read level from a message. Raises `UsageError`."""
    if level == ["local"]:
        return "local"
    if level == ["session"]:
        return "session"
    if level[0] == "bounded":
        _, ms, versions = level
        return levels.bounded(ms=ms, versions=versions)
    raise UsageError(f"no read level {level!r:.60} between hosts")
