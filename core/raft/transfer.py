"""Snapshots on the wire: chunks with an identity and an offset, a window of them in flight, resumed
where they stopped.

The law: a snapshot is described (id, index, term, size, sha256, members) with every chunk; the
receiver says which offset it wants next; it is acknowledged as installed only when its bytes were
verified and the journal's record of it is on disk (S10); while one is being made or sent, a
follower gets heartbeats and chunks, never a flood (S16).
"""

from __future__ import annotations

from collections.abc import Callable

from quorate.core import codec
from quorate.core.errors import StorageFull, UsageError
from quorate.core.raft.engine import HardenedRaft, MalformedMessage
from quorate.core.raft.outbox import Message
from quorate.core.raft.progress import Mode, Progress, Transfer
from quorate.core.raft.state import ReplicatedState, Snapshot

FAILED_TRANSFER_PAUSE_S = 2.0
"""A follower that could not use a snapshot is offered one again after this long."""

Send = Callable[[str, Message], object]


class SnapshotSender:
    """The leader's side."""

    def __init__(self, engine: HardenedRaft, state: ReplicatedState, send: Send) -> None:
        self._engine = engine
        self._state = state
        self._send = send
        self._exporting = False
        self.error: Exception | None = None
        self.sent_count = 0
        self._export_again_at = -1e9
        self._failed_at: dict[str, float] = {}

    def pump(self, now: float) -> None:
        """Start transfers for followers that need one, and send the chunks that fit the window."""
        if self._engine.role != 2:
            return
        wanting = self._engine.wants_snapshot()
        if wanting:
            self._start(wanting, now)
        for peer, progress in self._engine.progress.items():
            if progress.mode is Mode.SNAPSHOT and progress.connected:
                self._pump_to(peer, progress, now)

    def held_index(self) -> int | None:
        """The oldest snapshot on its way: entries behind it must stay until it is installed."""
        indices = [
            p.transfer.index for p in self._engine.progress.values() if p.transfer is not None
        ]
        return min(indices, default=None)

    def _start(self, peers: list[str], now: float) -> None:
        snapshot = self._state.latest()
        journal = self._engine.journal
        if snapshot is None or snapshot.index < journal.base_index:
            self._export(now)
            return
        for peer in peers:
            if now - self._failed_at.get(peer, -1e9) < FAILED_TRANSFER_PAUSE_S:
                continue
            transfer = Transfer(snapshot.id, snapshot.index, snapshot.size, last_progress=now)
            self._engine.progress[peer].become_snapshot(transfer)
            self.sent_count += 1

    def _export(self, now: float) -> None:
        if self._exporting or now < self._export_again_at:
            return
        self._exporting = True
        self._export_again_at = now + FAILED_TRANSFER_PAUSE_S

        def exported(error: Exception | None) -> None:
            self._exporting = False
            self.error = error

        self._state.export(lambda index: self._engine.journal.configuration_at(index)[1], exported)

    def _pump_to(self, peer: str, progress: Progress, now: float) -> None:
        transfer, settings = progress.transfer, self._engine.settings
        assert transfer is not None
        snapshot = self._state.latest()
        if snapshot is None or snapshot.id != transfer.id:
            progress.snapshot_failed()
            return
        if now - transfer.last_progress >= max(1.0, settings.probe_retry_s):
            self._rewind(transfer, now)
        window = settings.snapshot_chunk_bytes * settings.snapshot_window_chunks
        while transfer.sent - transfer.acked < window and transfer.sent < transfer.size:
            data = self._state.read(transfer.id, transfer.sent, settings.snapshot_chunk_bytes)
            if not data:
                progress.snapshot_failed()
                return
            message = {
                "type": "snapshot",
                "term": self._engine.term,
                "snapshot": snapshot.to_wire(),
                "offset": transfer.sent,
                "data": data,
            }
            if self._send(peer, message) is False:
                return
            transfer.sent += len(data)

    def _rewind(self, transfer: Transfer, now: float) -> None:
        """Nothing was heard for a while: say the last chunk again, so that the answer is too."""
        last_chunk = max(0, transfer.size - self._engine.settings.snapshot_chunk_bytes)
        transfer.sent, transfer.last_progress = min(transfer.acked, last_chunk), now

    def on_ack(self, peer: str, message: Message, now: float) -> None:
        """The follower says what it wants next, that it installed, or that it failed."""
        if message["term"] != self._engine.term:
            return
        progress = self._engine.progress.get(peer)
        if progress is None or progress.transfer is None or progress.transfer.id != message["id"]:
            return
        progress.heard_at = now
        transfer = progress.transfer
        if message["state"] == "installed":
            progress.snapshot_installed(transfer.index)
        elif message["state"] == "failed":
            progress.snapshot_failed()
            self._failed_at[peer] = now
        else:
            if message["offset"] != transfer.acked:
                transfer.last_progress = now
            transfer.acked = min(message["offset"], transfer.size)
            transfer.sent = max(transfer.sent, transfer.acked)


