"""`store.shared` and `store.persistent`: the same keys, with the promise said once.

The law of this file: a layer says how an update is acknowledged, not where it lives: what is
written in one is read in the other. Every option of the store's calls may still be given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Writable(Protocol):
    """The part of a store that layers use."""

    async def put(self, key: str, value: Any, **options: Any) -> Any: ...
    async def get(self, key: str, *, default: Any = None, **options: Any) -> Any: ...
    async def update(
        self, key: str, fn: Callable[[Any], Any], *, default: Any = None, **options: Any
    ) -> Any: ...
    async def delete(self, key: str, **options: Any) -> Any: ...


class Layer:
    """A store seen with other defaults; receipts are the store's."""

    def __init__(self, store: Writable, **defaults: Any) -> None:
        self._store = store
        self._defaults = defaults

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        merged = {**self._defaults, **given}
        waits = given.get("session") is not None or given.get("wait_for", 1) > 1
        if (waits or merged.get("consistency") == "strong") and "durable" not in given:
            merged.pop("durable", None)  # disks are what these ask for
        return merged

    async def put(self, key: str, value: Any, **options: Any) -> Any:
        """Write; see `Store.put`."""
        return await self._store.put(key, value, **self._options(options))

    async def get(self, key: str, default: Any = None, **options: Any) -> Any:
        """Read; see `Store.get`. At the store's own level unless told."""
        return await self._store.get(key, default=default, **options)

    async def update(
        self, key: str, fn: Callable[[Any], Any], *, default: Any = None, **options: Any
    ) -> Any:
        """Read, apply `fn`, write; see `Store.update`."""
        return await self._store.update(key, fn, default=default, **self._options(options))

    async def delete(self, key: str, **options: Any) -> Any:
        """Delete; see `Store.delete`."""
        return await self._store.delete(key, **self._options(options))

    def __call__(self, **defaults: Any) -> Layer:
        """The same layer with other defaults: `store.shared(durable=True)`."""
        return Layer(self._store, **{**self._defaults, **defaults})


def shared(store: Writable) -> Layer:
    """Replicated to the key's owners, acknowledged from this host's memory: fast, and lost if this
    host dies before it told another one. `shared(durable=True)`: acknowledged from its disk."""
    return Layer(store, consistency="eventual", durable=False)


def persistent(store: Writable) -> Layer:
    """On this host's disk before it is acknowledged, then replicated. `persistent(wait_for=2)`: on
    two disks; `persistent(consistency="strong")`: on a majority's."""
    return Layer(store, durable=True)
