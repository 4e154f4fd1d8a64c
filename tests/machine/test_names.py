"""The registry, and keys, as stories."""

from __future__ import annotations

import pytest

from quorate.core.errors import NameTaken, NotFound, Refused
from quorate.core.machine import commands as c
from quorate.core.machine import limits
from quorate.core.machine.patterns import Pattern, containing
from quorate.core.machine.results import TOO_LARGE, raise_for
from tests.machine.harness import World


def test_three_policies_for_a_name_that_is_taken() -> None:
    world = World()
    _, how, mine = world.do(c.name_register("cart:7", b"host a"))
    assert (how, mine) == ("registered", ["cart:7", 1, 1, b"host a", b"", 0])
    taken = world.do(c.name_register("cart:7", b"host b"))
    with pytest.raises(NameTaken, match=r"register cart:7: the name is registered") as caught:
        raise_for(taken, "register cart:7")
    assert caught.value.holder == world.machine.name("cart:7")
    same = world.do(c.name_register("cart:7", b"host b", policy="use_existing"))
    assert same == [1, "existing", mine]
    _, how, theirs = world.do(c.name_register("cart:7", b"host b", policy="replace"))
    assert (how, theirs[1]) == ("replaced", 2)
    assert world.machine.names_count() == 1


def test_the_loser_cannot_erase_the_winner() -> None:
    """T19: neither by unregistering late nor by its lease ending."""
    world = World()
    world.run(c.lease_grant(1000, 1), c.lease_grant(1000, 2))
    _, _, loser = world.do(c.name_register("n", b"a", b"", 1))
    world.do(c.name_register("n", b"b", b"", 2, "replace"))
    stale = world.do(c.name_unregister("n", epoch=loser[1]))
    with pytest.raises(NotFound, match="later epoch"):
        raise_for(stale)
    assert world.do(c.lease_expire(1, 1)) == [5, 0]
    winner = world.machine.name("n")
    assert winner is not None and winner.value == b"b"


def test_a_name_is_free_straight_after() -> None:
    """T18: after unregistering, after the lease ended; and the epoch is higher each time."""
    world = World()
    epochs: list[int] = []
    for _ in range(3):
        world.do(c.lease_grant(1000, 1))
        epochs.append(world.do(c.name_register("n", b"a", b"", 1))[2][1])
        world.do(c.lease_revoke(1))
        assert world.machine.name("n") is None
        epochs.append(world.do(c.name_register("n", b"b"))[2][1])
        assert world.do(c.name_unregister("n"))[1] == epochs[-1]
    assert epochs == sorted(set(epochs))
    assert world.do(c.name_unregister("n")) == [world.machine.revision, 0]


def test_metadata_changes_keep_the_epoch() -> None:
    world = World()
    world.do(c.name_register("n", b"a", b"old"))
    assert world.do(c.name_update_meta("n", b"new", epoch=1)) == [2, ["n", 1, 2, b"a", b"new", 0]]
    assert world.do(c.name_update_meta("n", b"x", epoch=9))[1] == "stale_epoch"
    assert world.do(c.name_update_meta("none", b"x"))[1] == "not_found"


