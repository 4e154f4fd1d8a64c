"""A rebuilt state is what folding everything would give, with snapshots or without."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.consistency.events import folds as folds_module
from quorate.consistency.events import rebuilding as rebuilding_module
from quorate.consistency.events.event import Event
from quorate.consistency.events.folds import (
    SLOTS,
    Pace,
    Snapshot,
    Target,
    fold_id,
    from_row,
    slot_for,
    to_row,
    usable,
)
from tests.events.world import EMPTY, World, told, total, values

SOAK = bool(os.environ.get("QUORATE_SOAK"))


def folded(log: Any) -> int:
    return int(str(log.statistics()["folded_total"]))


def test_any_version_can_be_rebuilt() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(consistency="strong", snapshot_every=10)
        for number in range(1, 48):
            await a.append(number)
        await world.settle()
        for at in (47, 1, 13, 40, 0, 30):
            state = await b.rebuild(total, EMPTY, at=at)
            assert state["order"] == list(range(1, at + 1)), at
        assert (await b.rebuild(total, EMPTY))["sum"] == sum(range(1, 48))

    told(story)


def test_a_second_rebuild_reads_only_what_is_new() -> None:
    async def story(world: World) -> None:
        a, b, _ = world.open(snapshot_every=10)
        for number in range(95):
            await a.append(number)
        await a.rebuild(total, EMPTY)
        assert folded(a) == 95
        for number in range(95, 100):
            await a.append(number)
        assert (await a.rebuild(total, EMPTY))["order"] == list(range(100))
        assert folded(a) == 100
        assert (await b.rebuild(total, EMPTY))["order"] == list(range(100))
        assert folded(b) == 5, "another host uses the snapshot too"

    told(story)


def test_a_late_event_is_folded_in_its_place() -> None:
    async def story(world: World) -> None:
        a, _, c = world.open(snapshot_every=5)
        for number in range(10):
            world.pass_ms(10)
            await a.append(number)
        world.cut("c")
        await c.append(1000)
        for number in range(10, 30):
            world.pass_ms(10)
            await a.append(number)
        before = await a.rebuild(total, EMPTY)
        assert before["order"] == list(range(30))
        world.heal()
        after = await a.rebuild(total, EMPTY)
        assert after["order"] == [*range(10), 1000, *range(10, 30)]
        stamp = (await a.read())[-1].stamp
        assert (await a.rebuild(total, EMPTY, at=stamp))["order"] == after["order"]

    told(story)


def test_a_changed_fold_is_not_fed_an_old_state() -> None:
    def first(state: Any, event: Event) -> Any:
        return state + event.value

    def second(state: Any, event: Event) -> Any:
        return state + 10 * event.value

    async def story(world: World) -> None:
        a, _, _ = world.open(snapshot_every=5)
        for _ in range(20):
            await a.append(1)
        assert await a.rebuild(first, 0, name="sum") == 20
        assert await a.rebuild(second, 0, name="sum") == 200
        assert await a.rebuild(first, 100, name="sum") == 120
        assert await a.rebuild(first, 0, name="sum", fold_version=2) == 20
        assert folded(a) == 80
        assert await a.rebuild(first, 0, name="sum") == 20
        assert folded(a) == 80, "its own one is used"

    told(story)


def test_strong_and_all_are_two_views_of_one_fold() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open(snapshot_every=2)
        for number in range(10):
            await a.append(number, consistency="strong" if number % 2 else "eventual")
        assert (await a.rebuild(total, EMPTY))["order"] == list(range(10))
        strong = await a.rebuild(total, EMPTY, level="linearizable")
        assert strong["order"] == [1, 3, 5, 7, 9]

    told(story)


def test_broken_snapshots_cost_time_and_nothing_else() -> None:
    async def story(world: World) -> None:
        a, _, _ = world.open(snapshot_every=5)
        for number in range(20):
            await a.append(number)
        await a.rebuild(total, EMPTY)
        assert world.ports["a"].snapshot_keys
        for port in world.ports.values():
            port.break_snapshots()
        assert (await a.rebuild(total, EMPTY))["order"] == list(range(20))

    told(story)


def test_a_state_that_cannot_be_kept_is_computed_anew() -> None:
    def collect(state: Any, event: Event) -> Any:
        return {*(state or ()), event.value}

    async def story(world: World) -> None:
        a, _, _ = world.open(snapshot_every=5)
        for number in range(20):
            await a.append(number)
        assert await a.rebuild(collect) == set(range(20))
        assert await a.rebuild(collect) == set(range(20))
        assert int(str(a.statistics()["snapshots_not_kept_total"])) > 0

    told(story)


def test_a_fold_may_change_the_state_it_is_given() -> None:
    def append(state: list[Any], event: Event) -> list[Any]:
        state.append(event.value)
        return state

    async def story(world: World) -> None:
        a, _, _ = world.open(snapshot_every=3)
        start: list[Any] = []
        for number in range(10):
            await a.append(number)
        assert await a.rebuild(append, start) == list(range(10))
        assert start == []
        assert await a.rebuild(append, start) == list(range(10))

    told(story)


# --- deciding parts -------------------------------------------------------------------------------


def snapshot(events: int, stamp: int = 100) -> Snapshot:
    return Snapshot({"s": events}, (stamp, "s", events), b"\xf6")


def test_a_snapshot_is_usable_only_if_nothing_comes_before_its_end() -> None:
    kept = snapshot(10, stamp=100)
    assert usable(kept, Target(), {"s": (101, "s", 11)})
    assert not usable(kept, Target(), {"s": (101, "s", 11), "t": (99, "t", 1)})
    assert not usable(kept, Target(stamp=99), {})
    assert usable(kept, Target(stamp=100), {})
    assert not usable(kept, Target(version={"s": 9}), {})
    assert usable(kept, Target(version={"s": 10}), {})


def test_rows_come_back_and_nonsense_is_none() -> None:
    kept = snapshot(7)
    assert from_row(to_row(kept)) == kept
    rows: list[Any] = [
        None,
        7,
        [],
        [1, [], [], b""],
        [2, ["s", 1], [1, "s", 1], b"x"],
        [1, ["s"], 0, 0],
    ]
    for row in rows:
        assert from_row(row) is None


def test_slots_keep_the_newest_and_a_spread_of_older_ones() -> None:
    kept: list[Snapshot | None] = [None] * SLOTS
    for events in range(100, 20_001, 100):
        kept[slot_for(kept, events)] = snapshot(events)
    counts = sorted(one.events for one in kept if one is not None)
    assert counts[-1] == 20_000
    assert counts[0] <= 10_000, "something older is left for when a late event comes"


def test_a_long_fold_is_not_spent_on_snapshots() -> None:
    pace = Pace(100)
    assert sum(pace.folded() for _ in range(100_000)) < 40


def test_a_fold_has_one_name_as_long_as_it_is_the_same() -> None:
    def fold(state: Any, event: Event) -> Any:
        return state

    class Fold:
        def __call__(self, state: Any, event: Event) -> Any:
            return state

    names = [
        fold_id(one, start, name=None, version=version, view=view)
        for one in (fold, Fold())
        for start in (b"a", b"b")
        for version in (0, 1)
        for view in ("strong", "all")
    ]
    assert len(set(names)) == 16
    assert fold_id(fold, b"a", name=None, version=0, view="strong") == names[0]


@settings(max_examples=1000 if SOAK else 40, deadline=None, derandomize=not SOAK)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(("append", "cut", "heal", "rebuild"))),
        max_size=60,
    )
)
def test_whatever_happens_a_rebuild_is_a_fold_of_what_is_read(steps: list[tuple[str, str]]) -> None:
    async def story(world: World) -> None:
        logs = dict(zip("abc", world.open(snapshot_every=3), strict=True))
        for number, (host, step) in enumerate(steps):
            world.pass_ms(1)
            if step == "append":
                await logs[host].append(number)
            elif step == "cut":
                world.cut(host)
            elif step == "heal":
                world.heal()
            rebuilt = await logs[host].rebuild(total, EMPTY)
            assert rebuilt["order"] == values(await logs[host].read())
        world.heal()
        orders = [values(await log.read()) for log in logs.values()]
        assert orders[0] == orders[1] == orders[2]
        assert len(orders[0]) == sum(step == "append" for _, step in steps)

    told(story)


# --- planted faults -------------------------------------------------------------------------------


def any_snapshot_will_do(patch: pytest.MonkeyPatch) -> None:
    def use(kept: Any, target: Any, following: Any) -> bool:
        return True

    patch.setattr(folds_module, "usable", use)


def one_name_for_all_folds(patch: pytest.MonkeyPatch) -> None:
    def same(*_: Any, **__: Any) -> str:
        return "fold"

    patch.setattr(rebuilding_module.folds, "fold_id", same)


PLANTS = [
    (any_snapshot_will_do, test_a_late_event_is_folded_in_its_place),
    (any_snapshot_will_do, test_any_version_can_be_rebuilt),
    (one_name_for_all_folds, test_a_changed_fold_is_not_fed_an_old_state),
    (one_name_for_all_folds, test_strong_and_all_are_two_views_of_one_fold),
]


@pytest.mark.parametrize(
    ("plant", "story"), PLANTS, ids=[f"{p.__name__}-{s.__name__[5:25]}" for p, s in PLANTS]
)
def test_the_story_notices(plant: Any, story: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        story()
