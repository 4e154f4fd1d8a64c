"""The figures on histories by hand: every number can be counted on fingers."""

from __future__ import annotations

import json

import pytest

from quorate.chaos.report import faults as facts
from quorate.chaos.report import figures, recovery
from quorate.chaos.report.grid import BUCKETS_MAX, grid, percentile
from quorate.chaos.report.lanes import lanes, natural
from tests.report.tell import call, fault, struck

# --- buckets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_s", [0.0, 0.004, 0.5, 1.0, 19.99, 20.0, 61.0, 3600.0, 7 * 86400.0])
def test_a_grid_covers_the_run_with_few_round_buckets(end_s: float) -> None:
    cells = grid(end_s)
    assert 1 <= cells.count <= BUCKETS_MAX
    assert cells.begin(cells.count - 1) <= end_s <= cells.width_s * cells.count + 1e-9
    assert cells.of(0.0) == 0
    assert cells.of(end_s) == cells.count - 1
    assert cells.of(end_s + 100) == cells.count - 1


def test_a_moment_on_a_border_belongs_to_the_bucket_that_begins() -> None:
    cells = grid(20.0)
    assert cells.width_s == 0.2
    assert [cells.of(time) for time in (0.19, 0.2, 0.6, 19.99)] == [0, 1, 3, 99]


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentile([5.0], 50) == 5.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert percentile([float(n) for n in range(1, 101)], 95) == 95.0
    found = figures.spread([0.003, 0.001, 0.002])
    assert found == figures.Spread(0.002, 0.003, 0.003, 0.003, 3)
    assert figures.spread([]) is None


# --- pace and latency -----------------------------------------------------------------------------


def test_pace_counts_answers_where_they_came_and_silence_where_it_was_asked() -> None:
    calls = [
        call("a/1", 0.0, 0.05),
        call("a/2", 0.0, 0.95, f="write"),
        call("a/3", 0.1, 0.15, "fail"),
        call("a/4", 0.1, 0.55, "unknown"),
        call("a/5", 0.35, None, "unknown"),
    ]
    pace = figures.pace(calls, grid(1.0, buckets_max=10))
    assert pace.ok == {"read": [1, *[0] * 9], "write": [*[0] * 9, 1]}
    assert pace.fail == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert pace.unknown == [0, 0, 0, 1, 0, 1, 0, 0, 0, 0]
    assert pace.per_s("read")[0] == pytest.approx(10.0)
    assert pace.total_per_s()[9] == pytest.approx(10.0)


def test_the_last_bucket_is_as_long_as_the_run() -> None:
    cells = grid(1.05, buckets_max=11)
    pace = figures.pace([call("a/1", 1.0, 1.02)], cells)
    assert cells.lasts(cells.count - 1) == pytest.approx(0.05)
    assert pace.per_s("read")[-1] == pytest.approx(20.0)


def test_latency_counts_where_the_call_was_made_and_only_when_acknowledged() -> None:
    calls = [
        call("a/1", 0.05, 0.95),
        call("a/2", 0.05, 0.06),
        call("a/3", 0.05, 0.5, "unknown"),
        call("a/4", 0.05, 0.5, "fail"),
        call("a/5", 0.9, None, "unknown"),
    ]
    rows = figures.latency(calls, grid(1.0, buckets_max=10))["read"]
    assert rows[0] is not None
    assert (rows[0].count, rows[0].p50, rows[0].most) == (
        2,
        pytest.approx(0.01),
        pytest.approx(0.9),
    )
    assert rows[1:] == [None] * 9


def test_rare_operations_are_drawn_together() -> None:
    calls = [call("a/1", i * 0.1, i * 0.1 + 0.01, f=f"op{i % n}") for n in (9, 3) for i in range(9)]
    assert figures.operation_names(calls) == ["op0", "op1", "op2", "op3", "op4", "others"]
    pace = figures.pace(calls, grid(1.0))
    assert sum(map(sum, pace.ok.values())) == 18
    assert sum(pace.ok["others"]) == 4


# --- who could work when --------------------------------------------------------------------------


def test_a_host_that_waits_is_not_idle_and_not_served() -> None:
    calls = [
        call("a/1", 0.05, 0.06),
        call("b/1", 0.05, 0.85, "unknown"),
        call("b/2", 0.95, 0.96, "fail"),
        call("b/3", 0.9, 0.97, level="local"),
    ]
    rows = figures.availability(calls, grid(1.0, buckets_max=10))
    assert list(rows) == [("a", "read"), ("b", "local"), ("b", "read")]
    assert [cell.share for cell in rows["a", "read"]] == [1.0, *[None] * 9]
    assert [cell.share for cell in rows["b", "read"]] == [None, *[0.0] * 9]
    assert [cell.waiting for cell in rows["b", "read"]][1:8] == [True] * 7
    assert rows["b", "local"][9].share == 1.0


AB_C = (("a", "c"), ("c", "a"), ("b", "c"), ("c", "b"))


