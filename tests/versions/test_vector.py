"""Vectors: covers, join, meet, add; absent is 0."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.versions import vector

VECTORS = st.dictionaries(st.integers(1, 4), st.integers(1, 9), max_size=4)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(VECTORS, VECTORS, VECTORS)
def test_join_is_the_least_above_and_meet_the_greatest_below(
    a: dict[int, int], b: dict[int, int], c: dict[int, int]
) -> None:
    both = vector.join(a, b)
    assert vector.covers(both, a) and vector.covers(both, b)
    assert vector.covers(c, both) == (vector.covers(c, a) and vector.covers(c, b))
    low = vector.meet([a, b])
    assert vector.covers(a, low) and vector.covers(b, low)
    assert vector.covers(low, c) == (vector.covers(a, c) and vector.covers(b, c))
    assert all(low.values())


def test_add_and_extend_change_in_place_and_say_so() -> None:
    seen = {1: 5}
    assert vector.add(seen, (1, 6)) and vector.add(seen, (2, 1))
    assert not vector.add(seen, (1, 6))
    assert vector.extend(seen, {2: 4, 3: 1}) and not vector.extend(seen, {2: 4})
    assert seen == {1: 6, 2: 4, 3: 1}
    assert vector.meet([]) == {}
