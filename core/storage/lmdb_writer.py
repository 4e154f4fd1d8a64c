"""The open LMDB transaction as the owning thread sees it.

The law of this file: puts go straight into the transaction and are also remembered, so that a map
that turns out too small costs a replay onto a fresh transaction and never a failed write. No
commit, no abort, no thread here.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import lmdb

from quorate.core.errors import InvariantBroken, LimitExceeded, UsageError
from quorate.core.storage.committer import Transaction
from quorate.core.storage.engine import KEY_BYTES_MAX, VALUE_BYTES_MAX, check_record

Table = tuple[int, Any]
"""(the CRC seed of the table's name, its lmdb database handle)"""

Op = tuple[Any, bytes, bytes | None, bool]
"""(database, key or start, record or stop, is a put); a delete is a range of one key, see
`_delete_op`
"""


class LmdbWriter:
    """One transaction, from `Engine.writer()` to `Engine.commit`."""

    def __init__(self, tables: dict[str, Table], transaction: Transaction) -> None:
        self._tables = tables
        self._transaction: Transaction | None = transaction
        self._closed = False
        self.ops: list[Op] = []
        """Everything asked for, in order; empty means that there is nothing to commit."""
        self.bytes = 0
        """Keys and values put, in bytes."""
        self.transaction = transaction
        """The transaction to commit, or to abort when `overflowed`."""
        self.overflowed = False
        """The map was too small: the transaction is spoiled and `ops` waits for a replay."""

    def put(self, table: str, key: bytes, value: bytes) -> None:
        try:
            seed, database = self._tables[table]
        except KeyError:
            raise no_table(table, self._tables) from None
        if not 0 < len(key) <= KEY_BYTES_MAX or len(value) > VALUE_BYTES_MAX:
            raise LimitExceeded(check_record(table, key, value))
        record = crc32(value, crc32(key, seed)).to_bytes(4, "little") + value
        self.bytes += len(key) + len(record)
        transaction = self._transaction
        if transaction is None:
            self._remember((database, key, record, True))
            return
        self.ops.append((database, key, record, True))
        try:
            transaction.put(key, record, db=database)
        except lmdb.Error as error:
            self._overflow(error)

    def delete(self, table: str, key: bytes) -> None:
        if 0 < len(key) <= KEY_BYTES_MAX:
            self._apply_or_remember((self._database(table), key, key + b"\0", False))

    def delete_range(self, table: str, start: bytes, stop: bytes | None) -> None:
        self._apply_or_remember((self._database(table), start, stop, False))

    def close(self) -> None:
        """Its commit began: from here on a write is a bug."""
        self._transaction = None
        self._closed = True

    def replay(self, transaction: Transaction) -> None:
        """Applies everything again onto a fresh transaction; may overflow again."""
        self.transaction = transaction
        self.overflowed = False
        try:
            for op in self.ops:
                apply_op(transaction, op)
        except lmdb.Error as error:
            self._overflow(error)

    def _apply_or_remember(self, op: Op) -> None:
        transaction = self._transaction
        if transaction is None:
            self._remember(op)
            return
        self.ops.append(op)
        try:
            apply_op(transaction, op)
        except lmdb.Error as error:
            self._overflow(error)

    def _remember(self, op: Op) -> None:
        if self._closed:
            raise InvariantBroken("a storage writer was used after its commit began")
        self.ops.append(op)

    def _overflow(self, error: lmdb.Error) -> None:
        if not isinstance(error, (lmdb.MapFullError, lmdb.BadTxnError)):
            raise error
        self._transaction = None
        self.overflowed = True

    def _database(self, table: str) -> Any:
        try:
            return self._tables[table][1]
        except KeyError:
            raise no_table(table, self._tables) from None


def no_table(table: str, tables: dict[str, Table]) -> UsageError:
    return UsageError(f"this store has no table {table!r}; its tables are {', '.join(tables)}")


def apply_op(transaction: Transaction, op: Op) -> None:
    """Puts one record, or deletes one range; raises lmdb.Error."""
    database, key, record, is_put = op
    if is_put:
        transaction.put(key, record or b"", db=database)
    elif record == key + b"\0":
        transaction.delete(key, db=database)
    elif record is None and key == b"":
        transaction.drop(database, delete=False)
    else:
        _delete_range(transaction, database, key, record)


def _delete_range(
    transaction: Transaction, database: Any, start: bytes, stop: bytes | None
) -> None:
    with transaction.cursor(db=database) as cursor:
        more = cursor.set_range(start)
        while more and (stop is None or cursor.key() < stop):
            more = cursor.delete() and cursor.key() != b""
