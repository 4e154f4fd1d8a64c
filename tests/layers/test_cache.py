"""One computation per key in the cluster, and never an old value behind an invalidation."""

from __future__ import annotations

import asyncio

import pytest

from quorate.consistency.layers.records import ComputationFailed
from quorate.core.errors import ConfigError, LimitExceeded, Timeout, Unavailable, UsageError
from tests.layers.world import Work, World, begin, told


def test_hundred_callers_on_three_hosts_share_one_computation() -> None:
    async def story(world: World) -> None:
        caches, work = world.open(), Work({"eur": 7}).hold()
        calls = [begin(caches[n % 3].get_or_compute("k", work)) for n in range(100)]
        await world.settle()
        assert (work.runs, work.running) == (1, 1)
        work.gate.set()
        assert await asyncio.gather(*calls) == [{"eur": 7}] * 100
        assert work.runs == 1
        assert [await cache.get("k") for cache in caches] == [{"eur": 7}] * 3
        waited = sum(int(str(cache.statistics()["waited_total"])) for cache in caches)
        computed = sum(int(str(cache.statistics()["computed_total"])) for cache in caches)
        assert (waited, computed) == (99, 1)

    told(story)


def test_a_value_that_was_handed_out_can_be_changed_without_harm() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        first = await a.get_or_compute("k", Work({"list": [1]}))
        first["list"].append(2)
        assert await a.get("k") == {"list": [1]}
        assert await b.get("k") == {"list": [1]}

    told(story)


def test_a_plain_function_will_do() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open()
        assert await a.get_or_compute("k", lambda: 42) == 42

    told(story)


def test_after_invalidate_returned_no_host_serves_the_old_value() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open()
        await a.get_or_compute("k", Work("old"))
        assert await b.get("k") == "old"
        await c.invalidate("k")
        assert await a.get("k", "nothing") == "nothing"
        assert await b.get_or_compute("k", Work("new")) == "new"
        assert await a.get("k") == "new"

    told(story)


def test_a_computation_that_began_before_an_invalidation_is_not_kept() -> None:
    """Its own caller began before too, and gets what it computed; whoever comes later does not."""

    async def story(world: World) -> None:
        a, b, _ = world.open()
        old = Work("old").hold()
        first = begin(a.get_or_compute("k", old))
        await old.began.wait()
        await b.invalidate("k")
        later = begin(a.get_or_compute("k", Work("new")))
        assert await later == "new"
        old.gate.set()
        assert await first == "old"
        await world.settle()
        assert await b.get("k") == "new"
        assert a.statistics()["not_kept_total"] == 1

    told(story)


def test_one_that_waits_through_an_invalidation_computes_itself() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open()
        old, new = Work("old").hold(), Work("new")
        begin_old = begin(a.get_or_compute("k", old))
        await old.began.wait()
        waiting = begin(b.get_or_compute("k", new))
        await world.settle()
        await c.invalidate("k")
        assert await waiting == "new"
        old.gate.set()
        await begin_old

    told(story)


def test_a_local_read_elsewhere_may_be_old_until_the_write_is_applied_there() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open(level="local")
        await a.get_or_compute("k", Work("old"))
        await world.settle()
        assert await c.get("k") == "old"
        world.mini.cut("c")
        await b.invalidate("k")
        assert await b.get("k", "nothing") == "nothing", "at once where it was invalidated"
        assert await c.get("k") == "old", "cut off, it says local and means it"
        with pytest.raises(Unavailable):
            await c.get("k", level="linearizable", timeout=1)
        world.mini.heal("c")
        assert await c.get("k", "nothing") == "nothing"

    told(story)


def test_a_caller_that_is_cancelled_hands_over() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        first, second = Work("never").hold(), Work("second")
        one = begin(a.get_or_compute("k", first))
        await first.began.wait()
        here, there = Work("here"), begin(b.get_or_compute("k", second))
        same_host = begin(a.get_or_compute("k", here))
        await world.settle()
        assert second.runs + here.runs == 0
        one.cancel()
        assert await there == await same_host
        assert (first.cancelled, second.runs + here.runs) == (1, 1)

    told(story)


