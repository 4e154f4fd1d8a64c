"""How long an entry lives, and what goes when the cache is full."""

from __future__ import annotations

from quorate.consistency.layers.index import Index
from quorate.consistency.layers.records import (
    Entry,
    Failure,
    Flight,
    Seen,
    decode_bytes,
    encode_entry,
    encode_failure,
    encode_flight,
)
from quorate.core.codec import encode_value
from tests.layers.world import Work, World, told


def entry(size_bytes: int = 10, *, ttl_s: float = 10, stale_s: float = 0) -> Entry:
    return Entry(b"v" * size_bytes, False, 0, int(ttl_s * 1000), int(stale_s * 1000), "a", ())


def make(entries_max: int = 3, bytes_max: int = 1000, grace_s: float = 5) -> Index:
    return Index(entries_max=entries_max, bytes_max=bytes_max, grace_s=grace_s)


def test_an_entry_is_due_behind_its_life_and_later_on_other_hosts() -> None:
    index = make()
    index.add("mine", 1, entry(), now=100, mine=True)
    index.add("other", 2, entry(), now=100, mine=False)
    assert index.next_due_at() == 110
    assert index.take_due(109.9, 10) == ([], 0)
    assert index.take_due(110, 10) == ([("mine", 1)], 0)
    index.remove("mine")
    assert index.take_due(115, 10) == ([("other", 2)], 0)


def test_what_could_not_be_removed_comes_again() -> None:
    index = make()
    index.add("k", 1, entry(), now=0, mine=True)
    assert index.take_due(10, 10) == ([("k", 1)], 0)
    assert index.take_due(14, 10) == ([], 0)
    assert index.take_due(15, 10) == ([("k", 1)], 0)


def test_what_was_used_least_recently_goes_first() -> None:
    index = make(entries_max=3)
    for number in range(3):
        index.add(f"k{number}", number + 1, entry(), now=0, mine=True)
    index.touch("k0")
    assert index.take_due(0, 10) == ([], 0)
    index.add("k3", 9, entry(), now=0, mine=True)
    assert index.take_due(0, 10) == ([("k1", 2)], 1)


def test_the_limit_of_bytes_holds_too() -> None:
    index = make(entries_max=100, bytes_max=100)
    for number in range(4):
        index.add(f"k{number}", number + 1, entry(40), now=0, mine=True)
    assert index.size_bytes == 168
    victims, evicted = index.take_due(0, 10)
    assert ([key for key, _ in victims], evicted) == (["k0", "k1"], 2)


def test_crowding_by_another_host_is_its_own_to_clear_for_a_while() -> None:
    index = make(entries_max=1)
    index.add("a", 1, entry(ttl_s=100), now=0, mine=False)
    index.add("b", 2, entry(ttl_s=100), now=0, mine=False)
    assert index.take_due(4, 10) == ([], 0)
    assert index.take_due(5, 10) == ([("a", 1)], 1)


def test_a_clock_that_is_wrong_can_only_shorten_a_life() -> None:
    index = make()
    index.add("k", 1, entry(), now=100, mine=True, wall_age_s=-3600)
    assert index.next_due_at() == 110
    index.add("l", 1, entry(), now=100, mine=True, wall_age_s=+3600)
    kept = index.get("l")
    assert kept is not None
    assert kept.born_at == 90


def test_an_older_news_does_not_undo_a_newer_one() -> None:
    index = make()
    index.add("k", 7, entry(50), now=0, mine=True)
    index.add("k", 3, entry(10), now=0, mine=True)
    kept = index.get("k")
    assert kept is not None
    assert (kept.revision, index.size_bytes) == (7, 51)


def test_records_come_back_and_strange_bytes_are_none() -> None:
    seen = (Seen("", "rate", 3, {}), Seen("s:carts", "ann", 0, {5: 9}))
    whole = Entry(b"v", True, 1, 2, 3, "a", seen)
    assert decode_bytes(encode_entry(whole)) == whole
    assert decode_bytes(encode_flight(Flight(b"id", "a"))) == Flight(b"id", "a")
    assert decode_bytes(encode_failure(Failure(b"id", "K", "t"))) == Failure(b"id", "K", "t")
    for strange in (None, [], [2, "e"], [1, "e", 4], [1, "f"], [1, "q", 1], "x", {"a": 1}):
        assert decode_bytes(encode_value(strange)) is None
    assert decode_bytes(b"\xff\xff") is None


# --- in the cluster -------------------------------------------------------------------------------


def test_a_value_is_not_served_behind_its_life_and_is_removed_everywhere() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open(ttl=10.0)
        await a.get_or_compute("k", Work("one"))
        await b.get_or_compute("long", Work("long"), ttl=100.0)
        await world.mini.pass_time(9)
        assert await c.get("k") == "one"
        await world.mini.pass_time(1.1)
        assert await c.get("k", "none") == "none"
        await world.settle()
        assert [cache.statistics()["entries"] for cache in (a, b, c)] == [1, 1, 1]
        assert a.statistics()["expired_total"] == 1
        assert await c.get("long") == "long"

    told(story)


def test_when_the_host_that_computed_is_away_another_one_removes() -> None:
    async def story(world: World) -> None:
        world.mini.lead("b")
        a, b, c = world.open(ttl=10.0)
        await a.get_or_compute("k", Work("one"))
        for cache in (b, c):
            assert await cache.get("k") == "one"
        world.mini.cut("a")
        await world.mini.pass_time(30)
        assert b.statistics()["entries"] == c.statistics()["entries"] == 0
        world.mini.heal("a")

    told(story)


def test_lives_differ_a_little_so_that_not_all_end_at_once() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open(ttl=100.0, jitter_ratio=0.5)
        for number in range(20):
            await a.get_or_compute(f"k{number}", Work(number))
        await world.mini.pass_time(49)
        assert a.statistics()["entries"] == 20
        await world.mini.pass_time(26)
        assert 0 < int(str(a.statistics()["entries"])) < 20
        await world.mini.pass_time(26)
        assert a.statistics()["entries"] == 0

    told(story)


def test_a_full_cache_gives_up_what_nobody_asked_for() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(entries_max=4)
        for number in range(4):
            await a.get_or_compute(f"k{number}", Work(number))
        assert await a.get("k0") == 0
        await a.get_or_compute("k4", Work(4))
        await world.settle()
        assert [await b.get(f"k{n}") for n in range(5)] == [0, None, 2, 3, 4]
        assert a.statistics()["evicted_total"] == 1

    told(story)


def test_an_old_entry_found_at_the_start_is_not_taken_for_new() -> None:
    async def story(world: World) -> None:
        a = world.caches["a"].open("prices", ttl=10.0, sweep_grace_s=1000.0)
        await a.get_or_compute("k", Work("old"))
        await a.close()
        await world.mini.pass_time(60)
        b = world.caches["b"].open("prices", ttl=10.0, sweep_grace_s=1000.0)
        assert await b.get("k", "none") == "none"
        assert await b.get_or_compute("k", Work("new")) == "new"

    told(story)
