"""The words of the API: levels of updates and reads, what to do when cut off, and their checks.

The law of this file: words and values only. What is not one of the words raises a `UsageError` that
names them all.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple

from quorate.core.errors import UsageError

UpdateLevel = Literal["strong", "session", "eventual", "crdt"]
ReadLevelName = Literal["linearizable", "session", "local"]
OnPartition = Literal["pause", "continue", "degraded"]

UPDATE_LEVELS: Final = ("strong", "session", "eventual", "crdt")
READ_LEVELS: Final = ("linearizable", "session", "local")
ON_PARTITION: Final = ("pause", "continue", "degraded")

BOUND_MS_MAX: Final = 24 * 3600 * 1000
BOUND_VERSIONS_MAX: Final = 1 << 40


class Bounded(NamedTuple):
    """A read level: not older than `ms` milliseconds and not more than `versions` updates behind.
    Made by `bounded`."""

    ms: float | None
    versions: int | None

    def __str__(self) -> str:
        parts = [f"{name}={value:g}" for name, value in self._asdict().items() if value is not None]
        return f"bounded({', '.join(parts)})"


ReadLevel = ReadLevelName | Bounded


def bounded(*, ms: float | None = None, versions: int | None = None) -> Bounded:
    """A read level: `store.get(key, level=bounded(ms=200, versions=10))`.

    `ms`: the answer holds every update that was acknowledged anywhere up to so many milliseconds
    before the read began. `versions`: at most so many updates that were acknowledged when the read
    began are missing. Both: both hold. A read that cannot promise it raises `StaleReplica`. Raises
    `UsageError` for bounds that mean nothing."""
    if ms is None and versions is None:
        raise UsageError("bounded() needs ms=, versions= or both")
    if ms is not None and (not _is_number(ms) or not 0 < ms <= BOUND_MS_MAX):
        raise UsageError(f"bounded(ms=) must be above 0 and at most a day, not {ms!r}")
    if versions is not None and (
        type(versions) is not int or not 0 <= versions <= BOUND_VERSIONS_MAX
    ):
        raise UsageError(f"bounded(versions=) must be an int of 0 or more, not {versions!r}")
    return Bounded(ms, versions)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_update_level(level: object, *, crdt: bool, what: str) -> UpdateLevel:
    """The level itself, if an update of this sort can be made at it.

    `crdt`: an operation on a CRDT (any level but strong); otherwise a write of a plain value (any
    level but crdt). `what` opens the text, as "store 'carts', key 'ann'"."""
    if level not in UPDATE_LEVELS:
        raise UsageError(
            f"{what}: there is no consistency {level!r}; use one of {', '.join(UPDATE_LEVELS)}"
        )
    if crdt and level == "strong":
        raise UsageError(
            f"{what}: a CRDT cannot be updated with consistency='strong': its replicas merge and "
            "never agree first; use crdt, session or eventual, or a plain value with strong"
        )
    if not crdt and level == "crdt":
        raise UsageError(
            f"{what}: a plain value cannot be written with consistency='crdt': it does not merge; "
            "use strong, session or eventual, or a typed handle such as store.pn_counter(key)"
        )
    return level  # type: ignore[return-value]


def check_read_level(level: object, *, crdt: bool, what: str) -> ReadLevel:
    """The level itself, if there is such a read; a CRDT has no linearizable one."""
    if isinstance(level, Bounded):
        return level
    if level not in READ_LEVELS:
        raise UsageError(
            f"{what}: there is no read level {level!r}; use one of {', '.join(READ_LEVELS)}, or "
            "bounded(ms=, versions=)"
        )
    if crdt and level == "linearizable":
        raise UsageError(
            f"{what}: a CRDT has no linearizable read; use local, session or bounded(ms=)"
        )
    return level  # type: ignore[return-value]


def check_on_partition(policy: object, what: str) -> OnPartition:
    if policy not in ON_PARTITION:
        raise UsageError(
            f"{what}: there is no on_partition={policy!r}; use one of {', '.join(ON_PARTITION)}"
        )
    return policy  # type: ignore[return-value]


def check_flag(name: str, value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{what}: {name}= must be True or False, not {value!r}")
    return value


def check_count(name: str, value: Any, count_max: int, what: str) -> int:
    """A number of hosts: 1 to `count_max`."""
    if type(value) is not int or not 1 <= value <= count_max:
        raise UsageError(f"{what}: {name}= must be an int from 1 to {count_max}, not {value!r}")
    return value
