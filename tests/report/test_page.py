"""The page read back: what stands on it; it is whole, small, and nothing escapes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from quorate.chaos.report import markup, tables
from quorate.chaos.report.page import page, write_report
from quorate.chaos.report.recorded import Recorded, recorded
from tests.report.tell import Node, event, parse, record, struck
from tests.report.world import Cut, Run, Scene, make

BYTES_MAX = 3_000_000
CHARTS = ("pace", "latency", "who", "links", "workers", "window")


def read(run: Run) -> Recorded:
    return recorded("by-hand", *run.texts())


@pytest.fixture(scope="module")
def stale() -> Run:
    return make(Scene(stale=True))


@pytest.fixture(scope="module")
def broken(stale: Run) -> Node:
    return parse(page(read(stale)))


# --- what stands on it ----------------------------------------------------------------------------


def test_the_verdict_is_on_top_in_words_and_as_a_shape(broken: Node) -> None:
    main = broken.all("main")[0]
    banner = next(node for node in main.children if node.tag == "section")
    assert banner.attributes["id"] == "verdict"
    assert banner.text.startswith("Broken · register under isolate-leader,pause")
    assert "read-from-deposed-leader planted" in banner.text
    assert "stale-read: " in banner.text
    assert banner.all("svg")
    assert broken.all("html")[0].attributes["data-verdict"] == "broken"
    assert broken.all("title")[0].text.startswith("broken: register")


def test_the_page_says_what_was_promised_and_how_to_run_it_again(broken: Node) -> None:
    assert "linearizable per key" in broken.text
    wanted = "quorate chaos run --workload register --nemesis isolate-leader,pause --hosts 3"
    assert f"{wanted} --seconds 20 --seed 7 --plant read-from-deposed-leader" in broken.text


def test_every_chart_has_a_title_a_text_and_a_drawing_for_each_width(broken: Node) -> None:
    figures = broken.all("figure")
    assert {node.attributes["id"] for node in figures} == {*CHARTS, "example"}
    for figure in figures:
        drawings = [svg for svg in figure.all("svg") if svg.attributes.get("role") == "img"]
        assert [svg.attributes["class"] for svg in drawings] == ["wide", "narrow"]
        for svg in drawings:
            title = broken.by_id(svg.attributes["aria-labelledby"])
            alternative = broken.by_id(svg.attributes["aria-describedby"])
            assert title.text
            assert len(alternative.text) > 30, figure.attributes["id"]
    for frame in broken.by_id("film").all("svg"):
        assert " s; " in frame.attributes["aria-label"]


def test_the_counterexample_is_marked_in_every_picture_and_told_as_text(
    broken: Node, stale: Run
) -> None:
    count = len(stale.run["verdicts"][0]["counterexample"])
    assert count >= 3
    for name in ("example", "workers", "window"):
        wide = next(s for s in broken.by_id(name).all("svg") if s.attributes.get("class") == "wide")
        pins = [node.text for node in wide.every() if node.attributes.get("class") == "pin"]
        assert {pin for pin in pins if pin} == {str(n) for n in range(1, count + 1)}, name
    text = broken.by_id("example").all("pre")[0].text
    assert "process" in text
    assert "read" in text


def test_the_faults_stand_in_a_table_with_what_they_cost(broken: Node) -> None:
    rows = broken.by_id("faults").all("tr")
    assert len(rows) == 3
    cells = [cell.text for cell in rows[1].all("td")]
    assert cells[:2] == ["1", "isolate-leader"]
    assert cells[3:5] == ["3 s", "8 s"]
    assert "a→b" in cells[2]
    bands = [n for n in broken.by_id("pace").all("rect") if "band cut" in n.attributes["class"]]
    assert len(bands) == 3  # wide, narrow, legend


def test_versions_options_and_seed_are_told(broken: Node) -> None:
    text = broken.by_id("environment").text
    for fact in ("quorate 0.1.0", "toxiproxy 2.12.0", "seed 7", "seconds 20.0"):
        assert fact in text


@pytest.mark.parametrize(
    ("run", "word"),
    [
        ({"verdict": "held"}, "held"),
        ({"verdict": "invalid", "notes": ["12 operations/s before the faults"]}, "invalid"),
        ({"verdict": "nonsense"}, "unknown"),
        ({}, "unknown"),
        ({"verdicts": [{"verdict": "held"}, {"verdict": "broken"}]}, "broken"),
        ({"verdicts": {"register": {"verdict": "held"}}}, "held"),
        ({"verdicts": [{"verdict": "held"}, {"verdict": "unknown"}]}, "unknown"),
        ({"verdicts": 7, "options": 3, "notes": 5, "versions": None}, "unknown"),
    ],
)
def test_the_word_of_a_run(run: dict[str, object], word: str) -> None:
    root = parse(page(record([], **run)))
    assert root.all("html")[0].attributes["data-verdict"] == word
    assert root.by_id("verdict").text.startswith(word.capitalize())
    if word == "invalid":
        assert "12 operations/s before the faults" in root.by_id("verdict").text


# --- whole, whatever the run left -----------------------------------------------------------------


def test_a_run_that_left_nothing_has_a_page() -> None:
    root = parse(page(recorded("nothing")))
    assert "interrupted before its history was judged" in root.by_id("verdict").text
    assert "run.json is missing" in root.text


@pytest.mark.parametrize("part", range(9))
def test_a_run_torn_anywhere_has_a_page(part: int) -> None:
    run, history, faults = make(Scene(seconds=1.5, cuts=(Cut("a", 0.4, 0.9),))).texts()
    whole = "".join(history)
    torn = whole[: len(whole) * part // 8].splitlines(keepends=True)
    told = "".join(faults)
    root = parse(
        page(
            recorded(
                "torn",
                run[: len(run) * part // 8],
                torn,
                told[: len(told) * part // 8].splitlines(keepends=True),
            )
        )
    )
    assert root.by_id("verdict").text


def test_one_call_and_one_moment_make_a_page() -> None:
    both = [event("invoke", "a.1/0", 1.0, f="read"), event("ok", "a.1/0", 1.0)]
    for history in (both[:1], both):
        for faults in ([], [struck("kill", "begin", 1.0, hosts=["a"])]):
            parse(page(record(history, faults, x=1)))


def test_a_counterexample_that_is_not_in_the_history_is_shown_as_the_judge_told_it() -> None:
    plain = {"process": "q", "start": 5.0, "end": None, "outcome": "unknown", "what": "write x 3"}
    verdict = {"verdict": "broken", "model": "register", "anomalies": [], "counterexample": [plain]}
    root = parse(page(record([event("invoke", "a.1/0", 1.0, f="read")], verdicts=[verdict])))
    assert "q write x 3" in root.by_id("example").text


# --- nothing escapes ------------------------------------------------------------------------------

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&lt;\x00\u202e]]>--></style>"


def test_what_a_run_says_is_never_markup() -> None:
    history = [
        event("invoke", EVIL, 1.0, f=EVIL, key=EVIL, value=EVIL, host=EVIL, level=EVIL),
        event("fail", EVIL, 1.5, error=EVIL),
        event("invoke", EVIL, 2.0, f=EVIL, key=EVIL, value={"x": EVIL}, host=EVIL, level=EVIL),
        event("ok", EVIL, 2.5, value=[EVIL]),
    ]
    plain = {"process": EVIL, "start": 2.0, "end": 2.5, "outcome": EVIL, "what": EVIL}
    lost = {**plain, "start": 9.0}
    anomaly = {"kind": EVIL, "text": EVIL, "operations": [plain]}
    run = {
        "verdict": "broken",
        "promise": EVIL,
        "command": EVIL,
        "notes": [EVIL],
        "versions": {EVIL: EVIL},
        "options": {"workload": EVIL, "nemesis": EVIL, "plant": EVIL, "seed": EVIL},
        EVIL: EVIL,
        "verdicts": [
            {
                "verdict": EVIL,
                "model": EVIL,
                "anomalies": [anomaly],
                "counterexample": [plain, lost],
                "notes": [EVIL],
            }
        ],
    }
    faults = [struck(EVIL, "begin", 1.2, hosts=[EVIL], pairs=[[EVIL, "b"]], kind=EVIL)]
    text = page(recorded(EVIL, json.dumps(run), history, faults))
    root = parse(text)
    assert len(root.all("script")) == 1
    assert len(root.all("style")) == 1
    assert not root.all("img")
    assert not [node for node in root.every() if any(a.startswith("on") for a in node.attributes)]
    assert "\x00" not in text
    assert "\u202e" not in text
    assert "alert(1)" in root.by_id("verdict").text  # it is there, as text


def test_a_letter_that_cannot_be_written_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"verdict": "held", "promise": "a \\ud800 b"}')
    (tmp_path / "history.jsonl").write_text(event("invoke", "a\ud8ff", 1.0, f="\udc00"))
    assert "a \ufffd b" in write_report(tmp_path).read_text(encoding="utf-8")


def test_text_is_escaped_unless_it_was_made_by_tag() -> None:
    pasted = f"<b>{markup.tag('i', 'x')}</b>"
    assert markup.tag("p", pasted) == "<p>&lt;b&gt;&lt;i&gt;x&lt;/i&gt;&lt;/b&gt;</p>"
    assert markup.tag("p", markup.tag("i", "<")) == "<p><i>&lt;</i></p>"
    assert markup.tag("a", title='"<', hidden=None, open=True) == '<a title="&quot;&lt;" open></a>'
    with pytest.raises(ValueError, match="no name of an attribute"):
        markup.tag("a", **{"x onload": "1"})


def test_the_page_needs_no_network(broken: Node, stale: Run) -> None:
    text = page(read(stale))
    outside = set(re.findall(r"(?:https?:)?//[a-z0-9.]+", text)) - {"http://www.w3.org"}
    assert not outside
    assert not [n for n in broken.every() if {"src", "href"} & set(n.attributes)]
    policies = [n.attributes["content"] for n in broken.all("meta") if "http-equiv" in n.attributes]
    assert policies[0].startswith("default-src 'none'")


def test_the_command_is_safe_to_paste() -> None:
    run = {"options": {"workload": "my mod:X; rm", "nemesis": "a+b", "hosts": 3, "seed": 0}}
    found = tables.command(run)
    assert found == "quorate chaos run --workload 'my mod:X; rm' --nemesis a+b --hosts 3 --seed 0"


# --- small ----------------------------------------------------------------------------------------


def test_a_hundred_thousand_operations_make_a_small_page_that_says_what_it_left_out() -> None:
    flaps = [
        {"name": "flapping", "begin": 1 + t / 4, "end": 1.1 + t / 4, "pairs": [["a", "b"]]}
        for t in range(200)
    ]
    scene = Scene(
        hosts=tuple("abcdefg"), clients=20, seconds=60, rate=13.5, judge=False, keys=50, more=flaps
    )
    run = make(scene)
    assert run.run["operations"] > 100_000
    text = page(read(run))
    assert len(text.encode()) < BYTES_MAX
    root = parse(text)
    assert re.search(r"\d+ workers not drawn", root.by_id("workers-alt").text)
    assert re.search(r"Shown: 18 of \d+ pictures", root.by_id("film-alt").text)
    assert "Buckets of 500 ms" in root.by_id("pace-alt").text


def test_huge_values_and_names_are_cut() -> None:
    long = "x" * 1_000_000
    history = [
        event("invoke", long, 1.0, f=long, key=long, value=long, host=long, level=long),
        event("ok", long, 1.5, value=long),
    ]
    plain = {"process": long, "start": 1.0, "end": 1.5, "outcome": "ok", "what": long}
    verdict = {"verdict": "broken", "model": long, "counterexample": [plain], "notes": [long]}
    faults = [struck(long, "begin", 1.2, hosts=[long], pairs=[[long, "b"]])]
    text = page(record(history, faults, verdicts=[verdict], notes=[long], promise=long))
    assert len(text) < BYTES_MAX
    parse(text)


def test_many_hosts_levels_operations_and_faults_are_bounded() -> None:
    history: list[str] = []
    for n in range(3000):
        name = f"h{n % 300}.1/{n}"
        history.append(event("invoke", name, n * 1.0, f=f"f{n}", level=f"l{n}"))
        history.append(event("ok", name, n * 1.0 + 0.5))
    faults = [struck("kill", "begin", n * 1.0, hosts=[f"h{n % 300}"]) for n in range(600)]
    text = page(record(history, faults, x=1))
    assert len(text) < BYTES_MAX
