"""Plants of hazards that live beside Raft's rules: disks, callers, frames, links, the machine's
versions. See plants.py.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from quorate.chaos.sim.clients import Client
from quorate.chaos.sim.host import SimHost
from quorate.chaos.sim.network import SIM_LIMITS, Link
from quorate.chaos.sim.snapshots import SimState
from quorate.core import codec
from quorate.core.group.pending import Batch, Ended, Pending
from quorate.core.group.proposer import Proposer
from quorate.core.machine.commands import COMMAND_VERSION, UnsupportedCommand
from quorate.core.machine.machine import META_KEY, Applied, Machine
from quorate.core.machine.store import META
from quorate.core.raft.journal import Journal
from quorate.core.raft.journal_records import KEY
from quorate.core.raft.state import Done
from quorate.core.wire.frames import chunk_frame
from quorate.core.wire.lanes import Lanes

# --- disks ----------------------------------------------------------------------------------------


def journal_is_thrown_away(host: SimHost) -> None:
    """S6: a restart keeps the journal only if it begins exactly where the state ends; otherwise
    everything after the state is deleted, acknowledged or not."""
    log, state = host.disk.log, host.disk.states.get(host.state.places.generation)
    if log is None or state is None:
        return
    meta = state.tables[META].get(META_KEY)
    applied: int = 0 if meta is None else codec.loads(meta)["applied_index"]
    if applied == host.journal.base_index:
        return
    after = KEY.pack(max(applied, host.journal.base_index) + 1)
    for table in ("log", "terms", "config"):
        rows = log.tables[table]
        for key in [key for key in rows if key >= after]:
            del rows[key]


class UnboundedCommit(Journal):
    """S7: the stored commit index is believed, however short the log is, and it is stored ahead of
    the entries (here: the whole of what was known when the log was lost)."""

    def _stored_commit(self) -> int:
        return self._commit

    def getRaftCommitIndex(self) -> int:
        return self._commit + (3 if self.last_index > 20 and not self._flight else 0)


class SnapshotsInMemory(SimState):
    """S8: compaction keeps the only snapshot in memory while it truncates the journal on disk."""

    def flush(self, done: Done) -> None:
        self._durable = (self.machine.applied_index, self.machine.applied_term)
        done(None)


# --- callers --------------------------------------------------------------------------------------


class SilentProposer(Proposer):
    """S9: a request lost with its connection is never sent again, and its call never ends."""

    def resend_all(self) -> None:
        return

    def on_sweep(self, now: float) -> Ended:
        return []

    def on_deadline(self, pending: Pending) -> Any:
        return None


class SilentClient(Client):
    """S9: see `SilentProposer`."""

    proposer_class = SilentProposer

    def _on_deadline(self, pending: Pending) -> None:
        return


class BlindlyRetryingClient(Client):
    """S9: a retry is a new command: there are no sessions."""

    def encode(self, batch: Batch) -> bytes:
        for pending in batch.members:
            if pending.sends > 1 and pending.command[0] != 1:
                names = self._history.names
                op = names[(batch.session, pending.sequence)]
                del self.proposer.inflight[pending.sequence]
                pending.sequence = 1_000_000 + len(self._history.names)
                self.proposer.inflight[pending.sequence] = pending
                names[(batch.session, pending.sequence)] = op
        return super().encode(batch)


# --- the wire -------------------------------------------------------------------------------------


class WrongLastLanes(Lanes):
    """S13: the last piece is told by a length that is not the one that was cut: a message in pieces
    has two ends when its length falls between them."""

    def _piece(self, long: Any) -> bytes:
        start = long.at
        long.at = end = min(start + self._limits.chunk_bytes, len(long.payload))
        raw_length = len(long.payload) - 600
        piece = memoryview(long.payload)[start:end]
        return chunk_frame(long.message_id, piece, last=end >= raw_length)


def wrong_last_lanes() -> Lanes:
    return WrongLastLanes(SIM_LIMITS)


class ForgetfulLink(Link):
    """S14: what did not fit into the socket waits for the next send."""

    def on_room(self) -> None:
        return


# --- versions -------------------------------------------------------------------------------------

NEWER = COMMAND_VERSION + 1


class UpgradedClient(Client):
    """Now and then sends a batch of a newer command version."""

    def encode(self, batch: Batch) -> bytes:
        data = super().encode(batch)
        if self._now() > 5.0 and self._rng.random() < 0.1:
            row = codec.loads(data)
            row[0] = NEWER
            return codec.dumps(row)
        return data


class NewMachine(Machine):
    """A host that was upgraded: it knows the newer version (which means the same)."""

    def apply(self, index: int, term: int, batches: list[bytes]) -> Applied:
        return super().apply(index, term, [_as_old(batch) for batch in batches])


class SkippingMachine(Machine):
    """S15: a host that is too old logs the entry, does not count it, and goes on."""

    def apply(self, index: int, term: int, batches: list[bytes]) -> Applied:
        try:
            return super().apply(index, term, batches)
        except UnsupportedCommand:
            return super().apply(index, term, [])


def _as_old(batch: bytes) -> bytes:
    row = codec.loads(batch)
    row[0] = min(row[0], COMMAND_VERSION)
    return codec.dumps(row)


def state_of_mixed_versions() -> type[SimState]:
    """The first host that is built is too old, the others are upgraded."""
    built = count()

    class MixedState(SimState):
        def __init__(self, *arguments: Any) -> None:
            self.machine_class = SkippingMachine if next(built) % 3 == 0 else NewMachine
            super().__init__(*arguments)

    return MixedState
