"""Seeds of the agents hold; a run is a function of its seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from quorate.chaos.agents.__main__ import Run, known_seeds, main
from quorate.chaos.agents.options import FAULTS
from quorate.chaos.agents.world import run_seed
from quorate.chaos.stores.__main__ import run_all

SEEDS = 3000 if os.environ.get("QUORATE_SOAK") else 300

SLICES = 6


@pytest.mark.parametrize("part", range(SLICES))
def test_every_seed_holds(part: int) -> None:
    seeds = [*dict.fromkeys([*known_seeds(), *range(SEEDS)])][part::SLICES]
    reports = list(run_all(Run(), iter(seeds), jobs=2))
    wrong = {report.seed: report.findings[:2] for report in reports if report.verdict != "held"}
    assert wrong == {}
    assert sum(report.answered for report in reports) > 60 * len(reports)
    assert sum(report.turns for report in reports) > 100 * len(reports)
    assert sum(report.moves for report in reports) > 5 * len(reports)
    assert sum(report.lives for report in reports) > 4 * len(reports)
    assert {name for report in reports for name in report.faults} == {*FAULTS}


def test_a_run_replays_bit_for_bit() -> None:
    lines: list[str] = []
    first = run_seed(3, 2.0, echo=lines.append)
    again: list[str] = []
    second = run_seed(3, 2.0, echo=again.append)
    assert lines == again
    assert (first.hash, first.events, first.turns) == (second.hash, second.events, second.turns)
    assert run_seed(4, 2.0).hash != first.hash


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_order_of_sets_does_not_matter(hash_seed: str) -> None:
    code = "from quorate.chaos.agents.world import run_seed; print(run_seed(9, 2.0).hash)"
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == run_seed(9, 2.0).hash


def test_the_command_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3", "--seconds", "2"]) == 0
    assert "seed 3: held" in capsys.readouterr().out
    assert main(["--seed", "0", "--plant", "old-cache-served"]) == 0
    told = capsys.readouterr().out
    assert "its copy of the group has" in told and "the last events:" in told
    assert "--plant old-cache-served" in told
