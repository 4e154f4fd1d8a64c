"""What a run leaves on paper."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from quorate.chaos.running.edn import edn, edn_lines
from quorate.chaos.running.folder import RunFolder, running_lab
from quorate.consistency.check.history import Event


def told(type_: str, process: str, time: int, **more: Any) -> dict[str, Any]:
    return {"type": type_, "process": process, "time": time, **more}


def test_events_of_several_hosts_are_put_in_order(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path, "register", "halves", 7)
    folder.event(told("invoke", "a.1/0", 10, f="write", key="x", value=1))
    folder.event(told("ok", "a.1/0", 30))
    folder.event(told("invoke", "b.1/0", 20, f="read", key="x"))
    history = folder.close()
    assert [(op.process, op.outcome) for op in history.operations] == [
        ("a.1/0", "ok"),
        ("b.1/0", "unknown"),
    ]
    lines = (folder.path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["time"] for line in lines] == [10, 20, 30]
    assert history.operations[1].line == 2
    assert (tmp_path / "latest").resolve() == folder.path.resolve()
    folder.event(told("invoke", "c", 40, f="read"))  # too late, and without harm


def test_two_runs_of_one_second_have_two_folders(tmp_path: Path) -> None:
    one, other = (RunFolder.make(tmp_path, "w", "a+b", 1) for _ in range(2))
    assert one.path != other.path
    assert (tmp_path / "latest").resolve() == other.path.resolve()


def test_a_running_laboratory_is_found_while_its_process_lives(tmp_path: Path) -> None:
    folder = RunFolder.make(tmp_path, "w", "none", 1)
    assert running_lab(tmp_path) is None
    folder.state({"pid": os.getpid(), "toxiproxy": "127.0.0.1:1"})
    assert (running_lab(tmp_path) or {})["toxiproxy"] == "127.0.0.1:1"
    assert running_lab(folder.path) is not None
    folder.state(None)
    assert running_lab(tmp_path) is None


def test_a_process_with_an_unknown_operation_gets_a_new_number_in_edn() -> None:
    events = [
        Event("invoke", "a", 1, "write", "x", "v"),
        Event("unknown", "a", 2, error='it said "no"'),
        Event("invoke", "a", 3, "read", "x"),
        Event("ok", "a", 4, value=None),
    ]
    lines = list(edn_lines(events))
    assert lines[0] == (
        '{:index 0, :time 1, :type :invoke, :process 0, :f :write, :value ["x" "v"]}\n'
    )
    assert ":type :info, :process 0" in lines[1]
    assert r'"it said \"no\""' in lines[1]
    assert ":type :ok, :process 1" in lines[3]
    assert ':value ["x" nil]' in lines[3]


def test_values_as_edn() -> None:
    assert edn({"a": [1, True, None, 2.5, "x\ny"]}) == '{"a" [1 true nil 2.5 "x\\ny"]}'
