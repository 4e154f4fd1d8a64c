"""The caches of one host, by name: opened when first asked for, closed with the host.

The law of this file: one name is one cache; asking again with other options is refused rather than
half obeyed.
"""

from __future__ import annotations

import asyncio
from typing import Any

from quorate.consistency.layers.cached import Cache
from quorate.consistency.layers.options import CacheOptions, make_options
from quorate.core.errors import ConfigError, LimitExceeded, Stopped
from quorate.core.group.group import Group
from quorate.core.group.leases import Leases

CACHES_MAX = 1000


class Caches:
    """`host.cache(name, **options)`."""

    def __init__(self, group: Group, leases: Leases) -> None:
        self._group = group
        self._leases = leases
        self._open: dict[str, Cache] = {}
        self._told: set[str] = set()
        """The caches that were given options."""
        self._stopped = False

    def open(self, name: str, **options: Any) -> Cache:
        """The cache of this name; options are those of `CacheOptions`, with `ttl`, `stale` and
        `error_ttl` in seconds. Raises `ConfigError` when it is open with others."""
        if self._stopped:
            raise Stopped("the host is stopped or stopping")
        found = self._open.get(name)
        if found is not None:
            if options:
                self._agree(found, make_options(options))
            return found
        if len(self._open) >= CACHES_MAX:
            raise LimitExceeded(f"{CACHES_MAX} caches are open on this host already")
        made = Cache(self._group, self._leases, name, make_options(options))
        self._open[name] = made
        if options:
            self._told.add(name)
        return made

    def _agree(self, cache: Cache, options: CacheOptions) -> None:
        """Options given after the cache was opened without any are taken."""
        if cache.name in self._told and options != cache.options:
            raise ConfigError(f"cache {cache.name!r} is open with other options: {cache.options}")
        if cache.name not in self._told:
            self._told.add(cache.name)
            cache.reconfigure(options)

    async def stop(self, *, give_up: bool = True) -> None:
        """Close all; safe to call twice. `give_up`: see `Cache.close`."""
        self._stopped = True
        await asyncio.gather(*(cache.close(give_up=give_up) for cache in self._open.values()))

    def statistics(self) -> dict[str, object]:
        return {name: cache.statistics() for name, cache in self._open.items()}