class SnapshotReceiver:
    """The follower's side. `on_installed(snapshot, generation)` is the driver's: journal, flush,
    switch, then `installed`."""

    def __init__(
        self,
        engine: HardenedRaft,
        state: ReplicatedState,
        send: Send,
        on_verified: Callable[[Snapshot, str], None],
    ) -> None:
        self._engine = engine
        self._state = state
        self._send = send
        self._on_verified = on_verified
        self._receiving: str | None = None
        self._preparing: str | None = None
        self._from: str | None = None
        self.failures = 0

    def on_chunk(self, peer: str, message: Message) -> None:
        snapshot = self._described(message)
        if not self._engine.accept_leader(peer, message["term"]):
            return
        self._from = peer
        if snapshot.index <= self._engine.commit_index:
            self._answer(snapshot, "installed", snapshot.size)
            return
        if self._preparing is not None:
            self._answer(snapshot, "receiving", message["offset"])
            return
        try:
            wanted = self._take(snapshot, message["offset"], message["data"])
        except (UsageError, StorageFull):
            self._prepared(snapshot, None, None)
            return
        self._answer(snapshot, "receiving", wanted)
        if wanted == snapshot.size:
            self._preparing = snapshot.id
            self._state.prepare(
                snapshot, lambda generation, error: self._prepared(snapshot, generation, error)
            )

    def _take(self, snapshot: Snapshot, offset: int, data: bytes) -> int:
        """Write the bytes if they are the wanted ones; the offset wanted next."""
        if self._receiving != snapshot.id:
            wanted = self._state.begin_receive(snapshot)
            self._receiving = snapshot.id
            if wanted != offset:
                return wanted
        return self._state.write(snapshot.id, offset, data)

    @staticmethod
    def _described(message: Message) -> Snapshot:
        kinds = {"term": int, "snapshot": bytes, "offset": int, "data": bytes}
        if any(type(message.get(name)) is not kind for name, kind in kinds.items()):
            raise MalformedMessage("a snapshot message does not have the shape of one")
        try:
            return Snapshot.from_wire(message["snapshot"])
        except (codec.Malformed, ValueError) as error:
            raise MalformedMessage(f"a snapshot message describes nothing: {error}") from error

    def _prepared(
        self, snapshot: Snapshot, generation: str | None, error: Exception | None
    ) -> None:
        self._receiving = None
        if error is not None or generation is None:
            self._preparing = None
            self.failures += 1
            self._answer(snapshot, "failed", 0)
        elif snapshot.index <= self._engine.commit_index:
            self._preparing = None
        else:
            self._on_verified(snapshot, generation)

    def installed(self, snapshot: Snapshot) -> None:
        """The journal's record is on disk and the state is switched."""
        self._preparing = None
        self._answer(snapshot, "installed", snapshot.size)

    @property
    def busy(self) -> bool:
        return self._preparing is not None

    def _answer(self, snapshot: Snapshot, state: str, offset: int) -> None:
        if self._from is not None:
            message = {
                "type": "snapshot_ack",
                "term": self._engine.term,
                "id": snapshot.id,
                "state": state,
                "offset": offset,
            }
            self._send(self._from, message)
