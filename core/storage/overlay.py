"""Writes that are not in the store yet, laid over it.

The law of this file: values only. A layer is a dict per table; None marks a deleted key. The upper
layer wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from quorate.core.storage.engine import Record
from quorate.core.storage.sorted_table import SortedTable

Value = bytes | None
"""None is a tombstone."""

Entry = tuple[bytes, Value]

RECORD_OVERHEAD_BYTES = 120
"""About what Python keeps for one record beside its key and value."""

ABSENT = object()

_FIRST_CHUNK_RECORDS = 64
_CHUNK_RECORDS_MAX = 2048

ChunkScan = Callable[[bytes, bytes | None, int | None], list[Record]]
"""(start, stop, limit) -> records of the store in the direction of the scan"""


class Layer:
    """One generation of unflushed writes. `bytes` is what it holds in memory, about."""

    __slots__ = ("bytes", "records", "tables")

    def __init__(self, tables: Iterable[str]) -> None:
        self.tables: dict[str, SortedTable[Value]] = {name: SortedTable() for name in tables}
        self.records = 0
        self.bytes = 0

    def put(self, table: str, key: bytes, value: Value) -> None:
        into = self.tables[table]
        records = into.records
        size = 0 if value is None else len(value)
        if key in records:
            old = records[key]
            self.bytes += size - (0 if old is None else len(old))
            records[key] = value
        else:
            self.records += 1
            self.bytes += size + len(key) + RECORD_OVERHEAD_BYTES
            into.put(key, value)

    def take(self, upper: Layer) -> None:
        """Lays the writes of `upper` over its own."""
        for name, table in upper.tables.items():
            for key, value in table.records.items():
                self.put(name, key, value)

    def slices(self, records_max: int) -> Iterator[list[tuple[str, bytes, Value]]]:
        """Everything, in slices sorted by key; sorting it all at once would stall a loop."""
        for name, table in self.tables.items():
            entries = iter(table.records.items())
            while part := sorted(islice(entries, records_max)):
                yield [(name, key, value) for key, value in part]


def laid_over(upper: Iterator[Entry], lower: Iterator[Entry], *, reverse: bool) -> Iterator[Entry]:
    """Merges two streams in the same order; where both have a key the upper one wins."""
    above, below = next(upper, None), next(lower, None)
    while above is not None and below is not None:
        if above[0] == below[0]:
            yield above
            above, below = next(upper, None), next(lower, None)
        elif (above[0] < below[0]) is not reverse:
            yield above
            above = next(upper, None)
        else:
            yield below
            below = next(lower, None)
    if above is not None:
        yield above
        yield from upper
    if below is not None:
        yield below
        yield from lower


def in_chunks(
    scan: ChunkScan, start: bytes, stop: bytes | None, *, reverse: bool, limit: int | None
) -> Iterator[Entry]:
    """Reads a store lazily: first about what is asked for, then more at a time."""
    chunk = None if limit is None else max(_FIRST_CHUNK_RECORDS, min(limit, _CHUNK_RECORDS_MAX))
    while True:
        records = scan(start, stop, chunk)
        yield from records
        if chunk is None or len(records) < chunk:
            return
        if reverse:
            stop = records[-1][0]
        else:
            start = records[-1][0] + b"\0"
        chunk = min(2 * chunk, _CHUNK_RECORDS_MAX)


def living(entries: Iterator[Entry], limit: int | None) -> list[Record]:
    """Drops tombstones and stops at the limit."""
    found = ((key, value) for key, value in entries if value is not None)
    return list(found if limit is None else islice(found, limit))
