"""How one record is guarded: a CRC32 over table, key and value in front of the value.

The law of this file: bytes in, bytes out; nothing else. LMDB 0.9 has no page checksums, so a
flipped bit on the disk would otherwise be served as the truth.
"""

from __future__ import annotations

from zlib import crc32

CRC_BYTES = 4


def seed_of(table: str) -> int:
    """The CRC32 of the table name, from which the checksum of each of its records goes on."""
    return crc32(table.encode())


def seal(seed: int, key: bytes, value: bytes) -> bytes:
    """The record as stored: CRC32 (4 bytes, little-endian) and the value."""
    return crc32(value, crc32(key, seed)).to_bytes(CRC_BYTES, "little") + value


def unseal(seed: int, key: bytes, record: bytes) -> bytes | None:
    """The value of a stored record, or None when the checksum does not match."""
    value = record[CRC_BYTES:]
    if crc32(value, crc32(key, seed)).to_bytes(CRC_BYTES, "little") != record[:CRC_BYTES]:
        return None
    return value
