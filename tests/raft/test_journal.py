"""The journal against a plain list, over a simulated disk that crashes where it hurts."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core.errors import CorruptStorage, InvariantBroken, StorageFull
from quorate.core.raft.entries import NO_OP_COMMAND, pack_configuration
from quorate.core.raft.journal import BASE_INDEX, TABLES, Journal
from quorate.core.raft.members import Configuration, Member
from quorate.core.storage.disk_model import CrashPolicy, DiskImage, DiskModel
from quorate.core.storage.memory_engine import MemoryEngine


class Handle:
    def __init__(self) -> None:
        self.live = True

    def cancel(self) -> None:
        self.live = False


class Steps:
    """A scheduler that runs what is due when told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Handle, Callable[[], object]]] = []
        self._order = itertools.count()

    def call_soon(self, callback: Callable[[], object]) -> Handle:
        return self.call_later(0.0, callback)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Handle:
        handle = Handle()
        heapq.heappush(self._queue, (self.now + delay_s, next(self._order), handle, callback))
        return handle

    def run(self) -> None:
        while self._queue:
            self.now, _, handle, callback = heapq.heappop(self._queue)
            if handle.live:
                callback()


class Desk:
    """A journal with its disk, crashed and reopened at will."""

    def __init__(self, seed: int = 1, image: DiskImage | None = None, cache: int = 200) -> None:
        self.steps = Steps()
        self.rng = random.Random(seed)
        self.disk = DiskModel(self.rng)
        self.engine = MemoryEngine(TABLES, self.steps, self.disk, image=image)
        self.journal = Journal(self.engine, cache_bytes_max=cache)

    def flush(self) -> Exception | None:
        told: list[Exception | None] = []
        assert self.journal.flush(told.append)
        self.steps.run()
        return told[0]

    def crash(self, policy: CrashPolicy) -> Desk:
        return Desk(self.rng.randrange(1 << 30), self.engine.crash(policy, self.rng))


def command(n: int) -> bytes:
    return b"\x00" + b"%d" % n * (1 + n % 30)


def fill(journal: Journal, last: int, term: int = 1) -> None:
    for index in range(journal.last_index + 1, last + 1):
        journal.add(command(index), index, term)


def test_an_empty_journal_is_pysyncobjs_empty_log():
    journal = Desk().journal
    assert (len(journal), journal[-1][1:], journal.last_term) == (1, (BASE_INDEX, 0), 0)


def test_nothing_is_durable_before_the_flush_is():
    desk = Desk()
    fill(desk.journal, 10)
    desk.journal.flush(lambda _: None)
    assert desk.journal.durable_last == BASE_INDEX
    desk.steps.run()
    assert desk.journal.durable_last == 10


def test_entries_come_from_memory_and_from_disk_alike():
    desk = Desk(cache=50)
    fill(desk.journal, 300)
    desk.flush()
    fill(desk.journal, 320)
    assert [e[1] for e in desk.journal.entries(2, 320)] == list(range(2, 321))
    assert desk.journal.entries(2, 320)[250] == (command(252), 252, 1)
    assert [e[1] for e in desk.journal.entries(5, 320, bytes_max=1)] == [5]


def test_a_truncation_during_a_flush_is_not_undone_by_it():
    desk = Desk()
    fill(desk.journal, 10)
    desk.journal.flush(lambda _: None)
    desk.journal.truncate_from(6)
    desk.steps.run()
    assert (desk.journal.last_index, desk.journal.durable_last) == (5, 5)
    fill(desk.journal, 7, term=2)
    desk.flush()
    again = desk.crash(CrashPolicy.LOST).journal
    assert [(e[1], e[2]) for e in again.entries(4, 7)] == [(4, 1), (5, 1), (6, 2), (7, 2)]


def test_a_committed_entry_is_never_truncated():
    desk = Desk()
    fill(desk.journal, 10)
    desk.journal.setRaftCommitIndex(8)
    with pytest.raises(InvariantBroken, match="committed"):
        desk.journal.truncate_from(8)


def test_the_stored_commit_index_never_runs_ahead_of_the_stored_entries():
    desk = Desk()
    fill(desk.journal, 10)
    desk.journal.setRaftCommitIndex(10)
    desk.flush()
    assert desk.crash(CrashPolicy.LOST).journal.getRaftCommitIndex() == BASE_INDEX


def test_a_gap_below_the_commit_index_is_refused_and_above_it_is_cut():
    for gap, commit in ((5, 3), (5, 7)):
        desk = Desk()
        fill(desk.journal, 10)
        desk.flush()
        desk.journal.setRaftCommitIndex(commit)
        fill(desk.journal, 11)  # the commit index is stored with the entries
        desk.flush()
        image = desk.engine.crash(CrashPolicy.LOST, desk.rng)
        del image.tables["log"][gap.to_bytes(8, "big")]
        if gap <= commit:
            with pytest.raises(CorruptStorage, match="breaks at entry 5"):
                Desk(image=image)
        else:
            assert Desk(image=image).journal.last_index == gap - 1


