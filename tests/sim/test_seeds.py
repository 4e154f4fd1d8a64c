"""Seeds of the hardened engine hold; a run is a function of its seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from quorate.chaos.sim.engine import SEEDS_FILE, Run, main, run_all
from quorate.chaos.sim.world import run_seed

SEEDS = 1000 if os.environ.get("QUORATE_SOAK") else 30
CLI = [sys.executable, "-m", "quorate.chaos.sim.engine"]


def test_every_seed_holds() -> None:
    first = 300  # the command in the README runs those below
    known = [
        int(line.split("#")[0])
        for line in SEEDS_FILE.read_text().splitlines()
        if line.split("#")[0].strip()
    ]
    seeds = [*known[:4], *range(first, first + SEEDS)]
    reports = list(run_all(Run(), seeds, jobs=2))
    wrong = {report.seed: report.findings for report in reports if report.verdict != "held"}
    assert wrong == {}
    assert sum(report.acked for report in reports) > 100 * len(reports)
    assert sum(report.reads for report in reports) > 20 * len(reports)
    faults = {name for report in reports for name in report.faults}
    assert faults >= {"kill", "isolate", "one_way", "cut_pair", "compact", "change_members"}


def test_a_run_replays_bit_for_bit() -> None:
    lines: list[str] = []
    first = run_seed(3, 12.0, echo=lines.append)
    again: list[str] = []
    second = run_seed(3, 12.0, echo=again.append)
    assert lines == again
    assert (first.hash, first.events, first.acked) == (second.hash, second.events, second.acked)
    assert run_seed(4, 12.0).hash != first.hash


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_the_order_of_sets_does_not_matter(hash_seed: str) -> None:
    code = "from quorate.chaos.sim.world import run_seed; print(run_seed(9, 10.0).hash)"
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == run_seed(9, 10.0).hash


def test_plain_pysyncobj_loses_acknowledged_writes_in_the_same_world() -> None:
    told = subprocess.run(
        [*CLI, "--unpatched", "--seeds", "6", "--jobs", "1"],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "acknowledged write" in told.stdout and "is lost" in told.stdout
    assert "replay: PYTHONHASHSEED=0 python -m" in told.stdout


def test_the_command_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "9", "--seconds", "8"]) == 0
    assert "seed 9: held" in capsys.readouterr().out
    assert main(["--seed", "0", "--plant", "S14"]) == 0
    told = capsys.readouterr().out
    assert "forgot to flush" in told and "the last events:" in told and "--plant S14" in told
    assert main(["--seeds", "1", "--first-seed", "9", "--seconds", "8", "--plant", "S3"]) == 1
