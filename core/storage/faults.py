"""Where the laboratory may break a disk: hooks around the commit, called on the storage thread.

The law of this file: a fault is a plug with a no-op; nothing here knows lmdb or decides what a
fault means.
"""

from __future__ import annotations

import errno
import threading
from typing import Protocol


class StorageFaults(Protocol):
    """Called on the storage thread around every commit that has something to write."""

    def before_commit(self) -> None:
        """May block (a slow disk) or raise OSError (ENOSPC: full; anything else: failed). Nothing
        is written yet.
        """
        ...

    def after_commit(self) -> None:
        """Likewise, when the pages are written: an OSError here is an fsync that failed."""
        ...


class NoFaults:
    """A healthy disk."""

    def before_commit(self) -> None:
        return

    def after_commit(self) -> None:
        return


NO_FAULTS = NoFaults()


class SwitchedFaults:
    """Faults that a test or the laboratory switches on and off, from any thread."""

    def __init__(self) -> None:
        self.full = False
        """Every commit fails with ENOSPC while set."""
        self.fsync_fails = False
        """Every commit fails with EIO after its pages were written while set."""
        self.delay_s = 0.0
        """Every commit takes this much longer."""
        self.commits_seen = 0
        self._never = threading.Event()
        self._gate = threading.Event()
        self._gate.set()

    def stall(self) -> None:
        """The disk hangs: no commit ends until `resume`."""
        self._gate.clear()

    def resume(self) -> None:
        self._gate.set()

    def before_commit(self) -> None:
        self.commits_seen += 1
        self._gate.wait()
        if self.delay_s > 0:
            self._never.wait(self.delay_s)
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device (switched on)")

    def after_commit(self) -> None:
        if self.fsync_fails:
            raise OSError(errno.EIO, "fsync failed (switched on)")
