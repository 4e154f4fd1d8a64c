"""Writing changed states to disk, a slice per turn, and letting the log go that they contain.

The law of this file: the mark that is written with the states is the group that was synced when the
flush began, with what was applied then; everything later is in the log still. The highest sequence
handed out is written after the last state, so that no own update on this disk is ever numbered
again. A full disk loses nothing: the next flush writes the same again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from quorate.consistency.replica.definitions import ReplicaConfig
from quorate.consistency.replica.shelf import META, Shelf
from quorate.consistency.ring.placement import Ring
from quorate.core import codec
from quorate.core.clock import Scheduler, Timer
from quorate.core.errors import StorageFull

MARK = b"mark"
Done = Callable[[Exception | None], object]


@dataclass(slots=True)
class Mark:
    """What the states on disk contain, at least."""

    group: int
    head: int
    applied: dict[int, int]
    collected: dict[int, int]
    actors: dict[int, str]
    ring: Ring | None = None
    """The last one that this host went by."""

    def encode(self) -> bytes:
        return codec.dumps(
            [
                self.group,
                self.head,
                self.applied,
                self.collected,
                self.actors,
                None if self.ring is None else self.ring.to_plain(),
            ]
        )

    @classmethod
    def decode(cls, body: bytes) -> Mark:
        group, head, applied, collected, actors, ring = codec.loads(body)
        known = Ring.from_plain(ring) if ring else None
        return cls(group, head, applied, collected, actors, known)


class Flusher:
    """`snapshot()`: the group that is synced now and what is applied, at the start of a flush;
    `complete(mark)`: fills in the rest at its end; `on_flushed(group)`."""

    def __init__(
        self,
        shelf: Shelf,
        scheduler: Scheduler,
        config: ReplicaConfig,
        *,
        snapshot: Callable[[], Mark],
        complete: Callable[[Mark], None],
        on_flushed: Callable[[int], None],
        on_fatal: Callable[[Exception], None],
    ) -> None:
        self._shelf = shelf
        self._scheduler = scheduler
        self._config = config
        self._snapshot = snapshot
        self._complete = complete
        self._on_flushed = on_flushed
        self._on_fatal = on_fatal
        self._running = False
        self._stopped = False
        self._told: list[Done] = []
        self._waiting: list[Done] = []
        self._again = False
        self._timer: Timer | None = None
        self.flushed_group = 0
        self._counts = {"flushes": 0, "full": 0}

    def plan(self) -> None:
        """Something changed: flush within `flush_s`, at once when much has."""
        if self._stopped or self._running:
            return
        if self._shelf.dirty_keys >= self._config.flush_keys:
            self.flush(None)
        elif self._timer is None:
            self._timer = self._scheduler.call_later(self._config.flush_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if not self._stopped:
            self.flush(None)

    def flush(self, done: Done | None) -> None:
        """Make every synced update part of the states on disk. `done(error | None)`."""
        if self._running:
            self._again = True
            if done is not None:
                self._waiting.append(done)
            return
        self._running = True
        if done is not None:
            self._told.append(done)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        mark = self._snapshot()
        for shelf in self._shelf.stores.values():
            shelf.begin_flush()
        self._slice(mark)

    def _slice(self, mark: Mark) -> None:
        if self._stopped:
            return
        left = self._config.flush_slice_keys
        for shelf in self._shelf.stores.values():
            left -= shelf.settle_some(left)
        if any(shelf.flushing for shelf in self._shelf.stores.values()):
            self._scheduler.call_soon(partial(self._slice, mark))
            return
        self.write(mark)
        self._shelf.disk.flush(partial(self._on_committed, mark))

    def write(self, mark: Mark) -> None:
        """The last records of a flush: pages and the mark."""
        for shelf in self._shelf.stores.values():
            shelf.save_pages()
        self._complete(mark)
        self._shelf.disk.put(META, MARK, mark.encode())

    def _on_committed(self, mark: Mark, error: Exception | None) -> None:
        if self._stopped:
            return
        self._running = False
        if error is None:
            self.flushed_group = mark.group
            self._counts["flushes"] += 1
            for shelf in self._shelf.stores.values():
                shelf.forget_clean()
            self._on_flushed(mark.group)
        elif isinstance(error, StorageFull):
            self._counts["full"] += 1
        else:
            self._on_fatal(error)
        told, self._told = self._told, []
        for done in told:
            done(error)
        if self._again:
            self._again = False
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                self.flush(done)
            if not waiting:
                self.plan()
        elif error is not None or self._shelf.dirty_keys:
            self.plan()

    def blocking(self) -> None:
        """For the last moments of a host. Raises `StorageFull`, `StorageFailed`."""
        mark = self._snapshot()
        for shelf in self._shelf.stores.values():
            shelf.settle_all()
        self.write(mark)
        self._shelf.disk.flush_blocking()
        self.flushed_group = mark.group

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def statistics(self) -> dict[str, Any]:
        return {**self._counts, "dirty_keys": self._shelf.dirty_keys, "running": self._running}
