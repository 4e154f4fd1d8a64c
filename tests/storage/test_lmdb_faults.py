"""Growth, a full disk, a failed sync, a slow disk, a busy loop: what the store does, as told to its
caller.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event, get_ident
from typing import Any

import pytest

from quorate.core.errors import StorageFailed, StorageFull
from quorate.core.storage.copier import Copier
from quorate.core.storage.faults import SwitchedFaults
from quorate.core.storage.lmdb_engine import LmdbEngine
from tests.storage.storage_tools import Bench, ThreadInbox, lmdb_bench

SOAK = os.environ.get("QUORATE_SOAK") == "1"
MIB = 1 << 20


def test_the_map_grows_under_continuous_writes_and_no_write_fails(tmp_path: Path) -> None:
    """From 1 MiB on; some transactions alone are larger than the map is when they begin."""
    wanted_bytes = (600 if SOAK else 130) * MIB
    bench = lmdb_bench(tmp_path / "db", map_size_bytes=MIB)
    written, number = 0, 0
    while written < wanted_bytes:
        batch = 3 if number % 7 else 400
        for _ in range(batch):
            bench.engine.writer().put("log", number.to_bytes(8, "big"), bytes(20_000))
            number += 1
            written += 20_000
        if number % 5 == 0:
            bench.engine.writer().delete_range(
                "log", (number - 2).to_bytes(8, "big"), (number - 1).to_bytes(8, "big")
            )
        assert bench.commit() is None
        assert bench.engine.get("log", (number - 1).to_bytes(8, "big")) == bytes(20_000)
    found = bench.engine.statistics()
    assert found["replays"] >= 2, "some transaction must have outgrown its map"
    assert found["grown"] >= 7
    bench.engine.close()
    again = lmdb_bench(tmp_path / "db", map_size_bytes=MIB)
    assert again.engine.last("log")[0] == (number - 1).to_bytes(8, "big")
    again.engine.close()


def test_a_copy_and_growth_do_not_meet(tmp_path: Path) -> None:
    bench = lmdb_bench(tmp_path / "db", map_size_bytes=MIB)
    heard: list[Exception | None] = []
    for round_number in range(12):
        bench.engine.copy_to(tmp_path / f"copy-{round_number}", heard.append)
        for number in range(60):
            key = (round_number * 1000 + number).to_bytes(8, "big")
            bench.engine.writer().put("log", key, bytes(20_000))
        assert bench.commit() is None
    bench.run_until(lambda: len(heard) == 12)
    assert set(heard) == {None}
    assert len(bench.engine.scan("log")) == 12 * 60
    bench.engine.close()


def test_a_commit_that_waits_for_a_copy_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The map may not grow during a copy; the copy's thread lives on a little after it answered."""
    may_copy, may_end = Event(), Event()
    usual = Copier._run

    def slow(self: Copier, *work: Any) -> None:
        may_copy.wait()
        usual(self, *work)
        may_end.wait()

    monkeypatch.setattr(Copier, "_run", slow)
    bench = lmdb_bench(tmp_path / "db", map_size_bytes=MIB)
    copied: list[Exception | None] = []
    heard: list[Exception | None] = []
    bench.engine.copy_to(tmp_path / "copy", copied.append)
    bench.engine.writer().put("log", b"larger than the map", bytes(3 * MIB))
    bench.engine.commit(heard.append)
    while bench.engine.statistics()["waiting_for_copy"] == 0:
        bench.engine.poll()
    assert (heard, copied) == ([], [])
    may_copy.set()
    bench.run_until(lambda: bool(heard))
    assert (heard, copied) == ([None], [None])
    may_end.set()
    bench.engine.close()


def test_a_map_at_its_limit_refuses_cleanly_and_takes_writes_again_after_deletes(
    tmp_path: Path,
) -> None:
    bench = lmdb_bench(tmp_path / "db", map_size_bytes=MIB, map_size_max_bytes=4 * MIB)
    outcome, number = None, 0
    while outcome is None:
        bench.engine.writer().put("log", number.to_bytes(8, "big"), bytes(100_000))
        outcome = bench.commit()
        number += outcome is None
    assert isinstance(outcome, StorageFull)
    assert "map_size_max_bytes" in str(outcome)
    assert len(bench.engine.scan("log")) == number > 10
    bench.engine.writer().delete_range("log", b"", (number - 5).to_bytes(8, "big"))
    assert bench.commit() is None
    assert bench.write(small=b"LMDB hands freed pages out again from the second commit on") is None
    for _ in range(3):
        bench.engine.writer().put("meta", b"k", bytes(100_000))
        assert bench.commit() is None
    bench.engine.close()


