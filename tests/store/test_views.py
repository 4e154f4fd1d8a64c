"""Mixed levels on one key: which of both planes a reader sees (T39)."""

from __future__ import annotations

import pytest

from quorate.consistency.replica.states import RegisterEntry, RegisterState
from quorate.consistency.store.merging import MergeFailed
from quorate.consistency.store.receipts import Version
from quorate.consistency.store.views import NOTHING, View, strong_view, view_of
from quorate.consistency.strong import ABSENT, StrongRecord


def state(*entries: RegisterEntry) -> RegisterState:
    return RegisterState(list(entries), {entry.actor: entry.seq for entry in entries})


def entry(actor: int, stamp: int, value: bytes | None, **more: dict[int, int]) -> RegisterEntry:
    return RegisterEntry(actor, 10 + actor, stamp, value, more.get("deps"))


def joined(values: list[bytes]) -> bytes:
    return b"+".join(values)


def test_nothing_anywhere() -> None:
    assert view_of(None) == NOTHING
    assert view_of(None, ABSENT) == NOTHING
    assert not NOTHING.exists
    assert NOTHING.version is None


@pytest.mark.parametrize(
    ("strong", "local", "shown"),
    [(50, 40, b"strong"), (50, 50, b"strong"), (50, 51, b"local"), (0, 40, b"local")],
)
def test_the_newer_plane_is_shown_and_strong_wins_ties(
    strong: int, local: int, shown: bytes
) -> None:
    record = StrongRecord(strong, b"strong", 1) if strong else ABSENT
    view = view_of(state(entry(1, local, b"local")), record)
    assert (view.value, view.exists) == (shown, True)
    assert strong_view(record).value == (b"strong" if strong else None)


def test_a_strong_delete_hides_what_is_older_and_not_what_is_newer() -> None:
    gone = StrongRecord(50, None, 3)
    assert not view_of(state(entry(1, 49, b"old")), gone).exists
    assert view_of(state(entry(1, 51, b"new")), gone).value == b"new"
    assert view_of(state(entry(1, 51, None)), StrongRecord(50, b"x", 1)).exists is False
    hidden = view_of(state(entry(1, 49, b"old")), gone)
    assert hidden.version == Version(0, 3, 50)
    assert hidden.saw == {1: 11}, "what is hidden was seen all the same"


def test_concurrent_values_are_siblings_or_merged() -> None:
    both = state(entry(1, 40, b"a"), entry(2, 60, b"b"))
    view = view_of(both)
    assert view.siblings == (b"b", b"a"), "the newest first"
    assert view.value == b"b"
    assert "2 concurrent values" in view.conflict
    assert view.saw == {1: 11, 2: 12}
    merged = view_of(both, merge=joined)
    assert (merged.value, merged.conflict) == (b"a+b", "")
    one = view_of(both, StrongRecord(50, b"s", 1), joined)
    assert (one.value, one.siblings, one.conflict) == (b"b", (b"b",), "")


def test_a_merge_that_fails_keeps_all_values_and_says_why() -> None:
    def fails(values: list[bytes]) -> bytes:
        raise MergeFailed("the merge function raised KeyError")

    view = view_of(state(entry(1, 40, b"a"), entry(2, 60, b"b")), merge=fails)
    assert view.siblings == (b"b", b"a")
    assert "raised KeyError" in view.conflict


def test_a_delete_gives_way_to_a_concurrent_value_and_equal_values_are_one() -> None:
    view = view_of(state(entry(1, 90, None), entry(2, 60, b"b")))
    assert (view.value, view.conflict, view.stamp) == (b"b", "", 90)
    same = view_of(state(entry(1, 40, b"b"), entry(2, 60, b"b")))
    assert (same.siblings, same.conflict) == ((b"b",), "")
    assert not view_of(state(entry(1, 90, None), entry(2, 60, None))).exists


def test_what_the_writers_had_seen_is_seen() -> None:
    view = view_of(state(entry(1, 40, b"a", deps={7: 3, 2: 99}), entry(2, 60, b"b", deps={7: 9})))
    assert view.saw == {1: 11, 2: 99, 7: 9}


def test_a_view_travels() -> None:
    view = view_of(state(entry(1, 40, b"a", deps={7: 3})), StrongRecord(5, b"s", 1))
    assert View.from_plain(view.to_plain()) == view
    assert View.from_plain(NOTHING.to_plain()) == NOTHING
    for bad in ([], [1] * 8, None, ["register", True, "text", None, [], "", [], 0]):
        with pytest.raises((TypeError, ValueError)):
            View.from_plain(bad)
