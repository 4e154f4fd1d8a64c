"""What a heal reports: every key that was changed on both sides, how it was resolved, and no
other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from quorate.bench.virtual_loop import LoopClock
from quorate.core.clock import Scheduler
from quorate.hosts import partition as module
from quorate.hosts.partition import Partition
from quorate.hosts.partition_view import Links
from quorate.hosts.reconciliation import Apart, Diverged, Reconciliation, Version
from tests.group.virtual import run_virtual

HERE, FRIEND, THERE = 1, 2, 3
"""Actors of a (this host), b (the same side) and c (the other side)."""


class Stores:
    """Keys as one host has them: what each has seen of whom."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {HERE: 0, FRIEND: 0, THERE: 0}
        self.keys: dict[tuple[str, str], tuple[str, dict[int, int]]] = {}
        self.told: dict[int, int] = {}
        self.caught = False

    def caught_up(self, peer: str, since: float) -> bool:
        return self.caught

    def positions(self) -> dict[int, int]:
        return dict(self.at)

    def held_by(self, peer: str) -> dict[int, int]:
        return self.told

    def actors_of(self, hosts: frozenset[str]) -> frozenset[int]:
        return frozenset({"a": HERE, "b": FRIEND, "c": THERE}[host] for host in hosts)

    def highs(self, store: str, key: str) -> tuple[str, dict[int, int]] | None:
        return self.keys.get((store, key))


