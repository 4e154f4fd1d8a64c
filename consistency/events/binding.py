"""A log's port over a real store.

The law of this file: it translates and decides nothing but whether the short way may be taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from quorate.consistency.events.port import Kept
from quorate.consistency.replica.writing import Update
from quorate.consistency.store.core import Core
from quorate.consistency.store.tokens import Past
from quorate.core import codec
from quorate.core.group.group import Group

if TYPE_CHECKING:
    from quorate.consistency.store.store import Store


class StorePort:
    """`LogPort` over a store and its insides, which the store hands in."""

    def __init__(self, store: Store, core: Core, *, plain: bool) -> None:
        self._store = store
        self._plain = plain
        self._core = core
        self._plane = core.plane

    @property
    def host(self) -> str:
        return self._plane.host_id

    @property
    def actor(self) -> int:
        return self._plane.replica.actor

    @property
    def store(self) -> str:
        return self._store.name

    @property
    def group(self) -> Group:
        return self._plane.group

    def stamp(self, floor: int) -> int:
        return self._plane.replica.hlc.now(floor)

    def is_whole(self) -> bool:
        return self._core.whole

    def is_plain(self) -> bool:
        return self._plain

    async def cover(self, level: Any, session: Any, timeout: float | None) -> None:
        if level == "local" and session is None:
            return
        probe = "\0cover"
        await self._store.get(probe, level=level, session=session, timeout=timeout)

    def peek(self, key: str) -> Any:
        value = self._core.view(key).value
        return None if value is None else codec.decode_value(value)

    async def fetch(self, key: str, level: Any, session: Any, timeout: float | None) -> Any:
        if self._core.whole and (level == "local" or session is not None):
            return self.peek(key)  # `cover` has waited
        return await self._store.get(key, level=level, session=session, timeout=timeout)

    def put_now(self, key: str, value: Any, session: Any, timeout: float | None) -> Awaitable[Kept]:
        plane = self._plane
        plane.check()
        until = plane.until(timeout)
        update = plane.replica.put(self._store.name, key, codec.encode_value(value))
        return self._durable(update, until)

    async def _durable(self, update: Update, until: float) -> Kept:
        plane = self._plane
        await plane.durable.wait(update.seq, until)
        past = Past({plane.replica.actor: update.seq}, 0, update.stamp)
        return Kept(True, plane.me, lambda: plane.keyring.token(past))

    async def put(self, key: str, value: Any, options: dict[str, Any]) -> Kept:
        receipt = await self._store.put(key, value, **options)
        return Kept(receipt.durable, receipt.replicas, lambda: receipt.token)

    async def strands(self, key: str) -> list[str]:
        found = await self._store.read_crdt(key, "g_set", level="local")
        return [one for one in found or () if isinstance(one, str)]

    async def add_strand(self, key: str, strand: str) -> None:
        await self._store.g_set(key).add(strand, consistency="crdt")

    def on_change(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        return self._store.on_change(listener)
