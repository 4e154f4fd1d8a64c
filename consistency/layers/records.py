"""What a cache keeps in the group: entries, flights and failures, as bytes and back. Pure.

The law of this file: a record says everything a reader needs to decide whether it may be served;
what it depends on is named with the revision it had before the computation began. Bytes that are
not one of ours are no record, never an error: a cache is computed again.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

from quorate.core import codec
from quorate.core.errors import Refused, UsageError

FORMAT: Final = 1
ENTRY_MARK: Final = "="
"""A cached value is kept under this and the caller's key."""
FLIGHT_MARK: Final = "?"
"""A computation on its way is kept under this and the caller's key, on a lease of its host."""
CACHE_KEY_BYTES_MAX: Final = 440
CACHE_NAME_BYTES_MAX: Final = 40
VALUE_BYTES_MAX: Final = 1_000_000
DEPENDENCIES_MAX: Final = 64
ERROR_TEXT_CHARS_MAX: Final = 500


class ComputationFailed(Refused):
    """The function that computes a cached value raised, on another host or in another task.

    `kind` is the name of its exception, the text its text."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"the computation failed: {kind}: {text}" if text else kind)
        self.kind = kind
        self.text = text


class Seen(NamedTuple):
    """A key something depends on and what was known of it before the computation."""

    namespace: str
    key: str
    revision: int
    """Of the replicated record; 0 when there was none."""
    versions: dict[int, int]
    """Of a store's key: the updates this host had seen (actor -> seq); empty for others."""


class Entry(NamedTuple):
    """A cached value (or failure, when failures are cached)."""

    value: bytes
    """Encoded; of a failure `[kind, text]`."""
    failed: bool
    at_ms: int
    """Wall time of the host that computed it: a hint, see `index.py`."""
    ttl_ms: int
    stale_ms: int
    host: str
    depends_on: tuple[Seen, ...]


class Flight(NamedTuple):
    """A computation on its way."""

    id: bytes
    host: str


class Failure(NamedTuple):
    """What a computation ended with, told to those who wait; never kept."""

    flight: bytes
    kind: str
    text: str


def encode_entry(entry: Entry) -> bytes:
    row = [FORMAT, "e", *entry[:-1], [list(seen) for seen in entry.depends_on]]
    return codec.dumps(row)


def encode_flight(flight: Flight) -> bytes:
    return codec.dumps([FORMAT, "f", *flight])


def encode_failure(failure: Failure) -> bytes:
    return codec.dumps([FORMAT, "x", *failure])


def decode(value: Any) -> Entry | Flight | Failure | None:
    """The record in a decoded value; None for anything that is not one."""
    if not isinstance(value, list):
        return None
    row = cast("list[Any]", value)
    try:
        if row[0] != FORMAT:
            return None
        if row[1] == "e":
            return _entry(row[2:])
        if row[1] == "f":
            id_, host = row[2:]
            return Flight(id_, host) if isinstance(id_, bytes) else None
        return Failure(*row[2:]) if row[1] == "x" else None
    except (IndexError, TypeError, ValueError):
        return None


def _entry(row: list[Any]) -> Entry | None:
    value, failed, at_ms, ttl_ms, stale_ms, host, seen = row
    numbers = (at_ms, ttl_ms, stale_ms)
    if not isinstance(value, bytes) or not all(isinstance(number, int) for number in numbers):
        return None
    return Entry(value, bool(failed), *numbers, host, tuple(Seen(*one) for one in seen))


def decode_bytes(data: bytes) -> Entry | Flight | Failure | None:
    """The record in stored bytes; None for anything that is not one."""
    try:
        return decode(codec.decode_value(data))
    except UsageError:
        return None


def failure_of(entry: Entry) -> ComputationFailed:
    """The error a cached failure stands for."""
    kind, text = codec.decode_value(entry.value)
    return ComputationFailed(str(kind), str(text))


def describe(error: BaseException) -> tuple[str, str]:
    """(kind, text) of an exception as others are told of it."""
    return type(error).__name__, str(error)[:ERROR_TEXT_CHARS_MAX]
