"""The leader's side: replication, commit, check-quorum, ReadIndex.

The base's sender is replaced whole: it cannot pipeline safely (S17), floods while a snapshot is
made (S16), commits on acknowledgements of any term (S3), and never notices that it lost its
followers for 30 s (S11). The law here:

* entries leave while this host's own disk still writes them (Ongaro's thesis, section 10.2.1), in a
  term that is on it; commit counts what is on the disks of a majority of voters, in this term, and
  this host among them only once its own disk has it;
* one message of this term from a majority within `election_max_s`, or the leadership is given up.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable

from quorate.core.errors import (
    QuorateError,
)
from quorate.core.raft.elections import ElectionRules
from quorate.core.raft.engine_base import LEADER
from quorate.core.raft.members import Configuration
from quorate.core.raft.outbox import Message
from quorate.core.raft.progress import Mode, Progress, committed_by
from quorate.core.raft.reads import ReadDone, ReadRounds

Done = Callable[[QuorateError | None], None]


class LeaderRules(ElectionRules):
    """What a leader does, and only a leader."""

    term_start = 0
    """The index of the no-op of this leadership."""
    heartbeat_due_at = 0.0
    """When some follower is to hear from us again, whatever happens."""
    notice_due_at: float | None = None
    """When a follower is to hear of a commit although nothing else is to be said to it."""
    _commit_moved_at = 0.0
    lead_again_at = 0.0
    """When a leader looks at its followers and its members again."""
    snapshot_due = False
    """Some follower needs a snapshot, or is being sent one."""

    def __init__(self, **options: object) -> None:
        self.progress: dict[str, Progress] = {}
        self.reads = ReadRounds()
        super().__init__(**options)

    # --- becoming and ceasing ---------------------------------------------------------------------

    def _SyncObj__onBecomeLeader(self) -> None:
        super()._SyncObj__onBecomeLeader()  # pyright: ignore[reportAttributeAccessIssue]
        self.term_start = self.journal.last_index
        now = self._clock.monotonic()
        self.progress = {}
        for peer in self._peers():
            self._watch(peer, now)

    def _SyncObj__sendAppendEntries(self) -> None:
        """Replaced: the base sends from inside its transitions; here sending has its place in the
        driver's turn."""

    def _peers(self) -> list[str]:
        return [member.id for member in self.configuration.members if member.id != self.host_id]

    def _watch(self, peer: str, now: float) -> None:
        progress = Progress(next=max(self.term_start, self.journal.last_index), heard_at=now)
        progress.connected = self.connected(peer)
        self.progress[peer] = progress

    def _lost_leadership(self) -> None:
        self.progress = {}
        self.notice_due_at = None
        for done in self.reads.abandon():
            done(None)
        self._refuse_waiting()

    def _adopt(self, index: int, configuration: Configuration) -> None:
        """A host that comes back as a new member has an empty log: nothing known of it counts."""
        before = self.configuration
        super()._adopt(index, configuration)
        if self.role != LEADER:
            return
        now = self._clock.monotonic()
        for peer in self._peers():
            if peer not in self.progress or peer not in before:
                self._watch(peer, now)

    def on_peer(self, peer: str, *, up: bool) -> None:
        super().on_peer(peer, up=up)
        if peer in self.progress:
            self.progress[peer].on_link(up)

    # --- sending ----------------------------------------------------------------------------------

    def replicate(self, now: float) -> None:
        """Say to every follower what it needs to hear now: entries, a newer commit index, a read
        round, or that we live."""
        if self.role != LEADER:
            return
        self.notice_due_at = None
        self.snapshot_due = False
        if self.reads.gathering and self.commit_index >= self.term_start:
            self.reads.start_round(self.commit_index)
            self._confirm_reads()
        heartbeat_s = self.settings.heartbeat_s
        self.heartbeat_due_at = now + heartbeat_s
        for peer, progress in self.progress.items():
            if progress.connected:
                self._replicate_to(peer, progress, now)
                self.heartbeat_due_at = min(self.heartbeat_due_at, progress.sent_at + heartbeat_s)

    def _replicate_to(self, peer: str, progress: Progress, now: float) -> None:
        settings, last = self.settings, self.journal.last_index
        if progress.mode is Mode.SNAPSHOT or progress.next <= self.journal.base_index:
            self.snapshot_due = True
        sent = False
        while progress.next <= last and progress.may_send(
            now,
            settings.probe_retry_s,
            settings.in_flight_messages_max,
            settings.in_flight_bytes_max,
        ):
            if self.snapshot_due and progress.next <= self.journal.base_index:
                break
            entries = self.journal.entries(progress.next, last, settings.append_bytes_max)
            self._send_append(
                peer, progress, [[index, term, command] for command, index, term in entries], now
            )
            progress.sent(entries[-1][1], sum(len(entry[0]) for entry in entries), now)
            sent = True
        if sent:
            return
        due = now >= progress.sent_at + settings.heartbeat_s
        asks = (
            self.reads.waiting
            and progress.read_acked < self.reads.round
            and progress.read_sent < self.reads.round
        )
        if due or asks:
            self._send_append(peer, progress, [], now)
            progress.sent(progress.next - 1, 0, now)
        elif progress.commit_sent < self.commit_index and progress.mode is Mode.REPLICATE:
            waited_for = progress.commit_sent < progress.awaited_index <= self.commit_index
            notice_due_at = self._commit_moved_at + self.settings.commit_notice_s
            if waited_for or now >= notice_due_at:
                self._send_append(peer, progress, [], now, notice=True)
            else:
                self.notice_due_at = notice_due_at

    def _send_append(
        self,
        peer: str,
        progress: Progress,
        entries: list[list[object]],
        now: float,
        *,
        notice: bool = False,
    ) -> None:
        previous = progress.next - 1
        previous_term = self.journal.term_at(previous)
        if previous_term is None:
            previous, previous_term = 0, 0
        progress.commit_sent = self.commit_index
        progress.read_sent = self.reads.round
        self._send(
            peer,
            {
                "type": "append",
                "term": self.term,
                "prev": previous,
                "prev_term": previous_term,
                "entries": entries,
                "commit": self.commit_index,
                "read": self.reads.round,
                "notice": notice,
            },
        )

    def wants_snapshot(self) -> list[str]:
        """Followers whose next entry is compacted away and that get no snapshot yet."""
        if self.role != LEADER:
            return []
        base = self.journal.base_index
        return [
            peer
            for peer, progress in self.progress.items()
            if progress.connected and progress.mode is not Mode.SNAPSHOT and progress.next <= base
        ]

    def is_awaited(self, peer: str, index: int) -> None:
        """A client on `peer` waits until that host has applied `index`."""
        progress = self.progress.get(peer)
        if progress is not None:
            progress.awaited_index = max(progress.awaited_index, index)

    # --- hearing ----------------------------------------------------------------------------------

    def _on_append_ack(self, peer: str, message: Message) -> None:
        if message["term"] > self.term:
            self._step_down(message["term"])
            return
        progress = self.progress.get(peer)
        if message["term"] < self.term or self.role != LEADER or progress is None:
            return
        now = self._clock.monotonic()
        progress.heard_at = now
        progress.read_acked = max(progress.read_acked, message["read"])
        if message["ok"]:
            self._on_agreement(progress, message["match"], message["verified"])
        else:
            progress.on_rejected(message["rejected"], message["hint"])
        if self.reads.waiting:
            self._confirm_reads()
        self._heard_from(peer, now)

    def _on_agreement(self, progress: Progress, match: int, verified: int) -> None:
        if progress.mode is Mode.PROBE and verified > 0:
            progress.next = max(verified, match) + 1
            progress.become_replicate()
        news = progress.mode is not Mode.SNAPSHOT and progress.on_match(match)
        if news and match > self.commit_index:
            self._commit_by_majority()

    def _commit_by_majority(self) -> None:
        """Raft, section 5.4.2: what a majority of voters has on disk, and only through an entry of
        this term."""
        own = self.journal.durable_last
        matches = [
            own if voter == self.host_id else self.progress[voter].match
            for voter in self.configuration.voters
        ]
        self._commit_up_to(committed_by(matches))

    def _commit_up_to(self, index: int) -> None:
        if index > self.commit_index and self.journal.term_at(index) == self.term:
            self.commit_index = index
            self._commit_moved_at = self._clock.monotonic()
            self.journal.setRaftCommitIndex(index)
            self._committed()

    def on_durable(self) -> None:
        super().on_durable()
        if self.role == LEADER:
            self._commit_by_majority()

    def _confirm_reads(self) -> None:
        rounds = [
            self.reads.round if voter == self.host_id else self.progress[voter].read_acked
            for voter in self.configuration.voters
        ]
        for index, reads in self.reads.confirm(committed_by(rounds)):
            for done in reads:
                done(index)

    def ask_read_point(self, done: ReadDone) -> None:
        """`done(index)` once a majority confirmed this leadership; `done(None)` when it is lost
        before, or is not ours."""
        if self.role != LEADER:
            done(None)
        else:
            self.reads.ask(done)

    # --- check-quorum -----------------------------------------------------------------------------

    def _check_quorum(self, now: float) -> None:
        """Give up a leadership that a majority does not answer (the base waits 30 s)."""
        bound = now - self.settings.election_max_s
        heard = {peer for peer, progress in self.progress.items() if progress.heard_at > bound}
        if not self._is_majority(heard | {self.host_id}) and self.configuration.voters != (
            self.host_id,
        ):
            self._step_down(self.term)

    # --- the leader's part of a turn --------------------------------------------------------------

    def _lead(self, now: float) -> None:
        """What only time makes necessary; a busy leader need not do it in every turn."""
        if self.storage_full:
            self._step_down(self.term)
            return
        self.lead_again_at = now + self.settings.heartbeat_s / 4
        self._check_quorum(now)
        if self.reads.waiting:  # a configuration with fewer voters may confirm by itself
            self._confirm_reads()

    def _committed(self) -> None:
        """The commit index moved (for `handover.py` and `membership.py`)."""

    def _heard_from(self, peer: str, now: float) -> None:
        """A follower answered (for `handover.py` and `membership.py`)."""
