"""A store in dictionaries, for tests and the simulator.

The law of this file: the same answers as the real state store, kept simple; the sorted keys of a
table are rebuilt when a scan finds them stale.
"""

from __future__ import annotations

from bisect import bisect_left

from quorate.core.machine.store import TABLES


class DictStore:
    """Tables of bytes in memory. `tables` may be read, and copied for an image, but not changed
    from outside.
    """

    def __init__(self, tables: dict[str, dict[bytes, bytes]] | None = None) -> None:
        self.tables: dict[str, dict[bytes, bytes]] = {name: {} for name in TABLES}
        if tables is not None:
            self.tables.update({name: dict(table) for name, table in tables.items()})
        self._sorted: dict[str, list[bytes] | None] = dict.fromkeys(self.tables)

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.tables[table].get(key)

    def put(self, table: str, key: bytes, value: bytes) -> None:
        rows = self.tables[table]
        if key not in rows:
            self._sorted[table] = None
        rows[key] = value

    def delete(self, table: str, key: bytes) -> None:
        if self.tables[table].pop(key, None) is not None:
            self._sorted[table] = None

    def scan(
        self,
        table: str,
        start: bytes = b"",
        stop: bytes | None = None,
        *,
        reverse: bool = False,
        limit: int | None = None,
    ) -> list[tuple[bytes, bytes]]:
        rows = self.tables[table]
        keys = self._sorted[table]
        if keys is None:
            keys = self._sorted[table] = sorted(rows)
        low = bisect_left(keys, start)
        high = len(keys) if stop is None else bisect_left(keys, stop)
        found = keys[low:high]
        if reverse:
            found.reverse()
        return [(key, rows[key]) for key in found[:limit]]

    def copy(self) -> DictStore:
        """An independent image of the present state."""
        return DictStore(self.tables)

    def statistics(self) -> dict[str, object]:
        return {f"{name}_records": len(rows) for name, rows in self.tables.items()}
