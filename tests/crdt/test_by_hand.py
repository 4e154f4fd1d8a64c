"""Joining the usual delta by hand gives what decoding and merging gives, or is not done at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.consistency import crdt
from quorate.core import codec

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("a", "b")),
        st.sampled_from(("increment", "increment", "increment", "reset")),
        st.integers(1, 9),
        st.booleans(),
    ),
    max_size=30,
)


@pytest.mark.parametrize("kind", ["g_counter", "pn_counter"])
@given(steps=STEPS)
def test_both_ways_end_alike(kind: str, steps: list[tuple[str, str, int, bool]]) -> None:
    copies = {"a": crdt.new(kind), "b": crdt.new(kind)}
    quick, slow = crdt.new(kind), crdt.new(kind)
    seq = 0
    for host, op, amount, arrives in steps:
        seq += amount
        args = [] if op == "reset" else [amount]
        delta = copies[host].operate(op, args, 1 + (host == "b"), seq, seq)
        copies["a" if host == "b" else "b"].merge(delta)
        wire = codec.loads(codec.dumps(delta.brief() if amount % 2 else delta.wire()))
        assert codec.dumps(crdt.decode(wire).wire()) == codec.dumps(delta.wire())
        if not arrives:
            continue
        before = codec.dumps(slow.wire())
        slow.merge(crdt.decode(wire))
        done = quick.merge_wire(wire)
        if done is None:
            quick.merge(crdt.decode(wire))
        else:
            assert done == (codec.dumps(slow.wire()) != before)
        assert codec.dumps(quick.wire()) == codec.dumps(slow.wire())
        assert quick.value() == slow.value()


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        [2, [7, 3], [[0, 0, 0]]],
        [2, [7, "3"], [[0, 0, 0, 5]]],
        [2, [[7], 3], [[0, 0, 0, 5]]],
        [2, [7, 3], [[1, 0, 0, 5]]],
        [2, [7, 3], [[0, -1, 0, 5]]],
        [2, [7, 3], [[0, 0, -1, 5]]],
        [2, [7, 1 << 70], [[0, 0, 0, 5]]],
        [2, [7, 3], [[0, 0, 0, 1 << 5000]]],
        [1, [7, 3], [[0, 0, 0, 5]]],
        [2, 7, 0, 3, 0, 0],
        [2, 7, 0, 3, -1, 0, 5],
        [2, 7, 0, "3", 0, 0, 5],
        [1, 7, 0, 3, 0, 0, 5],
    ],
)
def test_anything_unusual_is_left_to_the_careful_way(wire: Any) -> None:
    counter = crdt.new("pn_counter")
    counter.operate("increment", [1], 7, 1, 1)
    before = codec.dumps(counter.wire())
    assert counter.merge_wire(wire) is None
    assert codec.dumps(counter.wire()) == before
