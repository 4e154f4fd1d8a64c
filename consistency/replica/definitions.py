"""What a store is, and the limits of a replica: plain values, checked when made.

The law of this file: it knows names, numbers and their bounds, and nothing of keys or messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from quorate.consistency.replica.states import RegisterEntry
from quorate.core.errors import ConfigError, UsageError

Resolver = Literal["lww", "siblings", "merge"]
RESOLVERS: tuple[Resolver, ...] = ("lww", "siblings", "merge")
KEY_BYTES_MAX = 448
STORE_NAME_BYTES_MAX = 46
VALUE_BYTES_MAX = 1 << 20
SIBLINGS_MAX = 64


class StoreDef(NamedTuple):
    """A store as every host knows it. `merge` is local code: a host without it keeps siblings."""

    name: str
    resolver: Resolver = "lww"
    merge: Callable[[list[Any]], Any] | None = None
    replicas: int = 3
    siblings_max: int = SIBLINGS_MAX

    def check(self) -> StoreDef:
        """Itself, if it can be used. Raises `ConfigError`."""
        check_store_name(self.name)
        if self.resolver not in RESOLVERS:
            raise ConfigError(
                f"store {self.name!r}: no resolver {self.resolver!r}; use one of "
                f"{', '.join(RESOLVERS)}"
            )
        if not 1 <= self.replicas <= 64 or not 1 <= self.siblings_max <= 4096:
            raise ConfigError(
                f"store {self.name!r}: replicas must be 1 to 64 (is {self.replicas}), "
                f"siblings_max 1 to 4096 (is {self.siblings_max})"
            )
        return self


def check_store_name(name: object) -> str:
    """A store's name: 1 to 46 bytes, printable, no NUL. Raises `ConfigError`."""
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ConfigError(f"a store's name must be a printable text, not {name!r}")
    if len(name.encode()) > STORE_NAME_BYTES_MAX:
        raise ConfigError(f"store {name!r}: the name has over {STORE_NAME_BYTES_MAX} bytes")
    return name


def check_key(key: object) -> str:
    """A key: text of 1 to 448 bytes. Raises `UsageError`."""
    if not isinstance(key, str) or not key:
        raise UsageError(f"a key must be a text that is not empty, not {key!r}")
    if len(key) * 4 > KEY_BYTES_MAX or not key.isascii():
        try:
            size_bytes = len(key.encode())
        except UnicodeEncodeError as error:
            raise UsageError(f"key {key[:40]!r}... cannot be written as UTF-8") from error
        if size_bytes > KEY_BYTES_MAX:
            raise UsageError(
                f"key {key[:40]!r}... has {size_bytes} bytes; at most {KEY_BYTES_MAX} are allowed"
            )
    return key


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Limits and intervals of one replica."""

    flush_s: float = 4.0
    """How long an update stays in memory and log only, at most, while nothing is wrong."""
    flush_keys: int = 50_000
    flush_slice_keys: int = 100
    busy_keys: int = 2_000
    """With so many changed keys not on disk, periodic exchanges wait: each would digest them."""
    cache_keys_max: int = 200_000
    """Clean key states of a store kept in memory."""
    batch_updates_max: int = 4_000
    batch_bytes_max: int = 1 << 20
    gather_bytes_min: int = 8 << 10
    """After a group of at least so many bytes, the next one begins no sooner than `gather_s` after
    it: a busy host syncs less often, a quiet one at once."""
    gather_s: float = 0.008
    unsynced_bytes_max: int = 64 << 20
    """Own updates that wait for the disk; more is refused with `Overloaded`."""
    push_bytes_max: int = 128 << 10
    """Bodies in one push message (one body may be larger)."""
    push_window_bytes: int = 4 << 20
    """Pushed to one peer and not acknowledged."""
    retained_bytes_max: int = 256 << 20
    """Own log records kept for owners that lack them; beyond, the oldest go and such an owner
    needs a whole sync."""
    retained_records_max: int = 200_000
    retry_s: float = 0.25
    silence_s: float = 3.0
    """Pushed and not acknowledged for so long, with the link up: pushed again."""
    know_s: float = 0.5
    """How often a host tells the others what it has."""
    clock_retry_s: float = 1.0
    drift_max_ms: int = 1_000
    conflicts_max: int = 10_000
    """Conflicts kept per store."""


class Conflict(NamedTuple):
    """Concurrent updates met, or a key was used as two types; nothing is lost silently."""

    store: str
    key: str
    resolver: str
    at_ms: int
    winner: RegisterEntry | None
    losers: list[RegisterEntry]
    reason: Literal["concurrent", "type", "siblings"]
