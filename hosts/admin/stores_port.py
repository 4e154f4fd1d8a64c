"""What the admin API can ask about stores, as values and one protocol; `stores_binding.py` puts a
real host behind it.

The law of this file: nothing of HTTP and nothing of the host's insides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class StoreWrite:
    """How a key of a store is written; None: as the store does by default."""

    consistency: str | None = None
    wait_for: int | None = None
    durable: bool | None = None
    session: bytes | None = None
    """A session token to go on with."""
    version: int | None = None
    """Only if the key has this version (strong)."""


@dataclass(frozen=True, slots=True)
class StoreRead:
    """At which level a key is read."""

    level: str | None = None
    """linearizable, session or local; None: the store's own."""
    staleness_ms: int | None = None
    """bounded: nothing older than this."""
    session: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """A key of a store as it was read."""

    key: str
    exists: bool
    value: Any
    version: tuple[int, int, int] | None
    """(actor, seq, stamp)"""
    type: str
    level: str
    siblings: list[Any] = field(default_factory=list[Any])
    host: str = ""
    degraded: bool = False
    session: bytes | None = None
    """The session's token after the read."""


class StoresPort(Protocol):
    """Orders raise the errors of `core.errors`; `timeout_s` is a deadline."""

    def stores(self) -> list[dict[str, Any]]:
        """[{name, resolver, replicas, keys, keys_more, conflicts, conflicts_more}, ...] as this
        host knows them; what is more than was counted says so."""
        ...

    def stores_health(self) -> dict[str, Any]:
        """{open, actor, ring: {...}, log: {...}, peers: {host: {...}}, problems: [...]}"""
        ...

    async def store_keys(
        self, store: str, prefix: str, after: str, limit: int, timeout_s: float
    ) -> list[str]: ...

    async def store_get(
        self, store: str, key: str, how: StoreRead, timeout_s: float
    ) -> StoreEntry: ...

    async def store_put(
        self, store: str, key: str, value: Any, how: StoreWrite, timeout_s: float
    ) -> dict[str, Any]:
        """The receipt as plain values."""
        ...

    async def store_delete(
        self, store: str, key: str, how: StoreWrite, timeout_s: float
    ) -> dict[str, Any]: ...

    async def store_promote(self, store: str, key: str, timeout_s: float) -> dict[str, Any]: ...

    async def store_conflicts(
        self, store: str, after: bytes, limit: int
    ) -> list[dict[str, Any]]: ...

    def partition_status(self) -> dict[str, Any]: ...
    def partition_events(self) -> list[dict[str, Any]]: ...
    def partition_reports(self) -> list[dict[str, Any]]: ...
