"""What must hold at every moment of a run, looked at from outside all hosts.

The law: findings are kept in the order they were found, one sentence each; the watch changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quorate.chaos.sim.history import History
from quorate.chaos.sim.transcript import Transcript
from quorate.core.raft.driver import RaftDriver
from quorate.core.raft.journal import Journal

FINDINGS_MAX = 20
MESSAGES_PER_S_MAX = 4_000
"""On one link (S16): a few hundred is usual in a burst."""
OUTBOX_MESSAGES_MAX = 2_000
CACHE_SLACK_BYTES = 400_000
TURNS_PER_S_MAX = 20_000


@dataclass(slots=True)
class Promise:
    """What a host said of itself to others, and must still know after a restart."""

    term: int = 0
    vote: str | None = None
    vote_term: int = 0
    acked_in: int = 0
    """The term of the leader it acknowledged to."""
    acked: tuple[int, int] = (0, 0)
    """(index, term) of the furthest entry it acknowledged in that term."""


@dataclass(slots=True)
class Truth:
    """One entry as the first host applied it."""

    term: int
    digest: bytes
    host: str


def _holds(journal: Journal, index: int, term: int) -> bool:
    return index <= journal.base_index or journal.term_at(index) == term


class Watch:
    """Collects findings. `on_finding` is told of the first of each kind."""

    def __init__(
        self, history: History, transcript: Transcript, stop: Callable[[], object] | None = None
    ) -> None:
        self._history = history
        self._transcript = transcript
        self._stop = stop
        self.findings: list[str] = []
        self.truth: dict[int, Truth] = {}
        self.leaders: dict[int, str] = {}
        self.promises: dict[str, Promise] = {}
        self.leader_changes = 0
        self._commits: dict[str, int] = {}
        self._turns: dict[str, tuple[float, int]] = {}
        self._messages: dict[tuple[str, str], int] = {}

    def find(self, text: str) -> None:
        """Something that must not be."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(text)
            self._transcript.note("FOUND", text)
            if self._stop is not None:
                self._stop()

    # --- events ---------------------------------------------------------------------------------

    def on_applied(
        self, host: str, index: int, term: int, digest: bytes, results: list[tuple[int, int, Any]]
    ) -> None:
        """Equal entries, effects and digests at equal index; the first host to apply sets them."""
        truth = self.truth.get(index)
        if truth is None:
            self.truth[index] = Truth(term, digest, host)
            for session, sequence, result in results:
                wrong = self._history.applied(index, session, sequence, result)
                if wrong is not None:
                    self.find(wrong)
        elif truth.term != term:
            self.find(
                f"entry {index} has term {truth.term} on {truth.host} and term {term} on {host}"
            )
        elif truth.digest != digest:
            self.find(f"{host} and {truth.host} differ after entry {index} of term {term}")

    def on_leader(self, host: str, leader: str | None, term: int) -> None:
        """One leader per term, whoever says so."""
        if leader is None:
            return
        known = self.leaders.setdefault(term, leader)
        if known != leader:
            self.find(f"{host} sees {leader} lead term {term}, which {known} leads")
        elif leader == host:
            self.leader_changes += 1
            self._transcript.note(host, "leads term", term)

    def on_started(self, host: str, journal: Journal) -> None:
        """A restart keeps the term, the vote, and every entry that was acknowledged."""
        self._commits[host] = 0
        promise = self.promises.setdefault(host, Promise())
        if journal.getCurrentTerm() < promise.term:
            self.find(f"{host} forgot term {promise.term} in a restart")
        vote, term = journal.getVotedForNodeId(), journal.getCurrentTerm()
        if term == promise.vote_term and promise.vote is not None and vote != promise.vote:
            self.find(f"{host} forgot its vote for {promise.vote} in term {term} in a restart")
        self._check_acked(host, journal, "in a restart")

    def on_kill(self, host: str, journal: Journal) -> None:
        """What a newer leader replaced before the crash need not be there after it."""
        promise = self.promises.setdefault(host, Promise())
        if journal.getCurrentTerm() > promise.acked_in and not _holds(journal, *promise.acked):
            promise.acked = (0, 0)

    def _check_acked(self, host: str, journal: Journal, when: str) -> None:
        promise = self.promises[host]
        if not _holds(journal, *promise.acked):
            index, term = promise.acked
            self.find(
                f"{host} acknowledged entry {index} of term {term} to the leader of term "
                f"{promise.acked_in} and lost it {when}: its log is "
                f"{journal.base_index}..{journal.last_index}"
            )
            promise.acked = (0, 0)

    def on_sent(self, host: str, message: dict[str, Any], journal: Journal) -> None:
        """A host speaks: what it says must be on its disk. Remember what it promised."""
        promise = self.promises.setdefault(host, Promise())
        kind, term = message.get("type"), message.get("term")
        if kind in ("submit", "read_index", "pre_vote") or not isinstance(term, int):
            return
        promise.term = max(promise.term, term)
        if kind == "append_ack" and message.get("ok"):
            index = message["match"]
            if index > max(journal.durable_last, journal.base_index):
                self.find(
                    f"{host} acknowledged entry {index}, its disk ends at {journal.durable_last}"
                )
            at = journal.term_at(index)
            if at is not None and (term, index) > (promise.acked_in, promise.acked[0]):
                promise.acked_in, promise.acked = term, (index, at)
        elif kind == "vote_reply" and message.get("ok") and term == journal.getCurrentTerm():
            # (a reply that waited long for the disk may be of an earlier term than the vote is now)
            promise.vote, promise.vote_term = journal.getVotedForNodeId(), term

    def on_wiped(self, host: str) -> None:
        self.promises.pop(host, None)

    # --- looking round --------------------------------------------------------------------------

    def look(self, now: float, host: str, driver: RaftDriver, outbox: int, cache_max: int) -> None:
        """Called now and then for every living host."""
        engine, journal = driver.engine, driver.journal
        commit = engine.commit_index
        if commit < self._commits.get(host, 0):
            self.find(f"{host}'s commit index went from {self._commits[host]} back to {commit}")
        self._commits[host] = commit
        if commit > journal.last_index:
            self.find(f"{host}'s commit index {commit} is beyond its log {journal.last_index}")
        if outbox > OUTBOX_MESSAGES_MAX:
            self.find(f"{outbox} messages wait in the outbox of {host}")
        cached = int(journal.statistics()["cache_bytes"])
        if cached > cache_max + CACHE_SLACK_BYTES:
            self.find(f"{host} keeps {cached} bytes of log in memory, {cache_max} at most")
        promise = self.promises.get(host)
        if promise is not None and promise.acked_in == engine.term:
            self._check_acked(host, journal, "while it follows that leader")
        since, turns = self._turns.get(host, (now, driver.turns))
        if now - since >= 1.0 or host not in self._turns:
            if driver.turns - turns > TURNS_PER_S_MAX * max(1.0, now - since):
                self.find(f"{host} took {driver.turns - turns} turns in {now - since:.1f} s")
            self._turns[host] = (now, driver.turns)

    def look_at_leader(self, leader: RaftDriver, followers: Mapping[str, RaftDriver]) -> None:
        """What the leader of the newest term counts on is really there."""
        for peer, progress in leader.engine.progress.items():
            follower = followers.get(peer)
            if follower is None or progress.match == 0:
                continue
            term = leader.journal.term_at(progress.match)
            if term is not None and not _holds(follower.journal, progress.match, term):
                self.find(
                    f"{leader.host_id} leads term {leader.engine.term} and counts entry "
                    f"{progress.match} of term {term} on {peer}, whose log is "
                    f"{follower.journal.base_index}..{follower.journal.last_index}"
                )

    def count(self, pair: tuple[str, str], messages: int, elapsed_s: float) -> None:
        """Messages sent so far on a link; called about every second (S16)."""
        sent = messages - self._messages.get(pair, 0)
        self._messages[pair] = messages
        if sent > MESSAGES_PER_S_MAX * elapsed_s:
            self.find(f"a flood from {pair[0]} to {pair[1]}: {sent} messages in {elapsed_s:.1f} s")
