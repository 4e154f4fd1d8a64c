"""When a reminder is due: by hand, and over many rhythms."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.core.errors import LimitExceeded, UsageError
from quorate.core.machine.records import Reminder
from quorate.hosts.agents.lasting import due, tries
from quorate.hosts.agents.lasting.table import Table

NOW_MS = 1_700_000_000_000


def plan(**given: Any) -> due.Plan:
    return due.plan(NOW_MS, **{"after": None, "at": None, "every": None, **given})


def test_once_and_again_and_at_a_time() -> None:
    assert plan(after=2.5) == (NOW_MS + 2500, 0)
    assert plan(every=60) == (NOW_MS + 60_000, 60_000)
    assert plan(after=1, every=60) == (NOW_MS + 1000, 60_000)
    assert plan(at=1_700_000_100.5, every=0.25) == (1_700_000_100_500, 250)
    assert plan(at=5) == (5000, 0)  # long ago: due at once


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"after": 1, "at": 2},
        {"after": -1},
        {"after": "soon"},
        {"after": True},
        {"every": 0.01},
        {"every": float("nan")},
        {"after": float("inf")},
        {"at": 1e30},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        plan(**given)


def test_ids_and_data_are_checked() -> None:
    assert due.check_id("tick/7") == "tick/7"
    for bad in ("", 7, None, "\ud800", b"x"):
        with pytest.raises(UsageError):
            due.check_id(bad)
    with pytest.raises(LimitExceeded, match="257 bytes, 256 at most"):
        due.check_id("i" * 257)
    assert due.encode_data("x", None) == b""
    with pytest.raises(UsageError, match="cannot be encoded"):
        due.encode_data("x", object())
    with pytest.raises(LimitExceeded, match="16384 at most"):
        due.encode_data("x", "y" * 20_000)


def test_it_fires_once_for_all_that_was_missed_and_keeps_its_rhythm() -> None:
    hourly = Reminder("tick", NOW_MS, 3_600_000, b"")
    assert due.after_firing(hourly, NOW_MS) == (NOW_MS + 3_600_000, 0)
    assert due.after_firing(hourly, NOW_MS + 3_599_999) == (NOW_MS + 3_600_000, 0)
    assert due.after_firing(hourly, NOW_MS + 3_600_000) == (NOW_MS + 7_200_000, 1)
    assert due.after_firing(hourly, NOW_MS + 10 * 3_600_000 + 5) == (NOW_MS + 11 * 3_600_000, 10)
    assert due.after_firing(Reminder("once", NOW_MS, 0, b""), NOW_MS + 5) == (0, 0)


def test_the_next_time_is_always_later_than_now_and_on_the_beat() -> None:
    for period in (1, 7, 250, 60_000):
        for late in range(0, 3 * period, max(1, period // 7)):
            found = due.after_firing(Reminder("x", NOW_MS, period, b""), NOW_MS + late)
            assert found.due_ms > NOW_MS + late
            assert found.due_ms - (NOW_MS + late) <= period
            assert (found.due_ms - NOW_MS) % period == 0
            assert found.missed == (found.due_ms - NOW_MS) // period - 1


def test_what_is_set_again_by_each_activation_keeps_its_rhythm() -> None:
    there = Reminder("tick", NOW_MS + 10, 60_000, b"d")
    assert due.stands_already(there, due.Plan(NOW_MS + 60_000, 60_000), b"d", at=False)
    assert not due.stands_already(there, due.Plan(NOW_MS + 60_000, 60_000), b"e", at=False)
    assert not due.stands_already(there, due.Plan(NOW_MS + 5_000, 5_000), b"d", at=False)
    assert due.stands_already(there, due.Plan(NOW_MS + 10 - 600_000, 60_000), b"d", at=True)
    assert not due.stands_already(there, due.Plan(NOW_MS + 11, 60_000), b"d", at=True)
    once = Reminder("once", NOW_MS + 10, 0, b"d")
    assert not due.stands_already(once, due.Plan(NOW_MS + 10, 0), b"d", at=True)


def test_gaps_grow_and_stay_bounded() -> None:
    gaps = [tries.gap_ms(failures) for failures in range(1, 12)]
    assert gaps[:7] == [500, 1000, 2000, 4000, 8000, 16_000, 32_000]
    assert set(gaps[7:]) == {tries.GAP_TOLD_MS}
    assert [tries.trouble_ms(n) for n in (1, 2, 6, 7, 1000)] == [100, 200, 3200, 5000, 5000]


def test_a_piece_is_handed_out_once_at_a_time_and_the_earliest_first() -> None:
    table = Table()
    table.set("x", {"late": 30, "soon": 10})
    table.add("y", "mid", 20)
    assert table.next_at_ms() == 10 and len(table) == 3
    soon, mid = table.take(20, 9)
    assert (soon.key, mid.key) == ("soon", "mid")
    assert table.take(25, 9) == [] and table.next_at_ms() == 30
    table.again(mid, 25)
    assert [e.key for e in table.take(30, 1)] == ["mid"]
    assert [e.key for e in table.take(30, 9)] == ["late"]


def test_what_stands_anew_is_another_piece_and_the_old_try_means_nothing() -> None:
    table = Table()
    table.set("x", {"tick": 10})
    (old,) = table.take(10, 9)
    table.set("x", {"tick": 10})  # the same: it is being tried
    assert table.take(50, 9) == [] and table.has(old)
    table.set("x", {"tick": 40})
    assert not table.has(old)
    table.again(old, 0)
    assert table.next_at_ms() == 40
    (new,) = table.take(40, 9)
    table.drop("x")
    table.again(new, 0)
    assert table.next_at_ms() is None and "x" not in table and len(table) == 0


def test_what_is_gone_leaves_nothing_in_the_heap() -> None:
    table = Table()
    for round_ in range(1000):
        table.set("x", {"tick": 1_000_000 + round_})
    assert len(table._heap) < 200  # pyright: ignore[reportPrivateUsage]
    table.set("x", {})
    assert table.next_at_ms() is None
