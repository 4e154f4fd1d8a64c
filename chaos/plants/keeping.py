"""Plants in what must outlive a crash: the journal, the table of sessions, the stores' files.

The law of this file: as in `leading.py`. A real disk that loses what was not synced cannot be had
here, so what is acknowledged early is also written late, as by a host that syncs twice a second.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from quorate.chaos.plants.plant import Change
from quorate.consistency.replica import core
from quorate.consistency.replica.redo_log import RedoLog
from quorate.consistency.replica.replica import StoreReplica
from quorate.core.machine import machine
from quorate.core.machine.sessions import Session, Sessions
from quorate.core.raft import upkeep
from quorate.core.raft.journal import Journal
from quorate.hosts import folder, host, store_parts
from quorate.hosts.folder import STORES, DataFolder, StoreFolder

LATE_S = 0.5
NEVER_S = 3600.0


class LateJournal(Journal):
    """Tells that everything is on disk at once, and writes it up to `LATE_S` later."""

    _written_at = 0.0

    def flush(self, done: Callable[[Exception | None], None]) -> bool:
        if self.flushing:
            return False
        news = self.durable_seq < self.staged_seq
        self.durable_seq, self.durable_last = self.staged_seq, self.last_index
        now = time.monotonic()
        if now - self._written_at >= LATE_S:
            self._written_at = now
            return super().flush(done)
        if news:
            done(None)
        return False

    def _flushed(self, error: Exception | None, done: Callable[[Exception | None], None]) -> None:
        flight: Any = self._flight
        flight.seq, flight.last = max(flight.seq, self.durable_seq), self.durable_last
        super()._flushed(error, done)


class ForgetfulSessions(Sessions):
    """No result is remembered: a command that is sent again is done again."""

    __slots__ = ()

    def use(self, id_: int, ack_low: int) -> Session | None:
        session = super().use(id_, ack_low)
        if session is not None:
            session.results.clear()
        return session


class UnsavedSessions(Sessions):
    """The table is not part of what is saved: it is empty after a restart."""

    __slots__ = ()

    def save(self) -> None:
        for session in self._all.values():
            session.dirty = False


class AcknowledgesAtOnce(StoreReplica):
    """The caller is told before the disk has it."""

    def _before_commit(self) -> None:
        super()._before_commit()
        self.hooks.on_durable(self.head)


class LateLog(RedoLog):
    """Writes a group up to `LATE_S` after it was told of."""

    _late = False

    def _turn(self) -> None:
        left_s = self._began_at + LATE_S - self._now()
        if left_s <= 0 or self._busy or self._stopped:
            super()._turn()
            return
        self._planned = False
        self._before_commit()
        if not self._late:
            self._late = True
            self._scheduler.call_later(left_s, self._write)

    def _write(self) -> None:
        self._late = False
        super()._turn()


class NewFolder(DataFolder):
    """What was on this disk is dropped when the host starts."""

    def __init__(self, path: Path, *arguments: Any, **options: Any) -> None:
        shutil.rmtree(path, ignore_errors=True)
        super().__init__(path, *arguments, **options)


class EmptiedFolder(StoreFolder):
    """What the stores had on this disk is dropped when the host starts."""

    def __init__(self, path: Path, *arguments: Any, **options: Any) -> None:
        shutil.rmtree(path / STORES, ignore_errors=True)
        super().__init__(path, *arguments, **options)


CHANGES: dict[str, tuple[Change, ...]] = {
    "acknowledges-before-fsync": (
        Change(folder, "Journal", LateJournal),
        Change(upkeep, "FLUSH_INTERVAL_S", NEVER_S),  # a state ahead of its log would not start
    ),
    "sessions-forgotten": (Change(machine, "Sessions", ForgetfulSessions),),
    "sessions-not-saved": (Change(machine, "Sessions", UnsavedSessions),),
    "store-acknowledges-before-fsync": (
        Change(store_parts, "StoreReplica", AcknowledgesAtOnce),
        Change(core, "RedoLog", LateLog),
    ),
    "folder-dropped-at-start": (Change(host, "DataFolder", NewFolder),),
    "stores-dropped-at-start": (Change(store_parts, "StoreFolder", EmptiedFolder),),
}
