"""Histories on paper: what is written is read again, and every mistake is named with its line and
with what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.check.history import Event, MalformedHistory, Recorder, cut, merge, pair
from quorate.consistency.check.lines import dump, load, read
from quorate.consistency.check.models import check
from quorate.consistency.check.names import MODELS
from quorate.consistency.check.timeline import timeline
from quorate.core.errors import NoQuorum, NotFound, OutcomeUnknown, UsageError
from tests.check.replicas import replicated, sessions
from tests.check.tell import did, history, lost, write
from tests.check.tell import read as reads
from tests.check.worlds import Plan, key_values, run


def line(**fields: Any) -> str:
    return json.dumps({"type": "invoke", "process": "a", "time": 1, "f": "read", **fields}) + "\n"


OK = line(type="ok", time=2)

MISTAKES: list[tuple[str, list[str], str]] = [
    ("not JSON", [line(), "{nonsense\n"], "line 2: not JSON"),
    ("a number beyond JSON", [line(value=float("nan"))], "line 1: not JSON (NaN"),
    ("too deep", ["[" * 100_000 + "]" * 100_000 + "\n"], "line 1: not JSON"),
    ("not an object", ["[1, 2]\n"], "line 1: an event is an object, this is a list"),
    ("a misspelt field", [line(vlaue=3)], "line 1: unknown field 'vlaue': an event has"),
    ("an unknown type", [line(type="start")], "line 1: 'type' is 'start': one of invoke, ok"),
    ("no type", ['{"process": 1, "time": 1}\n'], "line 1: 'type' is None"),
    ("no process", [line(process=None)], "line 1: 'process' must be a number or a name"),
    ("a process that is true", [line(process=True)], "line 1: 'process' must be"),
    ("no time", [line(time=None)], "line 1: 'time' must be nanoseconds"),
    ("time before the beginning", [line(time=-1)], "line 1: 'time' must be"),
    ("a key that is a list", [line(key=[1])], "line 1: 'key' must be a name or a number"),
    ("no f", [line(f=None)], "line 1: an invocation needs 'f'"),
    ("f is a number", [line(f=7)], "line 1: 'f' must be text"),
    ("half a witness", [line(witness=[1])], "line 1: 'witness' must be [term, index]"),
    ("a witness of text", [line(witness="1,2")], "line 1: 'witness' must be [term, index]"),
    ("a wrong dot", [line(dot=[1, "x"])], "line 1: 'dot' must be [actor, seq]"),
    ("wrong versions", [line(versions={"1": -2})], "line 1: 'versions' must be an object"),
    ("versions as a list", [line(versions=[1])], "line 1: 'versions' must be an object"),
    ("two in flight", [line(), line(time=2)], "line 2: process 'a' invokes 'read' while its"),
    ("an answer to nothing", [OK], "line 1: 'ok' of process 'a', which has nothing in flight"),
    ("answered twice", [line(), OK, OK], "line 3: 'ok' of process 'a', which has nothing"),
    ("time goes back", [line(time=5), OK], "line 2: time goes back from 5 to 2"),
    ("two units", [line(time=1.5), OK], "line 2: time 2 after 1.5: integers are nanoseconds"),
    ("another's answer", [line(), line(type="ok", f="write", time=2)], "is used by two callers"),
    ("torn in the middle", [line(), '{"type": "o', line(time=3)], "line 2: not JSON"),
]


@pytest.mark.parametrize(("name", "lines", "text"), MISTAKES, ids=lambda v: str(v)[:24])
def test_a_mistake_is_named(name: str, lines: list[str], text: str) -> None:
    with pytest.raises(MalformedHistory) as caught:
        load(lines)
    assert text in str(caught.value), name


def test_a_line_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quorate.consistency.check.lines.LINE_BYTES_MAX", 100)
    with pytest.raises(MalformedHistory, match="bytes, 100 at most"):
        load([line(), line(value="x" * 100)])


def test_a_torn_last_line_is_left_out_and_reported() -> None:
    whole = [line(f="write", key="x", value=1), line(type="ok", time=2)]
    told = load([*whole[:1], whole[1][:-9]])
    assert [op.outcome for op in told.operations] == ["unknown"]
    assert "line 2, the last, is torn" in told.notes[0]
    assert any("torn" in note for note in check("register", told).notes)


def test_a_whole_last_line_needs_no_end() -> None:
    told = load([line(), OK.rstrip()])
    assert not told.notes
    assert told.operations[0].outcome == "ok"


def test_empty_lines_and_bytes_are_fine_and_info_means_unknown() -> None:
    told = load([line().encode(), b"\n", line(type="info", time=2).encode()])
    assert told.operations[0].outcome == "unknown"
    assert told.operations[0].line == 1


def test_reading_is_a_stream() -> None:
    """An event is there before the next line is asked for."""
    given_out: list[int] = []

    def lines() -> Any:
        for number in range(3):
            given_out.append(number)
            yield line(process=number)

    events = read(lines(), [])
    assert next(events).process == 0
    assert given_out == [0]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(JSON, st.dictionaries(st.integers(0, 1 << 53) | st.sampled_from("ab"), st.integers(0, 9)))
def test_what_is_written_is_read(value: Any, versions: dict[Any, int]) -> None:
    event = Event("invoke", 7, 1.25, "write", "k", value, (1, 2), (9, 3), versions, None, "session")
    (again,) = read([dump(event)], [])
    for name in ("type", "process", "time", "f", "key", "value", "witness", "dot", "versions"):
        assert getattr(again, name) == getattr(event, name)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(JSON, max_size=6), st.sampled_from(list(MODELS)), st.data())
def test_rubbish_is_an_error_or_a_verdict(values: list[Any], model: str, data: Any) -> None:
    """Whatever arguments and answers are, a judge says a verdict or what is malformed."""
    names = ["read", "write", "cas", "txn", "put", "add", "final", "append", "acquire", "effect",
             "conflicts", "increment", "assign", "remove", "delete", "get"]  # fmt: skip
    told = [
        did(number, number, number + 0.5, data.draw(st.sampled_from(names)), value,
            data.draw(JSON), key=data.draw(st.sampled_from(["x", "y", None])))
        for number, value in enumerate(values)
    ]  # fmt: skip
    try:
        verdict = check(model, history(*told))
    except MalformedHistory as error:
        assert "operation " in str(error)
    else:
        assert verdict.verdict in ("held", "broken", "unknown")
        json.dumps(verdict.as_dict())
        assert verdict.text()


def test_every_world_survives_paper() -> None:
    """Judged after writing and reading as before."""
    for model, told in (
        ("session", sessions(3, "no-token")),
        ("crdt", replicated(4, "add", "drop")),
        ("kv", run(5, Plan(50, 4, unknown_percent=5), key_values())),
    ):
        events: list[Event] = []
        for op in told.operations:
            more = {"session": op.session, "level": op.level}
            events.append(Event("invoke", op.process, op.start, op.f, op.key, op.value, **more))
            if op.end is not None:
                more = {"dot": op.dot, "versions": op.versions, "shown": op.shown, "host": op.host}
                events.append(Event(op.outcome, op.process, op.end, value=op.result, **more))
        again = load([dump(event) for event in merge(events)])
        first, second = check(model, told), check(model, again)
        assert (first.verdict, first.kinds) == (second.verdict, second.kinds)


def test_merging_claims_no_order_that_was_not_seen() -> None:
    one = [Event("invoke", "a", 1, "read", "x"), Event("ok", "a", 2)]
    other = [Event("invoke", "b", 2, "read", "x"), Event("ok", "b", 2)]
    told = pair(merge(one, other))
    assert [op.process for op in told.operations] == ["a", "b"]
    assert told.operations[1].invoked < told.operations[0].ended


def test_a_cut_history_has_what_was_in_flight_as_unknown() -> None:
    told = history(write("a", 0, 5, 1), reads("b", 1, 2, 1), write("a", 6, 7, 2))
    assert [op.outcome for op in cut(told.operations, 3)] == ["unknown", "ok"]


def test_a_raised_error_says_whether_it_happened() -> None:
    recorder = Recorder(lambda: 0.0)
    for number, error in enumerate(
        [NoQuorum("no"), NotFound("no"), UsageError("no"), OutcomeUnknown("?"), OSError("?")]
    ):
        recorder.invoke(number, "write", "x", number)
        recorder.raised(number, error)
    outcomes = [op.outcome for op in recorder.history().operations]
    assert outcomes == ["fail", "fail", "fail", "unknown", "unknown"]


def test_what_json_cannot_hold_is_refused_when_written() -> None:
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        dump(Event("invoke", 1, 1, "write", "x", b"bytes"))


PICTURE = """\
broken: register, 4 operations, 0 steps
  stale-read: the register held 1 from the end of 'write x 1' (operation 0) to the beginning of \
