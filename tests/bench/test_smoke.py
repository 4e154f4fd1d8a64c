"""One question of a real group, tiny: it answers, and nothing outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import quorate
from quorate.bench import results_file
from quorate.bench.child import Child, ChildFailed
from quorate.bench.questions.levels import ALONE, CASES

ENV = {**os.environ, "PYTHONPATH": str(Path(quorate.__file__).parent.parent)}
TINY = ["--quick", "--systems", "quorate", "--seconds", "0.2"]


def bench(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "quorate.bench", "run", *TINY, *arguments]


def running_below(folder: Path) -> list[str]:
    """Command lines of processes that name `folder`."""
    found: list[str] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def test_a_tiny_run_answers_and_leaves_nothing(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "result.json"
    data.mkdir()
    done = subprocess.run(
        bench("--only", "writes", "--data", str(data), "--json", str(out)),
        env=ENV,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = results_file.read(out)["results"]["writes"]
    assert [(row["in_flight"], row["where"]) for row in rows] == [
        (1, "leader"),
        (1, "elsewhere"),
        (1024, "leader"),
        (1024, "spread"),
    ]
    assert all(row["ops_per_s"] > 0 and row["errors"] == 0 for row in rows)
    assert "verdict" in done.stdout
    assert list(data.iterdir()) == []
    assert running_below(data) == []


def test_a_tiny_run_of_the_stores_answers_and_leaves_nothing(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "result.json"
    data.mkdir()
    only = [word for name in ("levels", "lag", "repair", "heal") for word in ("--only", name)]
    done = subprocess.run(
        bench(*only, "--seconds", "0.1", "--data", str(data), "--json", str(out)),
        env=ENV,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = results_file.read(out)["results"]
    rows = {row["case"]: row for row in results["levels"]["rows"]}
    assert set(rows) == {case.name for case in CASES} | {alone.name for alone in ALONE}
    assert [(row["case"], row["error"]) for row in rows.values() if row["errors"]] == []
    assert all(rows[case.name]["ops_per_s"] > 0 for case in CASES if not case.in_flight)
    assert results["lag"]["probes"] > 0
    assert (results["lag"]["errors"], results["lag"]["missed"]) == (0, 0)
    differing = results["repair"]["differing"] // 2
    assert results["repair"]["keys_sent"] >= differing
    assert results["repair"]["keys_received"] >= differing
    assert results["heal"]["s"]["max"] > 0
    assert "Levels of consistency" in done.stdout
    assert list(data.iterdir()) == []
    assert running_below(data) == []


def test_a_tiny_run_of_the_agents_answers_and_leaves_nothing(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "result.json"
    data.mkdir()
    only = [word for name in ("calls", "moves") for word in ("--only", f"agents_{name}")]
    done = subprocess.run(
        bench(*only, "--seconds", "0.1", "--data", str(data), "--json", str(out)),
        env=ENV,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = results_file.read(out)["results"]
    assert len(results["agents_calls"]) == 6
    assert all(row["ops_per_s"] > 0 and row["errors"] == 0 for row in results["agents_calls"])
    assert {row["where"] for row in results["agents_moves"]} == {"store", "memory"}
    assert all(row["pause_ms"]["max"] > 0 for row in results["agents_moves"])
    assert list(data.iterdir()) == []
    assert running_below(data) == []


def test_ctrl_c_keeps_what_was_measured_and_stops_every_process(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "result.json"
    data.mkdir()
    with subprocess.Popen(
        bench("--only", "writes", "--only", "idle", "--data", str(data), "--json", str(out)),
        env=ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "about 1 minutes" in process.stderr.readline()
        assert "quorate" in process.stderr.readline()  # the first load is done
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "INTERRUPTED" in text
    kept = json.loads(out.read_text())
    assert kept["interrupted"] is True
    assert kept["results"]["writes"][0]["ops_per_s"] > 0
    assert list(data.iterdir()) == []
    assert running_below(data) == []


def test_a_process_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('the port is taken')"]
    with pytest.raises(ChildFailed, match="the port is taken"):
        asyncio.run(Child.start("a", command, stderr=tmp_path / "stderr"))


def test_an_order_that_is_not_answered_ends_by_its_deadline(tmp_path: Path) -> None:
    silent = "import sys; print('{\"hello\": {}}', flush=True); sys.stdin.read()"

    async def story() -> None:
        child = await Child.start("a", [sys.executable, "-c", silent], stderr=tmp_path / "stderr")
        try:
            with pytest.raises(ChildFailed, match="did not answer 'load'"):
                await child.order("load", timeout_s=0.05)
        finally:
            await child.end()
        assert not child.alive

    asyncio.run(story())