def test_term_and_vote_survive_a_crash_once_flushed():
    desk = Desk()
    desk.journal.setCurrentTerm(3, "b")
    desk.flush()
    desk.journal.setCurrentTerm(4, "c")
    again = desk.crash(CrashPolicy.LOST).journal
    assert (again.getCurrentTerm(), again.getVotedForNodeId()) == (3, "b")


def test_configurations_come_and_go_with_their_entries():
    desk = Desk()
    one = Configuration.of([Member("a", "a:1")])
    two = Configuration.of([Member("a", "a:1"), Member("b", "b:1", "learner")])
    desk.journal.bootstrap(one)
    fill(desk.journal, 4)
    desk.journal.add(pack_configuration(two), 5, 1)
    assert desk.journal.configuration_at(5) == (5, two)
    desk.flush()
    desk.journal.setRaftCommitIndex(4)
    desk.journal.compact_to(3)
    desk.journal.truncate_from(5)
    desk.flush()
    again = desk.crash(CrashPolicy.LOST).journal
    assert again.configuration_at(again.last_index) == (BASE_INDEX, one)


@pytest.mark.parametrize("flushed", [False, True])
def test_a_snapshot_replaces_the_log_in_one_transaction(flushed: bool):
    desk = Desk()
    fill(desk.journal, 10)
    desk.flush()
    config = Configuration.of([Member("a", "a:1")])
    desk.journal.reset_to(50, 3, config, "g2")
    assert desk.journal.durable_last == 0, "nothing may be acknowledged yet"
    if not flushed:
        before = desk.crash(CrashPolicy.LOST).journal
        assert (before.base_index, before.last_index, before.generation) == (BASE_INDEX, 10, "")
        return
    desk.flush()
    after = desk.crash(CrashPolicy.LOST).journal
    assert (after.base_index, after.last_index, after.last_term) == (50, 50, 3)
    assert (after.generation, after.configuration_at(50)) == ("g2", (50, config))


def test_a_full_disk_keeps_everything_staged():
    desk = Desk()
    fill(desk.journal, 5)
    desk.disk.full = True
    assert isinstance(desk.flush(), StorageFull)
    assert desk.journal.durable_last == BASE_INDEX and desk.journal.dirty
    desk.disk.full = False
    assert desk.flush() is None
    assert desk.journal.durable_last == 5


STEP = st.tuples(
    st.sampled_from(
        ["add", "add", "add", "flush", "start", "cut", "compact", "commit", "crash", "term"]
    ),
    st.integers(0, 40),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(STEP, max_size=50),
    st.sampled_from([CrashPolicy.LOST, CrashPolicy.KEPT]),
    st.integers(0, 99),
)
def test_what_is_durable_survives_and_what_survives_was_written(
    steps: list[tuple[str, int]], policy: CrashPolicy, seed: int
):
    """After a crash the journal is a plain model's durable state, or what was in flight besides."""
    desk = Desk(seed)
    model: dict[int, tuple[bytes, int]] = {}
    states: list[dict[int, tuple[bytes, int]]] = [{}]
    base, commit, term, number = BASE_INDEX, BASE_INDEX, 1, 0
    in_flight = False
    for kind, argument in steps:
        journal = desk.journal
        if kind == "add":
            number += 1
            index = journal.last_index + 1
            entry = (command(number) if argument % 5 else NO_OP_COMMAND, term)
            journal.add(entry[0], index, term)
            model[index] = entry
        elif kind == "term":
            term += 1
        elif kind == "cut" and journal.last_index - argument % 8 > commit:
            index = journal.last_index - argument % 8
            journal.truncate_from(index)
            model = {i: e for i, e in model.items() if i < index}
        elif kind == "commit":
            commit = max(commit, min(journal.durable_last, commit + argument))
            journal.setRaftCommitIndex(commit)
        elif kind == "compact":
            base = max(base, min(commit, base + argument % 6))
            journal.compact_to(base)
        elif kind in ("flush", "start") and not journal.flushing:
            states.append(dict(model))
            journal.flush(lambda _: None)
            in_flight = True
        if kind == "flush":
            desk.steps.run()
            states, in_flight = states[-1:], False
        elif kind == "crash":
            desk = desk.crash(policy)
            found = {e[1]: (e[0], e[2]) for e in _all(desk.journal)}
            allowed = states if in_flight else states[-1:]
            assert any(
                found == {i: e for i, e in s.items() if i > desk.journal.base_index}
                for s in allowed
            )
            model = dict(found)
            base = desk.journal.base_index
            commit = max(base, desk.journal.getRaftCommitIndex())
            term = max(term, desk.journal.last_term)
            states, in_flight = [dict(model)], False
        assert {e[1]: (e[0], e[2]) for e in _all(desk.journal)} == {
            i: e for i, e in model.items() if i > base
        }


def _all(journal: Journal) -> list[tuple[bytes, int, int]]:
    if journal.last_index == journal.base_index:
        return []
    return journal.entries(journal.base_index + 1, journal.last_index)
