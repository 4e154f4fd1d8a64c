"""The size of an LMDB map: address space that is reserved, not disk that is used.

The law of this file: the map grows only while no write transaction and no copy is open; readers are
never open between calls, since they belong to the owning thread, which is the one that grows it.
"""

from __future__ import annotations

import lmdb  # tidy-ok: one of the files of its home, a shell around the map


class LmdbMap:
    """Doubles when half used, up to a limit."""

    def __init__(self, env: lmdb.Environment, size_max_bytes: int) -> None:
        self._env = env
        self._size_max_bytes = size_max_bytes
        self._page_bytes = env.stat()["psize"]
        self.size_bytes: int = env.info()["map_size"]
        self.grown = 0

    def used_bytes(self) -> int:
        """The size that the data file has reached (pages that were freed count: they are used
        again).
        """
        return (self._env.info()["last_pgno"] + 1) * self._page_bytes

    def is_half_used(self) -> bool:
        """Time to grow, if it may."""
        return self.size_bytes < self._size_max_bytes and 2 * self.used_bytes() > self.size_bytes

    def grow(self) -> bool:
        """Doubles the map; False when it is at its limit or the system has no more addresses."""
        if self.size_bytes >= self._size_max_bytes:
            return False
        wanted = min(2 * self.size_bytes, self._size_max_bytes)
        try:
            self._env.set_mapsize(wanted)
        except lmdb.Error:
            return False
        self.size_bytes = wanted
        self.grown += 1
        return True
