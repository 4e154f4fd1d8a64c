"""What an agent may be called."""

from __future__ import annotations

import pytest

from quorate.core.errors import LimitExceeded, UsageError
from quorate.hosts.agents import names


@pytest.mark.parametrize("name", ["cart:user:7", "a", "chat/ünïcode", "x" * 256, "with space"])
def test_what_can_be_printed_is_a_name(name: str) -> None:
    assert names.check_name(name) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        (7, "must be a str"),
        ("a\x00b", "cannot be printed"),
        ("tab\there", "cannot be printed"),
        (" blank", "blanks at its ends"),
        ("cart:*", "star"),
        ("~a/1", "without a name"),
        ("\ud800", "cannot be printed"),
    ],
)
def test_what_is_no_name_is_said_to_be_none(name: object, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        names.check_name(name)


def test_a_name_is_as_long_as_it_may_be_and_no_longer() -> None:
    with pytest.raises(LimitExceeded, match="257 bytes, 256 at most"):
        names.check_name("x" * 257)


def test_an_anonymous_name_says_where_its_agent_is() -> None:
    name = names.anonymous("host-1", 255)
    assert name == "~host-1/ff"
    assert names.home_of(name) == "host-1"
    assert names.home_of("cart:7") is None
