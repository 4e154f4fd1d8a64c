"""The parts that only decide: scopes, marks, drafts, usage, memory."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.consistency import crdt as crdts
from quorate.consistency.replica.states import BESIDE_LOGS, CrdtState
from quorate.consistency.ring.placement import point
from quorate.core import codec
from quorate.core.errors import CorruptStorage, LimitExceeded, UsageError
from quorate.hosts.agents.state.drafts import Dots, Draft, copied
from quorate.hosts.agents.state.marks import (
    DOTS_MAX,
    NO_TURN,
    Joined,
    Put,
    Redo,
    TurnMark,
    actor_of,
    decode_redo,
    encode_redo,
    first_dot,
    turn_mark,
)
from quorate.hosts.agents.state.memory import AgentMemory
from quorate.hosts.agents.state.scope import STORE, Keys, Usage, base36, life_of, scope_of
from quorate.hosts.agents.state.sweeping import is_left


@given(st.integers(0, 1 << 62))
def test_a_life_is_told_from_its_scope(life: int) -> None:
    scope = scope_of("any", life, kept=False)
    assert scope == base36(life) and life_of(scope) == life and "/" not in scope


@given(st.text(min_size=1), st.text(min_size=1))
def test_the_scopes_of_names_are_apart_and_belong_to_no_life(one: str, other: str) -> None:
    mine, theirs = scope_of(one, 1, kept=True), scope_of(other, 1, kept=True)
    assert (mine == theirs) == (one == other)
    assert "/" not in mine and life_of(mine) is None


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
def test_all_keys_of_an_agent_live_together(one: str, other: str) -> None:
    keys = Keys("a", scope_of("a/b", 7, kept=True))
    points = {point(STORE, (keys.prefix + key).encode(errors="replace")) for key in (one, other)}
    assert points == {point(STORE, keys.turn(9).encode())}
    assert point("carts", b"a/1") != point("carts", b"a/2"), "in other stores each key by itself"


def test_a_life_is_left_only_if_it_began_before_the_look_and_is_over() -> None:
    alive = {5, 900}
    assert is_left(base36(4), 100, alive)
    assert not is_left(base36(5), 100, alive) and not is_left(base36(101), 100, alive)
    assert not is_left("=name", 100, alive) and not is_left("not a number!", 100, alive)


def test_a_mark_is_read_back_and_anything_else_is_no_turn() -> None:
    mark = TurnMark(7, 8, 9, 5, 6)
    assert turn_mark(mark.encode()) == mark and mark.place == (7, 8)
    for wrong in (None, b"", b"\xff", codec.dumps("x"), codec.dumps([1]), codec.dumps([-1] * 5)):
        assert turn_mark(wrong) == NO_TURN
    assert turn_mark(codec.dumps([1, 2, 3, 4, 5, "of a later version"])).place == (1, 2)


def test_what_is_to_be_done_again_is_read_back_or_refused() -> None:
    delta = crdts.new("or_set").operate("add", ["x"], 5, 1, 1)
    redo = Redo(TurnMark(1, 2), "a", [Put("k", b"\1"), Put("gone", None)], [])
    redo = redo._replace(deltas=[Joined("s", delta.wire(), 9)])
    assert decode_redo(encode_redo([redo, redo]), "x") == [redo, redo]
    assert decode_redo(None, "x") == []
    for wrong in (b"\xff", codec.dumps(7), codec.dumps([[1]]), codec.dumps([[[1], "a", 3, 4]])):
        with pytest.raises(CorruptStorage):
            decode_redo(wrong, "x")


def test_dots_of_activations_are_of_no_log_and_grow_with_turns() -> None:
    assert actor_of(1) != actor_of(2) and actor_of(1) >= BESIDE_LOGS
    assert first_dot(2) - first_dot(1) > DOTS_MAX
    dots = Dots(actor_of(1), first_dot(1), lambda: 1)
    assert dots.take(3) == first_dot(1) + 3
    with pytest.raises(LimitExceeded):
        dots.take(DOTS_MAX)


OPS: dict[str, list[tuple[str, list[Any]]]] = {
    "pn_counter": [("increment", [3]), ("decrement", [1]), ("increment", [])],
    "or_set": [("add", ["a"]), ("remove", ["a"]), ("add", ["b"]), ("clear", [])],
    "two_phase_set": [("add", ["a"]), ("remove", ["a"]), ("add", ["b"])],
    "lww_register": [("set", [1]), ("set", ["two"]), ("reset", [])],
    "mv_register": [("set", [1]), ("set", ["two"])],
    "ew_flag": [("enable", []), ("disable", [])],
    "sequence": [("append", ["x"]), ("insert", [0, ["y", "z"]]), ("delete", [0])],
    "or_map": [("update", ["f", "pn_counter", "increment", [2]]), ("remove", ["f"])],
}


@pytest.mark.parametrize("kind", sorted(OPS))
def test_a_draft_is_joined_twice_and_anywhere_as_once(kind: str) -> None:
    for seed in range(30):
        rng = random.Random(seed)
        crdt = crdts.new(kind)
        for number in range(rng.randint(0, 3)):  # what was there before, by two hosts
            op, args = OPS[kind][0]
            crdt.operate(op, args, rng.choice((3, 5)), 10 * (number + 1), number + 1)
        base = CrdtState(crdt, 5)
        elsewhere = copied(crdt)
        draft = Draft(kind, Dots(actor_of(9), first_dot(4), lambda: 100))
        for op, args in OPS[kind][: rng.randint(1, 4)]:
            draft.add(op, args, base)
        shown = draft.draw(base)
        assert draft.delta is not None
        for state in (copied(crdt), elsewhere):
            for _ in range(2):
                state.merge(crdts.decode(draft.delta.wire()))
            assert state.value() == shown.value()
        assert crdt.value() == copied(crdt).value(), "the state itself was not touched"


def test_an_operation_that_cannot_be_done_leaves_the_draft_as_it_was() -> None:
    draft = Draft("sequence", Dots(actor_of(1), first_dot(1), lambda: 1))
    draft.add("append", ["x"], None)
    for op, args in (("delete", [5]), ("insert", [9, ["y"]]), ("nonsense", []), ("append", [])):
        with pytest.raises(UsageError):
            draft.add(op, args, None)
    assert draft.draw(None).value() == ["x"]
    counter = Draft("pn_counter", Dots(actor_of(1), first_dot(1), lambda: 1))
    for args in ([-1], ["1"], [1.5], [True], [1, 2], [1 << 64]):
        with pytest.raises(UsageError):
            counter.add("increment", args, None)
    with pytest.raises(UsageError):
        Draft("g_counter", Dots(1, 1, lambda: 1)).add("decrement", [1], None)
    assert counter.ops == []


def test_what_memory_took_is_given_back_in_the_right_order() -> None:
    undo: list[Any] = []
    memory = AgentMemory(lambda: undo)
    memory.put("kept", 1)
    undo.clear()
    memory.put("kept", 2)
    memory.put("kept", 3)
    memory.delete("kept")
    memory.put("new", 1)
    memory.update("new", lambda n: n + 1)
    memory.clear()
    assert memory.keys() == []
    while undo:
        undo.pop()()
    assert memory.dump() == {"kept": 1}
    memory.load({"a": 1})
    assert memory.get("a") == 1 and "kept" not in memory


def test_counting_exactly_is_worth_it_when_something_was_charged() -> None:
    usage = Usage(1600)
    assert not usage.worth_counting(1.0)
    usage.local = 150
    assert usage.worth_counting(1.0)
    usage.counted_bytes, usage.counted_s = 140, 1.0
    assert not usage.worth_counting(1.5) and usage.worth_counting(2.5)