class World:
    """Host a beside b; c is cut off and comes back."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.up = True
        self.stores = Stores()
        self.partition = Partition(
            "a",
            look=lambda: Links({"b": True, "c": self.up}, {"b": True, "c": self.up}, tuple("abc")),
            clock=LoopClock(loop),
            scheduler=cast(Scheduler, loop),
            make_future=loop.create_future,
        )
        self.partition.stores = self.stores
        self.partition.start()

    def change(self, key: str, actor: int, kind: str = "register") -> Version:
        """An update of this actor arrives here."""
        self.stores.at[actor] += 1
        seq = self.stores.at[actor]
        _, highs = self.stores.keys.get(("carts", key), (kind, {}))
        self.stores.keys["carts", key] = (kind, {**highs, actor: seq})
        self.partition.on_changed("carts", key)
        return Version("abc"[actor - 1], actor, seq, 5, key)

    def conflict(self, key: str, winner: Version | None, *losers: Version) -> None:
        self.partition.on_diverged(
            Diverged("carts", key, "lww", "concurrent", winner, tuple(losers))
        )

    async def wait(self, seconds: float) -> None:
        passed = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(seconds, passed.set_result, None)
        await passed

    async def cut(self) -> None:
        self.up = False
        await self.wait(1)

    async def heal(self) -> None:
        self.up = True
        await self.wait(1)

    def report(self) -> dict[str, Any]:
        return self.partition.reports()[0]


def told(story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        world = World()
        try:
            await story(world)
        finally:
            world.partition.stop()

    run_virtual(tell())


def keys_of(report: dict[str, Any]) -> list[str]:
    return sorted(row["key"] for row in report["diverged"])


def test_the_report_names_what_was_changed_on_both_sides() -> None:
    async def story(world: World) -> None:
        for key in ("both", "here only", "there only", "counter", "before"):
            world.change(key, HERE)
        await world.wait(10)
        await world.cut()
        ours = world.change("both", HERE)
        world.change("here only", HERE)
        world.change("counter", FRIEND, "pn_counter")
        world.up = True
        theirs = world.change("both", THERE)  # before the heal counts as one
        world.conflict("both", theirs, ours)
        world.change("there only", THERE)
        world.change("counter", THERE)
        await world.wait(1)
        assert world.report()["outcome"] == "running"
        world.stores.caught = True
        report = await world.partition.wait_report(1)
        assert keys_of(report) == ["both", "counter"]
        both = next(row for row in report["diverged"] if row["key"] == "both")
        assert (both["resolver"], both["winner"]["host"]) == ("lww", "c")
        assert [loser["host"] for loser in both["losers"]] == ["a"]
        assert report["peers"] == ["c"]
        assert report["outcome"] == "complete"
        assert report["diverged_keys"] == 2
        traffic = report["traffic"]["c"]
        assert (traffic["keys_sent"], traffic["keys_received"]) == (3, 3)
        assert 1.0 <= report["apart_s"] <= 2.5

    told(story)


def test_conflicts_among_this_side_are_no_news_of_the_heal() -> None:
    async def story(world: World) -> None:
        await world.cut()
        one, two = world.change("k", HERE), world.change("k", FRIEND)
        world.conflict("k", two, one)
        await world.heal()
        world.stores.caught = True
        assert (await world.partition.wait_report(1))["diverged"] == []

    told(story)


def test_what_came_through_in_a_blip_is_in_the_next_report() -> None:
    async def story(world: World) -> None:
        await world.cut()
        ours = world.change("k", HERE)
        world.up = True
        await world.wait(0.2)
        world.conflict("k", world.change("k", THERE), ours)
        world.up = False
        await world.wait(20)
        assert world.partition.reports() == []
        await world.heal()
        world.stores.caught = True
        assert keys_of(await world.partition.wait_report(1)) == ["k"]

    told(story)


def test_a_cut_that_is_noticed_late_misses_nothing() -> None:
    """What was changed here after the cable broke and before the links noticed."""

    async def story(world: World) -> None:
        await world.wait(10)
        world.change("k", HERE)
        await world.wait(3)
        await world.cut()
        await world.wait(3)
        world.up = True
        world.change("k", THERE)
        await world.wait(1)
        world.stores.caught = True
        assert keys_of(await world.partition.wait_report(1)) == ["k"]

    told(story)


def test_what_the_other_side_said_it_has_did_not_diverge() -> None:
    async def story(world: World) -> None:
        await world.wait(10)
        world.change("told", HERE)
        world.stores.told = dict(world.stores.at)
        world.change("not told", HERE)
        await world.cut()
        world.up = True
        world.change("told", THERE)
        world.change("not told", THERE)
        await world.wait(1)
        world.stores.caught = True
        assert keys_of(await world.partition.wait_report(1)) == ["not told"]

    told(story)


def test_a_heal_that_breaks_off_is_said_and_the_next_report_has_it_all() -> None:
    async def story(world: World) -> None:
        await world.cut()
        ours = world.change("k", HERE)
        await world.heal()
        world.conflict("k", world.change("k", THERE), ours)
        await world.cut()
        first = await world.partition.wait_report(1)
        assert first["outcome"] == "interrupted"
        assert "c" in first["why"]
        await world.heal()
        world.change("k", THERE)
        world.stores.caught = True
        assert keys_of(await world.partition.wait_report(2)) == ["k"]

    told(story)


def test_events_are_followed_and_can_be_taken_up_again() -> None:
    async def story(world: World) -> None:
        seen: list[str] = []

        async def follow() -> None:
            async for event in world.partition.events():
                seen.append(event.kind)

        following = asyncio.get_running_loop().create_task(follow())
        await world.cut()
        await world.heal()
        assert seen == ["partitioned", "healed"]
        world.partition.stop()
        await following
        kept = [event.number async for event in world.partition.events(after=1)]
        assert kept == [2]
        assert world.partition.recent()[0].to_json()["peers"] == ["c"]

    told(story)


def test_reports_and_what_they_show_are_bounded() -> None:
    report = Reconciliation(1, "a", ("c",), apart_s=1, healed_at=0, now=0, keys_max=3)
    for number in range(10):
        report.on_diverged(Diverged("s", f"k{number}", "lww", "concurrent", None, ()))
    body = report.to_json(1.0)
    assert (body["diverged_keys"], len(body["diverged"]), body["shown_keys"]) == (10, 3, 3)


def test_meeting_twice_keeps_everything_that_lost() -> None:
    report = Reconciliation(1, "a", ("c",), apart_s=1, healed_at=0, now=0, keys_max=3)
    one, two, three = (Version("x", actor, 1, 0, actor) for actor in (1, 2, 3))
    report.on_diverged(Diverged("s", "k", "lww", "concurrent", one, (two,)))
    report.on_diverged(Diverged("s", "k", "lww", "concurrent", three, (one,)))
    row = report.to_json(1.0)["diverged"][0]
    assert row["winner"]["actor"] == 3
    assert sorted(loser["actor"] for loser in row["losers"]) == [1, 2]


def forgets_what_came_early(patch: pytest.MonkeyPatch) -> None:
    """Only what is told after the heal was noticed goes in."""

    def on_diverged(self: Any, found: Diverged) -> None:
        for report in self.open_reports:
            report.on_diverged(found)

    def on_changed(self: Any, store: str, key: str) -> None:
        return None

    patch.setattr(Partition, "on_diverged", on_diverged)
    patch.setattr(Partition, "on_changed", on_changed)


def takes_the_cut_for_noticed_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(module, "UNNOTICED_S", 0.0)


def overlooks_the_first_update(patch: pytest.MonkeyPatch) -> None:
    def is_news(self: Apart, actor: int, seq: int) -> bool:
        return actor in self.actors and seq > self.there.get(actor, 0) + 1

    patch.setattr(Apart, "is_news", is_news)


PLANTS: list[tuple[Callable[[pytest.MonkeyPatch], None], Callable[[], None]]] = [
    (forgets_what_came_early, test_the_report_names_what_was_changed_on_both_sides),
    (forgets_what_came_early, test_what_came_through_in_a_blip_is_in_the_next_report),
    (takes_the_cut_for_noticed_at_once, test_a_cut_that_is_noticed_late_misses_nothing),
    (overlooks_the_first_update, test_the_report_names_what_was_changed_on_both_sides),
]


@pytest.mark.parametrize(
    ("plant", "story"),
    PLANTS,
    ids=[f"{p.__name__}-{number}" for number, (p, _) in enumerate(PLANTS)],
)
def test_a_report_that_misses_a_key_is_noticed(
    plant: Callable[[pytest.MonkeyPatch], None],
    story: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, StopIteration)):
        story()
