"""`self.state.cached(name)`: what an agent had computed, kept by the cluster until it is too old.

The law of this file: names only. One cache of the cluster serves all agents; what a value promises
is written in `consistency/layers/cached.py`. Dependencies named by a text are keys of the agent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from quorate.consistency.layers.cached import Cache
from quorate.consistency.layers.flights import Applied
from quorate.consistency.layers.options import Level
from quorate.core.errors import UsageError
from quorate.hosts.agents.state.ledger import Ledger
from quorate.hosts.agents.state.scope import STORE

T = TypeVar("T")


class _Store:
    """The agents' store, as a cache must know it."""

    name = STORE

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def versions_seen(self, key: str) -> dict[int, int]:
        return self._ledger.core.versions_seen(key)


class AgentCache:
    """One cache of one agent."""

    def __init__(
        self, cache: Cache, ledger: Ledger, name: object, options: dict[str, float | None]
    ) -> None:
        if type(name) is not str or not name or not name.isprintable() or "/" in name:
            raise UsageError(f"a cache's name is printable and has no slash, not {name!r:.60}")
        self.name = name
        self._cache = cache
        self._ledger = ledger
        self._prefix = f"{ledger.keys.prefix}{name}/"
        self._options = {key: value for key, value in options.items() if value is not None}

    async def get_or_compute(
        self,
        key: str,
        fn: Callable[[], Awaitable[T]] | Callable[[], T],
        *,
        timeout: float | None = None,
        level: Level | None = None,
        depends_on: Sequence[Any] = (),
        **options: float,
    ) -> T:
        """The value of `key`; computed by `fn()` (a coroutine function or a plain one) if there is
        none that may be served, once in the cluster. `ttl=`, `stale=`, `error_ttl=`: seconds.
        `depends_on`: keys of the agent's state (texts), and what a cache of a host takes.

        `fn` must not write the agent's state: what it computes may be served to other turns. Raises
        what `fn` raised, `ComputationFailed`, `Timeout`, `Unavailable`, `UsageError`."""
        return await self._cache.get_or_compute(
            self._key(key),
            fn,
            timeout=timeout,
            level=level,
            depends_on=self._dependencies(depends_on),
            **{**self._options, **options},
        )

    async def get(
        self,
        key: str,
        default: Any = None,
        *,
        level: Level | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The value if there is one that may be served, otherwise `default`."""
        return await self._cache.get(self._key(key), default, level=level, timeout=timeout)

    async def invalidate(self, key: str, *, timeout: float | None = None) -> Applied:
        """From the return on, the present value is not served again."""
        return await self._cache.invalidate(self._key(key), timeout=timeout)

    def _key(self, key: str) -> str:
        if type(key) is not str:
            raise UsageError(f"a cache's key is a str, not {type(key).__name__}")
        return self._prefix + key

    def _dependencies(self, depends_on: Sequence[Any]) -> list[Any]:
        if isinstance(depends_on, str | bytes):
            raise UsageError("depends_on is a list of keys")
        store, keys = _Store(self._ledger), self._ledger.keys
        return [(store, keys.full(one)) if isinstance(one, str) else one for one in depends_on]
