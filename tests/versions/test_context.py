"""A causal context is a set of dots: everything is compared with a plain set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.versions.context import CausalContext
from quorate.core.codec import Malformed, dumps, loads

INTERVALS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 12), st.integers(0, 5)), max_size=8
)


def build(intervals: list[tuple[int, int, int]]) -> tuple[CausalContext, set[tuple[int, int]]]:
    context, dots = CausalContext(), set[tuple[int, int]]()
    for actor, low, length in intervals:
        context.add_interval(actor, low, low + length)
        dots |= {(actor, seq) for seq in range(low + 1, low + length + 1)}
    return context, dots


def read(context: CausalContext) -> set[tuple[int, int]]:
    return {(a, s) for a in range(1, 4) for s in range(30) if context.contains(a, s)}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(INTERVALS, INTERVALS, st.randoms(use_true_random=False))
def test_a_context_is_a_set_of_dots(
    first: list[tuple[int, int, int]], second: list[tuple[int, int, int]], dice: Any
) -> None:
    one, dots = build(first)
    two, others = build(second)
    assert read(one) == dots
    assert one.covers(two) == (dots >= others)
    assert {a: one.high(a) for a in range(1, 4)} == {
        a: max([s for b, s in dots if a == b], default=0) for a in range(1, 4)
    }
    kept = one.copy()
    assert one.join(two) == bool(others - dots)
    assert read(one) == dots | others and read(kept) == dots
    shuffled = first + second
    dice.shuffle(shuffled)
    assert dumps(build(shuffled)[0].wire()) == dumps(one.wire())  # equal sets, equal bytes
    assert CausalContext.from_wire(loads(dumps(one.wire()))) == one


@settings(max_examples=300, deadline=None, derandomize=True)
@given(INTERVALS, st.dictionaries(st.integers(1, 3), st.integers(0, 20)))
def test_close_fills_only_gaps_that_end_at_or_below_the_cut(
    intervals: list[tuple[int, int, int]], cut: dict[int, int]
) -> None:
    context, dots = build(intervals)
    wanted = set(dots)
    for actor, start in {(a, s) for a, s in dots if (a, s - 1) not in dots}:
        if start - 1 <= cut.get(actor, 0):
            wanted |= {(actor, seq) for seq in range(1, start)}
    changed = context.close(cut)
    assert read(context) == wanted and changed == (wanted != dots)
    assert CausalContext.from_wire(context.wire()) == context


def test_the_usual_context_is_small() -> None:
    context = CausalContext()
    context.add_interval(1 << 52, 0, 100_000)
    assert len(dumps(context.wire())) == 15
    context.add_interval(1 << 52, 100_000, 200_000)  # touching intervals are one
    assert context.spans == {1 << 52: (0, 200_000)}


@pytest.mark.parametrize(
    "wire",
    [
        None,
        {},
        [1],
        [1, 0],
        [1, -5],
        [1, True],
        [0, 5],
        [-1, 5],
        [2, 5, 1, 5],
        [1, 5, 1, 5],
        [2**53 + 1, 5],
        [1, []],
        [1, [1]],
        [1, [0, 5]],
        [1, [3, 0]],
        [1, [3, 1, 0, 1]],
        [1, [-3, 5]],
        [1, [1, 2**63]],
        [1, 2**63],
        [1, "5"],
        [1, [1.0, 2]],
        ["1", 5],
    ],
)
def test_what_is_not_a_context_is_refused(wire: Any) -> None:
    with pytest.raises(Malformed):
        CausalContext.from_wire(wire)