def test_service_is_counted_by_the_side_of_the_cut_and_by_level() -> None:
    calls = [
        call("a/1", 0.5, 0.6),
        call("a/1", 1.1, 1.2, level="strong"),
        call("b/1", 1.2, 2.5, level="strong"),
        call("c/1", 1.3, 1.9, "unknown", level="strong"),
        call("c/2", 1.4, 1.5, level="local"),
    ]
    rows = recovery.served(calls, [fault("halves", 1.0, 2.0, pairs=AB_C)], "abc", 3.0)
    told = [(r.side, r.majority, r.level, r.made, r.during, r.ok) for r in rows]
    assert told == [
        (("a", "b"), True, "strong", 2, 1, 2),
        (("c",), False, "local", 1, 1, 1),
        (("c",), False, "strong", 1, 0, 0),
    ]
    assert rows[0].p99_s == pytest.approx(1.3)


def test_the_same_fault_again_is_counted_in_the_same_row() -> None:
    calls = [call("a/1", time, time + 0.01) for time in (1.1, 2.1, 3.1)]
    flaps = [
        fault("flapping", t, t + 0.5, pairs=(("a", "b"),), number=n) for n, t in ((1, 1), (2, 2))
    ]
    (row,) = recovery.served(calls, flaps, "ab", 4.0)
    assert (row.times, row.made, row.majority) == (2, 2, False)


# --- time to recover ------------------------------------------------------------------------------


def test_recovery_is_the_first_call_made_after_the_end_and_the_slowest_host() -> None:
    steady = [call("a/1", t / 10, t / 10 + 0.01) for t in range(10)]
    steady += [call("b/1", t / 10, t / 10 + 0.01) for t in range(10)]
    after = [
        call("a/1", 1.5, 2.05),  # made before the end: no sign of recovery
        call("a/2", 2.1, 2.3),
        call("b/1", 2.2, 2.9),
        *(call("a/3", 3 + t / 20, 3 + t / 20 + 0.01) for t in range(20)),
    ]
    (one,) = recovery.recoveries([*steady, *after], [fault("isolate", 1.0, 2.0, ("b",))], 4.0)
    assert one.first_s == pytest.approx(0.3)
    assert one.every_s == pytest.approx(0.9)
    assert one.slow == ()
    assert one.pace_s == pytest.approx(0.85)  # 8 answers from 2.85 to 3.35, of 10 before
    assert one.silence_s == pytest.approx(0.6)


def test_a_host_that_never_came_back_is_named() -> None:
    calls = [call("a/1", 0.1, 0.2), call("b/1", 0.1, 0.2), call("a/1", 2.1, 2.2)]
    (one,) = recovery.recoveries(calls, [fault("kill", 1.0, 2.0, ("b",))], 3.0)
    assert one.first_s == pytest.approx(0.2)
    assert (one.every_s, one.slow) == (None, ("b",))


def test_nothing_is_measured_of_a_fault_that_never_ended_or_ended_under_another() -> None:
    calls = [call("a/1", t / 10, t / 10 + 0.01) for t in range(40)]
    under = [fault("slow", 1.0, 2.0, number=1), fault("kill", 1.5, None, ("b",), number=2)]
    slow, kill = recovery.recoveries(calls, under, 4.0)
    assert (slow.alone, slow.pace_s) == (False, None)
    assert slow.first_s is not None
    assert (kill.watched_s, kill.first_s, kill.every_s, kill.slow) == (0.0, None, None, ())


def test_silence_needs_somebody_who_asks() -> None:
    """Two seconds without a call are no outage; half a second of waiting is."""
    calls = [call("a/1", 0.0, 0.1), call("a/1", 2.1, 2.6), call("a/2", 1.0, None, "unknown")]
    ends = [0.1, 2.6]
    two, three = recovery.asked(calls[:2]), recovery.asked(sorted(calls, key=lambda c: c.start))
    assert three == [(0.0, 0.1), (1.0, 1.0), (2.1, 2.6)]
    assert recovery.longest_silence(two, ends, 0.0, 2.6) == pytest.approx(0.5)
    assert recovery.longest_silence(three, ends, 0.0, 2.6) == pytest.approx(1.6)
    assert recovery.longest_silence([], [], 0.0, 5.0) == 0.0


def test_clients_that_are_down_with_their_hosts_would_ask() -> None:
    calls = [call("a/1", 0.0, 0.1), call("a/1", 3.5, 3.6)]
    down = fault("restart-all", 1.0, 4.0, ("a",))
    (one,) = recovery.recoveries(calls, [down], 5.0)
    assert one.silence_s == pytest.approx(2.6)
    (cut,) = recovery.recoveries(calls, [fault("isolate", 1.0, 4.0, ("a",))], 5.0)
    assert cut.silence_s == pytest.approx(0.1)


# --- faults ---------------------------------------------------------------------------------------


