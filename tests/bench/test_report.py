"""What the report says of a result, and what result files it takes."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from quorate.bench import results_file
from quorate.bench.__main__ import main
from quorate.bench.compare import PARTS, compare
from quorate.bench.histogram import Histogram
from quorate.bench.load import Load
from quorate.bench.questions.throughput import row
from quorate.bench.report import report
from quorate.bench.systems.base import Work
from quorate.bench.targets import TARGETS, verdicts
from tests.tidy.source import ROOT


def load(per_s: int, p50_ms: float) -> Load:
    return Load(per_s, 0, 1.0, Histogram({}, 0).merge(Histogram.of([int(p50_ms * 1e6)] * 100)))


def writes(system: str, per_s: int, p50_ms: float) -> dict[str, Any]:
    work = Work("put", 1024, "leader", 1.0, 0.0)
    return row(
        system, work, [load(per_s, p50_ms), load(per_s + 200, p50_ms), load(per_s - 100, p50_ms)]
    )


def result(ours_per_s: int = 25_000) -> dict[str, Any]:
    return {
        "schema": results_file.SCHEMA,
        "command": "python -m quorate.bench run",
        "commit": "abc1234",
        "began_at": "2026-01-01 00:00 UTC",
        "plan": {"mode": "full", "repetitions": 3, "seconds": 4.0},
        "machine": {
            "cpu": "a processor",
            "cores": 2,
            "memory_bytes": 8_000_000_000,
            "kernel": "6.1",
            "python": "CPython 3.11.7",
            "libraries": {"lmdb": "3.0.0", "uvloop": None},
            "filesystem": "ext4",
            "load_average": 0.1,
            "disk": {"fdatasync_4k_p50_us": 130.0, "fdatasync_4k_p99_us": 300.0},
            "lmdb": {"commit_p50_us": 270.0, "commit_p99_us": 500.0, "commits_per_s": 3600.0},
        },
        "overhead_ns": {"1": 1500.0},
        "systems": {
            "quorate": {"durable": "synced", "synced": True, "configuration": {"version": "1"}},
            "pysyncobj": {"durable": "not", "synced": False, "configuration": {"version": "2"}},
            "etcd": {"missing": "etcd is not on PATH: apt-get install etcd-server"},
        },
        "results": {
            "writes": [writes("quorate", ours_per_s, 40.0), writes("pysyncobj", 5_000, 160.0)],
            "failover": {"kills": 30, "ms": {"median": 700.0, "p99": 1600.0, "max": 1600.0}},
            "idle": [
                {
                    "system": "quorate",
                    "cpu_percent_max": 0.5,
                    "rss_mb_max": 70.0,
                    "anonymous_mb_max": 40.0,
                }
            ],
        },
        "failed": {},
        "sync_us": [130.0, 140.0],
        "interrupted": False,
    }


def test_a_row_is_the_median_of_the_repetitions_and_its_ratio_to_ours() -> None:
    text = report(result())
    ours = next(line for line in text.splitlines() if "quorate" in line and "1024" in line)
    theirs = next(line for line in text.splitlines() if "pysyncobj" in line and "1024" in line)
    assert "25,000" in ours
    assert "40.0" in ours
    assert "5.00" in theirs  # ours is five times as fast
    assert "0.25" in theirs  # in a quarter of the time


def test_unsynced_figures_say_so_and_a_missing_peer_says_why() -> None:
    text = report(result())
    assert "pysyncobj (unsynced)" in text
    assert "quorate (unsynced)" not in text
    assert "etcd: not measured: etcd is not on PATH" in text


def test_what_promises_less_says_so_beside_its_figures() -> None:
    weaker = copy.deepcopy(result())
    weaker["systems"]["redis"] = {
        "durable": "its own disk",
        "synced": True,
        "marks": {"put": "asynchronous"},
        "configuration": {"version": "7"},
    }
    weaker["results"]["writes"].append(writes("redis", 50_000, 10.0))
    weaker["lost"] = {"redis": "redis a ended; it said: no room"}
    text = report(weaker)
    assert "redis (asynchronous)" in text
    assert "FAILED: redis a ended; it said: no room" in text


def test_a_verdict_is_reached_or_missed_or_not_measured() -> None:
    found = {verdict.name: verdict.verdict for verdict in verdicts(result()["results"])}
    assert found["writes, 1 024 in flight on the leader"] == "reached"
    assert found["writes, what we are after"] == "missed"
    assert found["failover after kill -9, p50"] == "reached"
    assert found["failover after kill -9, p99"] == "missed"
    assert found["idle host, resident memory"] == "reached"
    assert found["leadership transfer until the next write, worst"] == "not measured"


def test_nothing_measured_reaches_nothing() -> None:
    assert {verdict.verdict for verdict in verdicts({})} == {"not measured"}
    assert len(verdicts({})) == len(TARGETS)


def test_a_short_run_does_not_answer_for_a_million_entries_or_a_gigabyte() -> None:
    found = {
        "restart": {"entries": 100_000, "replay_s": 0.1, "restart_s": 0.1},
        "catch_up": {"behind_bytes": 1_000_000, "elections": 0},
    }
    assert {verdict.verdict for verdict in verdicts(found)} == {"not measured"}


def test_an_interrupted_or_failed_run_says_so() -> None:
    broken = {**result(), "interrupted": True, "failed": {"restart": "ChildFailed: it ended"}}
    text = report(broken)
    assert "INTERRUPTED" in text
    assert "FAILED restart: ChildFailed: it ended" in text


def test_a_busy_machine_is_named() -> None:
    busy = copy.deepcopy(result())
    busy["machine"]["load_average"] = 3.0
    assert "NOISY" in report(busy)
    assert "NOISY" not in report(result())


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "results" / "one.json"
    before = result()
    before["results"]["writes"][0]["p99_us"] = float("nan")
    results_file.write(path, before)
    after = results_file.read(path)
    assert '"p99_us": null' in path.read_text()
    assert math.isnan(after["results"]["writes"][0]["p99_us"])
    assert after["results"]["writes"][1] == json.loads(json.dumps(before["results"]["writes"][1]))
    assert "quorate" in report(after)  # a missing figure is a dash, not a crash
    assert [file.name for file in path.parent.iterdir()] == ["one.json"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "is not a JSON document"),
        ("[]", "has the schema None"),
        ('{"schema": "quorate-bench/0"}', "'quorate-bench/0'"),
    ],
)
def test_a_file_of_another_kind_or_version_is_refused(
    tmp_path: Path, text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(results_file.WrongResult, match="(?s).*" + says.replace("[", r"\[")):
        results_file.read(path)
    assert main(["compare", str(path), str(path)]) == 2
    assert says in capsys.readouterr().err


def test_a_comparison_gives_ratios_and_names_another_machine() -> None:
    other = copy.deepcopy(result(50_000))
    other["machine"]["cores"] = 8
    text = compare(result(), other)
    assert "cores differs: 2 and 8" in text
    line = next(line for line in text.splitlines() if "1,024" in line and "quorate" in line)
    assert "2.00" in line


def test_every_question_with_rows_is_compared_and_what_may_be_chance_is_marked() -> None:
    before = results_file.read(ROOT / "bench" / "results" / "full.json")
    after = copy.deepcopy(before)
    for level in after["results"]["levels"]["rows"]:
        level["ops_per_s"] *= 3
        level["ops_per_s_each"] = [each * 3 for each in level["ops_per_s_each"]]
    lines = compare(before, after).splitlines()
    heads = [line for line in lines if "  now" in line]
    assert [head.split("  ")[0] for head in heads[:-1]] == [part.title for part in PARTS]
    tripled = next(line for line in lines if line.startswith("quorate, eventual"))
    assert "3.00  " in tripled and "3.00 ~" not in tripled and "1.00" in tripled
    same = next(line for line in lines if line.startswith("quorate, 1, leader"))
    assert "1.00 ~" in same
    del after["results"]["levels"], before["results"]["sizes"]
    fewer = compare(before, after)
    assert "levels  " not in fewer and "sizes  " not in fewer and "growth  " in fewer


def test_wrong_arguments_end_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--seconds", "0"]) == 2
    assert main(["run", "--repetitions", "0"]) == 2
    assert main(["run", "--data", "no such folder"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