def test_a_caller_out_of_time_hands_over_too() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        slow = Work("never").hold()
        with pytest.raises(Timeout):
            await a.get_or_compute("k", slow, timeout=1.0)
        assert slow.cancelled == 1
        assert await b.get_or_compute("k", Work("b"), timeout=1.0) == "b"

    told(story)


def test_a_host_that_is_cut_off_is_replaced_and_two_never_compute_at_once() -> None:
    async def story(world: World) -> None:
        world.mini.lead("b")
        a, b, _ = world.open(lease_s=2.0)
        work = Work("first", "second").hold()
        begin(a.get_or_compute("k", work, timeout=20)).add_done_callback(_retrieve)
        await work.began.wait()
        waiting = begin(b.get_or_compute("k", work, timeout=20))
        await world.settle()
        world.mini.cut("a")
        await world.mini.pass_time(4.0)
        assert (work.runs, work.cancelled, work.most_running) == (2, 1, 1)
        work.gate.set()
        assert await waiting == "second"
        world.mini.heal("a")
        await world.mini.pass_time(1.0)

    told(story)


def _retrieve(task: asyncio.Task[object]) -> None:
    if not task.cancelled():
        task.exception()


def test_a_failure_reaches_everybody_who_waits_and_is_not_kept() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open()
        work = Work("good").hold()
        work.error = KeyError("no price")
        mine = begin(a.get_or_compute("k", work))
        await work.began.wait()
        others = [begin(cache.get_or_compute("k", Work("x"))) for cache in (a, b, c)]
        await world.settle()
        work.gate.set()
        with pytest.raises(KeyError):
            await mine
        for other in others:
            with pytest.raises(ComputationFailed, match="no price") as told_of:
                await other
            assert told_of.value.kind == "KeyError"
        assert await b.get_or_compute("k", Work("now")) == "now"

    told(story)


def test_a_failure_is_kept_when_asked() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        work = Work()
        work.error = ValueError("broken")
        with pytest.raises(ValueError, match="broken"):
            await a.get_or_compute("k", work, error_ttl=5.0)
        untouched = Work()
        with pytest.raises(ComputationFailed, match="broken"):
            await b.get_or_compute("k", untouched)
        assert untouched.runs == 0
        assert await b.get("k", "none") == "none"
        await world.mini.pass_time(6.0)
        assert await b.get_or_compute("k", Work("good")) == "good"

    told(story)


def test_a_value_depends_on_keys() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        kv = world.mini.hosts["c"].kv
        await kv.put("rate", 1)
        needs = ["rate", ("other", "key")]
        assert await a.get_or_compute("k", Work("one"), depends_on=needs) == "one"
        assert await b.get_or_compute("k", Work("no"), depends_on=needs) == "one"
        await kv.put("rate", 2)
        assert await b.get("k", "gone") == "gone"
        assert await b.get_or_compute("k", Work("two"), depends_on=needs) == "two"
        await kv.namespace("other").put("key", 1)
        assert await a.get("k", "gone") == "gone"
        await kv.delete("rate")
        assert b.statistics()["outdated_total"]

    told(story)


def test_what_moved_while_it_was_computed_is_not_kept() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        kv = world.mini.hosts["c"].kv
        work = Work("from rate 1").hold()
        call = begin(a.get_or_compute("k", work, depends_on=["rate"]))
        await work.began.wait()
        await kv.put("rate", 2)
        work.gate.set()
        await call
        await world.settle()
        assert await b.get("k", "none") == "none"
        assert await b.get_or_compute("k", Work("2"), depends_on=["rate"], timeout=1) == "2"

    told(story)


