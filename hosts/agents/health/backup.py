"""A copy of an agent's state, as bytes. Pure.

The law of this file: bytes carry their own check; what does not fit it is no backup. Two places
take turns, so one is whole while the other one is being written.
"""

from __future__ import annotations

import zlib
from typing import Any, Final, NamedTuple

from quorate.core import codec
from quorate.core.errors import CorruptStorage

PLACES: Final = ("~good/0", "~good/1")
BACKUP_BYTES_MAX: Final = 384 * 1024
KEYS_MAX: Final = 1000
STRONG_KEYS_MAX: Final = 100
"""What one turn can put back."""
_VERSION: Final = 1
_CRC_BYTES: Final = 4


class Row(NamedTuple):
    """A plain value."""

    key: str
    strong: bool
    value: bytes


class Backup(NamedTuple):
    """See the law above."""

    number: int
    """Grows with each backup of the agent."""
    at: float
    """Seconds since 1970."""
    epoch: int
    rows: list[Row]
    memory: bytes | None
    """What `on_checkpoint` gave, encoded; None if the class has none."""


def pack(backup: Backup) -> bytes:
    """With its check in front."""
    number, at, epoch, rows, memory = backup
    body = codec.dumps([_VERSION, number, at, epoch, [list(row) for row in rows], memory])
    return zlib.crc32(body).to_bytes(_CRC_BYTES, "big") + body


def unpack(data: bytes) -> Backup:
    """Raises `CorruptStorage`."""
    body = data[_CRC_BYTES:]
    if len(data) < _CRC_BYTES or zlib.crc32(body) != int.from_bytes(data[:_CRC_BYTES], "big"):
        raise CorruptStorage("a backup of an agent does not fit its check")
    try:
        plain: Any = codec.loads(body)
        version, number, at, epoch, rows, memory = plain
        if version != _VERSION:
            raise CorruptStorage(f"a backup of an agent has version {version!r}")
        return Backup(number, at, epoch, [Row(*row) for row in rows], memory)
    except (codec.Malformed, TypeError, ValueError) as error:
        raise CorruptStorage(f"a backup of an agent cannot be read: {error}") from error


def newest(found: list[bytes | None]) -> Backup | None:
    """The last whole one of what the places hold."""
    whole: list[Backup] = []
    for data in found:
        if data is None:
            continue
        try:
            whole.append(unpack(data))
        except CorruptStorage:
            continue
    return max(whole, key=lambda one: one.number, default=None)


def place_of(number: int) -> str:
    """Where the backup of this number is kept: never over the one before it."""
    return PLACES[number % len(PLACES)]
