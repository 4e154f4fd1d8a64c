"""Workloads under faults, through a real Toxiproxy, on real processes: all of them hold.

Six pairs of a workload and a fault, ten seconds of faults each. A run with too little traffic, or
with a fault that showed no effect, is invalid and fails here like a broken one. So no two of these
clusters run at once: each has to make its hundred operations a second on whatever machine it is.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quorate import chaos
from quorate.chaos.running.folder import running_lab
from quorate.consistency.check.lines import load

PAIRS = [
    ("register", "isolate-leader"),
    ("register", "one-way"),
    ("names", "pause"),
    ("sessions", "halves"),
    ("crdts", "flapping"),
    ("agents", "kill"),
]
SECONDS = 10.0
pytestmark = pytest.mark.xdist_group("laboratory")


@pytest.mark.parametrize(("workload", "nemesis"), PAIRS)
def test_it_holds(workload: str, nemesis: str, tmp_path: Path) -> None:
    result = asyncio.run(
        chaos.run(workload=workload, nemesis=nemesis, seconds=SECONDS, seed=7, folder=tmp_path)
    )
    assert result.verdict == "held", result.text()
    assert result.per_s >= 100
    assert result.faults >= 1
    body = json.loads((tmp_path / "latest" / "run.json").read_text())
    assert body["verdict"] == "held"
    assert body["seed"] == 7
    with (tmp_path / "latest" / "history.jsonl").open() as file:
        assert len(load(file).operations) >= result.operations


@pytest.mark.chaos(hosts=3, nemesis="isolate", seconds=3, workload="crdts")
def test_the_fixtures_of_a_users_test(cluster: Any, nemesis: Any, history: Any) -> None:
    async def story() -> None:
        await cluster.load()
        await nemesis.run()
        await cluster.rest(2)
        await cluster.unload()

    cluster.run(story())
    assert cluster.hosts == ("a", "b", "c")
    assert [fault["phase"] for fault in nemesis.faults] == ["begin", "end"]
    history.must_hold()


def test_ctrl_c_ends_everything_and_writes_what_was_seen(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "quorate", "chaos", "run", "--workload", "crdts"]
    command += ["--nemesis", "isolate", "--seconds", "60", "--folder", str(tmp_path)]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stderr is not None
    for line in run.stderr:
        if line.strip().startswith("begin"):
            break
    state = running_lab(tmp_path)
    assert state is not None
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "interrupted" in said
    body = json.loads((tmp_path / "latest" / "run.json").read_text())
    assert body["verdict"] == "unknown"
    assert body["operations"] > 100
    assert running_lab(tmp_path) is None
    group = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in group.stdout, "a process was left running"


def test_a_matrix_that_is_told_to_end_ends_its_runs_and_writes_what_they_saw(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "quorate", "chaos", "suite", "--workloads", "crdts,sets"]
    command += ["--nemeses", "isolate", "--seconds", "60", "--jobs", "2"]
    command += ["--folder", str(tmp_path / "runs"), "--page", str(tmp_path / "page.md")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as suite:
        assert suite.stderr is not None
        begun: set[str] = set()
        for line in suite.stderr:
            name, _, said = line.partition(": ")
            if said.startswith("begin"):
                begun.add(name)
            if len(begun) == 2:
                break
        suite.send_signal(signal.SIGTERM)
        suite.stderr.read()
        assert suite.wait(60) == 130
    bodies = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/run.json")]
    assert {body["workload"] for body in bodies} == {"crdts", "sets"}
    assert all(body["interrupted"] and body["operations"] > 100 for body in bodies)
    assert "0 of 0 runs held" in (tmp_path / "page.md").read_text()
    group = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(tmp_path) not in group.stdout, "a process was left running"


def test_a_cluster_is_cut_and_healed_by_hand(tmp_path: Path) -> None:
    def quorate(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "quorate", "chaos", *words, "--folder", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    nothing = quorate("heal")
    assert nothing.returncode == 2
    assert "nothing runs" in nothing.stderr
    command = [sys.executable, "-m", "quorate", "chaos", "up", "--folder", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as up:
        assert up.stderr is not None
        admin = ""
        for line in up.stderr:
            if line.startswith("a: "):
                admin = line.split()[-1]
            if line.startswith("heal it"):
                break
        assert quorate("partition", "a,b / x").returncode == 2
        cut = quorate("partition", "a", "/", "b,c")
        assert cut.returncode == 0, cut.stderr
        asked = [sys.executable, "-m", "quorate", "kv", "put", "x", "1", "--admin", admin]
        refused = subprocess.run([*asked, "--timeout", "3"], capture_output=True, timeout=30)
        assert refused.returncode == 1
        assert "healed: a -> b" in quorate("heal").stderr
        done = subprocess.run([*asked, "--timeout", "10"], capture_output=True, timeout=30)
        assert done.returncode == 0
        os.kill(up.pid, signal.SIGINT)
        assert up.wait(timeout=30) == 0
