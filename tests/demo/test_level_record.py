"""The verdict over the scene of the levels finds every way a level could break its word."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from quorate.hosts.demo.level_record import find, kept
from quorate.hosts.demo.level_view import LevelView, tables

Scene = dict[str, Any]


def write(level: str, host: str, value: Any, **more: Any) -> Scene:
    side = "minority" if host == "c" else "majority"
    return {
        "level": level,
        "host": host,
        "side": side,
        "value": value,
        "ok": True,
        "achieved": level,
        "term": None,
        "index": None,
        "replicas": [host],
        "durable": True,
        "took_ms": 3.0,
        **more,
    }


def read(level: str, host: str, value: Any = None, error: str = "") -> Scene:
    side = "minority" if host == "c" else "majority"
    told = {"ok": False, "error": error} if error else {"ok": True, "value": value}
    return {"level": level, "host": host, "side": side, "took_ms": 3.0, **told}


def version(host: str, value: Any) -> Scene:
    return {"host": host, "actor": 1, "seq": 1, "at_ms": 1, "value": value}


def scene() -> Scene:
    """What a run shows when everything is as promised."""
    refused = {"ok": False, "error": "NoQuorum", "outcome": "not_applied"}
    diverged = {
        "store": "carts",
        "key": "ann",
        "resolver": "lww",
        "reason": "concurrent",
        "winner": version("c", "eventual at c"),
        "losers": [version("a", "eventual at a")],
    }
    report = {"outcome": "complete", "diverged": [diverged]}
    everywhere = dict.fromkeys("abc", "eventual at c")
    return {
        "sides": {"a": "majority", "b": "majority", "c": "minority"},
        "writes": [
            write("strong", "a", "strong at a", term=1, index=5, replicas=["a", "b"]),
            write("strong", "c", "strong at c", **refused),
            write("session", "a", "session at a", read_back="session at a"),
            write("session", "c", "session at c", read_back="session at c"),
            write("eventual", "a", "eventual at a"),
            write("eventual", "c", "eventual at c"),
            write("crdt", "a", 3),
            write("crdt", "c", 2),
        ],
        "reads": [
            read("linearizable", "a", "strong at a"),
            read("linearizable", "c", error="NoQuorum"),
            read("bounded", "a", error="StaleReplica"),
            read("bounded", "c", error="StaleReplica"),
            read("other session", "a", error="StaleReplica"),
            read("other session", "c", error="StaleReplica"),
            read("local", "a", "eventual at a"),
            read("local", "c", "eventual at c"),
        ],
        "heal": {
            "local": everywhere,
            "likes": dict.fromkeys("abc", 5),
            "linearizable": dict.fromkeys("abc", "strong at a"),
            "reports": {"a": report, "b": report, "c": report},
        },
        "promoted": {"ok": True, "linearizable": dict(everywhere)},
    }


def broken(found: Scene) -> list[str]:
    return [promise for promise, held in kept(found) if not held]


def test_a_run_as_promised_is_kept() -> None:
    assert broken(scene()) == []


def test_an_empty_record_keeps_nothing() -> None:
    assert len(broken({})) == len(kept({}))


def strong_on_one_disk(s: Scene) -> None:
    find(s["writes"], "strong", "majority")["replicas"] = ["a"]


def strong_accepted_in_the_minority(s: Scene) -> None:
    find(s["writes"], "strong", "minority").update(ok=True, achieved="strong")


def strong_refused_with_an_unknown_outcome(s: Scene) -> None:
    find(s["writes"], "strong", "minority")["outcome"] = "unknown"


def eventual_refused_in_the_minority(s: Scene) -> None:
    find(s["writes"], "eventual", "minority")["ok"] = False


def acknowledged_from_memory(s: Scene) -> None:
    find(s["writes"], "crdt", "majority")["durable"] = False


def a_session_does_not_read_its_write(s: Scene) -> None:
    find(s["writes"], "session", "minority")["read_back"] = "before the cut"


def a_strong_read_shows_an_eventual_value(s: Scene) -> None:
    find(s["reads"], "linearizable", "majority")["value"] = "eventual at a"


def a_strong_read_is_answered_in_the_minority(s: Scene) -> None:
    find(s["reads"], "linearizable", "minority").update(ok=True, value="strong at a")


def a_session_goes_back_in_time(s: Scene) -> None:
    find(s["reads"], "other session", "majority").update(ok=True, error="", value="old")


def a_bound_is_promised_to_be_kept(s: Scene) -> None:
    find(s["reads"], "bounded", "minority").update(ok=True, error="", value="old")


def hosts_differ_after_the_heal(s: Scene) -> None:
    s["heal"]["local"]["b"] = "eventual at a"


def an_increment_is_lost(s: Scene) -> None:
    s["heal"]["likes"] = dict.fromkeys("abc", 3)


def nobody_reports_the_key(s: Scene) -> None:
    for report in s["heal"]["reports"].values():
        report["diverged"] = []


def the_report_forgets_what_lost(s: Scene) -> None:
    for report in s["heal"]["reports"].values():
        report["diverged"][0]["losers"] = []


def promotion_does_nothing(s: Scene) -> None:
    s["promoted"]["linearizable"]["c"] = "strong at a"


PLANTED = (
    (strong_on_one_disk, "disks of a majority"),
    (strong_accepted_in_the_minority, "strong, minority"),
    (strong_refused_with_an_unknown_outcome, "strong, minority"),
    (eventual_refused_in_the_minority, "accepted on both sides"),
    (acknowledged_from_memory, "accepted on both sides"),
    (a_session_does_not_read_its_write, "reads what it wrote"),
    (a_strong_read_shows_an_eventual_value, "linearizable"),
    (a_strong_read_is_answered_in_the_minority, "linearizable"),
    (a_session_goes_back_in_time, "never back in time"),
    (a_bound_is_promised_to_be_kept, "bounded staleness"),
    (hosts_differ_after_the_heal, "same value"),
    (an_increment_is_lost, "every increment"),
    (nobody_reports_the_key, "the report names"),
    (the_report_forgets_what_lost, "the report names"),
    (promotion_does_nothing, "promote()"),
)


@pytest.mark.parametrize(("plant", "says"), PLANTED, ids=lambda x: getattr(x, "__name__", ""))
def test_each_broken_promise_is_found(plant: Callable[[Scene], None], says: str) -> None:
    found = copy.deepcopy(scene())
    plant(found)
    assert any(says in promise for promise in broken(found)), broken(found)


def test_the_tables_put_both_sides_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    view = LevelView(silent=False, plain=True)
    view.show(scene(), kept(scene()))
    text = capsys.readouterr().out
    strong = next(line for line in text.splitlines() if line.startswith("strong "))
    assert "term 1 index 5, on a, b" in strong
    assert "NoQuorum after 3 ms: not_applied" in strong
    assert "'eventual at c' by c" in text  # who won, in the report
    assert "BROKEN" not in text
    heads = [head for _, head, _ in tables(scene())]
    assert heads[0][1:] == ("majority (a, b)", "minority (c)")


def test_nothing_is_shown_for_json(capsys: pytest.CaptureFixture[str]) -> None:
    view = LevelView(silent=True, plain=True)
    view.say("hello")
    view.show(scene(), kept(scene()))
    assert capsys.readouterr().out == ""
