"""Reading the last committed state of an LMDB store.

The law of this file: every call opens a read transaction (a spare one is reused: well under 1 us),
copies what it returns, checks each checksum, and ends the transaction, so that no reader ever pins
old pages or outlives a remap.
"""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import lmdb

from quorate.core.errors import CorruptStorage, StorageFailed
from quorate.core.storage.engine import Record
from quorate.core.storage.lmdb_open import damaged
from quorate.core.storage.lmdb_writer import Table, no_table
from quorate.core.storage.records import unseal


class LmdbReader:
    """Checked reads. Raises CorruptStorage, naming table, key and file, where a checksum or the
    structure is wrong.
    """

    def __init__(self, env: lmdb.Environment, tables: dict[str, Table], folder: Path) -> None:
        self._begin = env.begin
        self._tables = tables
        self._folder = folder

    def get(self, table: str, key: bytes) -> bytes | None:
        try:
            seed, database = self._tables[table]
        except KeyError:
            raise no_table(table, self._tables) from None
        if not key:
            return None
        try:
            transaction = self._begin()
            try:
                record = transaction.get(key, db=database)
            finally:
                transaction.abort()
        except lmdb.Error as error:
            raise self._broken(table, error, key) from error
        if record is None:
            return None
        value = record[4:]
        if crc32(value, crc32(key, seed)).to_bytes(4, "little") != record[:4]:
            raise self._corrupt(table, key)
        return value

    def scan(
        self, table: str, start: bytes, stop: bytes | None, *, reverse: bool, limit: int | None
    ) -> list[Record]:
        try:
            seed, database = self._tables[table]
        except KeyError:
            raise no_table(table, self._tables) from None
        found: list[Record] = []
        if limit is not None and limit <= 0:
            return found
        left = -1 if limit is None else limit
        try:
            with self._begin() as transaction, transaction.cursor(db=database) as cursor:
                more = _seek_back(cursor, stop) if reverse else cursor.set_range(start)
                if not more:
                    return found
                for key, record in cursor.iterprev() if reverse else cursor.iternext():
                    past = key < start if reverse else stop is not None and key >= stop
                    if past or left == 0:
                        break
                    value = unseal(seed, key, record)
                    if value is None:
                        raise self._corrupt(table, key)
                    found.append((key, value))
                    left -= 1
        except lmdb.Error as error:
            raise self._broken(table, error, start) from error
        return found

    def _corrupt(self, table: str, key: bytes) -> CorruptStorage:
        shown = key[:64].hex() + ("..." if len(key) > 64 else "")
        return damaged(
            self._folder, f"the record {shown} (hex) of table {table!r} fails its checksum"
        )

    def _broken(self, table: str, error: lmdb.Error, key: bytes) -> CorruptStorage | StorageFailed:
        if isinstance(error, (lmdb.ReadersFullError, lmdb.MemoryError, lmdb.PanicError)):
            return StorageFailed(f"reading table {table!r} of {self._folder} failed: {error}")
        return damaged(
            self._folder, f"reading table {table!r} near {key[:64].hex()} failed: {error}"
        )


def _seek_back(cursor: lmdb.Cursor[bytes], stop: bytes | None) -> bool:
    """Positions on the last key below `stop`."""
    if stop is None or not cursor.set_range(stop):
        return cursor.last()
    return cursor.prev()
