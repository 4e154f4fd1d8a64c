"""Bytes that anybody may have written: refused, or a CRDT like any other; never another error."""

from __future__ import annotations

import os
import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.crdt import KINDS, decode, new
from quorate.core.codec import Malformed, dumps, loads
from quorate.core.errors import UsageError
from tests.crdt.story import Story, real

SOAK = bool(os.environ.get("QUORATE_SOAK"))
EXAMPLES = 20_000 if SOAK else 250
JUNK: list[Any] = [None, True, -1, 0, 1, 2, 7, 2**31, 2**63, 2**64, -(2**70), 1.5, "", "k", b""]
JUNK += [b"\x00", b"\xff\xff", b"+\x01", b"-", [], [0], [[]], [0, 0], {}, {"a": 1}]


@cache
def states(kind: str) -> list[bytes]:
    """Some states and deltas of a story."""
    dice, story = random.Random(5), Story(real(kind))
    for _ in range(60):
        story.operate(dice.randrange(3), dice.randrange(7), dice.randrange(4), dice.randrange(3))
        if dice.random() < 0.3:
            story.sync(dice.randrange(3), dice.randrange(3))
    return [*(story.data(host.crdt) for host in story.hosts), *(d[1] for d in story.deltas[-5:])]


def spoil(wire: Any, dice: random.Random) -> Any:
    """Change one thing somewhere."""
    if not isinstance(wire, list) or not wire or dice.random() < 0.1:
        return dice.choice(JUNK)
    at = dice.randrange(len(wire))
    how = dice.random()
    if how < 0.1:
        return wire[:at] + wire[at + 1 :]
    if how < 0.2:
        return [*wire, wire[at]]
    if how < 0.3:
        return wire[::-1]
    if how < 0.4 and isinstance(wire[at], int):
        return [*wire[:at], wire[at] + dice.choice((-1, 1, 2**32)), *wire[at + 1 :]]
    return [*wire[:at], spoil(wire[at], dice), *wire[at + 1 :]]


@pytest.mark.parametrize("kind", sorted(KINDS))
@settings(max_examples=EXAMPLES, deadline=None, derandomize=not SOAK)
@given(seed=st.integers(0, 2**32))
def test_spoilt_bytes_are_refused_or_are_a_crdt(kind: str, seed: int) -> None:
    dice = random.Random(seed)
    wire = loads(dice.choice(states(kind)))
    for _ in range(dice.randint(1, 3)):
        wire = spoil(wire, dice)
    try:
        found = decode(wire)
    except UsageError as error:
        assert str(error)
        return
    found.value()
    again = decode(loads(dumps(found.wire())))
    assert dumps(again.wire()) == dumps(found.wire())
    good = decode(loads(states(kind)[0])) if found.kind == kind else new(found.kind)
    good.merge(found)
    found.merge(good)
    decode(good.wire()).value()
    good.collect(dict.fromkeys(good.context.actors(), 100))


def nested_map(depth: int) -> list[Any]:
    body: list[Any] = [0, [0, None]]
    code = 8
    for _ in range(depth):
        body, code = [["k", code, body]], 9
    return [9, [5, 3], body]


def long_runs(levels: int, items: int) -> list[Any]:
    """A chain of runs, each hanging on the one before, and items at its end."""
    runs: list[Any] = [[0, 0, 0, 1]]
    runs += [[at + 1, 0, 1, 1, 0, 0, 1] for at in range(levels - 1)]
    group: list[Any] = [levels - 1]
    group += [0, 1, b"\x00"] * items
    return [10, [5, 1 << 40], [[], runs, [group]]]


@pytest.mark.parametrize(
    "wire",
    [
        None,
        [],
        [1],
        "x",
        [1, [], [], []],
        [1, [], None],
        [1, [5, 3], [[0, 0, 0]]],
        [1, [5, 3], [[0, 0, 0, -1]]],
        [1, [5, 3], [[1, 0, 0, 1]]],
        [1, [5, 3], [[-1, 0, 0, 1]]],
        [1, [5, 3], [[0, 3, 0, 1]]],
        [1, [5, 3], [[0, 2, 2, 1]]],
        [1, [5, 3], [[0, 0, -1, 1]]],
        [1, [5, 3], [[0, 0, 0, 1], [0, 0, 0, 1]]],
        [2, [5, 3], [[0, 0, 0, 1 << 128]]],
        [2, [5, 3], [[0, 0, 0, 5, 0, 4]]],
        [2, [5, 3], [[0, 1, 1, 5, 2, 4]]],
        [5, [5, 3], [0, [0, b"\x01", 0, b"\x02"]]],
        [5, [5, 3], [0, [9, b"\x01"]]],
        [5, [5, 3], [0, []]],
        [5, [5, 3], [0, [0, b"\xff"]]],
        [5, [5, 3], [0, [0, b"\x01\x01"]]],
        [5, [5, 3], [0, [0, b"\x01"], 0, [1, b"\x02"]]],
        [5, [5, [1, 1, 1, 1]], [0, [1, b"\x01"]]],
        [4, [5, 3], [0, [0, b"\x01"]]],
        [4, [5, 3], [0, [0, b"-" + b"x" * 17]]],
        [6, [5, 3], [0, [0, [-1, b"\x01"]]]],
        [8, [5, 3], [0, [0, 1]]],
        [9, [5, 3], [["k", 8, []]]],
        [9, [5, 3], [["k", 8, [0, [0, None]], "k", 8, [0, [0, None]]]]],
        [9, [5, 3], [["k" * 2000, 8, [0, [0, None]]]]],
        [9, [5, 3], [[], [1]]],
        nested_map(9),
        nested_map(30),
        [10, [5, 3], [[5], [], []]],
        [10, [5, 3], [[], [[1, 0, 0, 1]], []]],
        [10, [5, 3], [[], [[1, 0, 1, 1, 0, 0, 1]], []]],
        [10, [5, 3], [[], [[0, 0, 0, 1]], [[0, 0, 1, b"\x01", 1, 0, b"\x01"]]]],
        [10, [5, 3], [[], [[0, 0, 0, 1]], [[1, 0, 1, b"\x01"]]]],
        [10, [5, 3], [[], [[0, 0, 0, 1]], [[0, 0, 4, b"\x01"]]]],
        long_runs(300, 1),
        long_runs(250, 40_000),
    ],
    ids=lambda wire: repr(wire)[:60],
)
def test_what_nobody_wrote_is_malformed(wire: Any) -> None:
    with pytest.raises(Malformed):
        decode(wire)


def test_what_is_within_the_limits_is_read() -> None:
    assert decode(nested_map(8)).is_empty() is False
    assert len(decode(long_runs(200, 10)).value()) == 10


def test_a_kind_from_the_future_is_named() -> None:
    with pytest.raises(UsageError, match="no CRDT has the code 99"):
        decode([99, [], []])


def test_a_huge_interval_costs_nothing() -> None:
    """A context that covers everything there could be is compared, not walked through."""
    crdt = new("or_set")
    for seq in range(1, 200):
        crdt.operate("add", [seq], 5, seq, 0)
    assert crdt.merge(decode([5, [5, (1 << 63) - 1], []]))
    assert crdt.value() == []
