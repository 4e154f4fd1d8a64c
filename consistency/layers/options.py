"""What a cache may be told, checked. Pure.

The law of this file: a wrong option is refused where it is given, with what it may be; a cache of
one name has one set of options on a host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from quorate.consistency.layers.records import (
    CACHE_KEY_BYTES_MAX,
    CACHE_NAME_BYTES_MAX,
    DEPENDENCIES_MAX,
    VALUE_BYTES_MAX,
)
from quorate.core.errors import ConfigError, LimitExceeded, UsageError

Level = Literal["linearizable", "local"]
TTL_S_MAX = 30 * 24 * 3600.0


@runtime_checkable
class StoreLike(Protocol):
    """What a cache must know of a store whose keys a value depends on."""

    @property
    def name(self) -> str: ...

    def versions_seen(self, key: str) -> dict[int, int]:
        """The updates of the key this host has seen: actor -> seq."""
        ...


class Wanted(NamedTuple):
    """A key a value shall depend on: a replicated key, or a store's key."""

    namespace: str
    key: str
    store: StoreLike | None


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The options of one cache; times in seconds."""

    ttl_s: float = 60.0
    """How long a value is served unless the call says otherwise."""
    jitter_ratio: float = 0.1
    """A value's life is up to so much shorter, at random, so that not all end at once."""
    stale_s: float = 0.0
    """Behind its life a value is still served for so long while one computation replaces it."""
    error_ttl_s: float = 0.0
    """How long a failure is served; 0: failures are not kept."""
    entries_max: int = 10_000
    bytes_max: int = 64 << 20
    """Keys and encoded values of the whole cache."""
    value_bytes_max: int = VALUE_BYTES_MAX
    level: Level = "linearizable"
    lease_s: float = 3.0
    """A host that computes and dies is replaced after at most this."""
    sweep_grace_s: float = 5.0
    """So much later others remove what the host that computed it should have removed."""

    def __post_init__(self) -> None:
        positive(self.ttl_s, "ttl_s")
        for name in ("stale_s", "error_ttl_s", "sweep_grace_s"):
            if not 0 <= getattr(self, name) <= TTL_S_MAX:
                raise ConfigError(f"{name} must be 0 to {TTL_S_MAX:g} seconds")
        if not 0 <= self.jitter_ratio < 1:
            raise ConfigError("jitter_ratio must be at least 0 and below 1")
        for name in ("entries_max", "bytes_max"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1")
        if not 1 <= self.value_bytes_max <= VALUE_BYTES_MAX:
            raise ConfigError(f"value_bytes_max must be 1 to {VALUE_BYTES_MAX}")
        if self.level not in ("linearizable", "local"):
            raise ConfigError(f"level must be 'linearizable' or 'local', not {self.level!r}")
        if not self.lease_s >= 1:
            raise ConfigError("lease_s must be at least 1: shorter ones are lost at elections")


def positive(value: float, name: str) -> float:
    """The value itself. Raises `ConfigError` unless it is a time above 0."""
    if not 0 < value <= TTL_S_MAX:
        raise ConfigError(f"{name} must be above 0 and at most {TTL_S_MAX:g} seconds")
    return value


def make_options(given: dict[str, Any]) -> CacheOptions:
    """`CacheOptions` of keywords, `ttl=` and `stale=` and `error_ttl=` being seconds. Raises
    `ConfigError`."""
    named = {"ttl": "ttl_s", "stale": "stale_s", "error_ttl": "error_ttl_s"}
    try:
        return CacheOptions(**{named.get(name, name): value for name, value in given.items()})
    except TypeError as error:
        raise ConfigError(f"cache: {error}") from None


def check_name(name: str) -> str:
    """Raises `UsageError` for what cannot name a cache."""
    if not name or not name.isprintable() or len(name.encode()) > CACHE_NAME_BYTES_MAX:
        raise UsageError(f"a cache's name is 1 to {CACHE_NAME_BYTES_MAX} printable bytes: {name!r}")
    return name


def check_key(key: object) -> str:
    """Raises `UsageError`, `LimitExceeded` for what cannot be a key."""
    if not isinstance(key, str):
        raise UsageError(f"a cache's key is a str, not {type(key).__name__}")
    if len(key.encode()) > CACHE_KEY_BYTES_MAX:
        raise LimitExceeded(f"a cache's key has at most {CACHE_KEY_BYTES_MAX} bytes")
    return key


def dependencies(depends_on: Sequence[Any]) -> tuple[Wanted, ...]:
    """`"key"` of `host.kv`, `("namespace", "key")` of it, or `(store, "key")`, as `Wanted`s."""
    if isinstance(depends_on, str | bytes) or len(depends_on) > DEPENDENCIES_MAX:
        raise UsageError(f"depends_on is a list of at most {DEPENDENCIES_MAX} keys")
    return tuple(_wanted(one) for one in depends_on)


def _wanted(one: Any) -> Wanted:
    if isinstance(one, str):
        return Wanted("", one, None)
    try:
        where, key = one
    except (TypeError, ValueError):
        where = key = None
    if isinstance(key, str) and isinstance(where, str):
        return Wanted(where, key, None)
    if isinstance(key, str) and isinstance(where, StoreLike):
        return Wanted(f"s:{where.name}", key, where)
    raise UsageError(f"depends_on takes keys, (namespace, key) and (store, key), not {one!r:.80}")
