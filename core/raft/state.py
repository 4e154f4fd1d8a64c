"""What the driver asks of the replicated state: a protocol, so that real disks and the simulator
run the same driver.

The law: `apply` is called once for each committed entry, in order; everything it changed, and the
applied index, become durable together; a snapshot is the durable state at one index and replaces
the state of another host whole, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from quorate.core import codec
from quorate.core.raft.members import Configuration

Results = list[tuple[int, int, Any]]
"""(session, sequence, result) for each command of an entry."""

Done = Callable[[Exception | None], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The description of a snapshot that travels with its bytes."""

    id: str
    index: int
    term: int
    size: int
    sha256: str
    configuration: Configuration

    def to_wire(self) -> bytes:
        return codec.dumps(
            [self.id, self.index, self.term, self.size, self.sha256, self.configuration.to_wire()]
        )

    @classmethod
    def from_wire(cls, data: bytes) -> Snapshot:
        """Raises `codec.Malformed` or `ValueError` for bytes that are not a description."""
        row: list[Any] = codec.loads(data)
        kinds = [str, int, int, int, str, list]
        if type(row) is not list or [type(part) for part in row] != kinds:
            raise codec.Malformed("a snapshot's description is malformed")
        if min(row[1:4]) < 0:
            raise codec.Malformed("a snapshot's description has a negative number")
        return cls(row[0], row[1], row[2], row[3], row[4], Configuration.from_wire(row[5]))


class ReplicatedState(Protocol):
    """The replicated machine with its store and its snapshots."""

    @property
    def applied_index(self) -> int: ...

    @property
    def durable_index(self) -> int:
        """The applied index that a restart would find."""
        ...

    @property
    def dirty(self) -> bool:
        """Something applied is not durable."""
        ...

    @property
    def wants_flush(self) -> bool:
        """So much is applied and not durable that a flush should start now."""
        ...

    @property
    def overloaded(self) -> bool:
        """So much that applying must wait for the flush."""
        ...

    def apply(self, index: int, term: int, batches: list[bytes]) -> Results: ...

    def flush(self, done: Done) -> None:
        """Make everything applied so far durable."""
        ...

    def export(self, configuration_at: Callable[[int], Configuration], done: Done) -> None:
        """Make a snapshot of the durable state; `latest()` is it afterwards."""
        ...

    def latest(self) -> Snapshot | None: ...

    def read(self, snapshot_id: str, offset: int, length: int) -> bytes | None:
        """Bytes of a snapshot of ours, or None when it is gone."""
        ...

    def begin_receive(self, snapshot: Snapshot) -> int:
        """Start or resume receiving; the offset from which bytes are wanted."""
        ...

    def write(self, snapshot_id: str, offset: int, data: bytes) -> int:
        """Take bytes; the offset wanted next (unchanged when `offset` was not the wanted one)."""
        ...

    def prepare(
        self, snapshot: Snapshot, done: Callable[[str | None, Exception | None], None]
    ) -> None:
        """Verify the received bytes and make a state folder of them: `done(generation, None)`, or
        `done(None, error)`."""
        ...

    def switch(self, generation: str) -> None:
        """Use the prepared state from now on; the journal names it already."""
        ...

    def statistics(self) -> dict[str, Any]: ...
