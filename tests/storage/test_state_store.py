"""The overlay against a plain dict: every read sees every write, and a crash leaves a whole flush
or none.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from quorate.core.errors import LimitExceeded, Stopped, StorageFailed, StorageFull, UsageError
from quorate.core.storage.disk_model import CrashPolicy, DiskModel
from quorate.core.storage.lmdb_engine import LmdbEngine
from quorate.core.storage.memory_engine import MemoryEngine
from quorate.core.storage.state_store import StateStore
from tests.storage.storage_tools import ThreadInbox, VirtualTime

TABLES = ("kv", "names")
SOAK = os.environ.get("QUORATE_SOAK") == "1"
KEYS = st.sampled_from([b"%02d" % number for number in range(24)])
BOUNDS = st.none() | KEYS
Model = dict[str, dict[bytes, bytes]]


def empty() -> Model:
    return {table: {} for table in TABLES}


class OverlayMachine(RuleBasedStateMachine):
    """Writes, flushes in slices, full disks, crashes and snapshots in any order, beside a plain
    dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.time = VirtualTime()
        self.disk = DiskModel(random.Random(3))
        self.engine = MemoryEngine(TABLES, self.time, self.disk)
        self.store = self.make_store()
        self.model = empty()
        self.promised = empty()
        """What a finished flush made durable."""
        self.history: list[Model] = [empty()]
        """The model at each moment at which a flush may begin: when one is asked for, and, for one
        that waits for another, at any later turn of the loop.
        """
        self.heard: list[Exception | None] = []
        self.serial = 0

    def make_store(self) -> StateStore:
        return StateStore(
            self.engine,
            self.time,
            tables=TABLES,
            flush_slice_records=3,
            flush_records=10,
            clean_records_max=3,
        )

    @rule(table=st.sampled_from(TABLES), key=KEYS)
    def put(self, table: str, key: bytes) -> None:
        self.serial += 1
        value = b"%d" % self.serial
        self.store.put(table, key, value)
        self.model[table][key] = value

    @rule(table=st.sampled_from(TABLES), key=KEYS)
    def delete(self, table: str, key: bytes) -> None:
        self.store.delete(table, key)
        self.model[table].pop(key, None)

    @rule()
    def flush(self) -> None:
        now = self.remember()

        def done(error: Exception | None) -> None:
            self.heard.append(error)
            if error is None:
                self.promised = now

        self.store.flush(done)

    def remember(self) -> Model:
        self.history.append({table: dict(records) for table, records in self.model.items()})
        return self.history[-1]

    @rule(steps=st.integers(1, 12))
    def time_goes_on(self, steps: int) -> None:
        self.remember()
        for _ in range(steps):
            self.time.step()

    @rule()
    def the_disk_fills_or_empties(self) -> None:
        self.disk.full = not self.disk.full

    @precondition(lambda self: not self.disk.full)
    @rule()
    def everything_settles(self) -> None:
        self.flush()
        self.time.run()
        self.flush()
        self.time.run()
        assert self.promised == self.model
        assert self.store.dirty_records == self.store.dirty_bytes == 0

    @rule(seed=st.integers(0, 1000))
    def crash_and_restart(self, seed: int) -> None:
        image = self.engine.crash(CrashPolicy.EITHER, random.Random(seed))
        self.time = VirtualTime()
        self.disk.full = False
        self.engine = MemoryEngine.reopen(image, self.time, self.disk)
        self.store = self.make_store()
        found = {table: dict(self.store.scan(table)) for table in TABLES}
        newest = max(at for at, state in enumerate(self.history) if state == found)
        durable = max(at for at, state in enumerate(self.history) if state == self.promised)
        assert newest >= durable, "a flush that was promised is missing"
        self.model, self.promised = found, {t: dict(r) for t, r in found.items()}
        self.history.append(self.promised)

    @rule(low=BOUNDS, high=BOUNDS, reverse=st.booleans(), limit=st.none() | st.integers(0, 8))
    def scan(self, low: bytes | None, high: bytes | None, reverse: bool, limit: int | None) -> None:
        start = low or b""
        wanted = sorted(
            (key, value)
            for key, value in self.model["kv"].items()
            if key >= start and (high is None or key < high)
        )
        if reverse:
            wanted.reverse()
        found = self.store.scan("kv", start, high, reverse=reverse, limit=limit)
        assert found == (wanted if limit is None else wanted[:limit])

    @invariant()
    def every_read_sees_every_write(self) -> None:
        for table, records in self.model.items():
            for number in range(24):
                key = b"%02d" % number
                assert self.store.get(table, key) == records.get(key)

    @invariant()
    def only_a_full_disk_was_heard_of(self) -> None:
        assert all(error is None or isinstance(error, StorageFull) for error in self.heard)


