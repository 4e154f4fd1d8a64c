"""A table in memory: records by key, and the keys in order when somebody asks for them.

The law of this file: put and get are dict operations; order is paid for by scans only. New keys
gather in a list and are merged at the next scan, into the part of the order that they lie in: keys
behind all others, and keys close together, cost nothing for the rest of a large table.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")

_INSERTED_KEYS_MAX = 16


class SortedTable(Generic[V]):
    """`records` may be read freely and values replaced; new and removed keys go through `put` and
    `remove`.
    """

    __slots__ = ("_fresh", "_keys", "records")

    def __init__(self, records: dict[bytes, V] | None = None) -> None:
        self.records: dict[bytes, V] = {} if records is None else records
        self._keys: list[bytes] = []
        self._fresh: list[bytes] = list(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def put(self, key: bytes, value: V) -> None:
        if key not in self.records:
            self._fresh.append(key)
        self.records[key] = value

    def remove(self, key: bytes) -> None:
        """No error where there is none. Costs a search in the key list."""
        if key in self.records:
            del self.records[key]
            keys = self.keys()
            del keys[bisect_left(keys, key)]

    def remove_range(self, start: bytes, stop: bytes | None) -> None:
        keys = self.keys()
        low = bisect_left(keys, start)
        high = len(keys) if stop is None else max(low, bisect_left(keys, stop))
        for key in keys[low:high]:
            del self.records[key]
        del keys[low:high]

    def keys(self) -> list[bytes]:
        """All keys in order. The list is the table's own: do not change it."""
        fresh = self._fresh
        if fresh:
            self._fresh = []
            self._merge(fresh)
        return self._keys

    def _merge(self, fresh: list[bytes]) -> None:
        """Put new keys in their places."""
        keys = self._keys
        fresh.sort()
        behind = bisect_left(fresh, keys[-1]) if keys else 0
        among, behind_all = fresh[:behind], fresh[behind:]
        if len(among) <= _INSERTED_KEYS_MAX:
            for key in among:
                insort(keys, key)
        else:
            low, high = bisect_left(keys, among[0]), bisect_left(keys, among[-1])
            keys[low:high] = sorted(keys[low:high] + among)
        keys += behind_all

    def scan(self, start: bytes, stop: bytes | None, *, reverse: bool) -> Iterator[tuple[bytes, V]]:
        """Records with start <= key < stop in order. The table must not lose keys meanwhile."""
        keys = self.keys()
        low = bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        records = self.records
        for at in range(high - 1, low - 1, -1) if reverse else range(low, high):
            key = keys[at]
            yield key, records[key]
