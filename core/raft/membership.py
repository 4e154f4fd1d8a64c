"""Membership changes, the leader's side: one at a time, in force from the append, the next only
after the commit.

The base's guard against a second change is never armed (S4), it has no learners, it never tells a
removed host, and its leader cannot remove itself. The law here is chapter 4 of Ongaro's
dissertation, with the whole configuration in each entry.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

from quorate.core.errors import MembershipRefused, NotLeader, OutcomeUnknown
from quorate.core.raft.engine_base import LEADER
from quorate.core.raft.entries import pack_configuration
from quorate.core.raft.handover import Done, HandoverRules
from quorate.core.raft.members import Change, changed
from quorate.core.raft.progress import Mode

FAREWELL_S = 10.0
"""A removed host that says nothing for this long is not waited for any more."""


class MembershipRules(HandoverRules):
    """How a leader changes who belongs to the group."""

    def __init__(self, **options: object) -> None:
        self._change_waiters: list[tuple[int, Done]] = []
        self._farewells: dict[str, tuple[int, float]] = {}
        super().__init__(**options)

    def _lead(self, now: float) -> None:
        super()._lead(now)
        if self.role == LEADER:
            self._promote_staging(now)
        if self.role == LEADER:
            self._leave_if_removed()
        for peer in [p for p, (_, until) in self._farewells.items() if now >= until]:
            self._forget_removed(peer)

    def _lost_leadership(self) -> None:
        super()._lost_leadership()
        self._farewells = {}
        waiters, self._change_waiters = self._change_waiters, []
        for _, done in waiters:
            done(OutcomeUnknown("the leadership was lost during the change; look at the members"))

    def _heard_from(self, peer: str, now: float) -> None:
        super()._heard_from(peer, now)
        self._say_farewell(peer)

    def _committed(self) -> None:
        super()._committed()
        ready = [waiter for waiter in self._change_waiters if waiter[0] <= self.commit_index]
        for waiter in ready:
            self._change_waiters.remove(waiter)
            waiter[1](None)

    def change_members(self, change: Change, done: Done) -> None:
        """Append the configuration after `change`; `done(None)` once it is committed, `done(error)`
        if it cannot be."""
        if self.role != LEADER:
            done(NotLeader("only the leader changes the members", leader=self.leader))
            return
        refusal = self._change_refusal()
        if refusal is not None:
            done(MembershipRefused(refusal))
            return
        try:
            configuration = changed(self.configuration, change)
        except MembershipRefused as error:
            done(error)
            return
        index = self.journal.last_index + 1
        if change.kind == "remove" and change.id in self.progress:
            self._farewells[change.id] = (index, self._clock.monotonic() + FAREWELL_S)
        elif change.kind == "add":
            self._forget_removed(change.id)
        self._change_waiters.append((index, done))
        self.journal.add(pack_configuration(configuration), index, self.term)
        self._adopt(index, configuration)

    def _change_refusal(self) -> str | None:
        """Why no membership change may start now (S4: the base's guard for this is never armed)."""
        if self.commit_index < self.term_start:
            return "this leader has not committed an entry of its term yet; retry in a moment"
        if self.configuration_index > self.commit_index:
            return "another membership change is not committed yet; retry when it is"
        if self.transfer_target is not None:
            return "the leadership is being transferred; retry with the new leader"
        return None

    def _say_farewell(self, peer: str) -> None:
        """Tell a removed host that it is out, once the removal is committed, and stop speaking to
        it."""
        index, _ = self._farewells.get(peer, (None, 0.0))
        if index is not None and self.commit_index >= index:
            self._send(peer, {"type": "removed", "term": self.term, "index": index})
            self._forget_removed(peer)

    def _forget_removed(self, peer: str) -> None:
        """Speak to a removed host no more, and keep nothing of what its log held."""
        if self._farewells.pop(peer, None) is not None:
            self.progress.pop(peer, None)

    def _promote_staging(self, now: float) -> None:
        """Make voters of staging members that have caught up."""
        for member in self.configuration.members:
            progress = self.progress.get(member.id)
            if member.role != "staging" or progress is None or progress.mode is not Mode.REPLICATE:
                continue
            lag = self.journal.last_index - progress.match
            alive = now - progress.heard_at < self.settings.election_min_s
            if (
                alive
                and lag <= self.settings.staging_lag_entries_max
                and self._change_refusal() is None
            ):
                self.change_members(Change("promote", member.id), lambda _: None)
                return

    def _leave_if_removed(self) -> None:
        """A leader that removed itself leads until that is committed, then hands over."""
        if self.host_id in self.configuration or self.configuration_index > self.commit_index:
            return
        best = max(self.configuration.voters, key=lambda voter: self.progress[voter].match)
        self._send(best, {"type": "timeout_now", "term": self.term})
        self.removed = True
        self._step_down(self.term)
