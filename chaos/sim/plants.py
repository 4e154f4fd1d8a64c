"""Hazards brought back on purpose: each a small subclass of a product class, so that the simulator
can show that it would notice (HAZARDS.md, section 1; one plant per row).

The law: a plant changes one rule and nothing else; the product has no switch for it. `PLANTS` maps
S1..S17, and laws of our own (L1), to what to build hosts of; plants of the rules of Raft are here,
those of disks, wire and machine in plants_edges.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from quorate.chaos.sim import plants_edges as edges
from quorate.chaos.sim.parts import Parts
from quorate.chaos.sim.snapshots import SimState
from quorate.core.raft.driver import OnReadPoint, RaftDriver
from quorate.core.raft.engine import HardenedRaft
from quorate.core.raft.outbox import Message
from quorate.core.raft.progress import Mode, Progress, committed_by
from quorate.core.raft.state import Results, Snapshot
from quorate.core.raft.transfer import SnapshotReceiver, SnapshotSender


class SnapshotMessageCommits(RaftDriver):
    """S1: the base moves the commit index to min(leader's, own last index) whenever a message
    speaks of a snapshot, though nothing of the follower's tail was compared."""

    def on_message(self, peer: str, message: Message) -> None:
        super().on_message(peer, message)
        engine = self.engine
        if message.get("type") == "snapshot" and engine.leader == peer and message["snapshot"]:
            described = Snapshot.from_wire(message["snapshot"])
            index = min(described.index, engine.journal.last_index)
            if index > engine.commit_index:
                engine.commit_index = index
                engine.journal.setRaftCommitIndex(index)


class TruncatesWithoutConflict(HardenedRaft):
    """S2: everything after the previous entry is deleted, whether it conflicts or not."""

    def _merge(self, previous: int, entries: list[tuple[bytes, int, int]]) -> int:
        journal = self.journal
        if journal.base_index <= previous < journal.last_index:
            keep = max(previous, self.commit_index)
            journal.truncate_from(keep + 1)
            self.verified = min(self.verified, keep)
        return super()._merge(previous, entries)


class AcksWithoutTerm(HardenedRaft):
    """S3: an acknowledgement given in an earlier term counts in this one."""

    def _on_append_ack(self, peer: str, message: Message) -> None:
        if message["term"] < self.term:
            message = {**message, "term": self.term}
        super()._on_append_ack(peer, message)


class ManyChangesAtOnce(HardenedRaft):
    """S4: the guard against a second membership change is dead code."""

    def _change_refusal(self) -> str | None:
        return None


class CallbackError(Exception):
    """What a caller's callback raises: its event loop is closed."""


class RaisingState(SimState):
    """S5: every fiftieth entry is applied, then an exception comes out before it is counted."""

    def apply(self, index: int, term: int, batches: list[bytes]) -> Results:
        results = super().apply(index, term, batches)
        if index % 50 == 0:
            raise CallbackError("event loop is closed")
        return results


class AppliesAgain(RaftDriver):
    """S5: such an exception is logged, and the entry is applied again in the next turn."""

    def _apply(self) -> None:
        try:
            super()._apply()
        except CallbackError:
            self.wake()


class AsksNobody(RaftDriver):
    """S11: a host that believes it leads answers reads by itself."""

    def read_index(self, done: OnReadPoint) -> None:
        if self.engine.is_leader:
            done(self.engine.applied_index, None)
        else:
            super().read_index(done)


class StaysLeader(HardenedRaft):
    """S11: no check-quorum and no pre-vote."""

    def _check_quorum(self, now: float) -> None:
        return

    def _count_pre_votes(self) -> None:
        self._become_candidate()


class BelievesAnybody(HardenedRaft):
    """S12: messages count whoever sends them, and votes are counted, not voters."""

    def receive(self, peer: str, message: Message) -> None:
        handler = self._handlers.get(message.get("type", ""))
        if handler is not None:
            handler(peer, message)

    def _is_majority(self, voters: set[str]) -> bool:
        return len(voters) >= self.configuration.quorum


class LastAnswerWins(Progress):
    """S17: of a refusal's hint and the follower's end the later answer wins, so that the leader is
    back where it started."""

    def on_rejected(self, rejected: int, hint: int) -> bool:
        if self.mode is Mode.SNAPSHOT:
            return False
        self.become_replicate()
        self.next = max(rejected, self.match) + 1
        return True


class LivelocksOnConflict(HardenedRaft):
    """S17: see `LastAnswerWins`."""

    def _watch(self, peer: str, now: float) -> None:
        super()._watch(peer, now)
        known = self.progress[peer]
        self.progress[peer] = LastAnswerWins(
            next=known.next, heard_at=known.heard_at, connected=known.connected
        )


class AcknowledgesFailedSnapshots(SnapshotReceiver):
    """S10: a snapshot that cannot be loaded is logged and acknowledged."""

    def _prepared(
        self, snapshot: Snapshot, generation: str | None, error: Exception | None
    ) -> None:
        if error is None:
            super()._prepared(snapshot, generation, error)
            return
        self._receiving = self._preparing = None
        self._answer(snapshot, "installed", snapshot.size)


class FailedSnapshotsCount(RaftDriver):
    """S10: see `AcknowledgesFailedSnapshots`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.receiver = AcknowledgesFailedSnapshots(
            self.engine, self.state, self._net.send, self._install
        )


class FloodsWhileExporting(SnapshotSender):
    """S16: while a snapshot is being made, every turn sends an empty message to each follower that
    waits for it, and asks for another turn."""

    driver: RaftDriver

    def pump(self, now: float) -> None:
        super().pump(now)
        waiting = self._engine.wants_snapshot()
        for peer in waiting:
            self._send(peer, {"type": "snapshot", "term": self._engine.term})
        if waiting:
            self.driver.wake()


class Floods(RaftDriver):
    """S16: see `FloodsWhileExporting`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        net = self._net
        sender = FloodsWhileExporting(
            self.engine, self.state, lambda peer, message: net.send(peer, message, bulk=True)
        )
        sender.driver = self
        self.sender = sender


class CountsWhatIsNotOnDisk(HardenedRaft):
    """L1: the leader sends entries while its own disk writes, and counts itself before that is
    done."""

    def _commit_by_majority(self) -> None:
        matches = [
            self.journal.last_index if voter == self.host_id else self.progress[voter].match
            for voter in self.configuration.voters
        ]
        self._commit_up_to(committed_by(matches))


_OURS = Parts()

PLANTS: dict[str, Callable[[int], Parts]] = {
    "S1": lambda seed: replace(_OURS, driver_class=SnapshotMessageCommits),
    "S2": lambda seed: replace(_OURS, engine_class=TruncatesWithoutConflict),
    "S3": lambda seed: replace(_OURS, engine_class=AcksWithoutTerm),
    "S4": lambda seed: replace(_OURS, engine_class=ManyChangesAtOnce),
    "S5": lambda seed: replace(_OURS, driver_class=AppliesAgain, state_class=RaisingState),
    "S6": lambda seed: replace(_OURS, on_crash=edges.journal_is_thrown_away),
    "S7": lambda seed: replace(_OURS, journal_class=edges.UnboundedCommit),
    "S8": lambda seed: replace(_OURS, state_class=edges.SnapshotsInMemory),
    "S9": lambda seed: replace(
        _OURS, client_class=edges.SilentClient if seed % 2 else edges.BlindlyRetryingClient
    ),
    "S10": lambda seed: replace(_OURS, driver_class=FailedSnapshotsCount),
    "S11": lambda seed: replace(_OURS, engine_class=StaysLeader, driver_class=AsksNobody),
    "S12": lambda seed: replace(_OURS, engine_class=BelievesAnybody),
    "S13": lambda seed: replace(_OURS, make_lanes=edges.wrong_last_lanes),
    "S14": lambda seed: replace(_OURS, link_class=edges.ForgetfulLink),
    "S15": lambda seed: replace(
        _OURS, client_class=edges.UpgradedClient, state_class=edges.state_of_mixed_versions()
    ),
    "S16": lambda seed: replace(_OURS, driver_class=Floods),
    "S17": lambda seed: replace(_OURS, engine_class=LivelocksOnConflict),
    "L1": lambda seed: replace(_OURS, engine_class=CountsWhatIsNotOnDisk),
}


def planted(name: str, seed: int) -> Parts:
    """The parts of a world with hazard `name` brought back."""
    return PLANTS[name](seed)