def test_a_store_key_this_host_saw_change_is_not_served_from_before() -> None:
    class Carts:
        name = "carts"

        def __init__(self) -> None:
            self.versions: dict[int, int] = {1: 5}

        def versions_seen(self, key: str) -> dict[int, int]:
            return self.versions if key == "ann" else {}

    async def story(world: World) -> None:
        a, b, _ = world.open()
        at_a, at_b = Carts(), Carts()
        await a.get_or_compute("total", Work(3), depends_on=[(at_a, "ann")])
        assert await b.get_or_compute("total", Work(9), depends_on=[(at_b, "ann")]) == 3
        at_b.versions = {1: 5, 2: 1}
        assert await b.get_or_compute("total", Work(4), depends_on=[(at_b, "ann")]) == 4
        assert await a.get_or_compute("total", Work(9), depends_on=[(at_a, "ann")]) == 4, (
            "a host that is behind may serve what is newer"
        )

    told(story)


def test_a_stale_value_is_served_while_one_computation_replaces_it() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open(ttl=10.0, stale=30.0)
        await a.get_or_compute("k", Work("old"))
        await world.mini.pass_time(11)
        new = Work("new").hold()
        for cache in (a, b, c, b):
            assert await cache.get_or_compute("k", new) == "old"
            await world.settle()
        assert new.runs == 1
        assert await a.get("k", "none") == "none", "get serves nothing past its life"
        new.gate.set()
        await world.settle()
        assert await c.get_or_compute("k", new) == "new"
        await b.invalidate("k")
        assert await c.get("k", "none") == "none"

    told(story)


def test_an_invalidated_value_is_not_served_as_stale() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(ttl=10.0, stale=30.0)
        await a.get_or_compute("k", Work("old"))
        await world.mini.pass_time(11)
        await a.invalidate("k")
        assert await b.get_or_compute("k", Work("new")) == "new"

    told(story)


def test_clear_invalidates_everything() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        for n in range(5):
            await a.get_or_compute(f"k{n}", Work(n))
        await b.clear()
        assert [await a.get(f"k{n}") for n in range(5)] == [None] * 5

    told(story)


def test_wrong_words_are_refused_and_nothing_runs() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open()
        work = Work()
        for wrong in ({"ttl": 0}, {"depends_on": "rate"}, {"depends_on": [7]}, {"timeout": -1}):
            with pytest.raises(UsageError):
                await a.get_or_compute("k", work, **wrong)  # type: ignore[arg-type]
        with pytest.raises(LimitExceeded):
            await a.get_or_compute("k" * 500, work)
        assert work.runs == 0
        with pytest.raises(UsageError):
            await a.get_or_compute("k", lambda: object())
        small = world.caches["a"].open("small", value_bytes_max=10)
        with pytest.raises(LimitExceeded):
            await small.get_or_compute("k", lambda: "x" * 20)
        for options in ({"ttl": -1}, {"jitter_ratio": 1.0}, {"entries": 3}, {"level": "strong"}):
            with pytest.raises(ConfigError):
                world.caches["a"].open("other", **options)
        with pytest.raises(ConfigError):
            world.caches["a"].open("prices", ttl=1.0)
        assert world.caches["a"].open("prices") is a

    told(story)


def test_options_may_come_after_the_first_use() -> None:
    """Whoever only invalidates need not know them."""

    async def story(world: World) -> None:
        a, b = world.caches["a"], world.caches["b"]
        early = a.open("late")
        await early.invalidate("k")
        late = a.open("late", ttl=5.0, entries_max=1, jitter_ratio=0.0)
        assert late is early
        await late.get_or_compute("k", Work("one"))
        await late.get_or_compute("l", Work("two"))
        await world.settle()
        assert await b.open("late").get("k", "evicted") == "evicted"
        await world.mini.pass_time(5.1)
        assert await late.get("l", "old") == "old"
        with pytest.raises(ConfigError):
            a.open("late", ttl=6.0)

    told(story)
