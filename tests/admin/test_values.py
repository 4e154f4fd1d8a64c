"""What goes in over JSON comes out the same, and what cannot go in says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.errors import UsageError
from quorate.hosts.admin.values import from_json, parse, to_json

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.just(datetime(2026, 1, 2, tzinfo=UTC)),
)
keys = st.one_of(st.text(), st.integers(), st.binary(), st.booleans())
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20
)


@given(values)
def test_every_value_survives_the_way_through_json(value: object) -> None:
    assert from_json(parse(json.dumps(to_json(value)))) == value


def test_nan_survives_too() -> None:
    back = from_json(parse(json.dumps(to_json(float("nan")))))
    assert back != back


def test_what_json_cannot_say_is_shown_and_not_taken_back() -> None:
    shown = to_json({1, 2})
    assert shown == {"$other": "{1, 2}"}
    with pytest.raises(UsageError, match="other is unknown"):
        from_json(shown)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ('{"a": 1, "a": 2}', "repeats a key"),
        ("NaN", "is not JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"$bytes": "*"}', "not readable"),
        ('{"$bytes": 7}', "not readable"),
        ('{"$bytes": "", "b": 1}', "no other key"),
        ('{"$when": 1}', "unknown"),
        ('{"$map": [[[], 1]]}', "not readable"),
        ('{"$float": "fast"}', "not readable"),
    ],
)
def test_a_bad_value_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        from_json(parse(text))
