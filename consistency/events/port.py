"""What a log asks of the store it lives in. Types only.

The law of this file: the shape and nothing more: `binding.py` gives the real thing, tests a small
one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from quorate.core.group.group import Group


class Kept(NamedTuple):
    """The receipt of one event of a host's own strand."""

    durable: bool
    replicas: tuple[str, ...]
    token: Callable[[], bytes] | None
    """Makes the session token that covers it."""


class LogPort(Protocol):
    """One store on one host."""

    @property
    def host(self) -> str: ...
    @property
    def actor(self) -> int: ...
    @property
    def store(self) -> str: ...
    @property
    def group(self) -> Group: ...

    def stamp(self, floor: int) -> int:
        """A stamp of this host's clock, higher than all it has heard of and than `floor`."""
        ...

    def is_whole(self) -> bool:
        """Whether this host has every key of the store."""
        ...

    def is_plain(self) -> bool:
        """Whether an update without options is acknowledged from this host's disk, always."""
        ...

    async def cover(self, level: Any, session: Any, timeout: float | None) -> None:
        """Wait until this host may answer at this level. Raises `StaleReplica`."""
        ...

    def peek(self, key: str) -> Any:
        """The value as this host has it, None if there is none."""
        ...

    async def fetch(self, key: str, level: Any, session: Any, timeout: float | None) -> Any:
        """The value, from where it is."""
        ...

    def put_now(self, key: str, value: Any, session: Any, timeout: float | None) -> Awaitable[Kept]:
        """Write; it is in memory when this returns, durable when the answer is awaited. Raises at
        once, and nothing is written then."""
        ...

    async def put(self, key: str, value: Any, options: dict[str, Any]) -> Kept:
        """Write, with the store's own options."""
        ...

    async def strands(self, key: str) -> list[str]:
        """The elements of the grow-only set under `key`, as this host has it."""
        ...

    async def add_strand(self, key: str, strand: str) -> None: ...

    def on_change(self, listener: Callable[[str, str], None]) -> Callable[[], None]:
        """Have `listener(store, key)` called after changes; returns what ends it."""
        ...