OverlayMachine.TestCase.settings = settings(
    max_examples=600 if SOAK else 80, stateful_step_count=50, deadline=None, database=None
)
test_the_overlay_is_a_dict_that_survives = OverlayMachine.TestCase


@pytest.fixture(params=["lmdb", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    if request.param == "lmdb":
        inbox = ThreadInbox()
        engine = LmdbEngine(tmp_path / "db", tables=TABLES, post=inbox.post, format_version=1)
        made = StateStore(engine, OnInbox(inbox), tables=TABLES)
    else:
        time = VirtualTime()
        engine = MemoryEngine(TABLES, time, DiskModel(random.Random(1)))
        made = StateStore(engine, time, tables=TABLES)
    yield made
    engine.close()


class OnInbox(VirtualTime):
    """Plans on a thread's inbox; there is no later."""

    def __init__(self, inbox: ThreadInbox) -> None:
        super().__init__()
        self._inbox = inbox

    def call_soon(self, callback: object) -> object:
        return self._inbox.post(callback)  # type: ignore[arg-type]


def test_a_blocking_flush_makes_all_durable_even_while_another_fills(store: StateStore) -> None:
    for number in range(2000):
        store.put("kv", b"%05d" % number, b"x")
    store.flush()
    for number in range(1000):
        store.delete("kv", b"%05d" % number)
    store.flush_blocking()
    assert store.dirty_records == 0
    assert store.scan("kv", limit=2) == [(b"01000", b"x"), (b"01001", b"x")]
    assert len(store.scan("kv")) == 1000
    assert store.scan("kv", b"01500", b"01503", reverse=True) == [
        (b"01502", b"x"),
        (b"01501", b"x"),
        (b"01500", b"x"),
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_lazy_scan_reads_on_past_many_deleted_records(store: StateStore, reverse: bool) -> None:
    """More tombstones than one chunk of the engine holds, on both layers."""
    model: dict[bytes, bytes] = {}
    for number in range(3000):
        store.put("kv", b"%05d" % number, b"old")
    store.flush_blocking()
    rng = random.Random(9)
    for number in range(3000):
        key = b"%05d" % number
        if 200 <= number < 2800:
            store.delete("kv", key)
        else:
            model[key] = b"old"
            if rng.random() < 0.3:
                store.put("kv", key, b"new")
                model[key] = b"new"
        if number == 1500:
            store.flush()  # freezes; it does not run on, because nothing runs the scheduler
    wanted = sorted(model.items(), reverse=reverse)
    for limit in (1, 100, 199, 200, 201, 350, 5000):
        assert store.scan("kv", limit=limit, reverse=reverse) == wanted[:limit]
    low, high = (b"00150", b"02850")
    bounded = [record for record in wanted if low <= record[0] < high]
    assert store.scan("kv", low, high, reverse=reverse, limit=70) == bounded[:70]
    assert store.scan("kv", low, high, reverse=reverse) == bounded


def test_limits_are_checked_when_put_and_not_when_flushed(store: StateStore) -> None:
    for wrong in (b"", b"k" * 512):
        with pytest.raises(LimitExceeded):
            store.put("kv", wrong, b"v")
    for mistake in (
        lambda: store.put("nowhere", b"k", b"v"),
        lambda: store.get("nowhere", b"k"),
        lambda: store.delete("nowhere", b"k"),
        lambda: store.scan("nowhere"),
    ):
        with pytest.raises(UsageError, match="nowhere"):
            mistake()
    assert store.dirty_records == 0


def memory_store(**options: int) -> tuple[StateStore, MemoryEngine, DiskModel, VirtualTime]:
    time, disk = VirtualTime(), DiskModel(random.Random(5))
    engine = MemoryEngine(TABLES, time, disk)
    return StateStore(engine, time, tables=TABLES, **options), engine, disk, time


def test_the_caller_hears_when_to_flush_and_when_to_wait() -> None:
    store, _, _, time = memory_store(flush_records=10, dirty_bytes_max=5000)
    for number in range(10):
        assert not store.wants_flush
        store.put("kv", b"%d" % number, b"x")
    assert store.wants_flush
    assert not store.overloaded
    store.put("kv", b"big", bytes(5000))
    assert store.overloaded
    store.put("kv", b"big", b"small now")
    assert not store.overloaded
    store.flush()
    assert not store.wants_flush
    assert store.dirty_records == 11
    time.run()
    assert store.dirty_records == store.dirty_bytes == 0


def test_a_full_disk_loses_nothing_and_a_retry_flushes_old_and_new() -> None:
    store, engine, disk, time = memory_store()
    disk.full = True
    store.put("kv", b"a", b"1")
    store.put("kv", b"b", b"1")
    heard: list[Exception | None] = []
    store.flush(heard.append)
    time.run()
    assert isinstance(heard[0], StorageFull)
    store.put("kv", b"b", b"2")
    store.delete("kv", b"a")
    disk.full = False
    store.flush(heard.append)
    time.run()
    assert heard[1] is None
    assert engine.scan("kv") == [(b"b", b"2")]
    assert store.dirty_records == 0


def test_a_failed_disk_is_fatal_for_every_later_flush() -> None:
    store, _, disk, time = memory_store()
    disk.failing = True
    store.put("kv", b"a", b"1")
    heard: list[Exception | None] = []
    store.flush(heard.append)
    time.run()
    store.flush(heard.append)
    time.run()
    assert [type(error) for error in heard] == [StorageFailed, StorageFailed]
    with pytest.raises(StorageFailed):
        store.flush_blocking()


def test_a_mark_put_with_the_writes_becomes_durable_with_them_and_not_alone() -> None:
    """Kill at every step of a flush: the applied index on the disk always fits the records."""
    for cut in range(40):
        store, engine, disk, time = memory_store(flush_slice_records=2)
        for index in range(1, 12):
            store.put("kv", b"entry-%02d" % index, b"x")
            store.put("names", b"applied", b"%02d" % index)
            if index in (4, 8):
                store.flush()
        for _ in range(cut):
            time.step()
        image = engine.crash(CrashPolicy.EITHER, random.Random(cut))
        left = MemoryEngine.reopen(image, VirtualTime(), disk)
        applied = int(left.get("names", b"applied") or b"0")
        assert len(left.scan("kv")) == applied
        assert applied in (0, 4, 8, 11)


def test_planted_a_disk_that_tears_transactions_is_caught() -> None:
    """The same story over a disk that keeps some records of a commit: mark and records disagree."""
    torn = 0
    for seed in range(60):
        store, engine, disk, time = memory_store()
        for index in range(1, 12):
            store.put("kv", b"entry-%02d" % index, b"x")
        store.put("names", b"applied", b"11")
        store.flush()
        while engine.writer() is not None:
            time.step()
        image = engine.crash(CrashPolicy.TORN, random.Random(seed))
        left = MemoryEngine.reopen(image, VirtualTime(), disk)
        applied = int(left.get("names", b"applied") or b"0")
        torn += len(left.scan("kv")) != applied
    assert torn > 50


def test_planted_a_disk_that_lies_about_its_sync_is_caught() -> None:
    store, engine, disk, time = memory_store()
    disk.fsync_lies = True
    heard: list[Exception | None] = []
    store.put("kv", b"a", b"1")
    store.flush(heard.append)
    while not heard:
        time.step()
    assert heard == [None]
    left = MemoryEngine.reopen(
        engine.crash(CrashPolicy.KEPT, random.Random(1)), VirtualTime(), disk
    )
    assert left.get("kv", b"a") is None, "promised, and gone: this is what a test must notice"


def test_an_installed_snapshot_replaces_everything_and_waiters_hear_of_it() -> None:
    store, old, disk, time = memory_store()
    store.put("kv", b"old", b"1")
    heard: list[Exception | None] = []
    store.flush(heard.append)
    store.put("kv", b"older still", b"1")
    store.flush(heard.append)
    other = MemoryEngine(TABLES, time, disk)
    other.writer().put("kv", b"new", b"2")  # type: ignore[union-attr]
    other.commit_blocking()
    assert store.replace(other) is old
    old.close()
    assert [type(error) for error in heard] == [Stopped, Stopped]
    time.run()
    assert store.scan("kv") == [(b"new", b"2")]
    store.put("kv", b"newer", b"3")
    store.flush(heard.append)
    time.run()
    assert heard[2:] == [None]
    assert other.get("kv", b"newer") == b"3"
