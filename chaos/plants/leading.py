"""Plants in the rules of Raft: reads, votes, commits, acknowledgements.

The law of this file: each class breaks one rule; `CHANGES` says where the product would find it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from quorate.chaos.plants.plant import Change
from quorate.chaos.sim.plants import AsksNobody
from quorate.core.raft.driver import OnReadPoint, RaftDriver
from quorate.core.raft.engine import HardenedRaft
from quorate.core.raft.engine_base import LEADER
from quorate.core.raft.outbox import Message
from quorate.hosts import runtime


class NeverDoubts(HardenedRaft):
    """A leader goes on leading although nobody answers."""

    def _check_quorum(self, now: float) -> None:
        return


class ReadsWhatIsHere(RaftDriver):
    """Every host answers reads from what it has applied."""

    def read_index(self, done: OnReadPoint) -> None:
        done(self.engine.applied_index, None)


class CommitsAlone(HardenedRaft):
    """What is on the leader's own disk is committed."""

    def _commit_by_majority(self) -> None:
        self._commit_up_to(self.journal.durable_last)


class ForgetsTheVote(HardenedRaft):
    """Whoever asks gets the vote of this term, also when it was given away."""

    def _on_vote(self, peer: str, message: Message) -> None:
        again = message["term"] == self.term and self.role != LEADER
        if again and self._is_up_to_date(message):
            self._send(peer, {"type": "vote_reply", "term": self.term, "ok": True})
            return
        super()._on_vote(peer, message)


def engine(engine_class: type[HardenedRaft], driver: type[RaftDriver] = RaftDriver) -> Change:
    """Hosts whose driver has an engine of that class."""
    made: Any = partial(driver, engine_class=engine_class)
    return Change(runtime, "RaftDriver", made)


CHANGES: dict[str, tuple[Change, ...]] = {
    "deposed-leader-reads": (engine(NeverDoubts, AsksNobody),),
    "reads-what-is-here": (Change(runtime, "RaftDriver", ReadsWhatIsHere),),
    "commits-alone": (engine(CommitsAlone),),
    "forgets-the-vote": (engine(ForgetsTheVote),),
}
