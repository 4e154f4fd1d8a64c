"""Elections: pre-vote, votes counted by member, and the leader's lease on its followers' patience.

The base has no pre-vote (a rejoining host deposes a healthy leader, S11), counts anonymous votes,
and never repeats a lost vote. The law here:

* nobody raises its term before a majority said, in a pre-vote, that it would follow (dissertation,
  section 9.6);
* who hears a leader grants nothing, except to the target of a leadership transfer (section 4.2.3);
* one vote per member and term, by identity; a lost answer is repeated.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from pysyncobj.node import Node

from quorate.core.raft.engine_base import CANDIDATE, FOLLOWER, LEADER
from quorate.core.raft.follower import FollowerRules
from quorate.core.raft.outbox import Message


class ElectionRules(FollowerRules):
    """Who may stand, who may vote."""

    _pre_vote_round = 0
    _transfer_campaign = False

    def __init__(self, **options: object) -> None:
        self._pre_votes: set[str] = set()
        self._votes: set[str] = set()
        super().__init__(**options)  # pyright: ignore[reportArgumentType]

    # --- standing ---------------------------------------------------------------------------------

    def _check_election(self, now: float) -> None:
        """The election timer: ask for pre-votes when no leader was heard for too long."""
        if self.role == LEADER or now < self.election_deadline:
            return
        self.election_deadline = now + self._election_timeout()
        if not self.is_voter or self.storage_full:
            return
        self._leader_node = None
        self._forget_leader()
        self._pre_vote_round += 1
        self._pre_votes = {self.host_id}
        self._ask("pre_vote", self.term + 1)
        self._count_pre_votes()

    def _follow(self, leader: str, term: int) -> None:
        super()._follow(leader, term)
        self._pre_votes = set()  # a late answer must not depose the leader that came meanwhile

    def _ask(self, kind: str, term: int) -> None:
        for voter in self.configuration.voters:
            if voter != self.host_id:
                self._send(
                    voter,
                    {
                        "type": kind,
                        "term": term,
                        "last": self.journal.last_index,
                        "last_term": self.journal.last_term,
                        "round": self._pre_vote_round,
                        "transfer": self._transfer_campaign,
                    },
                )

    def _count_pre_votes(self) -> None:
        if self.role != LEADER and self._is_majority(self._pre_votes):
            self._become_candidate()

    def _become_candidate(self) -> None:
        self._pre_votes = set()
        self._leader_node = None
        self._forget_leader()
        self._set_role(CANDIDATE)
        self._set_term(self.term + 1, self.host_id)
        self._votes = {self.host_id}
        self.election_deadline = self._clock.monotonic() + self._election_timeout()
        self._ask("vote", self.term)
        self._transfer_campaign = False
        self._count_votes()

    def _count_votes(self) -> None:
        if self.role == CANDIDATE and self._is_majority(self._votes):
            self._win()

    def _win(self) -> None:
        """Become leader through the base, which appends the no-op of the new term."""
        self._SyncObj__onBecomeLeader()  # pyright: ignore[reportAttributeAccessIssue]

    # --- voting -----------------------------------------------------------------------------------

    def _hears_a_leader(self) -> bool:
        """Whether this host has reason to believe in a living leader."""
        if self.role == LEADER:
            return True
        leader = self.leader
        if leader is None:
            return False
        recent = self._clock.monotonic() - self.heard_at < self.settings.election_min_s
        return recent and self.connected(leader)

    def _is_up_to_date(self, message: Message) -> bool:
        theirs = (message["last_term"], message["last"])
        return theirs >= (self.journal.last_term, self.journal.last_index)

    def _on_pre_vote(self, peer: str, message: Message) -> None:
        if self._tell_removed(peer):
            return
        ok = (
            message["term"] > self.term
            and self._is_up_to_date(message)
            and not self._hears_a_leader()
        )
        self._send(
            peer, {"type": "pre_vote_reply", "term": self.term, "round": message["round"], "ok": ok}
        )

    def _on_pre_vote_reply(self, peer: str, message: Message) -> None:
        if message["term"] > self.term:
            self._step_down(message["term"])
        elif message["ok"] and message["round"] == self._pre_vote_round and self._pre_votes:
            self._pre_votes.add(peer)
            self._count_pre_votes()

    def _on_vote(self, peer: str, message: Message) -> None:
        if self._tell_removed(peer):
            return
        if message["term"] > self.term:
            if self._hears_a_leader() and not message["transfer"]:
                return
            self._step_down(message["term"])
        if message["term"] < self.term:
            self._send(peer, {"type": "vote_reply", "term": self.term, "ok": False})
            return
        free = self.vote is None and self.role == FOLLOWER and self.leader is None
        if self.vote == peer or (free and self._is_up_to_date(message)):
            self._set_term(self.term, peer)
            self.election_deadline = self._clock.monotonic() + self._election_timeout()
            self._send(peer, {"type": "vote_reply", "term": self.term, "ok": True})

    def _on_vote_reply(self, peer: str, message: Message) -> None:
        if message["term"] > self.term:
            self._step_down(message["term"])
        elif message["term"] == self.term and message["ok"] and self.role == CANDIDATE:
            self._votes.add(peer)
            self._count_votes()

    # --- leadership transfer and removal, the receiver's side -------------------------------------

    def _on_timeout_now(self, peer: str, message: Message) -> None:
        """The leader hands over: stand at once, without pre-vote."""
        if (
            message["term"] == self.term
            and self.leader == peer
            and self.is_voter
            and not self.storage_full
        ):
            self._transfer_campaign = True
            self._become_candidate()

    def _tell_removed(self, peer: str) -> bool:
        """A host outside the committed configuration does not take part: tell it so.

        An uncommitted configuration turns nobody away (dissertation, section 4.1): two of them
        could shut each other's candidates out for ever. A host without any does not vote.
        """
        if peer in self.configuration:
            return False
        if not self.configuration.members:
            return True
        if self.configuration_index > self.commit_index:
            return False
        self._send(peer, {"type": "removed", "term": self.term, "index": self.configuration_index})
        return True

    def _on_removed(self, peer: str, message: Message) -> None:
        newer = message["index"] > self.configuration_index
        gone = (
            self.host_id not in self.configuration and message["index"] == self.configuration_index
        )
        if peer in self.configuration and (newer or gone):
            self.removed = True
            self._leader_node = None
            self._forget_leader()

    def on_peer(self, peer: str, *, up: bool) -> None:
        """The link to `peer` went up or down. Losing the leader's link shortens our patience; pre-
        vote keeps that harmless."""
        node = Node(peer)
        if up:
            self._SyncObj__onNodeConnected(node)  # pyright: ignore[reportAttributeAccessIssue]
            return
        self._SyncObj__onNodeDisconnected(node)  # pyright: ignore[reportAttributeAccessIssue]
        if self.role == FOLLOWER and self.leader == peer:
            grace = self.settings.link_down_grace_s
            soon = self._clock.monotonic() + grace * (1 + 2 * self._rng.random())
            self.election_deadline = min(self.election_deadline, soon)