def test_a_full_disk_refuses_and_recovers_when_space_returns(tmp_path: Path) -> None:
    faults = SwitchedFaults()
    bench = lmdb_bench(tmp_path / "db", faults=faults)
    assert bench.write(before=b"1") is None
    faults.full = True
    for _ in range(3):
        outcome = bench.write(lost=b"2")
        assert isinstance(outcome, StorageFull)
        assert outcome.outcome == "not_applied"
        assert "resume by themselves" in str(outcome)
    assert bench.engine.get("log", b"lost") is None
    faults.full = False
    assert bench.write(after=b"3") is None
    assert [key for key, _ in bench.engine.scan("log")] == [b"after", b"before"]
    bench.engine.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"mounting a small tmpfs is not permitted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_really_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * MIB))
    bench = lmdb_bench(small_disk / "db")
    held, outcome = 0, None
    while outcome is None:
        for number in range(held, held + 20):
            bench.engine.writer().put("log", number.to_bytes(4, "big"), bytes(8000))
        outcome = bench.commit()
        held += 20 if outcome is None else 0
    assert isinstance(outcome, StorageFull), outcome
    assert isinstance(bench.write(more=bytes(100_000)), StorageFull)
    assert len(bench.engine.scan("log")) == held
    assert bench.engine.statistics()["space_low"]
    heard: list[Exception | None] = []
    bench.engine.copy_to(small_disk / "copy", heard.append)
    bench.run_until(lambda: bool(heard))
    assert isinstance(heard[0], StorageFull), heard
    assert not (small_disk / "copy").exists()
    ballast.unlink()
    assert bench.write(more=bytes(100_000)) is None
    bench.engine.close()
    again = lmdb_bench(small_disk / "db")
    assert len(again.engine.scan("log")) == held + 1
    again.engine.close()


def test_a_failed_sync_is_fatal(tmp_path: Path) -> None:
    faults = SwitchedFaults()
    bench = lmdb_bench(tmp_path / "db", faults=faults)
    assert bench.write(safe=b"1") is None
    faults.fsync_fails = True
    outcome = bench.write(unknown=b"2")
    assert isinstance(outcome, StorageFailed)
    assert "unknown" in str(outcome)
    faults.fsync_fails = False
    assert bench.engine.writer() is None
    assert isinstance(bench.commit(), StorageFailed), "one failure, and never a success after it"
    with pytest.raises(StorageFailed):
        bench.engine.get("log", b"safe")
    with pytest.raises(StorageFailed):
        bench.engine.commit_blocking()
    assert bench.engine.statistics()["state"] == "failed"
    bench.engine.close()
    again = lmdb_bench(tmp_path / "db")
    assert again.engine.get("log", b"safe") == b"1"
    again.engine.close()


def test_a_disk_that_hangs_does_not_stop_the_owning_thread(tmp_path: Path) -> None:
    faults = SwitchedFaults()
    bench = lmdb_bench(tmp_path / "db", faults=faults)
    assert bench.write(old=b"1") is None
    faults.stall()
    bench.engine.writer().put("log", b"new", b"2")
    heard: list[Exception | None] = []
    bench.engine.commit(heard.append)
    for _ in range(1000):
        bench.engine.poll()
        assert bench.engine.get("log", b"old") == b"1"
        assert bench.engine.get("log", b"new") is None
    assert heard == []
    faults.resume()
    bench.run_until(lambda: bool(heard))
    assert heard == [None]
    assert bench.engine.get("log", b"new") == b"2"
    bench.engine.close()


def test_poll_takes_the_outcome_without_the_loop(tmp_path: Path) -> None:
    """The inbox never runs: only `poll` can have brought the outcome."""
    inbox = ThreadInbox()
    engine = LmdbEngine(tmp_path / "db", tables=["log"], post=inbox.post, format_version=1)
    for number in range(50):
        heard: list[Exception | None] = []
        engine.writer().put("log", number.to_bytes(2, "big"), b"x")  # type: ignore[union-attr]
        engine.commit(heard.append)
        while not heard:
            engine.poll()
        assert heard == [None]
    inbox.run_ready()
    assert len(engine.scan("log")) == 50
    engine.close()


def test_a_loop_that_never_sleeps_does_not_starve_the_commits(tmp_path: Path) -> None:
    """Without `call_later` the storage thread may wait for seconds; with it the commits all end."""

    async def story() -> int:
        loop = asyncio.get_running_loop()
        engine = LmdbEngine(
            tmp_path / "db",
            tables=["log"],
            post=loop.call_soon_threadsafe,
            call_later=loop.call_later,
            format_version=1,
        )
        turns = 0
        stopped = Event()

        def spin() -> None:
            nonlocal turns
            turns += 1
            if not stopped.is_set():
                sum(range(2000))
                loop.call_soon(spin)

        spin()
        for number in range(100):
            outcome: asyncio.Future[Exception | None] = loop.create_future()
            engine.writer().put("log", number.to_bytes(2, "big"), b"x")  # type: ignore[union-attr]
            engine.commit(outcome.set_result)
            async with asyncio.timeout(10):
                assert await outcome is None
        stopped.set()
        engine.close()
        return turns

    assert asyncio.run(story()) > 100


def test_done_runs_on_the_owning_thread(tmp_path: Path) -> None:
    bench: Bench = lmdb_bench(tmp_path / "db")
    where: list[int] = []
    bench.engine.writer().put("log", b"k", b"v")
    bench.engine.commit(lambda error: where.append(get_ident()))
    bench.run_until(lambda: bool(where))
    assert where == [get_ident()]
    bench.engine.close()
