"""Eventual events: appended anywhere at any time, one order once everything is everywhere, and a
late one takes its place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quorate.consistency.events import own as own_module
from quorate.consistency.events import reading as reading_module
from quorate.consistency.events.event import STRONG
from quorate.core.errors import OutcomeUnknown, StorageFull, UsageError
from tests.events.world import World, begin, told, values


def test_everybody_sees_the_same_order_once_all_is_everywhere() -> None:
    async def story(world: World) -> None:
        logs = world.open()
        for number in range(60):
            world.pass_ms(number % 3)
            await logs[number % 3].append(number)
        orders = [values(await log.read()) for log in logs]
        assert orders[0] == orders[1] == orders[2] == list(range(60))
        version = await logs[0].version()
        assert isinstance(version, dict)
        assert sorted(version.values()) == [20, 20, 20]

    told(story)


def test_appends_at_once_leave_no_gap() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        await asyncio.gather(*(a.append(n) for n in range(100)))
        events = await b.read()
        assert [event.number for event in events] == list(range(1, 101))

    told(story)


def test_a_minority_appends_and_its_events_take_their_place_when_it_heals() -> None:
    async def story(world: World) -> None:
        a, _, c = world.open()
        await a.append("together")
        world.cut("c")
        world.pass_ms(10)
        await c.append("alone at ten")
        world.pass_ms(10)
        await a.append("majority at twenty")
        seen = await a.read()
        assert values(seen) == ["together", "majority at twenty"]
        cursor = a.version_of(seen)
        world.heal()
        assert values(await a.read()) == ["together", "alone at ten", "majority at twenty"]
        assert values(await a.read(after=cursor)) == ["alone at ten"]
        assert values(await a.read(after=a.version_of(await a.read()))) == []

    told(story)


def test_causality_is_known_and_never_against_the_order() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open()
        await a.append("question")
        world.pass_ms(-5_000)  # the clock of the answering host is behind
        await b.read()
        await b.append("answer")
        await c.append("aside")
        question, *others = await a.read()
        assert question.value == "question"
        by_value = {event.value: event for event in others}
        assert question.happened_before(by_value["answer"])
        assert not by_value["answer"].happened_before(by_value["aside"])
        assert not by_value["aside"].happened_before(by_value["answer"])
        assert not question.happened_before(by_value["aside"]), "c had not read it"

    told(story)


def test_pages_between_stamps_and_versions() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        for number in range(50):
            world.pass_ms(10)
            await (a, b)[number % 2].append(number)
        events = await b.read()
        assert values(await b.read(events[20].stamp, events[29].stamp)) == list(range(20, 30))
        version = a.version_of(events[:17])
        assert values(await a.read(to=version)) == list(range(17))
        assert values(await a.read(after=version, limit=5)) == list(range(17, 22))
        assert values(await a.read(1 << 62)) == []
        with pytest.raises(UsageError):
            await a.read(after=7)

    told(story)


def test_a_page_in_the_middle_of_a_long_log_is_not_a_walk_from_the_start() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open()
        for number in range(2000):
            world.pass_ms(1)
            await a.append(number)
        middle = (await a.read(after={}, limit=1500))[-1].stamp
        world.ports["a"].reads = 0
        assert values(await a.read(middle, limit=10)) == list(range(1499, 1509))
        assert world.ports["a"].reads < 60

    told(story)


def test_strong_and_eventual_events_are_one_log() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        await a.append("one")
        world.pass_ms(5)
        receipt = await b.append("two", consistency="strong")
        world.pass_ms(5)
        await a.append("three")
        await world.settle()
        assert values(await b.read()) == ["one", "two", "three"]
        assert values(await b.read(level="linearizable")) == ["two"]
        assert receipt.position == (STRONG, 1)

    told(story)


def test_a_host_that_comes_back_goes_on_with_its_strand() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        for number in range(9):
            await a.append(number)
        again = world.log("a")
        assert (await again.append(9)).event.number == 10
        assert len({event.strand for event in await b.read()}) == 1
        assert values(await b.read()) == list(range(10))

    told(story)


def test_a_host_that_has_not_all_of_the_store_begins_a_strand_of_its_own() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        await a.append("before")
        world.ports["a"].whole = False
        again = world.log("a")
        await again.append("after")
        assert values(await b.read()) == ["before", "after"]
        assert len({event.strand for event in await b.read()}) == 2

    told(story)


def test_a_write_that_failed_leaves_no_gap() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        await a.append("one")
        world.ports["a"].fail = StorageFull("no room")
        for options in ({}, {"wait_for": 1}):
            with pytest.raises(StorageFull):
                await a.append("lost", **options)  # type: ignore[arg-type]
        world.ports["a"].fail = None
        await a.append("two")
        assert values(await b.read()) == ["one", "two"]

    told(story)


def test_a_write_that_may_have_happened_is_not_overwritten() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        await a.append("one")
        world.ports["a"].lose_answer = True
        with pytest.raises(OutcomeUnknown):
            await a.append("maybe", wait_for=2)
        await a.append("three")
        assert values(await b.read()) == ["one", "maybe", "three"]

    told(story)


def test_a_retry_with_the_same_id_is_the_same_event() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open()
        world.ports["a"].lose_answer = True
        with pytest.raises(OutcomeUnknown):
            await a.append("pay", event_id="p1")
        again = await a.append("pay", event_id="p1")
        other = await b.append("pay", event_id="p1")
        assert (again.repeated, other.repeated) == (True, True)
        assert again.position == other.position
        assert values(await b.read()) == ["pay"]

    told(story)


def test_a_retry_after_a_restart_is_the_same_event() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open()
        await a.append("pay", event_id="p1")
        restarted = world.log("a")
        assert (await restarted.append("pay", event_id="p1")).repeated
        assert values(await restarted.read()) == ["pay"]

    told(story)


def test_one_of_two_made_apart_is_left_after_the_heal() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open()
        world.cut("c")
        await a.append("pay", event_id="p1")
        await c.append("pay", event_id="p1")
        await c.append("ship")
        world.heal()
        for log in (a, b, c):
            assert sorted(values(await log.read())) == ["pay", "ship"]

    told(story)


def test_a_store_that_may_refuse_is_always_asked() -> None:
    """A store that pauses in a minority must not be passed by on the short way."""

    async def story(world: World) -> None:
        a, _, _ = world.open()
        await a.append("one")
        asked: list[str] = []
        port = world.ports["a"]
        port.plain = False
        honest = port.put

        async def put(key: str, value: Any, options: dict[str, Any]) -> Any:
            asked.append(key)
            return await honest(key, value, options)

        port.put = put  # type: ignore[method-assign]
        await a.append("two")
        assert len(asked) == 1

    told(story)


def test_a_gap_is_not_jumped() -> None:
    """States can arrive in any order; what lies behind a gap is not shown before it is filled."""

    async def story(world: World) -> None:
        a, b, _ = world.open()
        for number in range(3):
            await a.append(number)
        port, (event, *_) = world.ports["b"], await b.read()
        key = f"order:7\0e\0{event.strand}\0{2:012d}"
        kept = port._values.pop(key)  # pyright: ignore[reportPrivateUsage]
        assert values(await b.read()) == [0]
        assert await b.version() == {event.strand: 1}
        port.take(("put", key, kept))
        assert values(await b.read()) == [0, 1, 2]

    told(story)


def test_a_watch_gives_each_event_once_late_ones_too() -> None:
    async def story(world: World) -> None:
        a, b, c = world.open()
        await a.append(1)
        seen: list[Any] = []

        async def follow() -> None:
            async for event in b.watch(0):
                seen.append(event.value)
                if len(seen) == 5:
                    return

        following = begin(follow())
        await world.settle()
        world.cut("c")
        await c.append(2)
        world.pass_ms(50)
        await a.append(3)
        await world.settle()
        assert seen == [1, 3]
        world.heal()
        await world.settle()
        assert seen == [1, 3, 2], "it comes when it comes"
        await a.append(4, consistency="strong")
        await a.append(5)
        await following
        assert seen == [1, 3, 2, 4, 5]

    told(story)


# --- planted faults -------------------------------------------------------------------------------


def retry_appends_again(patch: pytest.MonkeyPatch) -> None:
    async def find(self: Any, event_id: str, options: Any) -> None:
        return None

    patch.setattr(own_module.OwnStrand, "_find", find)
    patch.setattr(reading_module.Reading, "_counts", counts_all)


async def counts_all(self: Any, event: Any, how: Any) -> bool:
    return True


def copies_are_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reading_module.Reading, "_counts", counts_all)


def number_used_before_it_is_written(patch: pytest.MonkeyPatch) -> None:
    honest = own_module.OwnStrand._numbered  # pyright: ignore[reportPrivateUsage]

    def numbered(self: Any, event: Any) -> Any:
        made = honest(self, event)
        self._used(made)
        return made

    patch.setattr(own_module.OwnStrand, "_numbered", numbered)


def doubt_forgotten(patch: pytest.MonkeyPatch) -> None:
    def forget(self: Any, made: Any, options: Any) -> None:
        return None

    patch.setattr(own_module.OwnStrand, "_doubt", forget)


def strand_of_the_actor_alone(patch: pytest.MonkeyPatch) -> None:
    """After a start the numbers begin again."""

    def go_on(self: Any, name: str) -> None:
        self.name = name

    patch.setattr(own_module.OwnStrand, "_go_on", go_on)


PLANTS = [
    (retry_appends_again, test_a_retry_after_a_restart_is_the_same_event),
    (copies_are_shown, test_one_of_two_made_apart_is_left_after_the_heal),
    (number_used_before_it_is_written, test_a_write_that_failed_leaves_no_gap),
    (doubt_forgotten, test_a_write_that_may_have_happened_is_not_overwritten),
    (strand_of_the_actor_alone, test_a_host_that_comes_back_goes_on_with_its_strand),
]


@pytest.mark.parametrize(("plant", "story"), PLANTS, ids=[plant.__name__ for plant, _ in PLANTS])
def test_the_story_notices(plant: Any, story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        story()
