"""The figures of the stores on the front page are those of the result file it names."""

from __future__ import annotations

import re
from typing import Any

import pytest

from quorate.bench import results_file
from quorate.bench.figures import summary
from quorate.bench.front_page import figures, placed
from tests.bench.test_store_report import found
from tests.tidy.source import ROOT

PATH = "bench/results/consistency.json"


def result(load: float = 0.1) -> dict[str, Any]:
    return {
        "command": "python -m quorate.bench run --only levels",
        "machine": {"cores": 2, "load_average": load},
        "load_average_after": 2.0,
        "results": found(),
    }


def test_the_front_page_shows_what_was_measured() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    measured = figures(results_file.read(ROOT / PATH), PATH)
    assert placed(page, measured) == page, f"python -m quorate.bench.front_page {PATH} --write"


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
    assert "not where we want it: the same everywhere after a heal" in figures(busy, PATH)
    busy["results"]["heal"]["s"] = summary([0.2])
    assert "not where we want it" not in figures(busy, PATH)


def test_a_page_without_the_marks_is_an_error() -> None:
    marked = "a\n<!-- STORES: begin (x) -->\nold\n<!-- STORES: end -->\nb"
    assert re.sub(r"\s", "", placed(marked, "new")).count("new") == 1
    assert "old" not in placed(marked, "new")
    with pytest.raises(ValueError, match="no part STORES"):
        placed("nothing", "new")
