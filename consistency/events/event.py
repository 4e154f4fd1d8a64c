"""An event, its place in its log, and how it is kept. Pure.

The law of this file: a log is made of strands. A strand has one writer at a time, its events are
numbered 1, 2, 3 without a gap, and their stamps grow. The strong strand is written by the group;
each host writes strands of its own. The order of a log is (stamp, strand, number): the same on
every host that has the same events, and never against causality, because a host's clock is pushed
on by every stamp it hears of. A version of a log is how far each strand was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

from quorate.core.errors import LimitExceeded, Refused, UsageError

FORMAT: Final = 1
STRONG: Final = "strong"
"""The name of the strand that the group writes."""
NAME_BYTES_MAX: Final = 256
TEXT_CHARS_MAX: Final = 256

Version = dict[str, int]
"""Strand -> number of its last event that counts."""


class VersionConflict(Refused):
    """`expected_version` is not the log's present one. Nothing was appended."""

    def __init__(self, text: str, present: int) -> None:
        super().__init__(text)
        self.present = present


class Event(NamedTuple):
    """Something that happened."""

    log: str
    strand: str
    number: int
    """Its place in the strand, from 1. In the strong strand: the version of the log."""
    stamp: int
    """Hybrid logical clock: milliseconds since 1970 times 65536, and a counter."""
    host: str
    """Where it was appended."""
    actor: int
    """The data folder of that host."""
    value: Any
    correlation_id: str | None
    by: str | None
    """Who did it, if the caller said so."""
    event_id: str | None
    seen: Version
    """What that host had read of this log before: what the event may depend on."""

    @property
    def version(self) -> int:
        """Of an event of the strong strand: the log's version with it; 0 for any other."""
        return self.number if self.strand == STRONG else 0

    @property
    def position(self) -> tuple[str, int]:
        """(strand, number): the event's name for ever."""
        return self.strand, self.number

    @property
    def order(self) -> tuple[int, str, int]:
        """What events are sorted by."""
        return self.stamp, self.strand, self.number

    @property
    def at_ms(self) -> int:
        """Wall time of the stamp, milliseconds since 1970."""
        return self.stamp >> 16

    def happened_before(self, other: Event) -> bool:
        """Whether the other one's author had seen this one."""
        if self.strand == other.strand:
            return self.number < other.number
        return other.seen.get(self.strand, 0) >= self.number


def to_row(event: Event) -> list[Any]:
    """What is kept under the event's key."""
    seen = [part for pair in sorted(event.seen.items()) for part in pair]
    return [
        *(FORMAT, event.stamp, event.host, event.actor, event.value),
        *(event.correlation_id, event.by, event.event_id, seen),
    ]


def from_row(log: str, strand: str, number: int, row: Any) -> Event | None:
    """The event in a kept row; None for anything else."""
    if not isinstance(row, list):
        return None
    parts = cast("list[Any]", row)
    if len(parts) != 9 or parts[0] != FORMAT or not isinstance(parts[1], int):
        return None
    _, stamp, host, actor, value, correlation_id, by, event_id, seen = parts
    if not isinstance(seen, list):
        return None
    flat = cast("list[Any]", seen)
    vector = dict(zip(flat[::2], flat[1::2], strict=False))
    return Event(
        *(log, strand, number, stamp, host, actor, value),
        *(correlation_id, by, event_id, vector),
    )


# --- versions -------------------------------------------------------------------------------------


def covers(version: Mapping[str, int], other: Mapping[str, int]) -> bool:
    """Whether everything in `other` is in `version`."""
    return all(version.get(strand, 0) >= number for strand, number in other.items())


def counted(version: Mapping[str, int]) -> int:
    """How many events a version has."""
    return sum(version.values())


def check_version(value: object) -> Version:
    """A version of a log as a caller gave it: strand -> number. Raises `UsageError`."""
    if not isinstance(value, Mapping):
        raise UsageError(f"a version of a log is a dict of strand and number, not {value!r:.80}")
    pairs = cast("Mapping[Any, Any]", value)
    for strand, number in pairs.items():
        if not isinstance(strand, str) or not isinstance(number, int) or number < 0:
            raise UsageError(f"{strand!r:.80}: {number!r:.80} is no part of a version of a log")
    return dict(pairs)


# --- names of keys --------------------------------------------------------------------------------


def check_log_name(name: object) -> str:
    """Raises `UsageError`, `LimitExceeded`."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise UsageError(f"a log's name is a text without NUL, not {name!r:.80}")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise LimitExceeded(f"a log's name has at most {NAME_BYTES_MAX} bytes")
    return name


def check_text(name: str, value: object) -> str | None:
    """A correlation id, an event id, a name of a person. Raises `UsageError`, `LimitExceeded`."""
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise UsageError(f"{name} is a text, not {value!r:.80}")
    if len(value) > TEXT_CHARS_MAX or len(value.encode()) > NAME_BYTES_MAX // 2:
        raise LimitExceeded(f"{name} has at most {NAME_BYTES_MAX // 2} bytes")
    return value


class Keys:
    """The names of a log's keys: in the store, and (strong) in the group's namespace."""

    def __init__(self, log: str) -> None:
        self.log = log
        self.prefix = f"{log}\0"
        self.strands = f"{log}\0strands"
        self.head = f"{log}\0head"

    def event(self, strand: str, number: int) -> str:
        return f"{self.log}\0e\0{strand}\0{number:012d}"

    def event_id(self, event_id: str) -> str:
        return f"{self.log}\0i\0{event_id}"

    def snapshot(self, fold: str, slot: int) -> str:
        return f"{self.log}\0s\0{fold}\0{slot}"
