"""Envelopes: what comes from a peer is looked at before anything is done with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core import errors
from quorate.core.errors import AgentError, LimitExceeded, Moved, UsageError
from quorate.hosts.agents import envelope as wire

ASK: list[Any] = [wire.ASK, 7, "cart", 3, "add", b"\x81\x80", "", 0, [], 5000, None]
GOOD = [
    ASK,
    [wire.REPLY, 7, b"\x01", False],
    [wire.ERROR, 7, ["NoQuorum", "x", "not_applied", {}]],
    [wire.MOVED, 7, "b", 4],
    [wire.RETURNED, "b", 4, ASK],
    [wire.FLUSH, 9, "cart", "a", 0, 0],
    [wire.FLUSHED, 9, 0, True],
    [wire.OPEN, "cart", "a", 0, 7, 12],
    [wire.FORWARD, "a", 1, ASK],
    [wire.AT, 7, "c"],
]


@pytest.mark.parametrize("parts", GOOD, ids=lambda parts: str(parts[0]))
def test_every_kind_has_a_shape(parts: list[Any]) -> None:
    assert wire.check(parts) is parts
    for at in range(1, len(parts)):
        broken = [*parts]
        broken[at] = object()
        with pytest.raises(ValueError, match="wrong type"):
            wire.check(broken)
    with pytest.raises(ValueError, match="length"):
        wire.check(parts[:-1])


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


@given(plain)
def test_whatever_comes_is_an_envelope_or_a_value_error(value: Any) -> None:
    try:
        parts = wire.check(value)
    except ValueError:
        return
    assert parts[0] in range(wire.AT + 1)


def test_a_chain_is_names_and_not_endless() -> None:
    for chain in ([1], ["x"] * (wire.CHAIN_NAMES_MAX + 1)):
        with pytest.raises(ValueError, match="chain"):
            wire.check([*ASK[:8], chain, *ASK[9:]])


@given(st.lists(plain, max_size=4), st.dictionaries(st.text(min_size=1), plain, max_size=3))
def test_arguments_come_out_as_they_went_in(args: list[Any], kwargs: dict[str, Any]) -> None:
    body = wire.encode_call(tuple(args), kwargs, "add")
    assert wire.decode_call(body) == (tuple(args), kwargs)


def test_nothing_mutable_is_shared_between_agents_of_one_host() -> None:
    basket = {"apple": [1]}
    (inside,), _ = wire.isolated_call((basket,), {}, "add")
    basket["apple"].append(2)
    assert inside == {"apple": [1]}
    answer = wire.isolated_answer(basket, "total")
    basket.clear()
    assert answer == {"apple": [1, 2]}


def test_an_argument_that_cannot_be_encoded_is_named() -> None:
    with pytest.raises(UsageError, match=r"add: the arguments cannot be encoded.*builtins.object"):
        wire.encode_call((1, [object()]), {}, "add")
    with pytest.raises(LimitExceeded, match="at most"):
        wire.encode_call((b"x" * (wire.BODY_BYTES_MAX + 1),), {}, "add")


def test_an_error_travels_with_its_type_its_text_and_whether_it_happened() -> None:
    there = AgentError("no", type="ValueError", traceback="line 1")
    here = wire.error_of(wire.error_parts(there))
    assert isinstance(here, AgentError)
    assert (here.type, here.text, here.traceback) == ("ValueError", "no", "line 1")
    moved = wire.error_of(wire.error_parts(Moved("gone", host="b", epoch=7)))
    assert isinstance(moved, Moved)
    assert (moved.host, moved.epoch) == ("b", 7)


@pytest.mark.parametrize(
    "kind",
    [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.Unavailable)],
    ids=lambda kind: kind.__name__,
)
def test_every_error_of_the_world_comes_out_as_itself(kind: type[errors.Unavailable]) -> None:
    there = kind("why")
    here = wire.error_of(wire.error_parts(there))
    assert type(here) is kind
    assert here.outcome == there.outcome


@given(st.lists(plain, max_size=5))
def test_an_error_that_cannot_be_read_is_an_unknown_outcome(parts: list[Any]) -> None:
    error = wire.error_of(parts)
    assert isinstance(error, errors.QuorateError)
