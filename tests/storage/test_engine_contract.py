"""What every engine promises, told once and run over LMDB and over the memory model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quorate.core.errors import InvariantBroken, LimitExceeded, Stopped, UsageError
from tests.storage.storage_tools import Bench, lmdb_bench, memory_bench


@pytest.fixture(params=["lmdb", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = lmdb_bench(tmp_path / "db") if request.param == "lmdb" else memory_bench()
    yield made
    made.engine.close()


def test_a_write_is_seen_after_its_commit_and_not_before(bench: Bench) -> None:
    engine = bench.engine
    engine.writer().put("log", b"k", b"v")
    assert engine.get("log", b"k") is None
    assert bench.commit() is None
    assert engine.get("log", b"k") == b"v"
    assert engine.get("meta", b"k") is None


def test_there_is_no_writer_while_a_commit_is_in_flight_and_one_when_done_runs(
    bench: Bench,
) -> None:
    engine = bench.engine
    engine.writer().put("log", b"k", b"v")
    seen: list[bool] = []
    engine.commit(lambda error: seen.append(engine.writer() is not None))
    assert engine.writer() is None
    bench.run_until(lambda: bool(seen))
    assert seen == [True]


def test_who_waits_for_the_writer_is_called_once(bench: Bench) -> None:
    engine = bench.engine
    calls: list[str] = []
    engine.when_writable(lambda: calls.append("at once"))
    bench.run_until(lambda: calls == ["at once"])
    engine.writer().put("log", b"k", b"v")
    engine.commit(lambda error: calls.append("done"))
    engine.when_writable(lambda: calls.append("writable"))
    bench.run_until(lambda: len(calls) == 3)
    assert calls == ["at once", "done", "writable"]


def test_an_empty_commit_is_done_soon_and_touches_no_disk(bench: Bench) -> None:
    heard: list[Exception | None] = []
    bench.engine.commit(heard.append)
    assert heard == []
    bench.run_until(lambda: bool(heard))
    assert heard == [None]
    assert bench.engine.statistics()["commits"] == 0


def test_later_operations_of_a_transaction_win(bench: Bench) -> None:
    writer = bench.engine.writer()
    for key in (b"a", b"b", b"c", b"d"):
        writer.put("log", key, b"1")
    writer.put("log", b"a", b"2")
    writer.delete("log", b"b")
    writer.delete("log", b"never there")
    writer.delete_range("log", b"c", b"d")
    writer.put("log", b"c", b"3")
    assert bench.commit() is None
    assert bench.engine.scan("log") == [(b"a", b"2"), (b"c", b"3"), (b"d", b"1")]


def test_a_range_of_a_table_and_a_whole_table_can_be_deleted(bench: Bench) -> None:
    for number in range(100):
        bench.engine.writer().put("log", number.to_bytes(2, "big"), b"x")
        bench.engine.writer().put("meta", number.to_bytes(2, "big"), b"x")
    bench.engine.writer().delete_range("log", (90).to_bytes(2, "big"), None)
    bench.engine.writer().delete_range("meta", b"", None)
    bench.engine.writer().put("meta", b"after", b"y")
    assert bench.commit() is None
    assert bench.engine.last("log") == ((89).to_bytes(2, "big"), b"x")
    assert len(bench.engine.scan("log")) == 90
    assert bench.engine.scan("meta") == [(b"after", b"y")]


def test_scans_go_both_ways_within_their_bounds(bench: Bench) -> None:
    keys = [bytes([number]) for number in range(10, 20)]
    for key in keys:
        bench.engine.writer().put("log", key, key * 3)
    assert bench.commit() is None
    scan = bench.engine.scan

    def found(**how: object) -> list[int]:
        return [key[0] for key, _ in scan("log", **how)]

    assert found() == list(range(10, 20))
    assert found(start=b"\x0c", stop=b"\x0f") == [12, 13, 14]
    assert found(start=b"\x0c", stop=b"\x0f", reverse=True) == [14, 13, 12]
    assert found(reverse=True, limit=2) == [19, 18]
    assert found(stop=b"\xff", reverse=True, limit=1) == [19]
    assert found(start=b"\x13", stop=b"\x0b") == []
    assert found(stop=b"\x05", reverse=True) == []
    assert found(limit=0) == []
    assert bench.engine.first("log") == (b"\x0a", b"\x0a" * 3)
    assert bench.engine.last("log") == (b"\x13", b"\x13" * 3)
    assert bench.engine.first("meta") is None


def test_limits_and_names_are_checked_and_leave_the_transaction_as_it_was(bench: Bench) -> None:
    writer = bench.engine.writer()
    writer.put("log", b"good", b"v")
    for wrong in (b"", b"k" * 512):
        with pytest.raises(LimitExceeded, match="511"):
            writer.put("log", wrong, b"v")
    mistakes: list[Callable[[], object]] = [
        lambda: writer.put("nowhere", b"k", b"v"),
        lambda: writer.delete("nowhere", b"k"),
        lambda: bench.engine.get("nowhere", b"k"),
        lambda: bench.engine.scan("nowhere"),
    ]
    for mistake in mistakes:
        with pytest.raises(UsageError, match="nowhere"):
            mistake()
    writer.put("log", b"k" * 511, b"")
    assert bench.commit() is None
    assert bench.engine.scan("log") == [(b"good", b"v"), (b"k" * 511, b"")]


def test_a_writer_is_dead_once_its_commit_began(bench: Bench) -> None:
    writer = bench.engine.writer()
    writer.put("log", b"k", b"v")
    heard: list[Exception | None] = []
    bench.engine.commit(heard.append)
    with pytest.raises(InvariantBroken):
        writer.put("log", b"late", b"v")
    with pytest.raises(InvariantBroken):
        bench.engine.commit(heard.append)
    bench.run_until(lambda: bool(heard))
    assert bench.engine.get("log", b"late") is None


def test_a_blocking_commit_needs_no_loop(bench: Bench) -> None:
    bench.engine.writer().put("log", b"first", b"1")
    heard: list[Exception | None] = []
    bench.engine.commit(heard.append)
    bench.engine.commit_blocking()
    assert heard == [None]
    bench.engine.writer().put("log", b"second", b"2")
    bench.engine.commit_blocking()
    assert [key for key, _ in bench.engine.scan("log")] == [b"first", b"second"]
    assert bench.write(third=b"3") is None


def test_a_closed_engine_refuses_and_closing_twice_is_no_error(bench: Bench) -> None:
    assert bench.write(k=b"v") is None
    bench.engine.close()
    bench.engine.close()
    assert bench.engine.writer() is None
    heard: list[Exception | None] = []
    bench.engine.commit(heard.append)
    bench.run_until(lambda: bool(heard))
    assert isinstance(heard[0], Stopped)
    with pytest.raises(Stopped):
        bench.engine.get("log", b"k")
    assert bench.engine.statistics()["state"] == "closed"


def test_closing_waits_for_the_commit_in_flight_and_drops_what_was_only_put(bench: Bench) -> None:
    bench.engine.writer().put("log", b"k", b"v")
    heard: list[Exception | None] = []
    bench.engine.commit(heard.append)
    bench.engine.close()
    bench.run_until(lambda: bool(heard))
    assert heard == [None]


def test_a_copy_shows_the_state_of_the_call_although_writes_go_on(
    bench: Bench, tmp_path: Path
) -> None:
    assert bench.write(before=b"1") is None
    heard: list[Exception | None] = []
    bench.engine.copy_to(tmp_path / "copy", heard.append)
    assert bench.write(after=b"2") is None
    bench.run_until(lambda: bool(heard))
    assert heard == [None]
