"""`quorate bench`: what it says of peers, of bad files, of full disks, and of how long it takes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import quorate
from quorate.bench import estimate, peer_list, results_file
from quorate.bench.__main__ import main
from quorate.bench.plan import FULL, QUICK
from quorate.bench.questions import QUESTIONS
from quorate.bench.systems import AGENT_SYSTEMS, SYSTEMS
from tests.bench.test_report import result

ENV = {**os.environ, "PYTHONPATH": str(Path(quorate.__file__).parent.parent)}


def test_the_main_command_hands_over() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quorate", "bench", "--help"],
        env=ENV,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for word in ("run", "compare", "report", "peers"):
        assert word in done.stdout


def test_every_peer_of_the_catalogue_is_listed_and_looking_installs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["peers", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    wanted = {*SYSTEMS, *AGENT_SYSTEMS} - {"quorate"}
    assert wanted <= set(found)
    assert found["pysyncobj"]["state"] == "here"
    assert found["py-lmdb"]["version"]
    assert found["etcd"]["state"] == "missing"
    assert "apt-get install" in found["etcd"]["how"]
    assert "go install" in found["etcd"]["how"]
    assert "golang-go" in found["etcd's Go load driver"]["how"]
    assert all(row["how"] for row in found.values() if row["state"] != "here")
    assert list(tmp_path.iterdir()) == []


def test_a_list_of_peers_says_how_below_the_name() -> None:
    here, away = peer_list.Found("a", "here", "1.2"), peer_list.Found("b", "missing", how="buy it")
    assert peer_list.lines([here, away]) == ["a  here 1.2", "b  missing", "   buy it"]


def test_a_full_run_takes_longer_than_a_quick_one_and_every_question_counts() -> None:
    names = list(QUESTIONS)
    quick = estimate.minutes(QUICK, names, list(SYSTEMS), list(AGENT_SYSTEMS))
    full = estimate.minutes(FULL, names, list(SYSTEMS), list(AGENT_SYSTEMS))
    assert 1 < quick < full < 240
    assert all(estimate.seconds_of(QUICK, name, 1) > 0 for name in names)


def test_a_disk_that_is_full_keeps_the_old_file_and_leaves_no_half_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    results_file.write(path, result())
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(results_file.NotWritten, match="No space left"):
        results_file.write(path, result(1))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_what_was_measured_is_printed_although_it_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def measured(**_: Any) -> dict[str, Any]:
        return result()

    monkeypatch.setattr("quorate.bench.__main__.run", measured)
    blocked = tmp_path / "a file"
    blocked.write_text("")
    assert main(["run", "--quick", "--json", str(blocked / "result.json")]) == 1
    told = capsys.readouterr()
    assert "25,000" in told.out
    assert "could not be written" in told.err
    assert "minutes" in told.err


def test_a_document_that_is_no_result_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"schema": results_file.SCHEMA, "results": {}}))
    assert main(["report", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "is not a whole result: it has no plan, machine, systems" in capsys.readouterr().err
    assert main(["compare", str(tmp_path), str(path)]) == 2
    assert "directory" in capsys.readouterr().err


def test_quick_and_full_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["run", "--quick", "--full"])
    assert raised.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
