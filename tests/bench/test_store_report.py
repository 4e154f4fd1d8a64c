"""What the report says of stores, and which targets a run answers."""

from __future__ import annotations

from typing import Any

from quorate.bench.figures import summary
from quorate.bench.histogram import Histogram
from quorate.bench.load import Load
from quorate.bench.questions.levels import ALONE, CASES, row
from quorate.bench.store_report import store_report
from quorate.bench.targets import verdicts


def load(per_s: int) -> Load:
    return Load(per_s, 0, 1.0, Histogram.of([20_000] * 100))


def found() -> dict[str, Any]:
    rows = [
        {**row("quorate", case.name, [load(260_000)]), "cpu_us_per_op": 5.8, "behind_s": 0.1}
        for case in CASES
    ]
    rows += [
        {**row("py-lmdb", alone.name, [load(900_000)]), "beside": alone.beside} for alone in ALONE
    ]
    return {
        "levels": {"generator_ns": 300.0, "rows": rows},
        "lag": {
            "per_s": 20_000,
            "acknowledged_per_s": 19_990.0,
            "lag_p50_ms": 9.0,
            "lag_p99_ms": 31.0,
            "write_p50_ms": 4.0,
            "write_p99_ms": 9.0,
        },
        "repair": {"keys": 1_000_000, "differing": 1_000, "took_s": 0.4, "bytes_sent": 505_000},
        "heal": {"heals": 5, "cut_s": 7.0, "writes": 3000, "s": summary([0.2, 0.3, 2.5])},
    }


def verdict_of(results: dict[str, Any]) -> dict[str, str]:
    return {verdict.name: verdict.verdict for verdict in verdicts(results)}


def test_py_lmdb_stands_below_the_case_it_is_compared_with() -> None:
    lines = store_report(found())
    at = next(n for n, line in enumerate(lines) if line.startswith("eventual writes"))
    assert lines[at + 1].startswith("    py-lmdb alone: commit of 341 puts")
    assert any("p99 31.0 ms from the call" in line for line in lines)
    assert any("0.40 s, 505 kB sent" in line for line in lines)
    assert any("worst 2.50 s" in line for line in lines)


def test_every_comparison_names_one_of_our_cases() -> None:
    assert {alone.beside for alone in ALONE} <= {case.name for case in CASES}


def test_the_targets_of_the_stores_are_judged() -> None:
    found_now = verdict_of(found())
    assert found_now["local reads, all hosts"] == "reached"
    assert found_now["lag at 20 000 eventual writes/s, p99"] == "reached"
    assert found_now["repair of 1 000 of 1 000 000 keys"] == "reached"
    assert found_now["bytes sent by that repair"] == "reached"
    assert found_now["the same everywhere after a heal, worst"] == "missed"


def test_a_lag_at_a_pace_that_was_not_kept_answers_nothing() -> None:
    results = found()
    results["lag"]["acknowledged_per_s"] = 12_000.0
    assert verdict_of(results)["lag at 20 000 eventual writes/s, p99"] == "not measured"


def test_a_repair_of_fewer_keys_answers_nothing() -> None:
    results = found()
    results["repair"]["keys"] = 20_000
    assert verdict_of(results)["bytes sent by that repair"] == "not measured"


def test_what_was_not_asked_is_not_told() -> None:
    assert store_report({}) == []
