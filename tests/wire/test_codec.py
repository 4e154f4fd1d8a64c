"""The codec: what goes in comes out; what must not come in is refused with a reason."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import IntEnum
from typing import Any
from uuid import UUID

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.core import codec
from quorate.core.errors import UsageError

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.uuids()
    | st.dates()
    | st.datetimes(timezones=st.just(dt.UTC))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


class Colour(IntEnum):
    RED = 1


@given(VALUES)
@settings(max_examples=300, deadline=None)
def test_a_value_comes_back_as_it_went(value: object) -> None:
    data = codec.encode_value(value)
    assert codec.decode_value(data) == value
    assert codec.encode_value(value) == data


def test_a_large_item_is_read_without_the_wrap_and_as_strictly() -> None:
    message = {"body": b"x" * (codec.WRAP_BYTES_MAX + 1), "n": [1, 2]}
    data = codec.dumps(message)
    assert codec.loads(data) == codec.loads(memoryview(data)) == message
    for bad in (data + b"\0", data[:-1]):
        with pytest.raises(codec.Malformed):
            codec.loads(bad)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "premature end"),
        (b"\x81", "not valid|left over"),
        (b"\x00\x00", "left over"),
        (b"\x19\x01", "left over|premature|not valid"),
        (b"\xa2\x01\x01\x01\x02", "[Dd]uplicate"),
        (b"\xa2\x61a\x01\x61a\x02", "[Dd]uplicate"),
        (b"\x81" * 33 + b"\x00", "depth"),
        (b"\xc6" * 5000 + b"\x00", "depth"),
        (b"\xc2\x59\x02\x01" + b"\xff" * 513, "4096 bits"),
        (b"\xc3\x59\x02\x01" + b"\xff" * 513, "4096 bits"),
        (b"\x9b" + b"\xff" * 8, "premature end"),
        (b"\x5b\x7f" + b"\xff" * 7, "premature end"),
        (b"\xbb\x00\x00\x00\x00\x7f\xff\xff\xff", "premature end|left over"),
        (b"\x9f\xff", "indefinite"),
        (b"\x5f\x41a\xff", "indefinite"),
        (b"\xff", "break"),
        (b"\x1c", "subtype"),
        (b"\x61\xff", "text"),
        (b"\xd8\x23\x61(", "tag"),
        (b"\xd8\x1c\x80", "tag"),
        (b"\xd9\x01\x02\x81\x01", "tag"),
        (b"\xc5\x82\x1a\x7f\xff\xff\xff\x01", "tag"),
    ],
)
def test_bytes_that_must_not_come_in(data: bytes, why: str) -> None:
    with pytest.raises(codec.Malformed, match=why):
        codec.loads(data)


def test_every_tag_gives_a_plain_value_or_is_refused() -> None:
    plain = (type(None), bool, int, float, str, bytes, list, dict, dt.date, Decimal, UUID)
    inners = (b"\x00", b"\x40", b"\x60", b"\x80", b"\xa0", b"\x50" + b"a" * 16)
    accepted: set[int] = set()
    for tag in [*range(1100), 43000, 55799, 65535, 2**32, 2**63]:
        head = cbor2.dumps(cbor2.CBORTag(tag, 0))[:-1]
        for inner in inners:
            try:
                assert isinstance(codec.loads(head + inner), plain)
                accepted.add(tag)
            except codec.Malformed:
                pass
    assert accepted <= {0, 1, 2, 3, 4, 37, 100, 1004}


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _cyclic() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _wide(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value, value, value, value]
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({1, 2}, "set"),
        (object(), "object"),
        ({"a": [1, {"b": memoryview(b"")}]}, r"value\['a'\]\[1\]\['b'\] is a .*memoryview"),
        (2**4097, "4096 bits"),
        (dt.datetime(2024, 1, 1), "time zone"),
        ("\ud800", "Unicode"),
        (Colour.RED, "enum"),
        (Decimal("nan"), "finite"),
        (_cyclic(), "contains itself"),
        (_deep(40), "nested deeper"),
        (_wide(20), "items"),
    ],
)
def test_a_value_that_cannot_be_kept_is_refused_with_its_place(value: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        codec.encode_value(value)


def test_a_value_deep_enough_to_end_the_process_is_only_an_error() -> None:
    """Encoding recurses in C: without the look first, this is a segmentation fault."""
    value = _deep(50_000)
    with pytest.raises(UsageError, match="nested deeper"):
        codec.encode_value(value)
    while value:  # and taking it down by hand spares the garbage collector the recursion
        value = value.pop()


@given(st.binary(max_size=64))
@settings(max_examples=1000, deadline=None)
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    try:
        codec.loads(data)
    except codec.Malformed as error:
        assert str(error)
