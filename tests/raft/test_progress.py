"""A follower as the leader sees it: probing, pipelining, and answers that come late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quorate.core.raft.progress import Mode, Progress, Transfer, committed_by


def follower(next_index: int = 10) -> Progress:
    progress = Progress(next=next_index)
    progress.connected = True
    return progress


def may(progress: Progress, now: float = 0.0) -> bool:
    return progress.may_send(now, 0.3, 4, 1000)


def test_a_probe_waits_for_its_answer_or_for_the_retry():
    progress = follower()
    assert may(progress)
    progress.sent(12, 100, 0.0)
    assert not may(progress, 0.29)
    assert may(progress, 0.31)
    assert progress.next == 10, "a probe does not run ahead"


def test_agreement_opens_the_pipeline_and_limits_close_it():
    progress = follower()
    progress.on_match(9)
    progress.become_replicate()
    for last in (10, 11, 12, 13):
        assert may(progress)
        progress.sent(last, 10, 0.0)
    assert not may(progress), "four messages are in flight"
    progress.on_match(11)
    assert may(progress)
    progress.sent(14, 10_000, 0.0)
    assert not may(progress), "too many bytes are in flight"


def test_a_rejection_while_pipelining_goes_back_to_what_is_known_to_match():
    progress = follower()
    progress.on_match(9)
    progress.become_replicate()
    progress.sent(20, 10, 0.0)
    assert progress.on_rejected(20, 14)
    assert (progress.mode, progress.next, progress.in_flight_bytes) == (Mode.PROBE, 10, 0)


def test_late_rejections_change_nothing():
    progress = follower(30)
    assert progress.on_rejected(29, 12)
    assert progress.next == 13
    assert not progress.on_rejected(29, 2), "answered before"
    progress.on_match(20)
    assert not progress.on_rejected(20, 2), "known to match since"
    assert progress.next == 21


def test_a_link_that_breaks_loses_what_was_in_flight():
    progress = follower()
    progress.on_match(9)
    progress.become_replicate()
    progress.sent(20, 10, 0.0)
    progress.on_link(False)
    assert not may(progress)
    progress.on_link(True)
    assert (progress.mode, progress.next) == (Mode.PROBE, 10)


def test_a_snapshot_resumes_at_what_was_acknowledged():
    progress = follower(2)
    progress.become_snapshot(Transfer("s", 50, 1000, sent=800, acked=300))
    assert not may(progress)
    progress.on_link(False)
    assert progress.transfer is not None and progress.transfer.sent == 300
    progress.snapshot_installed(50)
    assert (progress.mode, progress.match, progress.next) == (Mode.REPLICATE, 50, 51)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["match", "reject", "sent", "link"]),
            st.integers(1, 60),
            st.integers(0, 60),
        ),
        max_size=60,
    )
)
def test_match_never_goes_back_and_next_never_below_it(steps: list[tuple[str, int, int]]):
    progress = follower(30)
    best = 0
    for kind, a, b in steps:
        if kind == "match":
            progress.on_match(a)
            progress.become_replicate()
            best = max(best, a)
        elif kind == "reject":
            progress.on_rejected(a, b)
        elif kind == "sent":
            progress.sent(progress.next + b, 10, 0.0)
        else:
            progress.on_link(a % 2 == 0)
        assert progress.match == best
        assert progress.next > progress.match
        assert progress.in_flight_bytes == sum(size for _, size in progress.in_flight)


def test_commit_is_what_a_majority_holds():
    assert committed_by([7]) == 7
    assert committed_by([7, 5]) == 5
    assert committed_by([9, 7, 3]) == 7
    assert committed_by([9, 7, 3, 2]) == 3
    assert committed_by([9, 8, 7, 2, 1]) == 7
    assert committed_by([]) == 0
