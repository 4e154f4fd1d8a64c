"""The disk of one host: what the last crash left of log and state, and who is told of a commit.

The law: a crash leaves what was committed, and of the commit in flight all, nothing, or (torn, on
request) some. Nothing else outlives a process. What is durable is known from the disk itself, not
from what the replica says.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from quorate.consistency.replica import batches
from quorate.core.storage.disk_model import DiskImage, DiskModel, Op
from quorate.core.storage.memory_engine import MemoryEngine, MemoryWriter


@dataclass(slots=True)
class StoreDisk:
    """`upto`: actor -> the furthest of its updates in a log record that lay on this disk."""

    model: DiskModel
    log: DiskImage | None = None
    state: DiskImage | None = None
    upto: dict[int, int] = field(default_factory=dict[int, int])
    ever: dict[int, int] = field(default_factory=dict[int, int])
    """The same, of this machine's lost disks as well."""

    @classmethod
    def fresh(cls, rng: random.Random) -> StoreDisk:
        slow = rng.random() < 0.2
        dice = random.Random(rng.random())
        return cls(DiskModel(dice, latency_min_s=0.0002, latency_max_s=0.03 if slow else 0.002))

    def wipe(self) -> None:
        self.log = self.state = None
        self.upto = {}
        self.model.full = False

    def note(self, ops: list[Op]) -> None:
        """These log operations are on disk."""
        for table, _, value, is_put in ops:
            if is_put and table == "log" and value is not None:
                self.note_record(value)

    def note_record(self, body: bytes) -> None:
        record = batches.decode_record(body)
        if isinstance(record, batches.Batch):
            rows = [(record.actor, record.upto)]
        elif isinstance(record, batches.Advance):
            rows = list(record.vector.items())
        else:
            return
        for actor, seq in rows:
            self.upto[actor] = max(seq, self.upto.get(actor, 0))
            self.ever[actor] = max(seq, self.ever.get(actor, 0))

    def look(self, engine: MemoryEngine) -> None:
        """At the start of a process: what the crash left."""
        for _, body in engine.scan("log"):
            self.note_record(body)


class WatchedLog(MemoryEngine):
    """The engine of the log; `on_commit` hears of what became durable, before anybody else."""

    on_commit: Callable[[list[Op]], object] | None = None

    def _apply(self, writer: MemoryWriter) -> None:
        super()._apply(writer)
        if self.on_commit is not None:
            self.on_commit(writer.ops)
