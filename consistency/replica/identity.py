"""Who this data folder is: its actor, and the actors it was before.

The law of this file: a dot is never handed out twice. A new folder gets a new random actor; so does
a folder that may have lost updates others know of (acknowledged from memory before a crash, or a
disk that gave back an older state). The actor is on the disk before its first dot.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from quorate.consistency.replica.redo_log import META, RedoLog
from quorate.core import codec
from quorate.core.errors import InvariantBroken
from quorate.core.storage.engine import Engine

IDENTITY = b"identity"
ACTOR_BITS = 52


class Identity:
    """Read once at the start, which also writes what a crash made necessary."""

    def __init__(self, engine: Engine, log: RedoLog, rng: random.Random) -> None:
        self._engine = engine
        self._log = log
        self._rng = rng
        self.actor = 0
        self.retired: list[int] = []
        self.volatile = False
        """Updates were acknowledged from memory since the last orderly end."""
        self._volatile_synced = False
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        body = log.meta(IDENTITY)
        if body is not None:
            row: list[Any] = codec.loads(body)
            self.actor, self.retired, self.volatile = row
        if body is None or self.volatile:
            self._become_new()
            self.volatile = False
            writer = engine.writer()
            if writer is None:
                raise InvariantBroken("the replica's log is busy before it was opened")
            writer.put(META, IDENTITY, self._encode())
            engine.commit_blocking()

    def _become_new(self) -> None:
        if self.actor:
            self.retired.append(self.actor)
        self.actor = self._rng.getrandbits(ACTOR_BITS) | 1

    def renew(self) -> int:
        """Others have updates of this actor that this disk does not: number as another one."""
        self._become_new()
        self._log.put_meta(IDENTITY, self._encode())
        return self.actor

    def _encode(self) -> bytes:
        return codec.dumps([self.actor, self.retired, self.volatile])

    @property
    def own(self) -> list[int]:
        """Every actor that this folder is or was."""
        return [self.actor, *self.retired]

    def mark_volatile(self, done: Callable[[], None]) -> None:
        if self._volatile_synced:
            done()
            return
        if not self.volatile:
            self.volatile = True
            self._log.put_meta(IDENTITY, self._encode())
        self._waiting.append((self._log.group, done))

    def on_synced(self, group: int) -> None:
        while self._waiting and self._waiting[0][0] <= group:
            self._volatile_synced = True
            self._waiting.pop(0)[1]()

    def close_cleanly(self) -> None:
        """Everything is on disk: the next start may go on as the same actor."""
        if self.volatile:
            self.volatile = self._volatile_synced = False
            writer = self._engine.writer()
            if writer is not None:
                writer.put(META, IDENTITY, self._encode())
                self._engine.commit_blocking()
