"""Clusters larger than the number of replicas, new owners, and peers that say strange things."""

from __future__ import annotations

from typing import Any

import pytest

from quorate.consistency.replica.batches import Batch, encode_batch
from quorate.consistency.replica.definitions import StoreDef
from quorate.consistency.replica.outgoing import message
from quorate.consistency.ring.placement import Ring
from quorate.core.errors import ConfigError, LimitExceeded, UsageError
from tests.replica.replica_tools import Town

HOSTS = ("a", "b", "c", "d", "e")


def holders_of(town: Town, key: str) -> set[str]:
    return {host for host in town.places if town[host].get(key) is not None}


def test_an_update_goes_to_the_owners_only() -> None:
    town = Town(*HOSTS)
    town.pass_time(0.1)
    for number in range(60):
        town["a"].put(f"k{number}", number)
    town.pass_time(1.0)
    for number in range(60):
        key = f"k{number}"
        owners = set(town["a"].replica.owners("s", key))
        assert len(owners) == 3
        assert holders_of(town, key) == owners | {"a"}
    actor = town["a"].replica.actor
    for host in HOSTS:  # positions go on even where no update was meant for the host
        assert town[host].replica.applied[actor] == 60
    town.pass_time(6.0)
    assert town["a"].replica.log.statistics()["retained_records"] == 0


def test_a_new_owner_is_told_everything_that_is_kept() -> None:
    ring = Ring.of(1, ("a", "b"))
    town = Town("a", "b", "c", definitions=(StoreDef("s", replicas=2),), ring=ring)
    town.pass_time(0.1)
    town.part("a", "b")
    town["a"].put("k", 1)
    town.pass_time(1.0)
    assert town["c"].get("k") is None
    moved = Ring.of(2, ("a", "c"), ("a", "b"))
    for host in "abc":
        town[host].replica.on_ring(moved)
    town["c"].replica.send("a", message("rescan", epoch=2), False)
    town.pass_time(1.0)
    assert town["c"].get("k") == 1
    assert ("a", "c", 2) in [(s, t, m["epoch"]) for s, t, m in town.sent if m["k"] == "rescanned"]


def test_fewer_hosts_can_be_asked_for() -> None:
    town = Town("a", "b", "c", definitions=(StoreDef("s", replicas=2),))
    key = next(k for k in map(str, range(99)) if town["a"].replica.owners("s", k) == ("a", "b"))
    town["a"].put(key, 1, destinations=1)
    town.pass_time(0.2)
    assert holders_of(town, key) == {"a"}


@pytest.mark.parametrize(
    "parts",
    [
        message("nonsense"),
        message("push"),
        message("push", b=[b"\xff"], w=[0, 0]),
        message("push", b=[], w=["now", 0]),
        message("push", b=[], w=0),
        message("push", b=[encode_batch(Batch(7, 5, 3, 0, []))], w=[0, 0]),
        message("hello", h={1: -1}, v={}, r=False),
        message("hello", h={"x": 1}, v={}, r=False),
        message("know", e="1", v={}, h={}),
        message("know", e=1, v=[1], h={}),
        message("rescan", epoch=None),
        message("ack", v=7),
    ],
)
def test_a_malformed_message_changes_nothing(parts: dict[str, Any]) -> None:
    town = Town("a", "b", "c")
    town["a"].put("k", 1)
    town.pass_time(0.5)
    before = town["a"].replica.applied.copy()
    with pytest.raises(UsageError):
        town["a"].replica.on_message("b", parts)
    assert town["a"].replica.applied == before
    assert town["a"].get("k") == 1


def test_updates_of_an_unknown_actor_are_refused() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.2)
    update = ["s", "k", 0, 1, 5, {99: 1}, b"\x01", None, None]
    body = encode_batch(Batch(99, 0, 1, 5, [update]))
    town["a"].replica.on_message("b", message("push", b=[body], w=[0, 0]))
    assert town["a"].get("k") is None
    assert any("99" in text for text in town["a"].notes.problems)
    stranger = town["c"].replica.actor
    with pytest.raises(UsageError, match="says it is actor"):
        town["a"].replica.on_message("b", message("hello", h={stranger: 1}, v={}, r=True))


def test_wrong_use_is_a_clear_error() -> None:
    town = Town("a", "b", "c")
    with pytest.raises(UsageError, match="never defined"):
        town["a"].put("k", 1, store="other")
    with pytest.raises(UsageError, match="bytes"):
        town["a"].put("k" * 449, 1)
    with pytest.raises(LimitExceeded):
        town["a"].replica.put("s", "k", bytes(2 << 20))
    with pytest.raises(ConfigError, match="defined with resolver"):
        town["a"].replica.define(StoreDef("s", "siblings"))


