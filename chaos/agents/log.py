"""The group as an oracle with terms: one ordered log of the product's own command batches, hosts
that apply it late, and leaders that do not know yet that they are none any more.

The law: what is committed stays committed, in one order and under the term it was proposed in; what
an old leader had taken is committed under its old term before the next leader's first entry, or
never; a host believes in a leader until it hears of another one, or hears nothing. How a group
agrees is another simulator's subject.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from quorate.chaos.agents.views import BATCH, PATIENCE_S, Applied, Entry, GroupView, Image
from quorate.chaos.sim.events import EventQueue, Life
from quorate.chaos.sim.transcript import Transcript
from quorate.chaos.stores.strong import (
    LATE_PROBABILITY,
    LATE_S,
    TICK_S,
    Answer,
    Command,
    Oracle,
    Record,
    View,
)
from quorate.core.machine.machine import Machine
from quorate.core.raft.refusals import Refusal

LEADER_PATIENCE_S = 0.35
"""Without a majority for so long a leader steps down by itself."""
ELECTION_S = (0.15, 0.6)
SNAPSHOT_LAG_ENTRIES = 40
"""A host that is this far behind may be given a snapshot in place of entries."""
SNAPSHOT_PROBABILITY = 0.5
FLUSH_S = 0.7
LATE_BATCH_PROBABILITY = 0.02
LATE_BATCH_S = 1.5
"""A batch lingers in the network so long, and comes to whoever is there then."""

OnRefused = Callable[[Refusal], object]
OnPoint = Callable[[int | None, Refusal | None], object]


@dataclass(slots=True)
class Taken:
    """A batch in the log of a leader that is not known to be committed."""

    leader: str
    entry: Entry


class GroupLog(Oracle):
    """The group. Beside `Oracle`'s values it orders batches; see the law above."""

    machine_class: Callable[..., Machine] = Machine
    term: int

    def __init__(
        self,
        queue: EventQueue,
        rng: random.Random,
        voters: tuple[str, ...],
        reach: Callable[[str, str], bool],
        transcript: Transcript,
    ) -> None:
        self.entries: list[Entry] = []
        self.committed_at: list[float] = []
        self.last_applied = 0
        """The first this-many entries were applied by somebody."""
        self.on_first: Callable[[int, Entry, GroupView, Applied], object] = _nothing
        """(index, entry, view, results): an entry was applied for the first time anywhere."""
        self._taken: list[Taken] = []
        self._lost_since: float | None = 0.0
        self._patience_s = 0.0
        self._images: dict[str, Image] = {}
        self._flushed_at = 0.0
        super().__init__(queue, rng, voters, reach, transcript)
        self.leader = None

    # --- hosts ------------------------------------------------------------------------------------

    def view(self, host: str) -> GroupView:
        """What the running process of `host` has."""
        found = self._views[host]
        assert isinstance(found, GroupView)
        return found

    def join(
        self, host: str, life: Life, on_applied: Callable[[int, Command, bool], object]
    ) -> GroupView:
        """A process starts: it begins with what was flushed to its disk."""
        view = GroupView(life, self._images.get(host), self.machine_class)
        self._views[host] = view
        view.on_applied = on_applied
        view.patience_s = self._rng.uniform(*PATIENCE_S)
        view.heard_at = self._queue.now
        return view

    def leave(self, host: str, *, wiped: bool = False) -> None:
        """The process is gone, with `wiped` its disk as well."""
        self._views.pop(host, None)
        if self.leader == host:
            self.leader = None
        if wiped:
            self._images.pop(host, None)

    def running(self) -> list[GroupView]:
        return [self.view(host) for host in self._views]

    def _hears(self, host: str, other: str) -> bool:
        """What `host` sends now comes to `other`."""
        return host == other or self._reach(host, other)

    # --- batches ----------------------------------------------------------------------------------

    def submit(self, host: str, batch: bytes, on_refused: OnRefused) -> None:
        """As `RaftDriver.submit`: refused, applied later, or never heard of again."""
        view = self.view(host)
        leader = view.leader
        if leader is None:
            on_refused(Refusal.NO_LEADER)
        elif leader == host:
            self._at_leader_now(host, host, batch, on_refused)
        elif self._hears(host, leader):
            life = view.life
            self._queue.after(
                self._hop_s(), lambda: self._on_batch(host, life, leader, batch, on_refused)
            )

    def _on_batch(
        self, host: str, life: Life, leader: str, batch: bytes, on_refused: OnRefused
    ) -> None:
        if self._rng.random() < LATE_BATCH_PROBABILITY:
            delay = self._rng.random() * LATE_BATCH_S
            self._queue.after(delay, lambda: self._on_late_batch(batch))
        if not self._hears(host, leader) or leader not in self._views:
            return

        def refused(refusal: Refusal) -> None:
            if host in self._views and self._hears(leader, host):
                self._queue.after(self._hop_s(), lambda: life.run(lambda: on_refused(refusal)))

        self.view(leader).life.run(lambda: self._at_leader_now(host, leader, batch, refused))

    def _on_late_batch(self, batch: bytes) -> None:
        """A copy of an old batch comes to the present leader."""
        leader = self.leader
        if leader in self._views:
            self._at_leader_now("", leader, batch, _nothing)

    def _at_leader_now(self, host: str, leader: str, batch: bytes, on_refused: OnRefused) -> None:
        view = self.view(leader)
        if view.leader != leader:
            on_refused(Refusal.NOT_LEADER if view.leader else Refusal.NO_LEADER)
            return
        taken = Taken(leader, Entry(view.term, Command(BATCH, [batch])))
        self._taken.append(taken)
        self._queue.after(2 * self._hop_s(), lambda: self._on_replicated(taken))

    def _on_replicated(self, taken: Taken) -> None:
        """A majority has it, if there is one for this leader."""
        if taken in self._taken and self._leads_truly(taken.leader, taken.entry.term):
            self._commit_taken(self._taken.index(taken) + 1)

    def _leads_truly(self, host: str, term: int) -> bool:
        return self.leader == host and self.term == term and self._has_majority(host)

    def _commit_taken(self, count: int) -> None:
        """Commit the first ones, as far as they are the present leader's; order is kept."""
        first, self._taken = self._taken[:count], self._taken[count:]
        for taken in first:
            if taken.leader == self.leader and taken.entry.term == self.term:
                self._append(taken.entry)

    def _append(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.committed_at.append(self._queue.now)
        self._transcript.trace("log", len(self.entries), entry.term, entry.command.key)
        leader = self.leader
        if leader in self._views:
            view = self.view(leader)
            view.life.run(lambda: self._advance(view, len(self.entries)))
        for host in self._views:
            if host != leader:
                self._spread(host)

    # --- values, as `Oracle` has them -------------------------------------------------------------

    def _commit(self, command: Command) -> Answer:
        """A plain value of the oracle's."""
        index, known = len(self.entries) + 1, self.truth.records.get(command.key)
        held = command.expected in (None, 0 if known is None else known.revision)
        if held:
            self.truth.records[command.key] = Record(index, command.value)
        self._append(Entry(self.term, command))
        return Answer("ok" if held else "no", index)

    # --- reads ------------------------------------------------------------------------------------

    def read_index(self, host: str, done: OnPoint) -> None:
        """As `RaftDriver.read_index`: `done(index, None)` once a point not older than this call is
        applied on `host`; or a refusal; or silence."""
        view = self.view(host)
        leader, term = view.leader, view.term
        if leader is None:
            done(None, Refusal.NO_LEADER)
            return

        def answered(index: int | None) -> None:
            if index is None:
                view.life.run(lambda: done(None, Refusal.NOT_LEADER))
            else:
                view.life.run(lambda: view.when_applied(index, lambda: done(index, None)))

        if leader == host:
            self._point(host, term, answered)
            return

        def at_leader() -> None:
            if leader in self._views and self._hears(host, leader):
                other = self.view(leader)
                other.life.run(lambda: self._point(leader, other.term, back))

        def back(index: int | None) -> None:
            if self._hears(leader, host):
                self._queue.after(self._hop_s(), lambda: answered(index))

        self._queue.after(self._hop_s(), at_leader)

    def _point(self, leader: str, term: int, done: Callable[[int | None], object]) -> None:
        """The leader asks its followers whether it still leads."""
        view = self.view(leader)
        if view.leader != leader:
            done(None)
            return
        index = len(self.entries)

        def confirm() -> None:
            if view.life.over:
                return
            if view.leader != leader or view.term != term:
                view.life.run(lambda: done(None))
            elif self._leads_truly(leader, term):
                view.life.run(lambda: done(index))
            else:
                self._queue.after(TICK_S, confirm)

        self._queue.after(2 * self._hop_s(), confirm)

    # --- applying ---------------------------------------------------------------------------------

    def _spread(self, host: str) -> None:
        """What is committed now comes to `host`, sooner or later."""
        late = LATE_S if self._rng.random() < LATE_PROBABILITY else 0.0
        delay = self._hop_s() + self._rng.random() * late
        view, end = self._views[host], len(self.entries)

        def arrive() -> None:
            leader = self.leader
            if self._views.get(host) is view and leader is not None and self._both(leader, host):
                view.life.run(lambda: self._advance(view, end))

        self._queue.after(delay, arrive)

    def _advance(self, view: View, end: int) -> None:
        assert isinstance(view, GroupView)
        lag = end - view.applied
        if lag > SNAPSHOT_LAG_ENTRIES and self._rng.random() < SNAPSHOT_PROBABILITY:
            self._give_snapshot(view)
        super()._advance(view, end)

    def _give_snapshot(self, view: GroupView) -> None:
        others = [other for other in self.running() if other.applied > view.applied]
        if others:
            self._transcript.note("a snapshot in place of entries after", view.applied)
            view.install(max(others, key=lambda other: other.applied).image())
            view.on_snapshot()

    def _apply(self, view: View, index: int) -> None:
        assert isinstance(view, GroupView)
        entry = self.entries[index - 1]
        results = view.apply_entry(index, entry)
        if index > self.last_applied:
            self.last_applied = index
            self.on_first(index, entry, view, results)
        view.on_entry(index, entry.term, results)
        view.on_applied(index, entry.command, True)

    # --- time -------------------------------------------------------------------------------------

    def _tick(self) -> None:
        now = self._queue.now
        leader = self.leader
        if leader is not None and self._has_majority(leader):
            self._lost_since = None
            self._commit_taken(len(self._taken))
            self._heartbeat(leader, now)
        else:
            self._without_leader(now)
        for host, view in self._views.items():
            if not view.life.paused:
                self._look_at_belief(host, now)
        if now - self._flushed_at >= FLUSH_S:
            self._flushed_at = now
            for host in self._views:
                self._images[host] = self.view(host).image()
        self._queue.after(TICK_S, self._tick)

    def _heartbeat(self, leader: str, now: float) -> None:
        term = self.term
        for host in self._views:
            if host != leader and self._hears(leader, host):
                self._queue.after(
                    self._hop_s(), lambda host=host: self._on_heartbeat(host, leader, term)
                )
            if self.view(host).applied < len(self.entries):
                self._spread(host)

    def _on_heartbeat(self, host: str, leader: str, term: int) -> None:
        if host in self._views and self._hears(leader, host) and term >= self.view(host).term:
            self.view(host).believe(leader, term, self._queue.now)

    def _look_at_belief(self, host: str, now: float) -> None:
        """Who hears nothing believes in nobody."""
        view = self.view(host)
        if view.leader == host:
            if self._leads_truly(host, view.term):
                view.heard_at = now
            elif now - view.heard_at > LEADER_PATIENCE_S:
                view.believe(None, view.term, now)
                self.leader = None if self.leader == host else self.leader
        elif view.leader is not None and now - view.heard_at > view.patience_s:
            view.believe(None, view.term, now)

    def _without_leader(self, now: float) -> None:
        if self._lost_since is None:
            self._lost_since = now
            self._patience_s = self._rng.uniform(*ELECTION_S)
        elif now - self._lost_since > self._patience_s:
            self._elect()

    def _elect(self) -> None:
        self._lost_since = None
        able = [voter for voter in self._voters if self._has_majority(voter)]
        if not able:
            self.leader = None
            return
        self._become_leader(self._rng.choice(able))

    def depose(self) -> None:
        """Another voter is elected, and the leader does not know it yet."""
        able = [v for v in self._voters if v != self.leader and self._has_majority(v)]
        if able:
            self._become_leader(self._rng.choice(able))

    def _become_leader(self, host: str) -> None:
        """What old leaders had taken is in this one's log, as far as it is, or gone for ever."""
        taken, self._taken = self._taken, []
        self.leader = host
        last_term = self.entries[-1].term if self.entries else 0
        for leader in dict.fromkeys(one.leader for one in taken):
            own = [one for one in taken if one.leader == leader]
            kept = len(own) if leader == host else self._rng.randint(0, len(own))
            for one in own[:kept]:
                if one.entry.term >= last_term:
                    last_term = one.entry.term
                    self._append(one.entry)
        self.term += 1
        self._transcript.note("the group is led by", host, "in term", self.term)
        self.view(host).believe(host, self.term, self._queue.now)
        self._append(Entry(self.term, Command(BATCH, [])))


def _nothing(*_: object) -> None:
    return None


class LogDriver:
    """`GroupDriver` of one process, over the log."""

    def __init__(self, log: GroupLog, host: str) -> None:
        self._log, self._host = log, host

    def submit(self, batch: bytes, on_refused: OnRefused) -> None:
        """See `RaftDriver.submit`."""
        self._log.submit(self._host, batch, on_refused)

    def read_index(self, done: OnPoint) -> None:
        """See `RaftDriver.read_index`."""
        self._log.read_index(self._host, done)
