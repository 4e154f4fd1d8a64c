"""Stories of the kinds: what concurrent operations give."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.consistency.crdt import KINDS, UnknownType, decode, new
from quorate.consistency.crdt.base import BY_KIND, Crdt
from quorate.core.codec import dumps, loads
from quorate.core.errors import InvariantBroken, LimitExceeded, UsageError, WrongType

A, B = 11, 22
FIRST: dict[str, tuple[str, list[Any], Any]] = {
    "g_counter": ("increment", [3], 3),
    "pn_counter": ("decrement", [3], -3),
    "g_set": ("add", ["x"], ["x"]),
    "two_phase_set": ("add", ["x"], ["x"]),
    "or_set": ("add", ["x"], ["x"]),
    "lww_register": ("set", ["x"], "x"),
    "mv_register": ("set", ["x"], ["x"]),
    "ew_flag": ("enable", [], True),
    "or_map": ("update", ["k", "ew_flag", "enable", []], {"k": True}),
    "sequence": ("append", ["x"], ["x"]),
}


class Pair:
    """Two hosts that exchange states when told to."""

    def __init__(self, kind: str) -> None:
        self.a, self.b = new(kind), new(kind)
        self.seq = 0

    def do(self, crdt: Crdt, op: str, *args: Any, stamp: int = 0) -> Crdt:
        self.seq += 1 + crdt.dots_needed(op, list(args))
        return crdt.operate(op, list(args), A if crdt is self.a else B, self.seq, stamp)

    def meet(self) -> Any:
        self.a.merge(decode(loads(dumps(self.b.wire()))))
        self.b.merge(decode(loads(dumps(self.a.wire()))))
        assert dumps(self.a.wire()) == dumps(self.b.wire())
        return self.a.value()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_begins_changes_and_is_reset(kind: str) -> None:
    op, args, value = FIRST[kind]
    pair = Pair(kind)
    empty = pair.a.value()
    assert pair.a.is_empty()
    pair.do(pair.a, op, *args)
    assert pair.meet() == value and not pair.b.is_empty()
    pair.do(pair.b, "reset")
    assert pair.b.value() == empty and pair.b.is_empty()
    pair.do(pair.a, op, *args)
    assert pair.meet() == value  # the update that the reset did not see


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_lives_in_a_map_and_survives_a_concurrent_removal(kind: str) -> None:
    op, args, value = FIRST[kind]
    pair = Pair("or_map")
    pair.do(pair.a, "update", "key", kind, op, args)
    assert pair.meet() == {"key": value}
    pair.do(pair.b, "remove", "key")
    assert pair.b.value() == {} and pair.b.is_empty()
    pair.do(pair.a, "update", "key", kind, op, args)
    assert pair.meet() == {"key": value}
    pair.do(pair.a, "remove", "key")
    assert pair.meet() == {}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_dot_is_never_used_twice(kind: str) -> None:
    op, args, _ = FIRST[kind]
    crdt = new(kind)
    crdt.operate(op, args, A, 5, 0)
    before = dumps(crdt.wire())
    for seq in (5, 4):
        with pytest.raises(InvariantBroken):
            crdt.operate(op, args, A, seq, 0)
    assert dumps(crdt.wire()) == before


def test_an_increment_that_the_reset_did_not_see_survives_alone() -> None:
    pair = Pair("pn_counter")
    pair.do(pair.a, "increment", 10)
    pair.meet()
    pair.do(pair.b, "reset")
    pair.do(pair.a, "increment", 1)
    assert pair.meet() == 1
    pair.do(pair.b, "reset")
    assert pair.meet() == 0
    pair.do(pair.a, "increment", 2)
    assert pair.meet() == 2
    assert len(pair.a.dots[A]) == 1  # type: ignore[attr-defined]  # the old entry was retired


def test_a_guest_that_dropped_its_copy_loses_and_doubles_no_count() -> None:
    owner, guest = new("pn_counter"), new("pn_counter")
    for seq in (1, 4):
        owner.merge(guest.operate("increment", [10], A, seq, 0))
    guest = new("pn_counter")
    late = guest.operate("increment", [1], A, 9, 0)
    assert (owner.merge(late), owner.value()) == (True, 21)
    guest.merge(owner)
    owner.merge(guest.operate("decrement", [2], A, 12, 0))
    assert owner.value() == guest.value() == 19


def test_ties_of_stamps_are_broken_the_same_everywhere() -> None:
    pair = Pair("lww_register")
    pair.do(pair.a, "set", "of a", stamp=7)
    pair.do(pair.b, "set", "of b", stamp=7)
    assert pair.meet() == "of b"  # the greater actor
    pair.do(pair.a, "set", "later", stamp=1)  # it saw both: cause beats stamps
    assert pair.meet() == "later"


def test_removed_for_ever_also_against_a_concurrent_add() -> None:
    pair = Pair("two_phase_set")
    long = "x" * 100
    pair.do(pair.a, "add", long)
    pair.meet()
    pair.do(pair.a, "remove", long)
    pair.do(pair.b, "add", long)
    assert pair.meet() == []
    pair.do(pair.b, "add", long)
    assert pair.meet() == [] and not pair.a.is_empty()
    pair.do(pair.a, "remove", "never there")
    assert all(len(mark) <= 17 for mark in pair.a.elements if mark[:1] == b"-")  # type: ignore[attr-defined]


def test_equal_values_are_one_element() -> None:
    crdt = new("or_set")
    crdt.operate("add", [{"a": 1, "b": [{"d": 2, "c": 3}]}], A, 1, 0)
    crdt.operate("add", [{"b": [{"c": 3, "d": 2}], "a": 1}], A, 2, 0)
    assert crdt.value() == [{"a": 1, "b": [{"c": 3, "d": 2}]}]


def test_a_key_of_a_map_has_one_kind() -> None:
    pair = Pair("or_map")
    pair.do(pair.a, "update", "key", "or_set", "add", [1])
    before = dumps(pair.a.wire())
    with pytest.raises(WrongType, match="is a or_set, not a pn_counter"):
        pair.do(pair.a, "update", "key", "pn_counter", "increment", [])
    assert dumps(pair.a.wire()) == before
    pair.do(pair.b, "update", "key", "pn_counter", "increment", [5])
    assert pair.meet() == {"key": 5}  # made as two kinds apart: the same one everywhere
    assert pair.a.mixed() == ["key"]  # type: ignore[attr-defined]
    pair.do(pair.a, "remove", "key")
    assert pair.meet() == {}
    pair.do(pair.a, "update", "key", "or_set", "add", [2])
    assert pair.meet() == {"key": [2]}


def test_a_map_delta_looks_at_its_own_key_only() -> None:
    pair = Pair("or_map")
    for at in range(50):
        pair.do(pair.a, "update", f"k{at}", "or_set", "add", [1])
    pair.meet()
    first = pair.do(pair.a, "update", "k1", "or_set", "add", [2])
    removal = decode(pair.do(pair.a, "remove", "k2").wire())
    group = decode(first.wire())
    group.merge(removal)
    assert group.touched == {"k1", "k2"}  # type: ignore[attr-defined]
    pair.b.merge(group)
    assert dumps(pair.a.wire()) == dumps(pair.b.wire())


@pytest.mark.parametrize(
    ("kind", "op", "args"),
    [
        ("pn_counter", "increment", [-1]),
        ("pn_counter", "increment", [1.0]),
        ("pn_counter", "increment", [True]),
        ("pn_counter", "increment", [1, 2]),
        ("pn_counter", "increment", [1 << 64]),
        ("pn_counter", "increment", (1,)),
        ("g_counter", "decrement", [1]),
        ("g_set", "remove", [1]),
        ("or_set", "add", [object()]),
        ("or_set", "add", ["x" * 70_000]),
        ("or_set", "add", []),
        ("lww_register", "set", [b"x" * (1 << 20)]),
        ("ew_flag", "toggle", []),
        ("or_map", "update", [1, "or_set", "add", [1]]),
        ("or_map", "update", ["k" * 1025, "or_set", "add", [1]]),
        ("or_map", "update", ["\ud800", "or_set", "add", [1]]),
        ("or_map", "update", ["k", "bag", "add", [1]]),
        ("or_map", "update", ["k", "or_set", "push", [1]]),
        ("or_map", "update", ["k", "or_set", "add", "1"]),
        ("or_map", "update", ["k", "or_set", "add", [object()]]),
        ("or_map", "remove", [None]),
    ],
)
def test_a_wrong_operation_changes_nothing(kind: str, op: str, args: Any) -> None:
    crdt = new(kind)
    first = FIRST[kind]
    crdt.operate(first[0], first[1], A, 1, 0)
    before = dumps(crdt.wire())
    with pytest.raises(UsageError):
        crdt.operate(op, args, A, 9, 0)
    assert dumps(crdt.wire()) == before


def test_maps_nest_to_their_limit() -> None:
    op, args = "enable", list[Any]()
    kind = "ew_flag"
    for _ in range(8):
        kind, op, args = "or_map", "update", ["k", kind, op, args]
    crdt = new("or_map")
    crdt.operate(op, args, A, 1, 0)
    assert dumps(decode(crdt.wire()).wire()) == dumps(decode(decode(crdt.wire()).wire()).wire())
    with pytest.raises(LimitExceeded, match="8 deep"):
        crdt.operate("update", ["k", "or_map", op, args], A, 2, 0)


def test_kinds_are_told_apart() -> None:
    with pytest.raises(UnknownType, match="or_set"):
        new("bag")
    with pytest.raises(WrongType):
        new("or_set").merge(new("g_set"))
    assert set(BY_KIND) == KINDS and len({new(kind).code for kind in KINDS}) == len(KINDS) == 10
