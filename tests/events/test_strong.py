"""Strong events: dense versions, one order, conditions, retries that are one append."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.consistency.events.event import VersionConflict
from quorate.core.errors import LimitExceeded, NotCommitted, Unavailable, UsageError
from tests.events.world import World, begin, told, values


def test_versions_are_dense_and_the_order_is_the_same_everywhere() -> None:
    async def story(world: World) -> None:
        logs = world.open(consistency="strong")
        appends = [logs[n % 3].append(n) for n in range(200)]
        receipts = await asyncio.gather(*appends)
        assert sorted(receipt.version for receipt in receipts) == list(range(1, 201))
        await world.settle()
        orders = [values(await log.read()) for log in logs]
        assert orders[0] == orders[1] == orders[2]
        assert sorted(orders[0]) == list(range(200))
        stamps = [event.stamp for event in await logs[0].read()]
        assert stamps == sorted(set(stamps)), "stamps grow with versions"
        batches = sum(int(str(log.statistics()["strong_batches"])) for log in logs)
        assert batches < 60, "those that wait together travel together"

    told(story)


def test_an_event_says_who_when_and_why() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong")
        first = await a.append("placed", correlation_id="req-1", by="ann")
        await b.read()
        second = await b.append({"paid": 7}, by="bob")
        events = await a.read()
        assert [e.by for e in events] == ["ann", "bob"]
        assert (events[0].correlation_id, events[0].host, events[0].actor) == ("req-1", "a", 1)
        assert events[0].at_ms == world.now_ms
        assert events[0].happened_before(events[1])
        assert not events[1].happened_before(events[0])
        assert (first.position, second.version) == (("strong", 1), 2)
        assert first.term is not None and first.index is not None

    told(story)


def test_pages_by_version() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong")
        for number in range(1, 11):
            await a.append(number)
        assert values(await b.read(4, 6)) == [4, 5, 6]
        assert values(await b.read(8)) == [8, 9, 10]
        assert values(await b.read(limit=3)) == [1, 2, 3]
        assert values(await b.read(after=8)) == [9, 10]
        assert await b.version() == 10

    told(story)


def test_an_append_on_condition_of_a_version() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open(consistency="strong")
        await a.append("one", expected_version=0)
        with pytest.raises(VersionConflict) as conflict:
            await b.append("other one", expected_version=0)
        assert conflict.value.present == 1
        tries = [log.append(log.name, expected_version=1) for log in (a, b, c)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(outcome, VersionConflict) for outcome in outcomes) == 2
        assert await a.version() == 2

    told(story)


def test_the_same_event_id_is_the_same_append() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong")
        first = await a.append("pay", event_id="payment-1")
        again = await b.append("pay", event_id="payment-1")
        assert (again.version, again.repeated, first.repeated) == (1, True, False)
        both = [log.append("ship", event_id="ship-1") for log in (a, b)]
        done = await asyncio.gather(*both)
        assert sorted(receipt.repeated for receipt in done) == [False, True]
        assert values(await a.read()) == ["pay", "ship"]

    told(story)


def test_an_append_whose_answer_was_lost_is_not_made_twice() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong")
        await a.append("first")
        await world.settle()
        world.mini.lead("b")
        lost = begin(a.append("pay", event_id="p", timeout=0.5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        world.mini.cut("a")
        with pytest.raises(Unavailable):
            await lost
        world.mini.heal("a")
        await a.append("pay", event_id="p")
        assert values(await b.read()) == ["first", "pay"]

    told(story)


def test_a_minority_appends_nothing_strongly_and_says_so() -> None:
    async def story(world: World) -> None:
        world.mini.lead("b")
        a, b, _ = world.open(consistency="strong")
        await b.append("one")
        world.mini.cut("a")
        with pytest.raises(Unavailable):
            await a.append("two", timeout=0.5)
        with pytest.raises(NotCommitted):
            await a.read(timeout=0.5)
        assert values(await a.read(level="local")) == ["one"]
        world.mini.heal("a")

    told(story)


def test_a_watch_goes_on_where_it_was() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong")
        for number in range(5):
            await a.append(number)
        seen: list[Any] = []

        async def follow(after: Any, count: int) -> Any:
            version: Any = after
            async for event in b.watch(after=after):
                seen.append(event.value)
                version = b.version_of([event], version)
                if len(seen) >= count:
                    return version
            return version

        version = await follow({}, 3)
        following = begin(follow(version, 7))
        await a.append(5)
        await a.append(6)
        await following
        assert seen == [0, 1, 2, 3, 4, 5, 6]

    told(story)


def test_a_watch_from_now_on_starts_behind_what_is_there() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong")
        await a.append("old")
        watch = b.watch()
        first = begin(anext(watch))
        await world.settle()
        await a.append("new")
        assert (await first).value == "new"
        await watch.aclose()

    told(story)


def test_wrong_words_are_refused_and_nothing_is_appended() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open(consistency="strong")
        for wrong in (
            {"consistency": "maybe"},
            {"expected_version": -1},
            {"expected_version": "1"},
            {"correlation_id": 7},
            {"event_id": ""},
            {"wait_for": 2},
            {"consistency": "eventual", "expected_version": 1},
        ):
            with pytest.raises(UsageError):
                await a.append("x", **wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError):
            await a.append(object())
        with pytest.raises(LimitExceeded):
            await a.append("x" * 1_200_000)
        with pytest.raises(LimitExceeded):
            await a.append("x", correlation_id="x" * 300)
        for read in ({"limit": 0}, {"after": "x"}, {"after": {"strong": "1"}}):
            with pytest.raises(UsageError):
                await a.read(**read)  # type: ignore[arg-type]
        for name in ("", "a\0b", 7):
            with pytest.raises(UsageError):
                world.log("a", name)  # type: ignore[arg-type]
        assert await a.version() == 0

    told(story)