def events(*rows: str) -> list[dict[str, object]]:
    return [json.loads(row) for row in rows]


def test_ends_are_matched_to_beginnings_of_the_same_name() -> None:
    found = facts.spans(
        events(
            struck("slow", "begin", 1.0, pairs=[["a", "b"]], kinds=["slow"]),
            struck("kill", "begin", 1.5, hosts=["c"]),
            struck("slow", "end", 2.0),
            struck("none", "begin", 2.5),
            struck("kill", "begin", 3.0, hosts=["a"]),
            struck("kill", "end", 4.0),
            struck("never-began", "end", 5.0),
        )
    )
    assert [(f.number, f.name, f.begin, f.end) for f in found] == [
        (1, "slow", 1.0, 2.0),
        (2, "kill", 1.5, 4.0),
        (3, "kill", 3.0, None),
    ]
    assert (found[0].harm, found[0].condition) == ("impaired", None)
    assert (found[1].hosts, found[1].condition) == (("c",), "down")


def test_a_link_that_flaps_is_cut_in_pieces() -> None:
    found = facts.spans(
        events(
            struck("flapping", "begin", 1.0, pairs=[["a", "b"]]),
            struck("flapping", "change", 1.2, pairs=[]),
            struck("flapping", "change", 1.4, pairs=[["a", "b"]]),
            struck("flapping", "end", 1.6),
        )
    )
    assert [(f.begin, f.end) for f in found] == [(1.0, 1.2), (1.4, 1.6)]


def test_a_kind_of_condition_says_whether_anything_passes() -> None:
    kinds = {"black_hole": "cut", "slow": "impaired", "black_hole, refused": "cut"}
    kinds |= {"black_hole, slow": "impaired"}
    for kind, harm in kinds.items():
        assert facts.Fault("x", 0.0, 1.0, kind=kind).harm == harm


def test_the_film_has_a_frame_for_every_change_and_the_worse_harm_wins() -> None:
    struck_ = [
        fault("slow", 1.0, 3.0, pairs=(("a", "b"), ("b", "c")), number=1),
        fault("one-way", 2.0, 3.0, pairs=(("a", "b"),), number=2),
        fault("pause", 2.5, 9.0, ("c",), number=3),
    ]
    frames = facts.film(struck_, 5.0)
    assert [(f.begin, f.end) for f in frames] == [(0, 1), (1, 2), (2, 2.5), (2.5, 3), (3, 5)]
    assert frames[0].calm
    assert frames[2].links == {("a", "b"): "cut", ("b", "c"): "impaired"}
    assert frames[3].hosts == {"c": "paused"}
    assert facts.film([], 0.0) == []


def test_of_many_frames_the_different_ones_are_picked() -> None:
    flaps = [fault("flapping", t, t + 0.5, pairs=(("a", "b"),)) for t in range(1, 20)]
    frames = facts.film([*flaps, fault("kill", 30.2, 30.3, ("b",))], 40.0)
    picked = facts.picked(frames, 5)
    assert len(picked) == 5
    assert {"kill", "flapping"} <= {f.name for frame in picked for f in frame.faults}
    assert picked == sorted(picked, key=lambda frame: frame.begin)
    assert facts.picked(frames, 1000) == frames


@pytest.mark.parametrize(
    ("links", "gone", "wanted"),
    [
        ({}, (), [["a", "b", "c"]]),
        (dict.fromkeys(AB_C, "cut"), (), [["a", "b"], ["c"]]),
        (dict.fromkeys(AB_C, "impaired"), (), [["a", "b", "c"]]),
        ({("a", "b"): "cut"}, (), [["a", "b", "c"]]),  # through c
        ({}, ("b",), [["a", "c"], ["b"]]),
    ],
)
def test_sides_are_who_can_still_talk(
    links: dict[facts.Pair, facts.Harm], gone: tuple[str, ...], wanted: list[list[str]]
) -> None:
    assert facts.sides("abc", links, gone) == wanted


# --- lanes ----------------------------------------------------------------------------------------


def test_lanes_stand_in_the_order_of_numbers_and_keep_those_that_are_wanted() -> None:
    names = ["a/10", "a/2", "b/1", "a/1"]
    assert sorted(names, key=natural) == ["a/1", "a/2", "a/10", "b/1"]
    calls = [call(f"a/{n}", n / 100, n / 100 + 0.01) for n in range(200)]
    found, left_out = lanes(calls, grid(3.0), wanted=["a/199", "gone/1"])
    assert len(found) + left_out == 200
    assert "a/199" in [lane.worker for lane in found]


def test_the_worst_answer_colours_a_bucket() -> None:
    calls = [call("a/1", 0.0, 0.01), call("a/1", 0.02, 0.03, "fail"), call("a/1", 0.04, 0.05)]
    (lane,), _ = lanes(calls, grid(1.0, buckets_max=2))
    assert (lane.counts, lane.worst) == ([3, 0], ["fail", ""])