def test_names_are_found_by_prefix_pattern_and_page() -> None:
    world = World()
    wanted = [f"cart:{at}" for at in range(30)] + ["user:12:chat", "user:1:chat", "user:2:mail"]
    world.run(*(c.name_register(name, b"") for name in wanted))
    machine = world.machine

    def names(*args: str, **options: object) -> list[str]:
        return [row.name for row in machine.names(*args, **options)]  # type: ignore[arg-type]

    assert names("user:") == ["user:12:chat", "user:1:chat", "user:2:mail"]
    assert names(pattern="user:*:chat") == ["user:12:chat", "user:1:chat"]
    assert names(pattern=containing("mail")) == ["user:2:mail"]
    assert names("cart:1", pattern="*9") == ["cart:19"]
    assert names(pattern="cart:7") == ["cart:7"]
    assert names("user:", pattern="cart:*") == []
    first = names(limit=10)
    assert first + names(limit=100, after=first[-1]) == sorted(wanted)
    assert machine.names_count() == 33
    assert machine.names_count("cart:") == 30
    assert machine.names_count("cart:2") == 11


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True), ("", "a", False), ("*", "", True), ("*", "a", True), ("a*", "b", False),
        ("a*a", "a", False), ("a*a", "aa", True), ("*b*", "abc", True), ("*bc*bc*", "abc", False),
        ("a**c", "abc", True), ("?", "a", False), ("a.c", "abc", False), ("*a*b", "xab", True),
        ("*a*b*", "ba", False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    assert Pattern(pattern).matches(text) is matches


def test_a_pattern_made_to_backtrack_does_not() -> None:
    assert not Pattern("*a" * 150 + "*b").matches("a" * 400)


def test_namespaces_do_not_see_each_other() -> None:
    world = World()
    world.run(c.put("k", b"1"), c.put("k", b"2", ns="n"), c.put("k", b"3", ns="n1"))
    assert [row.value for row in world.machine.kv_range(ns="n")] == [b"2"]
    assert world.do(c.delete_prefix("", "n")) == [4, 1, False]
    assert [row.value for row in world.machine.kv_range()] == [b"1"]
    assert world.machine.kv_count() == 2


def test_ranges_go_both_ways_and_stop_where_told() -> None:
    world = World()
    world.run(*(c.put(key, b"") for key in ("a", "a\0", "aé", "b", "c")))
    machine = world.machine
    assert [row.key for row in machine.kv_range(prefix="a")] == ["a", "a\0", "aé"]
    assert [row.key for row in machine.kv_range(start="a\0", stop="c")] == ["a\0", "aé", "b"]
    assert [row.key for row in machine.kv_range(reverse=True, limit=2)] == ["c", "b"]
    assert [row.key for row in machine.kv_range(prefix="a", start="a\0", limit=1)] == ["a\0"]


def test_a_transaction_is_one_revision_all_or_nothing_and_sees_its_own_writes() -> None:
    world = World()
    both = c.txn(
        [c.compare("ann", "version", "=", 0)],
        [c.put("ann", b"1"), c.put("bob", b"2"), c.get("ann"), c.delete("bob"), c.range_("")],
        [c.get("ann")],
    )
    ann = [b"1", 1, 1, 1, 0]
    assert world.do(both) == [1, True, [[1], [1], ann, [1], [["ann", *ann]]]]
    assert world.do(both) == [1, False, [ann]]
    assert {event.revision for event in world.machine.read_events(0)[0]} == {1}


def test_what_a_transaction_reads_is_bounded_and_its_writes_happen() -> None:
    world = World()
    half = limits.TXN_READ_BYTES_MAX // 2
    world.run(c.put("a", bytes(half)), c.put("b", bytes(half)))
    answer = world.do(c.txn([], [c.get("a"), c.get("b"), c.range_(""), c.put("done", b"")]))
    assert answer[2][1:] == [TOO_LARGE, TOO_LARGE, [1]]


def test_compare_and_set_says_what_is_there() -> None:
    world = World()
    assert world.do(c.compare_and_set("k", b"1")) == [1, 1]
    refused = world.do(c.compare_and_set("k", b"2"))
    with pytest.raises(Refused, match="version 1 of revision 1"):
        raise_for(refused)
    assert world.do(c.compare_and_set("k", b"2", target="value", operand=b"1")) == [2, 2]
    assert world.do(c.delete("k", version=1)) == ["failed", "compare_failed", [2, 2]]
    assert world.do(c.delete("k", version=2)) == [3, 2]
    assert world.do(c.delete("k")) == [3, 0]


def test_long_ranges_and_deletions_go_in_pages() -> None:
    world = World()
    world.run(*(c.put(f"k{at:03d}", b"v") for at in range(200)))
    some = world.do(c.txn([], [c.range_("k1", keys_max=90), c.range_("", keys_max=200)]))[2]
    assert [row[0] for row in some[0]] == [f"k{at:03d}" for at in range(100, 190)]
    assert len(some[1]) == 200
    assert world.do(c.delete_prefix("k", keys_max=128)) == [201, 128, True]
    assert world.do(c.delete_prefix("k", keys_max=72)) == [202, 72, False]
    assert world.do(c.delete_prefix("k")) == [202, 0, False]
    assert world.machine.kv_count() == 0
