"""What the report says of single calls, and a question without its tool."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest

from quorate.bench import usage
from quorate.bench.ages import Read, Written, ages
from quorate.bench.histogram import Histogram
from quorate.bench.load import Load
from quorate.bench.plan import QUICK
from quorate.bench.probe_report import probe_report
from quorate.bench.questions import delays, disk_and_network, paced, partition, staleness
from quorate.bench.questions.base import Context
from quorate.bench.questions.disk_and_network import Bytes
from quorate.bench.questions.levels import CASES
from quorate.bench.questions.probes import CALLS
from quorate.bench.systems.base import Missing
from quorate.bench.trials import Trial

MS = 1_000_000


def load(per_s: int, ms: float) -> Load:
    return Load(per_s, 0, 1.0, Histogram.of([int(ms * MS)] * 100))


def line_of(lines: list[str], begin: str) -> list[str]:
    """The words of the line that begins so, after it."""
    return next(line for line in lines if line.startswith(begin)).removeprefix(begin).split()


def test_delays_stand_side_by_side() -> None:
    one, many = delays.Case("strong writes", "leader"), delays.CASES[-1]
    loads = {
        (0, one): [load(1000, 1.0)],
        (20, one): [load(24, 41.0), load(24, 43.0)],
        (0, many): [load(50_000, 9.0)],
        (20, many): [load(30_000, 19.0)],
    }
    found = {"rows": delays.rows(loads, {(0, many): [0.1], (20, many): [0.3]})}
    lines = probe_report({"delays": found})
    assert line_of(lines, "p50 ms, at one-way ms") == ["0", "20"]
    assert line_of(lines, "strong writes, leader") == ["1.00", "41.0"]
    assert line_of(lines, "eventual writes, 1,024 in flight over all hosts") == ["50,000", "30,000"]
    assert line_of(lines, "    then behind, s") == ["0.10", "0.30"]


def test_an_error_of_a_delayed_call_is_told() -> None:
    broken = Load(0, 3, 1.0, Histogram(), "NoQuorum: none")
    rows = delays.rows({(80, delays.CASES[0]): [broken]}, {})
    assert "strong writes, leader, 80 ms: NoQuorum: none" in probe_report(
        {"delays": {"rows": rows}}
    )


def test_without_a_toxiproxy_the_run_goes_on_and_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOXIPROXY_SERVER", str(tmp_path / "none"))
    with pytest.raises(Missing, match="install-toxiproxy"):
        delays.DelayedLinks.check()
    said: list[str] = []
    context = Context(QUICK, [], [], tmp_path, said.append, random.Random(1))
    asyncio.run(delays.ask(context))
    assert "install-toxiproxy" in said[0]
    assert any("install-toxiproxy" in line for line in probe_report(context.found))


def test_a_cut_tells_the_shares_and_the_errors_of_each_side() -> None:
    key = "leader", "minority", "strong write"
    ends = [("", 2 * MS), ("OutcomeUnknown", 2000 * MS), ("NoQuorum", 3 * MS), ("NoQuorum", 4 * MS)]
    rows = partition.rows({key: [Trial.of(ends)]})
    assert rows[0]["answered_percent"] == 25
    found = {"cuts": 1, "cut_s": 7.0, "deadline_s": 2.0, "bound_ms": 500, "rows": rows}
    lines = probe_report({"partition": found})
    told = " ".join(line_of(lines, "leader cut off, minority: strong write"))
    assert told.startswith("4 25.0 % 2.00")
    assert told.endswith("NoQuorum 2 (3.01/4.00 ms), OutcomeUnknown 1 (2,000/2,000 ms)")


def test_ages_are_told_in_milliseconds_and_versions() -> None:
    written = [Written(n * 10 * MS, n * 10 * MS + 2 * MS) for n in range(10)]
    seen = staleness.Seen(
        ages(written, [Read(35 * MS, 36 * MS, 2), Read(35 * MS, 36 * MS, 4)]),
        {"StaleReplica": 2},
        199.6,
    )
    row = staleness.row(staleness.Case("eventual", "bounded"), [seen, seen])
    assert (row["reads"], row["stale_percent"], row["versions_max"]) == (4, 50, 2)
    assert row["refused"] == {"StaleReplica": 4}
    lines = probe_report({"staleness": {"bound_ms": 100, "rows": [row]}})
    words = line_of(lines, "eventual writes, bounded reads")
    assert words[:2] == ["200", "4"]
    assert words[-2:] == ["StaleReplica", "4"]


def test_a_pace_tells_what_was_missed() -> None:
    stretch = {"load": load(450, 3.0), "missed": 50, "late": 2}
    row = paced.row("strong writes", 50, 1000.0, [stretch, stretch])
    assert (row["wanted_per_s"], row["ops_per_s"], row["missed"], row["late"]) == (500, 450, 100, 4)
    lines = probe_report({"paced": {"rows": [row]}})
    words = line_of(lines, "strong writes, 50 % of the closed loop")
    assert words == ["500", "450", "3.00", "3.00", "3.00", "3.00", "100", "4"]


def test_what_a_pace_is_a_share_of_has_a_row_in_levels() -> None:
    assert {call.name for call in CALLS} <= {case.name for case in CASES}
    assert {case.in_flight for case in CASES if case.level == "strong"} == {1, 8, 64, 1024}


def test_bytes_are_divided_by_the_operations_and_the_median_is_told() -> None:
    each = disk_and_network.per(Bytes(0, 4096, 10), Bytes(1000, 8192, 510), 10)
    assert each == Bytes(100, 409.6, 50)
    found = disk_and_network.result(
        {("strong writes", 1): [each, each, Bytes(900, 900, 900)]}, [Bytes(0, 0, 7)], 10
    )
    lines = probe_report({"bytes": found})
    assert line_of(lines, "strong writes, 1 in flight") == ["100", "410", "50"]
    assert line_of(lines, "a second without load") == ["0", "0", "7"]


def test_what_a_process_and_a_folder_write_is_counted(tmp_path: Path) -> None:
    assert usage.folder_bytes(tmp_path) == 0
    with (tmp_path / "file").open("wb") as file:
        file.write(os.urandom(100_000))
        file.flush()
        os.fsync(file.fileno())
    assert 100_000 <= usage.folder_bytes(tmp_path) < 200_000
    written = usage.written_bytes(os.getpid())
    assert written != written or written >= 0
    with pytest.raises(ProcessLookupError):
        usage.written_bytes(1 << 30)


def test_what_was_not_asked_is_not_told() -> None:
    assert probe_report({}) == []
