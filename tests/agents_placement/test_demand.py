"""What `start` is told: mistakes are said at once, and plain values come back as they went."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given

from quorate.core import codec
from quorate.core.errors import LimitExceeded, UsageError
from quorate.hosts.agents.placement.demand import Demand, demand
from tests.agents_placement.scenes import demands

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"hints": {"naer": "x"}}, "did you mean 'near'"),
    ({"hints": {"zone": "x"}}, "it knows host, near, avoid, spread"),
    ({"hints": {"near": 7}}, "must be a name"),
    ({"hints": {"near": ""}}, "must be a name"),
    ({"hints": {"avoid": [3]}}, "must be a name"),
    ({"hints": ["near"]}, "must be a map"),
    ({"resources": {"memory_mb": -1}}, "must be 0 or more"),
    ({"resources": {"memory_mb": "much"}}, "must be a number"),
    ({"resources": {"memory_mb": True}}, "must be a number"),
    ({"resources": {"cpu": float("nan")}}, "must be 0 or more"),
    ({"resources": {"cpu": float("inf")}}, "must be 0 or more"),
    ({"resources": {"": 1}}, "no name"),
    ({"resources": [1]}, "must be a map"),
    ({"needs": {"gpu": 1}}, "must be the text of a label"),
    ({"needs": {5: "a"}}, "no name"),
    ({"needs": "gpu"}, "must be a map"),
]


@pytest.mark.parametrize(("given", "said"), MISTAKES)
def test_a_mistake_is_said_when_it_is_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        demand("shop", **given)


@pytest.mark.parametrize(
    "given",
    [
        {"resources": {f"r{at}": 1 for at in range(17)}},
        {"needs": {f"l{at}": "x" for at in range(17)}},
        {"hints": {"avoid": [f"h{at}" for at in range(65)]}},
    ],
)
def test_there_is_an_end_to_wishes(given: dict[str, Any]) -> None:
    with pytest.raises(LimitExceeded):
        demand("shop", **given)


def test_agents_and_hosts_are_given_by_name_or_as_they_are() -> None:
    proxy, machine = SimpleNamespace(name="friend"), SimpleNamespace(id="h1")
    made = demand("shop", hints={"near": proxy, "host": machine, "avoid": ["h2", proxy]})
    assert (made.near, made.host, made.avoid) == ("friend", "h1", ("friend", "h2"))


def test_one_name_to_avoid_needs_no_list() -> None:
    assert demand("shop", hints={"avoid": "h1"}).avoid == ("h1",)


def test_the_quota_of_the_class_holds_unless_the_agent_has_its_own() -> None:
    assert demand("shop", memory_mb=100).resources == (("memory_mb", 100),)
    own = demand("shop", memory_mb=100, resources={"memory_mb": 300})
    assert own.resources == (("memory_mb", 300),)
    none = demand("shop", memory_mb=100, resources={"memory_mb": 0})
    assert none.resources == ()


def test_one_slot_is_what_every_agent_takes_and_is_not_written_down() -> None:
    assert demand("shop", resources={"slots": 1}).resources == ()
    assert demand("shop", resources={"slots": 0}).resources == (("slots", 0),)


@given(demands())
def test_it_travels_in_the_spec(what: Demand) -> None:
    travelled = codec.decode_value(codec.encode_value(what.to_plain()))
    assert Demand.from_plain(travelled) == what


def test_what_a_newer_version_added_is_left_out() -> None:
    plain = {"kind": "shop", "version": 1, "hints": {"near": "x", "moon": "full"}, "tide": 3}
    assert Demand.from_plain(plain) == demand("shop", hints={"near": "x"})


@pytest.mark.parametrize("plain", [7, ["shop"], {"kind": 3}, {"kind": "a", "version": "new"}])
def test_what_cannot_have_been_written_is_refused(plain: Any) -> None:
    with pytest.raises(UsageError):
        Demand.from_plain(plain)
