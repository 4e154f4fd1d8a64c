"""The figures of the stores on the front page are those of the result file it names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from quorate.bench import results_file
from quorate.bench.figures import summary
from quorate.bench.front_page import PARTS, figures, figures_of_group, placed
from tests.bench.test_store_report import found
from tests.tidy.source import ROOT

PATH = "bench/results/full.json"


def result(load: float = 0.1) -> dict[str, Any]:
    return {
        "command": "python -m quorate.bench run --only levels",
        "machine": {"cores": 2, "load_average": load},
        "load_average_after": 2.0,
        "systems": {},
        "results": found(),
    }


@pytest.mark.parametrize("part", list(PARTS))
def test_the_front_page_shows_what_was_measured(part: str) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    measured = PARTS[part][1](results_file.read(ROOT / PATH), PATH)
    assert placed(page, measured, part) == page, f"python -m quorate.bench.front_page {PATH}"


def test_a_row_has_its_rate_its_times_and_its_peer() -> None:
    text = figures(result(), PATH)
    row = next(line for line in text.splitlines() if line.startswith("| eventual writes |"))
    assert row.split(" | ")[1:4] == ["260,000", "20.0 us", "20.0 us"]
    assert "900,000/s (commit of 341 puts, synced)" in row
    assert "1,000 of 1,000,000 keys are repaired in 0.40 s with 505 kB" in text


def test_what_was_missed_and_a_busy_machine_are_said() -> None:
    busy = result(load=3.0)
    assert "busy with other work, load 3.0 to 2.0" in figures(busy, PATH)
    assert "busy" not in figures(result(), PATH)
    assert "want it: the same everywhere after a heal, worst" in figures_of_group(busy, PATH)
    busy["results"]["heal"]["s"] = summary([0.2])
    assert "after a heal, worst" not in figures_of_group(busy, PATH)


def test_the_group_stands_beside_its_peers() -> None:
    def load(system: str, per_s: float) -> dict[str, Any]:
        return {
            "system": system,
            "in_flight": 1024,
            "where": "spread",
            "ops_per_s": per_s,
            "p50_us": 900.0,
            "p99_us": 2000.0,
        }

    one = result()
    one["results"]["writes"] = [load("quorate", 30_000.0), load("etcd", 6_000.0)]
    one["systems"] = {"etcd": {"configuration": {"version": "3.4.23, from Debian"}}}
    text = figures_of_group(one, PATH)
    assert "| 100-byte values | quorate | etcd 3.4.23, its Go client |" in text
    assert "| writes, 1 024 in flight over all hosts | 30,000/s | 6,000/s |" in text
    assert "| writes, 64 in flight on the leader | - | - |" in text


def test_a_page_without_the_marks_is_an_error() -> None:
    marked = "a\n<!-- STORES: begin (x) -->\nold\n<!-- STORES: end -->\nb"
    assert re.sub(r"\s", "", placed(marked, "new")).count("new") == 1
    assert "old" not in placed(marked, "new")
    with pytest.raises(ValueError, match="no part STORES"):
        placed("nothing", "new")
