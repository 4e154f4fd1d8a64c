"""What a killed run leaves is read as far as it goes, and what was mended is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quorate.chaos.report.recorded import read_folder, recorded
from tests.report.tell import event, record, struck


def test_times_begin_with_the_run() -> None:
    found = record(
        [
            event("invoke", "a.1/3", 7_000_000_000, f="read", key="x", host="a", level="strong"),
            event("ok", "a.1/3", 7_250_000_000, value=5),
        ],
        [struck("kill", "begin", 6.5, hosts=["b"]), struck("kill", "end", 8_000_000_000)],
        hosts=["a", "b", "c"],
    )
    (one,) = found.calls
    assert (one.start, one.end, one.took_s) == pytest.approx((0.5, 0.75, 0.25))
    assert (one.worker, one.host, one.level, one.outcome) == ("a/3", "a", "strong", "ok")
    assert (found.faults[0].begin, found.faults[0].end) == pytest.approx((0.0, 1.5))
    assert found.hosts == ("a", "b", "c")
    assert found.end_s == pytest.approx(1.5)
    assert found.notes == []


def test_a_worker_is_one_across_the_lives_of_its_host() -> None:
    found = record(
        [
            event("invoke", "a.1/0", 1.0, f="read"),
            event("invoke", "a.2/0", 2.0, f="read"),
            event("ok", "a.2/0", 2.5),
        ],
        x=1,
    )
    assert [(c.worker, c.host, c.outcome) for c in found.calls] == [
        ("a/0", "a", "unknown"),
        ("a/0", "a", "ok"),
    ]


def test_the_order_of_hosts_told_by_nobody_is_that_of_their_names() -> None:
    found = record(
        [event("invoke", "c.1/0", 1.0, f="read")], [struck("x", "begin", 1, pairs=[["b", "a"]])]
    )
    assert found.hosts == ("a", "b", "c")


@pytest.mark.parametrize(
    ("rows", "note", "calls"),
    [
        ([event("invoke", "a", 1.0, f="r"), '{"type": "ok", "proc'], "torn", 1),
        (["rubbish\n", event("invoke", "a", 1.0, f="r")], "not an event", 1),
        ([event("ok", "a", 1.0), event("invoke", "a", 1.0, f="r")], "answer to no call", 1),
        ([event("invoke", "a", 1.0, f="r")] * 2, "before the same process", 2),
        ([event("invoke", "a", 1.0, f="r"), event("ok", "a", 2.0, f="w")], "another call", 1),
        ([event("invoke", "a", 1.0, f="r"), event("ok", "a", 2)], "another unit", 1),
        ([event("invoke", "a", 1.0)], "without a name", 0),
        ([event("invoke", "a", 2.0, f="r"), event("invoke", "b", 1.0, f="r")], "sorted", 2),
    ],
)
def test_what_is_broken_is_left_out_and_named(rows: list[str], note: str, calls: int) -> None:
    found = record(rows, x=1)
    assert len(found.calls) == calls
    assert any(note in text for text in found.notes), found.notes
    assert all(one.start >= 0 for one in found.calls)


def test_an_answer_that_was_written_before_its_call_is_put_behind_it() -> None:
    rows = [event("ok", "a", 2.0, value=1), event("invoke", "a", 1.0, f="r")]
    (one,) = record(rows, x=1).calls
    assert (one.outcome, one.took_s) == ("ok", pytest.approx(1.0))


@pytest.mark.parametrize("run", ["", "[1]", "{", "null", '"x"', "[" * 100_000])
def test_a_run_without_a_readable_run_json_is_told(run: str) -> None:
    found = recorded("x", run)
    assert found.run == {}
    assert any("run.json" in note for note in found.notes)


def test_faults_that_cannot_be_read_are_counted() -> None:
    rows = [
        "[]\n",
        "{\n",
        '{"name": "x"}\n',
        '{"name": "x", "t": true}\n',
        "\n",
        struck("k", "begin", 1),
    ]
    found = record([], rows, x=1)
    assert [f.name for f in found.faults] == ["k"]
    assert any("4 lines" in note for note in found.notes)


def test_pairs_and_hosts_of_any_shape_do_no_harm() -> None:
    row = {"name": "x", "t": 1.0, "hosts": {"a": 1}, "pairs": [["a"], 3, ["a", "b", "c"], ["a", 1]]}
    (one,) = record([], [json.dumps(row)]).faults
    assert (one.hosts, one.pairs) == ((), (("a", "1"),))


def test_a_folder_with_nothing_in_it_is_an_empty_run(tmp_path: Path) -> None:
    found = read_folder(tmp_path)
    assert (found.calls, found.faults, found.end_s, found.hosts) == ([], [], 0.0, ())
    with pytest.raises(FileNotFoundError, match="folder of one run"):
        read_folder(tmp_path / "missing")


def test_bytes_that_are_no_text_are_no_end(tmp_path: Path) -> None:
    good = event("invoke", "a.1/0", 1.0, f="read").encode()
    (tmp_path / "history.jsonl").write_bytes(b"\xff\xfe\x00\n" + good + b'{"type": "\xc3')
    assert len(read_folder(tmp_path).calls) == 1
