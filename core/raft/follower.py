"""The receiver's side of AppendEntries (Raft, figure 2), replaced whole.

The base truncates without a conflict (S2), commits what it has not verified (S1), acknowledges
without a term (S3) and answers pipelined batches so that the leader runs in circles (S17). The law
here:

* entries are cut only where one of another term stands at the same index;
* commit moves at most to the last entry that the present leader's messages verified;
* an acknowledgement carries the term and only what is verified *and* on disk.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from pysyncobj.node import Node

from quorate.core.raft.engine_base import FOLLOWER, LEADER, EngineBase
from quorate.core.raft.entries import configuration_of
from quorate.core.raft.outbox import Message


class FollowerRules(EngineBase):
    """What a follower does with the leader's messages."""

    verified = 0
    """The last entry that a message of the present leader matched or brought; 0 when nothing is
    known in this term."""
    _acked = 0
    _acked_at = -1e9
    _read_round = 0

    # --- following --------------------------------------------------------------------------------

    def _step_down(self, term: int) -> None:
        """Follow nobody in `term` (>= the present one) until a leader speaks."""
        was_leader = self.role == LEADER
        if term > self.term:
            self._set_term(term, None)
        self._set_role(FOLLOWER)
        self._leader_node = None
        self._forget_leader()
        self.election_deadline = self._clock.monotonic() + self._election_timeout()
        if was_leader:
            self._lost_leadership()

    def _lost_leadership(self) -> None:
        """The leader's own bookkeeping ends here (see leader.py)."""

    def _forget_leader(self) -> None:
        self.verified = 0
        self._acked = 0
        self._read_round = 0

    def _follow(self, leader: str, term: int) -> None:
        """Accept `leader` of `term`: a message that only a leader sends has come from it."""
        if term > self.term or self.role != FOLLOWER:
            if term == self.term and self.role == LEADER:
                raise self._broken(
                    f"{leader} leads term {term} beside this host: two leaders in one term"
                )
            self._step_down(term)
        if self.leader != leader:
            if self._leader_node is not None:
                raise self._broken(f"{leader} and {self.leader} both lead term {term}")
            self._forget_leader()
            self._leader_node = Node(leader)
        self.heard_at = self._clock.monotonic()
        if self.connected(leader):  # else these may be the last words of a leader that died
            self.election_deadline = self.heard_at + self._election_timeout()

    # --- AppendEntries ----------------------------------------------------------------------------

    def _on_append(self, peer: str, message: Message) -> None:
        if message["term"] < self.term:
            self._send_ack(peer, ok=False)
            return
        self._follow(peer, message["term"])
        self._read_round = max(self._read_round, message["read"])
        entries = [(command, index, term) for index, term, command in message["entries"]]
        previous = message["prev"]
        if not self._matches(previous, message["prev_term"]):
            self._reject(peer, previous)
            return
        last = self._merge(previous, entries)
        self.verified = max(self.verified, last)
        self._advance_commit(message["commit"])
        if self._answers_now(message, last):
            self._send_ack(peer, ok=True)

    def _matches(self, previous: int, previous_term: int) -> bool:
        """Whether our log holds the leader's entry before the new ones. Below our base everything
        was committed, so it does."""
        if previous < self.journal.base_index:
            return True
        return self.journal.term_at(previous) == previous_term

    def _merge(self, previous: int, entries: list[tuple[bytes, int, int]]) -> int:
        """Put `entries` into the log; returns the last index that is now known to agree with the
        leader's."""
        journal = self.journal
        last = previous
        for position, (_, index, term) in enumerate(entries):
            have = journal.term_at(index)
            if index > journal.base_index and have != term:
                if have is not None:
                    self._truncate_from(index)
                self._append_all(entries[position:])
                return entries[-1][1]
            last = index
        return last

    def _append_all(self, entries: list[tuple[bytes, int, int]]) -> None:
        for command, index, term in entries:
            self.journal.add(command, index, term)
            configuration = configuration_of(command)
            if configuration is not None:
                self._adopt(index, configuration)

    def _truncate_from(self, index: int) -> None:
        """Cut a conflicting tail, and with it the configurations it brought."""
        if index <= self.commit_index:
            raise self._broken(f"the leader's log conflicts with committed entry {index}")
        self.journal.truncate_from(index)
        at, configuration = self.journal.configuration_at(index - 1)
        if at != self.configuration_index:
            self._adopt(at, configuration)

    def _advance_commit(self, leader_commit: int) -> None:
        """Never past what this leader's messages verified (S1)."""
        commit = min(leader_commit, self.verified)
        if commit > self.commit_index:
            self.commit_index = commit
            self.journal.setRaftCommitIndex(commit)

    def _answers_now(self, message: Message, last: int) -> bool:
        """Entries are acknowledged once they are on disk; heartbeats at once, and so is anything
        while the disk is slow."""
        if message["notice"]:
            return False
        silent_s = self._clock.monotonic() - self._acked_at
        return (
            not message["entries"]
            or self.journal.durable_last >= last
            or silent_s >= self.settings.heartbeat_s
        )

    # --- answers ----------------------------------------------------------------------------------

    def on_durable(self) -> None:
        """The journal has more on disk: tell the leader, if that is news for it."""
        if self.role == FOLLOWER and self.leader is not None and self._ackable() > self._acked:
            self._send_ack(self.leader, ok=True)

    def _ackable(self) -> int:
        """Verified against this leader and on our disk: all that an acknowledgement may claim."""
        return min(self.verified, self.journal.durable_last)

    def _send_ack(self, peer: str, *, ok: bool, rejected: int = 0, hint: int = 0) -> None:
        self._acked_at = self._clock.monotonic()
        if ok:
            self._acked = self._ackable()
        self._send(
            peer,
            {
                "type": "append_ack",
                "term": self.term,
                "ok": ok,
                "match": self._ackable() if ok else 0,
                "verified": self.verified if ok else 0,
                "rejected": rejected,
                "hint": hint,
                "read": self._read_round,
            },
        )

    def _reject(self, peer: str, previous: int) -> None:
        """Say where the leader may find agreement: our end, or the start of the term that conflicts
        (Raft, section 5.3)."""
        journal = self.journal
        if previous > journal.last_index:
            hint = journal.last_index
        else:
            hint = journal.first_of_term(previous) - 1
        self._send_ack(peer, ok=False, rejected=previous, hint=max(hint, self.commit_index))
