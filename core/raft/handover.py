"""Leadership transfer (Ongaro's dissertation, section 3.10), the leader's side.

The law: a target is told to stand only when it holds the whole log; commands wait meanwhile, and
are taken again when it does not take over in time. The base denies the transfer unless the target
happens to be level, and tells nobody how it ended.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable

from quorate.core.errors import MembershipRefused, NotCommitted, NotLeader, QuorateError
from quorate.core.raft.engine_base import LEADER
from quorate.core.raft.leader import LeaderRules

Done = Callable[[QuorateError | None], None]


class HandoverRules(LeaderRules):
    """How a leader hands over."""

    transfer_target: str | None = None
    _transfer_deadline = 0.0
    _told_to_stand = False

    def __init__(self, **options: object) -> None:
        self._transfer_waiters: list[Done] = []
        super().__init__(**options)

    def _lead(self, now: float) -> None:
        super()._lead(now)
        if self.role == LEADER:
            self._hand_over(now)

    def _heard_from(self, peer: str, now: float) -> None:
        super()._heard_from(peer, now)
        self._hand_over(now)

    def _lost_leadership(self) -> None:
        super()._lost_leadership()
        self._end_transfer(None)

    def transfer(self, target: str | None, done: Done) -> None:
        """Hand the leadership to `target` (or to the voter that is furthest); `done(None)` when
        another host leads."""
        if self.role != LEADER:
            done(NotLeader("only the leader can hand the leadership over", leader=self.leader))
            return
        others = [voter for voter in self.configuration.voters if voter != self.host_id]
        candidates = [peer for peer in others if self.progress[peer].connected]
        if target == self.host_id:
            done(None)
            return
        if target is not None and target not in others:
            done(
                MembershipRefused(
                    f"{target!r} cannot lead: voters are {', '.join(self.configuration.voters)}"
                )
            )
            return
        if target is None:
            target = max(candidates, key=lambda peer: self.progress[peer].match, default=None)
        if target is None or target not in candidates:
            done(
                NotCommitted(
                    f"the leadership cannot go to {target or 'anybody'}: no link to it",
                    leader=self.host_id,
                )
            )
            return
        self._end_transfer(
            NotCommitted("another leadership transfer was asked for", leader=self.host_id)
        )
        self.transfer_target = target
        self._told_to_stand = False
        self._transfer_deadline = self._clock.monotonic() + self.settings.transfer_timeout_s
        self._transfer_waiters.append(done)
        self._hand_over(self._clock.monotonic())

    def _hand_over(self, now: float) -> None:
        """Tell the target to stand once it holds our whole log; take commands again when it takes
        too long."""
        target = self.transfer_target
        if target is None:
            return
        if now >= self._transfer_deadline or target not in self.progress:
            self._end_transfer(
                NotCommitted(f"{target} did not take over in time", leader=self.host_id)
            )
        elif not self._told_to_stand and self.progress[target].match == self.journal.last_index:
            self._told_to_stand = True
            self._send(target, {"type": "timeout_now", "term": self.term})

    def _end_transfer(self, error: QuorateError | None) -> None:
        self.transfer_target = None
        waiters, self._transfer_waiters = self._transfer_waiters, []
        for done in waiters:
            done(error)