def test_an_older_copy_of_the_folder_becomes_another_actor() -> None:
    town = Town("a", "b", "c")
    town.pass_time(0.1)
    town["a"].put("k", 1)
    town.pass_time(0.5)
    town["a"].crash()
    old = dict(town["a"].images)
    town["a"].start()
    town["a"].put("k", 2)
    town.pass_time(0.5)
    before = town["a"].replica.actor
    town["a"].crash()
    town["a"].images = old
    town["a"].start()
    town.pass_time(0.5)
    assert town["a"].replica.actor != before
    assert any("lost" in text for text in town["a"].notes.problems)
    town["a"].put("j", 3)
    town.pass_time(1.0)
    assert town["b"].get("j") == 3
    assert town["b"].get("k") == 2


def test_a_store_that_is_said_to_be_lww_later_shows_one_value() -> None:
    town = Town("a", "b")
    town.pass_time(0.1)
    town.part("a", "b")
    town["a"].replica.define(StoreDef("late", "siblings"))
    town["b"].replica.define(StoreDef("late", "siblings"))
    town["a"].put("k", 1, store="late")
    town["b"].put("k", 2, store="late")
    town.heal()
    town.pass_time(5.0)
    assert len(town["a"].get("k", store="late")) == 2
    town["a"].crash()
    town["a"].start()
    town["a"].replica.define(StoreDef("late"))
    assert town["a"].get("k", store="late") == 2


def test_what_was_absorbed_before_a_crash_is_not_taken_for_collected() -> None:
    """The cut on disk may cover what an exchange brought while the partition was not whole here."""
    town = Town("a", "b", "c")
    town["a"].put("old", 1)
    town["a"].replica.operate("s", "n", "pn_counter", "increment", [9])
    town.pass_time(0.5)
    town["a"].put("old", None)
    town.pass_time(12.0)
    assert town["c"].replica.read("s", "old") is None
    assert town["c"].replica.joiner.collected
    wire = town["a"].replica.export("s", "n")
    town["c"].replica.forget("s", town["c"].replica.partition_of("s", "n"), lambda: None)
    town["c"].replica.whole = lambda partition: False
    town["c"].replica.flush()
    town.pass_time(0.1)
    town["c"].replica.absorb([["s", "n", wire]], lambda done: None)
    assert town["c"].get("n") == 9
    town.pass_time(0.1)
    town["c"].crash()
    town["c"].start()
    assert town["c"].get("n") == 9


@pytest.mark.parametrize(
    "name", [["", "k"], ["s" * 60, "k"], ["s", ""], ["s", "k" * 500], [7, "k"]]
)
def test_names_from_outside_are_looked_at(name: list[Any]) -> None:
    town = Town("a", "b", "c")
    wire = ["register", [[5, 1, 1, b"\x01", None]], [5, 1]]
    with pytest.raises(UsageError):
        town["a"].replica.absorb([[*name, wire]], lambda done: None)
    assert list(town["a"].replica.stores()) == ["s"]


def test_an_older_ring_than_what_was_dropped_is_not_believed() -> None:
    town = Town("a", "b", "c")
    town["c"].put("k", 1)
    town.pass_time(0.5)
    later = Ring.of(2, ("a", "b"))
    town["c"].replica.on_ring(later)
    town["c"].replica.forget("s", town["c"].replica.partition_of("s", "k"), lambda: None)
    town.pass_time(5.0)
    town["c"].crash()
    town["c"].start()  # the town still says ring 1
    assert town["c"].replica.ring == later


def test_who_told_everything_by_a_ring_keeps_to_it_after_a_restart() -> None:
    ring = Ring.of(1, ("a", "b"))
    town = Town("a", "b", "c", definitions=(StoreDef("s", replicas=2),), ring=ring)
    town.pass_time(0.1)
    moved = Ring.of(2, ("a", "c"))
    for host in "abc":
        town[host].replica.on_ring(moved)
    town["c"].replica.send("b", message("rescan", epoch=2), False)
    town.pass_time(0.1)
    assert ("b", "c") in [(s, t) for s, t, m in town.sent if m["k"] == "rescanned"]
    town["b"].crash()
    town["b"].start()  # it is told of ring 1 first, by which its updates would not go to c
    town["b"].put("k", 1)
    town.pass_time(0.5)
    assert town["b"].replica.ring == moved
    actor = town["b"].replica.actor
    assert town["c"].replica.applied[actor] == 1
    assert town["c"].get("k") == 1
