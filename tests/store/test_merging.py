"""Merge functions: the built-in one keeps the law, wrong ones are found with a counterexample."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.store.merging import (
    MergeFailed,
    Merger,
    canonical,
    check_merge,
    counterexample,
    semantic_merge,
)
from quorate.core import codec
from quorate.core.errors import UsageError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, width=16)
    | st.sampled_from(["", "a", "b"])
    | st.sampled_from([b"", b"x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=8,
)


@given(st.lists(plain, min_size=2, max_size=3))
@settings(max_examples=300, deadline=None, derandomize="QUORATE_SOAK" not in os.environ)
def test_the_built_in_merge_keeps_the_law(values: list[Any]) -> None:
    assert counterexample(semantic_merge, values) == ""
    merged = {canonical(semantic_merge(list(order))) for order in permutations(values)}
    assert len(merged) == 1


def test_the_built_in_merge_merges_by_meaning() -> None:
    assert semantic_merge([{"qty": 2, "tags": ["a"]}, {"qty": 3, "tags": ["b"]}]) == {
        "qty": 3,
        "tags": ["a", "b"],
    }
    assert semantic_merge([{"a": {"x": 1}}, {"a": {"y": 2}}, {"b": None}]) == {
        "a": {"x": 1, "y": 2},
        "b": None,
    }
    assert semantic_merge([3, 7, 5]) == 7
    assert semantic_merge(["b", "a"]) == "b"
    assert semantic_merge([[1, 2], 9]) == [1, 2], "of different sorts the higher one"
    assert semantic_merge([[2, 1], [2, 1]]) == [2, 1], "equal values are not touched"


def only_numbers(values: list[Any]) -> Any:
    return max(value["qty"] for value in values)


BEATS = {("a", "b"): "a", ("b", "ab"): "b", ("ab", "a"): "ab"}


def beats(values: list[Any]) -> Any:
    """Each beats one and is beaten by the other: who is left depends on who met first."""
    left = sorted(values)[0]
    for value in sorted(values)[1:]:
        left = BEATS.get((left, value)) or BEATS.get((value, left)) or left
    return left


WRONG: list[tuple[Callable[[list[Any]], Any], str]] = [
    (lambda values: values[0], "not commutative"),
    (lambda values: sum(values), "not idempotent"),
    (lambda values: sum(values) / len(values), "not idempotent"),
    (lambda values: [x for value in values for x in value], "not idempotent"),
    (beats, "not associative"),
]


@pytest.mark.parametrize(("merge", "text"), WRONG)
def test_wrong_functions_are_found_with_a_counterexample(
    merge: Callable[[list[Any]], Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        check_merge(merge)


def test_one_that_answers_differently_each_time_is_found() -> None:
    answers = iter(range(1_000_000))
    with pytest.raises(UsageError, match="not deterministic"):
        check_merge(lambda values: next(answers))


def test_one_that_is_made_for_other_values_is_tried_on_samples() -> None:
    def merge(values: list[Any]) -> Any:
        return {"stock": min(value["stock"] for value in values)}

    assert check_merge(merge) == 0, "the built-in samples do not fit; nothing can be said"
    assert check_merge(merge, [{"stock": 3}, {"stock": 5}, {"stock": 1}]) > 0
    with pytest.raises(UsageError, match="raised KeyError"):
        check_merge(merge, [{"stock": 3}, {"count": 5}])
    with pytest.raises(UsageError, match="function of a list"):
        check_merge(7)  # type: ignore[arg-type]


def test_at_work_it_is_looked_at_again() -> None:
    good = Merger(semantic_merge, check_every_calls=1)
    encoded = [codec.encode_value(value) for value in (1, 5, 3)]
    assert codec.decode_value(good(encoded)) == 5

    def raises(values: list[Any]) -> Any:
        raise KeyError("qty")

    for merge, text in (
        (raises, "raised KeyError"),
        (lambda values: values[0], "not commutative"),
        (lambda values: object(), "raised UsageError"),
    ):
        bad = Merger(merge, check_every_calls=1)
        with pytest.raises(MergeFailed, match=text):
            bad(encoded)
        assert bad.statistics()["merges_failed_total"] == 1
