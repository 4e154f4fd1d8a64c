"""`quorate check`: a verdict on a file, without any host; the exit code says which."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from quorate.consistency.check.history import Event
from quorate.consistency.check.lines import dump
from quorate.consistency.check.names import MODELS
from quorate.hosts.cli.main import main
from tests.check.known_graph import CASES as GRAPH
from tests.check.known_linear import CASES as LINEAR
from tests.check.known_weak import CASES as WEAK
from tests.check.tell import Case, merge, read, write

Capture = pytest.CaptureFixture[str]
CODES = {"held": 0, "broken": 1, "unknown": 3}


def paper(folder: Path, *events: Event) -> str:
    file = folder / "history.jsonl"
    file.write_text("".join(dump(event) for event in events), encoding="utf-8")
    return str(file)


STALE = merge(write("a", 0, 1, 1), write("a", 2, 3, 2), read("b", 4, 5, 1))


def told(case: Case) -> list[str]:
    """The options of a case as words."""
    words: list[str] = []
    for name, value in case.options.items():
        name = {"steps_max": "steps"}.get(name, name).replace("_", "-")
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return words


def test_every_model_is_judged_from_a_file(tmp_path: Path, capsys: Capture) -> None:
    for model in MODELS:
        for verdict in ("held", "broken"):
            case = next(
                c for c in (*LINEAR, *GRAPH, *WEAK) if c.model == model and c.verdict == verdict
            )
            file = paper(tmp_path, *merge(*case.told))
            code = main(["check", file, "--model", model, *told(case)])
            out = capsys.readouterr().out
            assert code == CODES[verdict], out
            assert out.startswith(f"{verdict}: {model}, ")


def test_broken_shows_the_counterexample(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", paper(tmp_path, *STALE), "--model", "register"]) == 1
    out = capsys.readouterr().out
    assert "stale-read: the register held 1" in out
    assert "(line 5)" in out
    assert "counterexample (3 operations):" in out


def test_json_is_one_object(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", paper(tmp_path, *STALE), "--model", "register", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert body["verdict"] == "broken"
    assert body["anomalies"][0]["kind"] == "stale-read"
    assert [op["line"] for op in body["counterexample"]] == [1, 3, 5]


def test_unknown_is_not_a_pass(tmp_path: Path, capsys: Capture) -> None:
    case = next(c for c in LINEAR if c.name == "the budget ran out")
    file = paper(tmp_path, *merge(*case.told))
    assert main(["check", file, "--model", "register", "--steps", "50"]) == 3
    assert "not decided within" in capsys.readouterr().out
    assert main(["check", file, "--model", "register"]) == 1


def test_an_empty_history_is_unknown(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", paper(tmp_path), "--model", "set"]) == 3
    assert "holds nothing that this model judges" in capsys.readouterr().out


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(dump(event) for event in STALE)))
    assert main(["check", "-", "--model", "register"]) == 1
    assert capsys.readouterr().out.startswith("broken")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--model", "queue"], "there is no model 'queue': choose one of register, append"),
        (["--model", "register", "--steps", "0"], "--steps is 0"),
        (["--model", "staleness", "--bound-ms", "nan"], "--bound-ms is nan"),
        (["--model", "staleness"], "this read has no bound: give --bound-ms"),
        (["--model", "set"], "a set knows add, read, final, not 'write'"),
    ],
)
def test_a_wrong_word_is_named(
    tmp_path: Path, capsys: Capture, words: list[str], text: str
) -> None:
    assert main(["check", paper(tmp_path, *STALE), *words]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert not captured.out


def test_a_malformed_history_names_its_line(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text(dump(STALE[0]) + '{"type": "ok"}\n', encoding="utf-8")
    assert main(["check", str(file), "--model", "register"]) == 2
    assert "line 2: 'process' must be" in capsys.readouterr().err
    assert main(["check", str(file), "--model", "register", "--json"]) == 2
    assert "line 2" in json.loads(capsys.readouterr().err)["detail"]


def test_a_torn_end_is_told_with_the_verdict(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "history.jsonl"
    file.write_text("".join(map(dump, STALE))[:-8], encoding="utf-8")
    assert main(["check", str(file), "--model", "register"]) == 0
    assert "line 6, the last, is torn" in capsys.readouterr().out


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path, capsys: Capture) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        assert main(["check", str(path), "--model", "register"]) == 2
        assert "cannot be read" in capsys.readouterr().err


def test_bytes_that_are_no_text_are_malformed(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"\xff\xfe\x00{}\n")
    assert main(["check", str(file), "--model", "register"]) == 2
    assert "line 1: not JSON" in capsys.readouterr().err
