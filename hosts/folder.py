"""The data folder of a host: `log/` (Raft's journal), `state/<generation>/`, `snapshots/`, and
`stores/` (log and state of the store replica) where there are stores.

The law of this file: it opens and closes what lies on disk, and knows whose it is. The log names
the host and the cluster, so a folder of another host or cluster is refused (`WrongDataFolder`)
before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from quorate.consistency.replica.replica import LOG_TABLES, STATE_TABLES
from quorate.core.clock import Scheduler
from quorate.core.errors import CorruptStorage, InvariantBroken, StorageFailed, StorageFull
from quorate.core.raft.journal import TABLES, Journal
from quorate.core.raft.replicated import MachineState, lmdb_state
from quorate.core.raft.state import Done
from quorate.core.storage.faults import NO_FAULTS, StorageFaults
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.state_store import StateStore
from quorate.hosts.config import Settings

LOG = "log"
LOG_FORMAT = 1
STORES = "stores"
STORES_FORMAT = 1


class DataFolder:
    """What is open below a host's folder. Raises `WrongDataFolder`, `CorruptStorage`,
    `StorageFailed`."""

    def __init__(
        self,
        path: Path,
        host_id: str,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        faults: StorageFaults = NO_FAULTS,
    ) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.faults = faults
        self.log = LmdbEngine(
            path / LOG,
            tables=TABLES,
            post=loop.call_soon_threadsafe,
            call_later=loop.call_later,
            format_version=LOG_FORMAT,
            identity={"host": host_id, "cluster": settings.cluster},
            map_size_max_bytes=settings.log_map_bytes_max,
            faults=faults,
        )
        try:
            self.journal = Journal(self.log)
            self.state: MachineState = lmdb_state(
                path,
                cluster_id=settings.cluster,
                generation=self.journal.generation,
                scheduler=cast(Scheduler, loop),
                post=loop.call_soon_threadsafe,
                call_later=loop.call_later,
                faults=faults,
            )
        except BaseException:
            self.log.close()
            raise

    @property
    def is_new(self) -> bool:
        """No configuration was ever written: this host is in no group yet."""
        journal = self.journal
        _, configuration = journal.configuration_at(journal.last_index)
        return not configuration.members and journal.getCurrentTerm() == 0

    async def make_snapshot(self) -> dict[str, Any]:
        """Flush and export the state: {id, index, term, size_bytes, sha256}. Raises `StorageFull`,
        `Overloaded`."""
        state, journal = self.state, self.journal
        await _done(state.flush)
        await _done(lambda done: state.export(lambda i: journal.configuration_at(i)[1], done))
        latest = state.latest()
        if latest is None:
            raise InvariantBroken("a snapshot was made and is not there")
        return {
            "id": latest.id,
            "index": latest.index,
            "term": latest.term,
            "size_bytes": latest.size,
            "sha256": latest.sha256,
        }

    def close(self, *, flush: bool) -> None:
        """Close everything; `flush`: make the state durable first, so that the next start replays
        nothing."""
        if flush:
            with suppress(StorageFull, StorageFailed, CorruptStorage):  # the log has it all
                self.state.flush_blocking()
        snapshots: Any = self.state.snapshots
        if hasattr(snapshots, "close"):
            snapshots.close()
        self.state.close()
        self.log.close()


class StoreFolder:
    """`stores/log` and `stores/state` below a host's folder, for one store replica. Raises like
    `DataFolder`."""

    def __init__(
        self,
        path: Path,
        host_id: str,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        faults: StorageFaults = NO_FAULTS,
    ) -> None:
        folder = path / STORES
        folder.mkdir(exist_ok=True)
        self.log = _store_engine(folder / "log", LOG_TABLES, host_id, settings, loop, faults)
        try:
            self._engine = _store_engine(
                folder / "state", STATE_TABLES, host_id, settings, loop, faults
            )
        except BaseException:
            self.log.close()
            raise
        scheduler = cast(Scheduler, loop)  # the replica keeps states itself: no records beside them
        self.state = StateStore(self._engine, scheduler, tables=STATE_TABLES, clean_records_max=0)

    def close(self) -> None:
        self._engine.close()
        self.log.close()


def _store_engine(
    path: Path,
    tables: Iterable[str],
    host_id: str,
    settings: Settings,
    loop: asyncio.AbstractEventLoop,
    faults: StorageFaults,
) -> LmdbEngine:
    return LmdbEngine(
        path,
        tables=tables,
        post=loop.call_soon_threadsafe,
        call_later=loop.call_later,
        format_version=STORES_FORMAT,
        identity={"host": host_id, "cluster": settings.cluster},
        faults=faults,
    )


def has_stores(path: Path) -> bool:
    """Whether a host's folder holds stores."""
    return (path / STORES).is_dir()


def _done(start: Callable[[Done], None]) -> asyncio.Future[None]:
    """A callback as a future."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    start(done)
    return future


def known_host(path: Path) -> str | None:
    """The id of the host that a folder belongs to; None for a new folder."""
    if not (path / LOG).is_dir():
        return None
    engine = LmdbEngine(path / LOG, tables=TABLES, post=None, format_version=LOG_FORMAT)
    try:
        return engine.identity.get("host")
    finally:
        engine.close()
