"""Seeds of the stores hold; a run is a function of its seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from quorate.chaos.stores.__main__ import Run, known_seeds, main, run_all
from quorate.chaos.stores.options import FAULTS
from quorate.chaos.stores.world import run_seed

SOAK = bool(os.environ.get("QUORATE_SOAK"))
SEEDS = 3000 if SOAK else 300
SECONDS = 12.0 if SOAK else 8.0

SLICES = 6


@pytest.mark.parametrize("part", range(SLICES))
def test_every_seed_holds(part: int) -> None:
    known = known_seeds()[part::SLICES]
    seeds = [*range(SEEDS)][part::SLICES]
    reports = [*run_all(Run(), iter(known), jobs=2), *run_all(Run(SECONDS), iter(seeds), jobs=2)]
    wrong = {report.seed: report.findings[:2] for report in reports if report.verdict != "held"}
    assert wrong == {}
    assert sum(report.acked for report in reports) > 60 * len(reports)
    assert sum(report.reads for report in reports) > 40 * len(reports)
    assert {name for report in reports for name in report.faults} == {*FAULTS}


def test_a_run_replays_bit_for_bit() -> None:
    lines: list[str] = []
    first = run_seed(3, 6.0, echo=lines.append)
    again: list[str] = []
    second = run_seed(3, 6.0, echo=again.append)
    assert lines == again
    assert (first.hash, first.events, first.acked) == (second.hash, second.events, second.acked)
    assert run_seed(4, 6.0).hash != first.hash


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_order_of_sets_does_not_matter(hash_seed: str) -> None:
    code = "from quorate.chaos.stores.world import run_seed; print(run_seed(9, 6.0).hash)"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == run_seed(9, 6.0).hash


def test_the_command_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--seconds", "6"]) == 0
    assert "seed 3: held" in capsys.readouterr().out
    assert main(["--seed", "0", "--plant", "ack-before-sync"]) == 0
    told = capsys.readouterr().out
    assert "its disk ends at" in told and "the last events:" in told
    assert "--plant ack-before-sync" in told