'read x -> 1' (operation 3), and yet 2 in between: 'write x 2' (operation 1)

counterexample (3 operations):
  process   from ms     to ms          what
  a           0.000  1000.000  []      write x 1
  b        2000.000  5000.000    []    write x 2
  c        6000.000  7000.000      []  read x -> 1"""

UNKNOWN = """\
  process   from ms     to ms          what
  a           0.000         ?  [====>  write x 1 (unknown)
  b        1000.000  2000.000   []     read x -> null at h1
  b        3000.000  4000.000     []   txn [append x 1, r y [2]]"""


def test_a_verdict_is_read_aloud() -> None:
    told = history(
        write("a", 0, 1, 1), write("b", 2, 5, 2), lost("d", 3, "read"), reads("c", 6, 7, 1)
    )
    text = check("register", told).text()
    text = "\n".join(part.rstrip() for part in text.splitlines())
    assert text == PICTURE, text


def test_an_unknown_bar_has_no_end() -> None:
    told = history(
        lost("a", 0, "write", 1),
        reads("b", 1, 2, None, host="h1"),
        did("b", 3, 4, "txn", [["append", "x", 1], ["r", "y", None]],
            [["append", "x", 1], ["r", "y", [2]]], key=None),
    )  # fmt: skip
    assert "\n".join(timeline(told)) == UNKNOWN
